//! `spec.database` and `spec.percona`: the control-plane database.

use k8s_openapi::api::core::v1::{LocalObjectReference, SecretKeySelector};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{defaults, rules, schema};

/// Kind of the control-plane database.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[schemars(transform = schema::without_description)]
pub enum DatabaseType {
    /// A file on the volume `controlplane`.
    #[default]
    Sqlite,
    /// A PostgreSQL server.
    Postgres,
}

/// The control-plane database. It is SQLite, unless `postgresSecretRef` or `spec.percona` is set.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseSpec {
    /// `sqlite` or `postgres`. `postgres` needs `postgresSecretRef`, or `spec.percona.enabled`. Default: `sqlite`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "sqlite"))]
    pub r#type: Option<DatabaseType>,

    /// Settings of the SQLite database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sqlite: Option<SqliteSpec>,

    /// Your own PostgreSQL: a Secret with the keys `host`, `database`, `user` and `password`, and optionally `port`
    /// (default 5432), `sslmode` and `ca.crt`. Without `sslmode`, the connection is not encrypted. With `verify-ca` or
    /// `verify-full`, the server verifies PostgreSQL with the CA in `ca.crt`, or with the CAs of its image if there is none.
    /// If it is set, the server uses PostgreSQL, whatever the value of `type`. `key` is not used, but required: write
    /// `key: host`. Cannot be used together with `spec.percona`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::postgres_secret_ref")]
    pub postgres_secret_ref: Option<SecretKeySelector>,
}

/// Settings of the SQLite database.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SqliteSpec {
    /// Path of the database file. It must be on a mounted volume: below `/data/controlplane/`, `/data/store/metadata/`, or with
    /// `storage.contentSize` `/data/store/block/`. Default: `/data/controlplane/controlplane.db`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = defaults::SQLITE_PATH))]
    #[schemars(length(max = 4096))]
    #[x_kube(validation = rules::sqlite_path())]
    pub path: Option<String>,
}

/// The database that the spec asks for, from all of `spec.database` and `spec.percona`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DatabaseBackend<'a> {
    /// A SQLite file at this path.
    Sqlite {
        /// Path in the server container.
        path: &'a str,
    },
    /// The user's own PostgreSQL, described by this Secret.
    OwnPostgres(&'a SecretKeySelector),
    /// The PostgreSQL cluster that the operator creates.
    Percona(&'a PerconaSpec),
}

/// A PostgreSQL cluster of the Percona Operator for PostgreSQL, which must be installed.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::percona::backup_bucket())]
#[x_kube(validation = rules::percona::backup_endpoint())]
#[x_kube(validation = rules::percona::backup_credentials())]
#[x_kube(validation = rules::percona::postgres_version_has_image())]
#[x_kube(validation = rules::percona::storage_never_shrinks())]
#[x_kube(validation = rules::percona::database_stays())]
pub struct PerconaSpec {
    /// Create the PerconaPGCluster `<name>-postgres` and use it as the control-plane database. Default: false.
    #[serde(default)]
    pub enabled: bool,

    /// Delete the cluster and its data when the DittoServer is deleted. Default: false, the cluster is kept. A cluster that
    /// this operator did not create is never deleted.
    #[serde(default)]
    pub delete_with_server: bool,

    /// Adopt an existing PerconaPGCluster `<name>-postgres` that this operator did not create. The cluster must allow it
    /// with the annotation `dittofs.dittofs.com/adopt: <name>`. It is then changed to match this block, but keeps its
    /// standbys and everything that the block does not set (images, backups). Default: false, such a cluster is not
    /// changed, and a condition reports it.
    #[serde(default)]
    pub adopt_existing: bool,

    /// Whether the database stops with the server. `never`: it keeps running. `whenStopped`: it is paused while
    /// `spec.replicas` is 0, and started before the server. Default: `never`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "never"))]
    pub hibernate: Option<Hibernate>,

    /// Number of PostgreSQL instances, 1 to 5. Default: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = defaults::PERCONA_REPLICAS), range(min = 1, max = 5))]
    pub replicas: Option<i32>,

    /// Size of the data volume of each instance, for example `20Gi`. Default: `10Gi`. Can be increased, not decreased.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = defaults::PERCONA_STORAGE_SIZE))]
    #[schemars(length(max = 32))]
    #[x_kube(validation = rules::positive_quantity())]
    pub storage_size: Option<String>,

    /// StorageClass of the data volumes. Absent: the default StorageClass of the cluster. An edit has no effect on an
    /// existing cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::storage_class_name())]
    pub storage_class_name: Option<String>,

    /// Name of the database in the cluster. Cannot change while `enabled` is true. Default: `dittofs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = defaults::PERCONA_DATABASE_NAME))]
    #[schemars(length(max = 63))]
    #[x_kube(validation = rules::database_name())]
    pub database_name: Option<String>,

    /// Backups of the cluster to S3, with pgBackRest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup: Option<PerconaBackupSpec>,

    /// Major version of PostgreSQL. Default: 17 for a new cluster; an existing cluster keeps its version. Another
    /// version needs `images.postgres`, because the default image contains PostgreSQL 17.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 12, max = 18))]
    pub postgres_version: Option<i32>,

    /// Version of the PerconaPGCluster resource, for example `2.8.2`. Absent: Percona's operator sets its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub cr_version: Option<String>,

    /// Images of the cluster. Absent: the images of Percona's release 2.8.2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<PerconaImages>,
}

/// Whether the database stops with the server.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Hibernate {
    /// It keeps running while the server is stopped.
    #[default]
    Never,
    /// It is paused while the server is stopped.
    WhenStopped,
}

