//! Every reason that a condition can have.
//!
//! Reasons are API: people and programs wait for them, so a name never changes. Each one says when it appears and what
//! to do. Those that the Go operator had keep their names (contract, section 4).

// ConfigReady

/// `ConfigReady` True: the ConfigMap holds what was rendered, and every Secret that the pod uses has valid values.
/// Nothing to do.
pub const CONFIG_VALID: &str = "ConfigValid";
/// The ConfigMap is not there. It is made with the other children; if this stays, look at `Progressing`.
pub const CONFIG_MAP_NOT_FOUND: &str = "ConfigMapNotFound";
/// The ConfigMap is there, without the key `config.yaml`: somebody edits it. It is put back; stop the editor.
pub const CONFIG_MISSING: &str = "ConfigMissing";
/// The ConfigMap does not hold what the spec asks for: somebody edits it, or it cannot be written. It is put back. Where the
/// StatefulSet that goes with it is refused, it stays as it is: correct what the message names.
pub const CONFIG_OUTDATED: &str = "ConfigOutdated";
/// The API server did not say whether the ConfigMap is there. Check the API server and the operator's permissions.
pub const CONFIG_MAP_UNREADABLE: &str = "ConfigMapUnreadable";
/// The children could not be built from the spec. Correct the field that the message names.
pub const BUILD_FAILED: &str = "BuildFailed";
/// A Secret that the spec refers to does not exist. Create it; it is noticed by itself.
pub const SECRET_NOT_FOUND: &str = "SecretNotFound";
/// A Secret lacks a key that is used of it, or the key is empty. Add the key, or correct the reference.
pub const SECRET_KEY_MISSING: &str = "SecretKeyMissing";
/// A Secret could not be read. The pod keeps what it has. Check the operator's permissions on Secrets.
pub const SECRET_UNREADABLE: &str = "SecretUnreadable";
/// The key that signs tokens, which the operator had generated, is gone while its server or its volumes exist. Restore the
/// Secret, or create it by hand; or ask for a new key with the annotation `dittofs.dittofs.com/rotate-secrets`.
pub const MANAGED_SECRET_LOST: &str = "ManagedSecretLost";
/// A value that the server takes from a variable is no UTF-8, or has a NUL byte in it; no container could be made. Put text
/// into the Secret, for example base64.
pub const SECRET_VALUE_NOT_TEXT: &str = "SecretValueNotText";
/// The volume claims could not be read, so it is not known whether an earlier server left data. Nothing is started and no
/// Secret is generated. Check the operator's permissions on `PersistentVolumeClaims`.
pub const VOLUME_CLAIMS_UNREADABLE: &str = "VolumeClaimsUnreadable";
/// The key that signs tokens has fewer than 32 bytes; the server would exit. Put a longer one into the Secret.
pub const JWT_KEY_TOO_SHORT: &str = "JwtKeyTooShort";
/// The first password of `admin` has not 8 to 72 bytes; the server would exit. Put another one into the Secret.
pub const ADMIN_PASSWORD_INVALID: &str = "AdminPasswordInvalid";
/// The metrics token is only white space; the server would exit. Put a token into the Secret.
pub const METRICS_TOKEN_EMPTY: &str = "MetricsTokenEmpty";
/// The server certificate holds no PEM certificate; the server would exit. Put the certificate chain into the Secret.
pub const TLS_CERTIFICATE_INVALID: &str = "TlsCertificateInvalid";
/// The certificate's key is no unencrypted PEM key; the server would exit. Put the key into the Secret.
pub const TLS_KEY_INVALID: &str = "TlsKeyInvalid";
/// The CA of client certificates holds no PEM certificate; the server would exit. Put the CA into the Secret.
pub const CLIENT_CA_INVALID: &str = "ClientCaInvalid";
/// `port` in the PostgreSQL Secret is no port number. Correct it, or leave it out for 5432.
pub const DATABASE_PORT_INVALID: &str = "DatabasePortInvalid";
/// `sslmode` in the PostgreSQL Secret is none of those that the server knows. Correct it.
pub const DATABASE_SSL_MODE_INVALID: &str = "DatabaseSslModeInvalid";
/// The PostgreSQL Secret has only a connection string. The server takes its parts one by one: add them as keys.
pub const CONNECTION_STRING_UNSUPPORTED: &str = "ConnectionStringUnsupported";
/// The name does not fit the children. Make a new DittoServer with a shorter name.
pub const INVALID_NAME: &str = "InvalidName";
/// A field holds what admission refuses today and the server would exit on. Correct the field.
pub const INVALID_SPEC: &str = "InvalidSpec";
/// Percona and an own PostgreSQL are both configured. Remove one of them.
pub const CONFLICTING_DATABASES: &str = "ConflictingDatabases";

