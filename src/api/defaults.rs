//! Every default of the API, once. [`super::effective`] applies them.

use std::time::Duration;

/// `spec.image`.
pub const IMAGE: &str = "marmos91c/dittofs:latest";
/// `spec.replicas`.
pub const REPLICAS: i32 = 1;
/// `spec.progressDeadlineSeconds`.
pub const PROGRESS_DEADLINE_SECONDS: i32 = 600;
/// `spec.uploads.drainTimeoutSeconds`.
pub const DRAIN_TIMEOUT_SECONDS: i64 = 600;
/// `spec.storage.controlPlaneSize`.
pub const CONTROL_PLANE_SIZE: &str = "1Gi";
/// `spec.database.sqlite.path`.
pub const SQLITE_PATH: &str = "/data/controlplane/controlplane.db";
/// `spec.controlPlane.port`.
pub const API_PORT: i32 = 8080;
/// `spec.metrics.port`.
pub const METRICS_PORT: i32 = 9090;
/// `spec.adapters.nfs.port`. The server's own default.
pub const NFS_PORT: i32 = 12049;
/// `spec.adapters.smb.port`. The server's own default.
pub const SMB_PORT: i32 = 1445;
/// The portmapper of the server. It cannot be changed.
pub const PORTMAPPER_PORT: i32 = 10111;
/// `spec.metrics.path`.
pub const METRICS_PATH: &str = "/metrics";
/// `spec.logging.output`. Not in the schema: an absent field stays absent.
pub const LOG_OUTPUT: &str = "stdout";
/// `spec.identity.jwt.accessTokenDuration`.
pub const ACCESS_TOKEN_DURATION: &str = "15m";
/// `spec.identity.jwt.refreshTokenDuration`.
pub const REFRESH_TOKEN_DURATION: &str = "168h";
/// `spec.identity.admin.username`.
pub const ADMIN_USERNAME: &str = "admin";
/// `spec.adapterDiscovery.pollingInterval`.
pub const POLLING_INTERVAL: &str = "30s";
/// A shorter `spec.adapterDiscovery.pollingInterval` counts as this: one server must not keep the operator busy.
pub const SHORTEST_POLLING_INTERVAL: Duration = Duration::from_millis(100);
/// A longer `spec.adapterDiscovery.pollingInterval` counts as this.
pub const LONGEST_POLLING_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);
/// `spec.percona.replicas`.
pub const PERCONA_REPLICAS: i32 = 1;
/// `spec.percona.storageSize`.
pub const PERCONA_STORAGE_SIZE: &str = "10Gi";
/// `spec.percona.databaseName`.
pub const PERCONA_DATABASE_NAME: &str = "dittofs";
/// `spec.percona.postgresVersion` of a new cluster. Not in the schema: an existing cluster keeps its own.
pub const PERCONA_POSTGRES_VERSION: i32 = 17;
/// `spec.percona.images.postgres`, of Percona's release 2.8.2.
pub const PERCONA_POSTGRES_IMAGE: &str = "docker.io/percona/percona-distribution-postgresql:17.7-2";
/// `spec.percona.images.pgBouncer`, of Percona's release 2.8.2.
pub const PERCONA_PG_BOUNCER_IMAGE: &str = "docker.io/percona/percona-pgbouncer:1.25.0-1";
/// `spec.percona.images.pgBackRest`, of Percona's release 2.8.2.
pub const PERCONA_PG_BACK_REST_IMAGE: &str = "docker.io/percona/percona-pgbackrest:2.57.0-1";
/// `spec.percona.backup.region`.
pub const BACKUP_REGION: &str = "eu-west-1";
/// `spec.percona.backup.fullSchedule`.
pub const BACKUP_FULL_SCHEDULE: &str = "0 2 * * *";
/// `spec.percona.backup.incrSchedule`.
pub const BACKUP_INCR_SCHEDULE: &str = "0 * * * *";
/// `spec.percona.backup.retentionDays`.
pub const BACKUP_RETENTION_DAYS: i32 = 7;
/// `status.observedGeneration` before the operator has seen the object: kstatus then reads "in progress".
pub const OBSERVED_GENERATION: i64 = -1;

/// Seconds that the pod sleeps before the server is asked to stop, so that clients stop using its endpoint.
pub const PRE_STOP_SECONDS: i64 = 5;
/// `shutdown_timeout` of the server, in seconds. The server exits by itself after three times this duration.
pub const SHUTDOWN_TIMEOUT_SECONDS: i64 = 30;
/// `spec.terminationGracePeriodSeconds`: the sleep, the maximum duration of the server's own shutdown, and ten seconds of margin.
pub const TERMINATION_GRACE_PERIOD_SECONDS: i64 = PRE_STOP_SECONDS + 3 * SHUTDOWN_TIMEOUT_SECONDS + 10;
