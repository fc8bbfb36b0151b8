//! The effective value of each field.
//!
//! The API server fills defaults in only where the parent object exists, and not at all for a manifest that
//! `render` reads from a file. The methods here give the same answer in both cases, so the rest of the program
//! asks them and never reads an optional field itself.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::SecretKeySelector;

use super::defaults::{
    ACCESS_TOKEN_DURATION, ADMIN_USERNAME, API_PORT, BACKUP_FULL_SCHEDULE, BACKUP_INCR_SCHEDULE,
    BACKUP_REGION, BACKUP_RETENTION_DAYS, CONTROL_PLANE_SIZE, IMAGE, LOG_OUTPUT, METRICS_PATH, METRICS_PORT,
    PERCONA_DATABASE_NAME, PERCONA_POSTGRES_VERSION, PERCONA_REPLICAS, PERCONA_STORAGE_SIZE,
    PROGRESS_DEADLINE_SECONDS, REFRESH_TOKEN_DURATION, REPLICAS, SQLITE_PATH,
    TERMINATION_GRACE_PERIOD_SECONDS,
};
use super::{
    DatabaseBackend, DatabaseType, DittoServerSpec, Hibernate, KerberosSpec, LdapSpec, LogFormat, LogLevel,
    MachineAccountSpec, PerconaBackupSpec, PerconaSpec, Retention, ServiceMonitorSpec, ServiceType,
    StorageSpec, duration,
};

/// A text field that is absent or empty has no value. The Go operator does not tell the two apart.
fn present(value: Option<&String>) -> Option<&str> {
    value.map(String::as_str).filter(|text| !text.is_empty())
}

fn text<'a>(value: Option<&'a String>, default: &'a str) -> &'a str {
    present(value).unwrap_or(default)
}

/// A port that is absent or 0 has its default. Objects stored before the schema had a minimum may hold 0.
fn port(value: Option<i32>, default: i32) -> i32 {
    value.filter(|port| *port != 0).unwrap_or(default)
}

/// A reference without a name refers to nothing.
fn named(reference: Option<&SecretKeySelector>) -> Option<&SecretKeySelector> {
    reference.filter(|selector| !selector.name.is_empty())
}

/// What absent maps of annotations and labels read as.
static NO_ENTRIES: BTreeMap<String, String> = BTreeMap::new();

/// The server and its pod.
impl DittoServerSpec {
    /// Image of the server container.
    #[must_use]
    pub fn image(&self) -> &str {
        text(self.image.as_ref(), IMAGE)
    }

    /// Number of pods that are wanted: 0 or 1.
    #[must_use]
    pub fn desired_replicas(&self) -> i32 {
        self.replicas.unwrap_or(REPLICAS)
    }

    /// Seconds that the pod gets to stop.
    #[must_use]
    pub fn termination_grace_period_seconds(&self) -> i64 {
        self.termination_grace_period_seconds
            .unwrap_or(TERMINATION_GRACE_PERIOD_SECONDS)
    }

    /// Lowest level that is logged.
    #[must_use]
    pub fn log_level(&self) -> LogLevel {
        self.logging
            .as_ref()
            .and_then(|logging| logging.level)
            .unwrap_or_default()
    }

    /// Form of a log line.
    #[must_use]
    pub fn log_format(&self) -> LogFormat {
        self.logging
            .as_ref()
            .and_then(|logging| logging.format)
            .unwrap_or_default()
    }

    /// `stdout`, `stderr` or a file path.
    #[must_use]
    pub fn log_output(&self) -> &str {
        text(
            self.logging.as_ref().and_then(|logging| logging.output.as_ref()),
            LOG_OUTPUT,
        )
    }
}

/// The REST API and the Services.
impl DittoServerSpec {
    /// Seconds within which a rollout must finish.
    #[must_use]
    pub fn progress_deadline_seconds(&self) -> i32 {
        self.progress_deadline_seconds
            .unwrap_or(PROGRESS_DEADLINE_SECONDS)
    }

    /// What becomes of the volumes when the server is deleted.
    #[must_use]
    pub fn retention(&self) -> Retention {
        self.storage.retention.unwrap_or_default()
    }

    /// Whether the database is to be paused now: the server is stopped, and the user wants them to stop together.
    #[must_use]
    pub fn hibernates(&self) -> bool {
        let wanted = self.percona().and_then(|percona| percona.hibernate) == Some(Hibernate::WhenStopped);
        wanted && self.desired_replicas() == 0
    }