// DatabaseReady

/// `DatabaseReady` True: the database cluster serves. Nothing to do.
pub const PERCONA_READY: &str = "PerconaReady";
/// `DatabaseReady` True: the spec asks for Percona, but the control-plane data is in the SQLite file, and the server stays
/// on it. Move the data, then set the annotation `dittofs.dittofs.com/database-migrated` to `true` (docs/migrate.md).
pub const MIGRATION_PENDING: &str = "MigrationPending";
/// The spec asks for Percona, and the control-plane data is in a PostgreSQL that you run. The server stays on it, or does not
/// start. Move the data, then set the annotation `dittofs.dittofs.com/database-migrated` to `true` (docs/migrate.md); or set
/// `spec.database.postgresSecretRef` again.
pub const DATABASE_MOVE_UNCONFIRMED: &str = "DatabaseMoveUnconfirmed";
/// The PerconaPGCluster is not there. It is made with the other children; if this stays, look at `Progressing`.
pub const PERCONA_NOT_FOUND: &str = "PerconaNotFound";
/// Percona's operator does not call the cluster ready. Wait, or look at the PerconaPGCluster and its pods.
pub const PERCONA_NOT_READY: &str = "PerconaNotReady";
/// `DatabaseReady` True: the server is stopped, and its database is paused with it (`percona.hibernate`). Nothing to do;
/// the database is started before the server.
pub const PERCONA_HIBERNATING: &str = "PerconaHibernating";
/// The server is stopped, and its database is being paused. Wait; if this stays, look at the PerconaPGCluster.
pub const PERCONA_PAUSING: &str = "PerconaPausing";
/// The kind PerconaPGCluster is not served. Install the Percona Operator for PostgreSQL.
pub const PERCONA_NOT_INSTALLED: &str = "PerconaNotInstalled";
/// The API server did not say what becomes of the database. Check the operator's permissions on `PerconaPGCluster`.
pub const DATABASE_UNREADABLE: &str = "DatabaseUnreadable";
/// Percona's operator has not written the Secret of our user. It follows the cluster; if this stays, look at its logs.
pub const DATABASE_SECRET_MISSING: &str = "DatabaseSecretMissing";
/// The Secret of our database user lacks a key. Percona's operator writes it; look at its logs.
pub const DATABASE_SECRET_KEY_MISSING: &str = "DatabaseSecretKeyMissing";
/// A Secret of the database could not be read. The pod keeps what it has. Check the operator's permissions on Secrets.
pub const DATABASE_SECRET_UNREADABLE: &str = "DatabaseSecretUnreadable";
/// A value in a Secret of Percona's operator would crash the server. Look at that operator's logs.
pub const DATABASE_SECRET_INVALID: &str = "DatabaseSecretInvalid";
/// The CA by which the running server verifies its database is gone. The pod is held, for it must not go on without
/// verification. Restore the Secret; Percona's operator does if it runs.
pub const DATABASE_CERTIFICATE_MISSING: &str = "DatabaseCertificateMissing";
/// The cluster has a PostgreSQL version other than the default image's, and no image. Name the image.
pub const POSTGRES_IMAGE_REQUIRED: &str = "PostgresImageRequired";

// Available

/// `Available` True: `spec.replicas` is 0, so nothing is to serve. Scale to 1 to start the server.
pub const STOPPED: &str = "Stopped";
/// `Available` True: a pod is ready. Nothing to do.
pub const MINIMUM_REPLICAS_AVAILABLE: &str = "MinimumReplicasAvailable";
/// No pod is ready. Wait, or look at the pod's events and logs.
pub const NO_REPLICAS_AVAILABLE: &str = "NoReplicasAvailable";
/// The API server did not say whether the StatefulSet is there. Check the API server and the operator's permissions.
pub const STATEFUL_SET_UNREADABLE: &str = "StatefulSetUnreadable";

// Progressing

