//! Effective values of volumes, SQLite and PostgreSQL.

use k8s_openapi::api::core::v1::SecretKeySelector;

use super::{named, present, text};
use crate::api::defaults::{
    BACKUP_FULL_SCHEDULE, BACKUP_INCR_SCHEDULE, BACKUP_REGION, BACKUP_RETENTION_DAYS, CONTROL_PLANE_SIZE,
    PERCONA_DATABASE_NAME, PERCONA_POSTGRES_VERSION, PERCONA_REPLICAS, PERCONA_STORAGE_SIZE, SQLITE_PATH,
};
use crate::api::{
    DatabaseBackend, DatabaseType, DittoServerSpec, Hibernate, PerconaBackupSpec, PerconaSpec, Retention,
    StorageSpec,
};

/// Storage and database.
impl DittoServerSpec {
    /// What happens to the volumes when the server is deleted.
    #[must_use]
    pub fn retention(&self) -> Retention {
        self.storage.retention.unwrap_or_default()
    }

    /// Whether the spec asks for a paused database: the server is stopped, and `hibernate` is `whenStopped`.
    #[must_use]
    pub fn hibernates(&self) -> bool {
        let wanted = self.percona().and_then(|percona| percona.hibernate) == Some(Hibernate::WhenStopped);
        wanted && self.desired_replicas() == 0
    }

    /// The Percona block, if it is enabled.
    #[must_use]
    pub fn percona(&self) -> Option<&PerconaSpec> {
        self.percona.as_ref().filter(|percona| percona.enabled)
    }

    /// Whether the operator creates a PostgreSQL cluster.
    #[must_use]
    pub fn percona_enabled(&self) -> bool {
        self.percona().is_some()
    }

    /// Secret of the user's own PostgreSQL, whether or not Percona is enabled too.
    #[must_use]
    pub fn postgres_secret_ref(&self) -> Option<&SecretKeySelector> {
        named(self.database.as_ref()?.postgres_secret_ref.as_ref())
    }

    /// The database that the spec asks for. Percona has priority over an own Secret (admission refuses both together), and an own
    /// Secret over `type`. `type: postgres` with neither means the default SQLite file. Admission refuses that today, but a
    /// server that was stored before keeps its users.
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

    /// StorageClass of all volumes. `None`: the cluster's default. Empty means "no class" in Kubernetes, so it
    /// is not dropped.
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

    /// Image of PostgreSQL in the spec. `None`: the operator's default.
    #[must_use]
    pub fn postgres_image(&self) -> Option<&str> {
        present(self.images.as_ref()?.postgres.as_ref())
    }

    /// Image of PgBouncer in the spec. `None`: the operator's default.
    #[must_use]
    pub fn pg_bouncer_image(&self) -> Option<&str> {
        present(self.images.as_ref()?.pg_bouncer.as_ref())
    }

    /// Image of pgBackRest in the spec. `None`: the operator's default.
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

    /// Number of days for which full backups are kept.
    #[must_use]
    pub fn retention_days(&self) -> i32 {
        self.retention_days.unwrap_or(BACKUP_RETENTION_DAYS)
    }
}