/// Images of a PostgreSQL cluster.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PerconaImages {
    /// PostgreSQL. Default: `docker.io/percona/percona-distribution-postgresql:17.7-2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    #[x_kube(validation = rules::image())]
    pub postgres: Option<String>,

    /// PgBouncer. Default: `docker.io/percona/percona-pgbouncer:1.25.0-1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    #[x_kube(validation = rules::image())]
    pub pg_bouncer: Option<String>,

    /// pgBackRest. Default: `docker.io/percona/percona-pgbackrest:2.57.0-1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    #[x_kube(validation = rules::image())]
    pub pg_back_rest: Option<String>,
}

/// Backups of a PostgreSQL cluster to S3.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PerconaBackupSpec {
    /// Create backups. Needs `bucket`, `endpoint` and `credentialsSecretRef`. Default: false.
    #[serde(default)]
    pub enabled: bool,

    /// Secret whose keys are pgBackRest configuration files (`*.conf`) with `repo1-s3-key` and
    /// `repo1-s3-key-secret`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::local_object_reference")]
    pub credentials_secret_ref: Option<LocalObjectReference>,

    /// S3 bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub bucket: Option<String>,

    /// S3 endpoint, for example `s3.eu-west-1.amazonaws.com`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub endpoint: Option<String>,

    /// S3 region. Default: `eu-west-1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = defaults::BACKUP_REGION))]
    pub region: Option<String>,

    /// Schedule of full backups, in cron notation, UTC. Default: `0 2 * * *`, every day at 02:00.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = defaults::BACKUP_FULL_SCHEDULE))]
    #[schemars(length(max = 256))]
    #[x_kube(validation = rules::cron_schedule())]
    pub full_schedule: Option<String>,

    /// Schedule of incremental backups, in cron notation, UTC. Default: `0 * * * *`, every hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = defaults::BACKUP_INCR_SCHEDULE))]
    #[schemars(length(max = 256))]
    #[x_kube(validation = rules::cron_schedule())]
    pub incr_schedule: Option<String>,

    /// Number of days for which full backups are kept, 1 to 36500. Default: 7.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = defaults::BACKUP_RETENTION_DAYS), range(min = 1, max = 36500))]
    pub retention_days: Option<i32>,
}