/// `Progressing` False: the cluster holds what the spec asks for, and the rollout is done. Nothing to do.
pub const RECONCILE_COMPLETE: &str = "ReconcileComplete";
/// `Progressing` False: nothing moves until a person ends what another condition says. See that condition.
pub const BLOCKED: &str = "Blocked";
/// The StatefulSet is not there yet, or its controller has not seen its last change. Wait.
pub const STATEFUL_SET_UPDATING: &str = "StatefulSetUpdating";
/// The pod is being replaced by one of a new revision. Wait; if this stays, look at the pod's events and logs.
pub const ROLLOUT_IN_PROGRESS: &str = "RolloutInProgress";
/// The number of ready pods is not yet the wanted one. Wait; if this stays, look at the pod's events and logs.
pub const SCALING_REPLICAS: &str = "ScalingReplicas";
/// `Progressing` False: a start, a stop or a rollout did not finish within `spec.progressDeadlineSeconds`. The message says
/// what is wrong with the pod. It goes on all the same; correct the cause, or restore the former spec.
pub const PROGRESS_DEADLINE_EXCEEDED: &str = "ProgressDeadlineExceeded";
/// The annotation `dittofs.dittofs.com/paused` is `true`, and only the status is written. `Progressing` is Unknown while
/// something is not done, and False otherwise. Remove the annotation to go on.
pub const PAUSED: &str = "Paused";
/// The pod template is held until a Secret is there. See `ConfigReady`.
pub const WAITING_FOR_SECRETS: &str = "WaitingForSecrets";
/// The pod template is held until the database is there. See `DatabaseReady`.
pub const WAITING_FOR_DATABASE: &str = "WaitingForDatabase";
/// A volume grows to the size in the spec. Wait; if this stays, look at the events of the `PersistentVolumeClaim`.
pub const VOLUME_GROWING: &str = "VolumeGrowing";
/// `Progressing` False: a volume is smaller than the spec asks, and its StorageClass does not let it grow. Set
/// `allowVolumeExpansion` on the class if its driver can do it, or move the data. The server runs on.
pub const VOLUME_NOT_EXPANDABLE: &str = "VolumeNotExpandable";
/// `Progressing` False: a volume is smaller than the spec asks, and a `ResourceQuota` does not let it grow. Raise the quota;
/// it is tried again within ten minutes. The server runs on.
pub const VOLUME_QUOTA_EXCEEDED: &str = "VolumeQuotaExceeded";
/// `Progressing` False: a volume is smaller than the spec asks, and the API server refuses its growth. The message has its
/// answer; it is asked again within ten minutes. The server runs on.
pub const VOLUME_GROWTH_REFUSED: &str = "VolumeGrowthRefused";
/// `Progressing` False: the volume driver could not resize a volume. Look at the events of the `PersistentVolumeClaim` and
/// at the driver; Kubernetes goes on trying. The server runs on.
pub const VOLUME_RESIZE_FAILED: &str = "VolumeResizeFailed";
/// `Progressing` False: a disk has grown and its file system has not. Most drivers do it within a minute; if it stays,
/// delete the pod when it suits you: the driver does it at the start of a pod. The server runs on.
pub const FILE_SYSTEM_RESIZE_PENDING: &str = "FileSystemResizePending";
/// `Progressing` False: the spec names another StorageClass than that of the volumes, and a volume cannot change its class.
/// Set the field back, or move the data. The server runs on.
pub const STORAGE_CLASS_IMMUTABLE: &str = "StorageClassImmutable";
/// The reasons of `Progressing` for a volume that is not what the spec asks for, while the server runs on and may be Ready.
pub const STUCK_VOLUME: [&str; 6] = [
    VOLUME_NOT_EXPANDABLE,
    VOLUME_QUOTA_EXCEEDED,
    VOLUME_GROWTH_REFUSED,
    VOLUME_RESIZE_FAILED,
    FILE_SYSTEM_RESIZE_PENDING,
    STORAGE_CLASS_IMMUTABLE,
];
/// The namespace is being deleted, and no child can be made in it. Wait.
pub const NAMESPACE_TERMINATING: &str = "NamespaceTerminating";
/// The DittoServer is being deleted. Wait.
pub const DELETING: &str = "Deleting";

// Several

/// An object of a child's name belongs to somebody else; it is never taken over. Delete or rename it, or rename the
/// DittoServer. Shown by `ConfigReady` for the ConfigMap, `DatabaseReady` for the PerconaPGCluster, `Available` for the
/// StatefulSet, and `Progressing` for every kind.
pub const RESOURCE_CONFLICT: &str = "ResourceConflict";
/// The API server refused to write a child, or did not answer. It is tried again; the message has its answer. Shown by
/// `ConfigReady` for Secrets and the ConfigMap, `DatabaseReady` for the PerconaPGCluster, and `Progressing` for all.
pub const APPLY_FAILED: &str = "ApplyFailed";
/// A former object of a child's name is still being deleted. Wait; if this stays, look at its finalizers.
pub const RESOURCE_TERMINATING: &str = "ResourceTerminating";

// Ready

/// `Ready` True: all that is asked for is there and serves. Nothing to do.
pub const ALL_CONDITIONS_MET: &str = "AllConditionsMet";
/// `Ready` False: another condition says why; the message repeats the first cause.
pub const CONDITIONS_NOT_MET: &str = "ConditionsNotMet";
/// `Ready` Unknown: nothing is known to be wrong, but something could not be read. See the condition that is Unknown.
pub const CONDITIONS_UNKNOWN: &str = "ConditionsUnknown";