    /// Port of the REST API.
    #[must_use]
    pub fn api_port(&self) -> i32 {
        port(self.control_plane.as_ref().and_then(|api| api.port), API_PORT)
    }

    /// Secret with the server's certificate, if the server itself speaks https.
    #[must_use]
    pub fn cert_secret_name(&self) -> Option<&str> {
        present(self.control_plane.as_ref()?.cert_secret_name.as_ref())
    }

    /// Secret with the CA of client certificates. Honoured only together with [`Self::cert_secret_name`].
    #[must_use]
    pub fn client_ca_secret_name(&self) -> Option<&str> {
        self.cert_secret_name()?;
        present(self.control_plane.as_ref()?.client_ca_secret_name.as_ref())
    }

    /// Whether clients, the operator among them, reach the REST API over https.
    #[must_use]
    pub fn api_over_https(&self) -> bool {
        self.cert_secret_name().is_some() || self.control_plane.as_ref().is_some_and(|api| api.tls)
    }

    /// Type of the Service `<cr>-api`. The Go operator's code falls back to `LoadBalancer`, but its own first
    /// write always made the API server fill in `ClusterIP`.
    #[must_use]
    pub fn service_type(&self) -> ServiceType {
        self.service
            .as_ref()
            .and_then(|service| service.r#type)
            .unwrap_or(ServiceType::ClusterIP)
    }

    /// Annotations of the Service `<cr>-api`.
    #[must_use]
    pub fn service_annotations(&self) -> &BTreeMap<String, String> {
        self.service
            .as_ref()
            .map_or(&NO_ENTRIES, |service| &service.annotations)
    }

    /// Type of the adapter Services.
    #[must_use]
    pub fn adapter_service_type(&self) -> ServiceType {
        self.adapter_services
            .as_ref()
            .and_then(|services| services.r#type)
            .unwrap_or(ServiceType::LoadBalancer)
    }

    /// Annotations of the adapter Services.
    #[must_use]
    pub fn adapter_service_annotations(&self) -> &BTreeMap<String, String> {
        self.adapter_services
            .as_ref()
            .map_or(&NO_ENTRIES, |services| &services.annotations)
    }

    /// Time between two questions for adapters. Invalid and non-positive values read as the default.
    #[must_use]
    pub fn polling_interval(&self) -> Duration {
        self.adapter_discovery
            .as_ref()
            .and_then(|discovery| duration::parse_go(discovery.polling_interval.as_deref()?))
            .filter(|interval| !interval.is_zero())
            .unwrap_or(Duration::from_secs(30))
    }
}

/// Metrics.
impl DittoServerSpec {
    /// Whether the server serves metrics.
    #[must_use]
    pub fn metrics_enabled(&self) -> bool {
        self.metrics.as_ref().is_some_and(|metrics| metrics.enabled)
    }

    /// Port of the metrics, whether they are enabled or not.
    #[must_use]
    pub fn metrics_port(&self) -> i32 {
        port(
            self.metrics.as_ref().and_then(|metrics| metrics.port),
            METRICS_PORT,
        )
    }

    /// Path of the metrics.
    #[must_use]
    pub fn metrics_path(&self) -> &str {
        text(
            self.metrics.as_ref().and_then(|metrics| metrics.path.as_ref()),
            METRICS_PATH,
        )
    }

    /// Secret and key of the scrapers' token. Honoured only while metrics are enabled.
    #[must_use]
    pub fn metrics_token_ref(&self) -> Option<&SecretKeySelector> {
        let metrics = self.metrics.as_ref().filter(|metrics| metrics.enabled)?;
        named(metrics.bearer_token_secret.as_ref())
    }

    /// The ServiceMonitor, if one is wanted and there are metrics to scrape.
    #[must_use]
    pub fn service_monitor(&self) -> Option<&ServiceMonitorSpec> {
        let metrics = self.metrics.as_ref().filter(|metrics| metrics.enabled)?;
        metrics.service_monitor.as_ref().filter(|monitor| monitor.enabled)
    }
}

/// Identity.
impl DittoServerSpec {
    /// Secret and key of the user's own signing key. `None`: the operator generates one.
    #[must_use]
    pub fn jwt_secret_ref(&self) -> Option<&SecretKeySelector> {
        named(self.identity.as_ref()?.jwt.as_ref().map(|jwt| &jwt.secret_ref))
    }

    /// Life of an access token, a Go duration.
    #[must_use]
    pub fn access_token_duration(&self) -> &str {
        let jwt = self.identity.as_ref().and_then(|identity| identity.jwt.as_ref());
        text(
            jwt.and_then(|jwt| jwt.access_token_duration.as_ref()),
            ACCESS_TOKEN_DURATION,
        )
    }

    /// Life of a refresh token, a Go duration.
    #[must_use]
    pub fn refresh_token_duration(&self) -> &str {
        let jwt = self.identity.as_ref().and_then(|identity| identity.jwt.as_ref());
        text(
            jwt.and_then(|jwt| jwt.refresh_token_duration.as_ref()),
            REFRESH_TOKEN_DURATION,
        )
    }

    /// Name of the admin user as it is rendered. The server ignores it.
    #[must_use]
    pub fn admin_username(&self) -> &str {
        let admin = self
            .identity
            .as_ref()
            .and_then(|identity| identity.admin.as_ref());
        text(admin.and_then(|admin| admin.username.as_ref()), ADMIN_USERNAME)
    }

    /// Secret and key of the user's own initial password. `None`: the operator generates one.
    #[must_use]
    pub fn admin_password_ref(&self) -> Option<&SecretKeySelector> {
        named(
            self.identity
                .as_ref()?
                .admin
                .as_ref()?
                .password_secret_ref
                .as_ref(),
        )
    }

    /// The LDAP block. It is rendered even while it is disabled.
    #[must_use]
    pub fn ldap(&self) -> Option<&LdapSpec> {
        self.identity.as_ref()?.ldap.as_ref()
    }

    /// Secret and key of the LDAP bind password. Passed to the server even while LDAP is disabled.
    #[must_use]
    pub fn ldap_bind_password_ref(&self) -> Option<&SecretKeySelector> {
        named(self.ldap()?.bind_password_secret_ref.as_ref())
    }

    /// The Kerberos block, if it is enabled.
    #[must_use]
    pub fn kerberos(&self) -> Option<&KerberosSpec> {
        self.identity
            .as_ref()?
            .kerberos
            .as_ref()
            .filter(|kerberos| kerberos.enabled)
    }

    /// The machine account, if it and Kerberos are enabled.
    #[must_use]
    pub fn machine_account(&self) -> Option<&MachineAccountSpec> {
        self.kerberos()?
            .machine_account
            .as_ref()
            .filter(|account| account.enabled)
    }
}

/// References of the Kerberos block.
impl KerberosSpec {
    /// Secret and key of the keytab.
    #[must_use]
    pub fn keytab_ref(&self) -> Option<&SecretKeySelector> {
        named(self.keytab_secret_ref.as_ref())
    }

    /// Secret and key of `krb5.conf`.
    #[must_use]
    pub fn krb5_conf_ref(&self) -> Option<&SecretKeySelector> {
        named(self.krb5_conf_secret_ref.as_ref())
    }
}

/// References of the machine account.
impl MachineAccountSpec {
    /// Secret and key of the account's password.
    #[must_use]
    pub fn password_ref(&self) -> Option<&SecretKeySelector> {
        named(self.secret_ref.as_ref())
    }

    /// Secret and key of the account's keytab.
    #[must_use]
    pub fn keytab_ref(&self) -> Option<&SecretKeySelector> {
        named(self.keytab_secret_ref.as_ref())
    }
}

/// Storage and database.
impl DittoServerSpec {
    /// The Percona block, if it is enabled.
    #[must_use]
    pub fn percona(&self) -> Option<&PerconaSpec> {
        self.percona.as_ref().filter(|percona| percona.enabled)
    }

    /// Whether the operator makes a PostgreSQL cluster.
    #[must_use]
    pub fn percona_enabled(&self) -> bool {
        self.percona().is_some()
    }

    /// Secret of the user's own PostgreSQL, whether or not Percona wins over it.
    #[must_use]
    pub fn postgres_secret_ref(&self) -> Option<&SecretKeySelector> {
        named(self.database.as_ref()?.postgres_secret_ref.as_ref())
    }

    /// The database that the server is to use. Percona wins over an own Secret (admission refuses both), an own
    /// Secret wins over `type`. `type: postgres` with neither runs on the default SQLite file, as it always did:
    /// admission refuses it, but a server that was stored before keeps its users.
    #[must_use]
    pub fn database_backend(&self) -> DatabaseBackend<'_> {
        if let Some(percona) = self.percona() {
            return DatabaseBackend::Percona(percona);
        }
        if let Some(secret) = self.postgres_secret_ref() {
            return DatabaseBackend::OwnPostgres(secret);
        }
        DatabaseBackend::Sqlite {
            path: self.sqlite_path(),
        }
    }

    /// Path of the SQLite file, whether or not it is in use.
    #[must_use]
    pub fn sqlite_path(&self) -> &str {
        let database = self
            .database
            .as_ref()
            .filter(|database| database.r#type != Some(DatabaseType::Postgres));
        let sqlite = database.and_then(|database| database.sqlite.as_ref());
        text(sqlite.and_then(|sqlite| sqlite.path.as_ref()), SQLITE_PATH)
    }
}

/// Sizes of the volumes.
impl StorageSpec {
    /// Size of the volume `content`. `None`: no such volume.
    #[must_use]
    pub fn content_size(&self) -> Option<&str> {
        present(self.content_size.as_ref())
    }

    /// Size of the volume `controlplane`.
    #[must_use]
    pub fn control_plane_size(&self) -> &str {
        text(self.control_plane_size.as_ref(), CONTROL_PLANE_SIZE)
    }

    /// StorageClass of all volumes. `None`: the cluster's default. Empty means "no class" to Kubernetes, so it
    /// is passed on.
    #[must_use]
    pub fn storage_class_name(&self) -> Option<&str> {
        self.storage_class_name.as_deref()
    }
}

/// The PostgreSQL cluster.
impl PerconaSpec {
    /// Number of PostgreSQL instances.
    #[must_use]
    pub fn replicas(&self) -> i32 {
        self.replicas.unwrap_or(PERCONA_REPLICAS)
    }

    /// Size of each data volume.
    #[must_use]
    pub fn storage_size(&self) -> &str {
        text(self.storage_size.as_ref(), PERCONA_STORAGE_SIZE)
    }

    /// StorageClass of the data volumes. `None`: the cluster's default.
    #[must_use]
    pub fn storage_class_name(&self) -> Option<&str> {
        present(self.storage_class_name.as_ref())
    }

    /// Name of the database.
    #[must_use]
    pub fn database_name(&self) -> &str {
        text(self.database_name.as_ref(), PERCONA_DATABASE_NAME)
    }

    /// Major version of PostgreSQL for a new cluster.
    #[must_use]
    pub fn postgres_version(&self) -> i32 {
        self.postgres_version.unwrap_or(PERCONA_POSTGRES_VERSION)
    }

    /// Image of PostgreSQL that the user wrote. `None`: the operator's default.
    #[must_use]
    pub fn postgres_image(&self) -> Option<&str> {
        present(self.images.as_ref()?.postgres.as_ref())
    }

    /// Image of PgBouncer that the user wrote. `None`: the operator's default.
    #[must_use]
    pub fn pg_bouncer_image(&self) -> Option<&str> {
        present(self.images.as_ref()?.pg_bouncer.as_ref())
    }

    /// Image of pgBackRest that the user wrote. `None`: the operator's default.
    #[must_use]
    pub fn pg_back_rest_image(&self) -> Option<&str> {
        present(self.images.as_ref()?.pg_back_rest.as_ref())
    }

    /// The backup block, if it is enabled.
    #[must_use]
    pub fn backup(&self) -> Option<&PerconaBackupSpec> {
        self.backup.as_ref().filter(|backup| backup.enabled)
    }
}

/// Backups of the PostgreSQL cluster.
impl PerconaBackupSpec {
    /// Name of the Secret with the pgBackRest configuration.
    #[must_use]
    pub fn credentials_secret_name(&self) -> Option<&str> {
        let reference = self.credentials_secret_ref.as_ref()?;
        Some(reference.name.as_str()).filter(|name| !name.is_empty())
    }

    /// S3 region.
    #[must_use]
    pub fn region(&self) -> &str {
        text(self.region.as_ref(), BACKUP_REGION)
    }

    /// Cron schedule of full backups.
    #[must_use]
    pub fn full_schedule(&self) -> &str {
        text(self.full_schedule.as_ref(), BACKUP_FULL_SCHEDULE)
    }

    /// Cron schedule of incremental backups.
    #[must_use]
    pub fn incr_schedule(&self) -> &str {
        text(self.incr_schedule.as_ref(), BACKUP_INCR_SCHEDULE)
    }

    /// Days that full backups are kept.
    #[must_use]
    pub fn retention_days(&self) -> i32 {
        self.retention_days.unwrap_or(BACKUP_RETENTION_DAYS)
    }
}

#[cfg(test)]
mod tests;
