//! Every reason that a condition can have.
//!
//! Reasons are API: people and programs wait for them, so a name never changes. Each comment says when the reason appears and what
//! to do. Reasons of the Go operator keep their names (contract, section 4).

// ConfigReady

/// `ConfigReady` True: the ConfigMap has the rendered configuration, and every Secret that the pod uses has valid values.
/// Nothing to do.
pub const CONFIG_VALID: &str = "ConfigValid";
/// The ConfigMap does not exist. It is created with the other children. If this lasts, look at `Progressing`.
pub const CONFIG_MAP_NOT_FOUND: &str = "ConfigMapNotFound";
/// The ConfigMap lacks the key `config.yaml`: another writer edits it. The operator restores it; stop the other writer.
pub const CONFIG_MISSING: &str = "ConfigMissing";
/// The ConfigMap does not have the configuration that the spec asks for: another writer edits it, or it cannot be written. The
/// operator restores it. If its StatefulSet is refused, it is not changed: correct what the message names.
pub const CONFIG_OUTDATED: &str = "ConfigOutdated";
/// The ConfigMap could not be read. Check the API server and the operator's permissions.
pub const CONFIG_MAP_UNREADABLE: &str = "ConfigMapUnreadable";
/// The children could not be built from the spec. Correct the field that the message names.
pub const BUILD_FAILED: &str = "BuildFailed";
/// A Secret that the spec refers to does not exist. Create it; the operator notices it.
pub const SECRET_NOT_FOUND: &str = "SecretNotFound";
/// A Secret lacks a key that the pod uses, or the key is empty. Add the key, or correct the reference.
pub const SECRET_KEY_MISSING: &str = "SecretKeyMissing";
/// A Secret could not be read. The pod keeps its present values. Check the operator's permissions on Secrets.
pub const SECRET_UNREADABLE: &str = "SecretUnreadable";
/// The generated key that signs tokens is missing while its server or its volumes exist. Restore the Secret, or create it
/// manually; or request a new key with the annotation `dittofs.dittofs.com/rotate-secrets`.
pub const MANAGED_SECRET_LOST: &str = "ManagedSecretLost";
/// A value that the server reads from an environment variable is not UTF-8, or contains a NUL byte; no container could be created.
/// Put text into the Secret, for example base64.
pub const SECRET_VALUE_NOT_TEXT: &str = "SecretValueNotText";
/// The volume claims could not be read, so it is unknown whether an earlier server left data. Nothing is started and no
/// Secret is generated. Check the operator's permissions on `PersistentVolumeClaims`.
pub const VOLUME_CLAIMS_UNREADABLE: &str = "VolumeClaimsUnreadable";
/// A claim of the server was deleted, and exists only as long as its pod uses it; its data is deleted with the pod. The StatefulSet is
/// not updated meanwhile. Set the reclaim policy of its `PersistentVolume` to `Retain` to keep the data, then delete the pod.
pub const VOLUME_CLAIM_TERMINATING: &str = "VolumeClaimTerminating";
/// An earlier server of this name left its users and shares in another database than the spec asks for. Nothing is started on an empty
/// database. Set the database in the spec again, or remove the annotation that the message names.
pub const DATA_IN_OTHER_DATABASE: &str = "DataInOtherDatabase";
/// An earlier server of this name left a content volume, but the spec has no `storage.contentSize`. Nothing is started without it. Set
/// the field again, or delete the claim.
pub const CONTENT_VOLUME_NOT_IN_SPEC: &str = "ContentVolumeNotInSpec";
/// A value that the server reads from an environment variable ends with a newline, which it does not remove. Write the value without
/// the newline, for example with `echo -n`.
pub const SECRET_VALUE_ENDS_WITH_NEWLINE: &str = "SecretValueEndsWithNewline";
/// The key that signs tokens has fewer than 32 bytes; the server would exit. Put a longer one into the Secret.
pub const JWT_KEY_TOO_SHORT: &str = "JwtKeyTooShort";
/// The first password of `admin` does not have 8 to 72 bytes; the server would exit. Put another one into the Secret.
pub const ADMIN_PASSWORD_INVALID: &str = "AdminPasswordInvalid";
/// The metrics token is only white space; the server would exit. Put a token into the Secret.
pub const METRICS_TOKEN_EMPTY: &str = "MetricsTokenEmpty";
/// The server certificate contains no PEM certificate; the server would exit. Put the certificate chain into the Secret.
pub const TLS_CERTIFICATE_INVALID: &str = "TlsCertificateInvalid";
/// The key of the certificate is not an unencrypted PEM key; the server would exit. Put the key into the Secret.
pub const TLS_KEY_INVALID: &str = "TlsKeyInvalid";
/// The CA of client certificates contains no PEM certificate; the server would exit. Put the CA into the Secret.
pub const CLIENT_CA_INVALID: &str = "ClientCaInvalid";
/// The CA of the LDAP directory contains no PEM certificate; the server could not connect. Put the CA into the Secret.
pub const LDAP_CA_INVALID: &str = "LdapCaInvalid";
/// `port` in the PostgreSQL Secret is not a port number. Correct it, or remove it to use 5432.
pub const DATABASE_PORT_INVALID: &str = "DatabasePortInvalid";
/// `sslmode` in the PostgreSQL Secret is not one that the server knows. Correct it.
pub const DATABASE_SSL_MODE_INVALID: &str = "DatabaseSslModeInvalid";
/// `ca.crt` in the PostgreSQL Secret contains no PEM certificate, but `sslmode` asks for verification. Put the CA of the PostgreSQL
/// server into the Secret.
pub const DATABASE_CA_INVALID: &str = "DatabaseCaInvalid";
/// The PostgreSQL Secret has only a connection string. The server reads its parts: add them as keys.
pub const CONNECTION_STRING_UNSUPPORTED: &str = "ConnectionStringUnsupported";
/// The name does not fit the names of the children. Create a new DittoServer with a shorter name.
pub const INVALID_NAME: &str = "InvalidName";
/// A field has a value with which the server or its pod cannot start. Admission refuses most of these values today. Correct the field.
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
/// The PerconaPGCluster does not exist. It is created with the other children. If this lasts, look at `Progressing`.
pub const PERCONA_NOT_FOUND: &str = "PerconaNotFound";
/// Percona's operator does not report the cluster as ready. Wait, or look at the PerconaPGCluster and its pods.
pub const PERCONA_NOT_READY: &str = "PerconaNotReady";
/// `DatabaseReady` True: the server is stopped, and its database is paused with it (`percona.hibernate`). Nothing to do;
/// the database is started before the server.
pub const PERCONA_HIBERNATING: &str = "PerconaHibernating";
/// The server is stopped, and its database is being paused. Wait. If this lasts, look at the PerconaPGCluster.
pub const PERCONA_PAUSING: &str = "PerconaPausing";
/// The API server does not serve the kind PerconaPGCluster. Install the Percona Operator for PostgreSQL.
pub const PERCONA_NOT_INSTALLED: &str = "PerconaNotInstalled";
/// The PerconaPGCluster could not be read. Check the operator's permissions on `PerconaPGCluster`.
pub const DATABASE_UNREADABLE: &str = "DatabaseUnreadable";
/// Percona's operator has not created the Secret of our user. It does so after the cluster. If this lasts, read its logs.
pub const DATABASE_SECRET_MISSING: &str = "DatabaseSecretMissing";
/// The Secret of our database user lacks a key. Percona's operator writes it: read its logs.
pub const DATABASE_SECRET_KEY_MISSING: &str = "DatabaseSecretKeyMissing";
/// A Secret of the database could not be read. The pod keeps its present values. Check the operator's permissions on Secrets.
pub const DATABASE_SECRET_UNREADABLE: &str = "DatabaseSecretUnreadable";
/// A value in a Secret of Percona's operator would crash the server. Read the logs of that operator.
pub const DATABASE_SECRET_INVALID: &str = "DatabaseSecretInvalid";
/// The CA with which the running server verifies its database is missing. The StatefulSet is not updated, because the server must
/// not stop verifying. Restore the Secret or its key `ca.crt`; Percona's operator restores its own Secret if it runs. `ConfigReady` has
/// this reason for your own PostgreSQL.
pub const DATABASE_CERTIFICATE_MISSING: &str = "DatabaseCertificateMissing";
/// The cluster has another PostgreSQL version than the default image, and no image. Name the image.
pub const POSTGRES_IMAGE_REQUIRED: &str = "PostgresImageRequired";

// Available

/// `Available` True: `spec.replicas` is 0, so no pod is wanted. Scale to 1 to start the server.
pub const STOPPED: &str = "Stopped";
/// `Available` True: a pod is ready. Nothing to do.
pub const MINIMUM_REPLICAS_AVAILABLE: &str = "MinimumReplicasAvailable";
/// No pod is ready. Wait, or look at the pod's events and logs.
pub const NO_REPLICAS_AVAILABLE: &str = "NoReplicasAvailable";
/// A pod is ready, but none of the adapters (NFS, SMB) that the server should run has served for longer than
/// `spec.progressDeadlineSeconds`. The message has the server's words. Look at the server's log.
pub const ADAPTERS_UNAVAILABLE: &str = "AdaptersUnavailable";
/// The StatefulSet could not be read. Check the API server and the operator's permissions.
pub const STATEFUL_SET_UNREADABLE: &str = "StatefulSetUnreadable";

// Progressing

/// `Progressing` False: the cluster has what the spec asks for, and the rollout is complete. Nothing to do.
pub const RECONCILE_COMPLETE: &str = "ReconcileComplete";
/// `Progressing` False: it needs manual action. Another condition says what to correct.
pub const BLOCKED: &str = "Blocked";
/// The StatefulSet does not exist yet, its controller has not observed its last change, or it is re-created for other claim
/// templates. Wait. If this lasts, the message names what it waits for.
pub const STATEFUL_SET_UPDATING: &str = "StatefulSetUpdating";
/// The pod is being replaced by a pod of a new revision. Wait. If this lasts, look at the pod's events and logs.
pub const ROLLOUT_IN_PROGRESS: &str = "RolloutInProgress";
/// The number of ready pods is not yet the wanted one. Wait. If this lasts, look at the pod's events and logs.
pub const SCALING_REPLICAS: &str = "ScalingReplicas";
/// `Progressing` False: a start, a stop or a rollout did not finish within `spec.progressDeadlineSeconds`. The message says
/// what is wrong with the pod. The rollout continues all the same. Correct the cause, or restore the previous spec.
pub const PROGRESS_DEADLINE_EXCEEDED: &str = "ProgressDeadlineExceeded";
/// The annotation `dittofs.dittofs.com/paused` is `true`, and only the status is written. `Progressing` is Unknown while
/// something is not complete, and False otherwise. Remove the annotation to continue.
pub const PAUSED: &str = "Paused";
/// The StatefulSet is not updated until a Secret exists. See `ConfigReady`.
pub const WAITING_FOR_SECRETS: &str = "WaitingForSecrets";
/// The StatefulSet is not updated until the database serves. See `DatabaseReady`.
pub const WAITING_FOR_DATABASE: &str = "WaitingForDatabase";
/// `Progressing` True: the server uploads blocks of files to its remote stores before its pod stops or is replaced. Wait; `status.uploads`
/// says since when. The time limit is `spec.uploads.drainTimeoutSeconds`.
pub const DRAINING_UPLOADS: &str = "DrainingUploads";
/// `Progressing` True: the server does not have what the spec declares inside it: users, groups, remote stores or shares. The message names
/// the first one, and `status.shares` and `status.users` have all. Correct what the message says; the operator retries.
pub const SHARES_PENDING: &str = "SharesPending";
/// A volume is being expanded to the size in the spec. Wait. If this lasts, look at the events of the `PersistentVolumeClaim`.
pub const VOLUME_GROWING: &str = "VolumeGrowing";
/// `Progressing` False: a volume is smaller than the spec asks, and its StorageClass does not allow expansion. Set
/// `allowVolumeExpansion` on the class if its driver supports it, or move the data. The server keeps running.
pub const VOLUME_NOT_EXPANDABLE: &str = "VolumeNotExpandable";
/// `Progressing` False: a volume is smaller than the spec asks, and a `ResourceQuota` does not allow it. Raise the quota;
/// the operator retries within ten minutes. The server keeps running.
pub const VOLUME_QUOTA_EXCEEDED: &str = "VolumeQuotaExceeded";
/// `Progressing` False: a volume is smaller than the spec asks, and the API server refuses the expansion. The message has
/// its answer; the operator retries within ten minutes. The server keeps running.
pub const VOLUME_GROWTH_REFUSED: &str = "VolumeGrowthRefused";
/// `Progressing` False: the volume driver could not resize a volume. Look at the events of the `PersistentVolumeClaim` and
/// at the driver; Kubernetes retries. The server keeps running.
pub const VOLUME_RESIZE_FAILED: &str = "VolumeResizeFailed";
/// `Progressing` False: a disk was expanded, but its file system is still smaller. Most drivers resize it within a minute. If this
/// lasts, delete the pod at a convenient time: the driver resizes when a pod starts. The server keeps running.
pub const FILE_SYSTEM_RESIZE_PENDING: &str = "FileSystemResizePending";
/// `Progressing` False: the spec names another StorageClass than the one of the volumes, and a volume cannot change its class.
/// Set the field back, or move the data. The server keeps running.
pub const STORAGE_CLASS_IMMUTABLE: &str = "StorageClassImmutable";
/// The reasons of `Progressing` for a volume that is not as the spec asks and needs manual action. The server keeps running and may
/// be Ready.
pub const BLOCKED_VOLUME: [&str; 6] = [
    VOLUME_NOT_EXPANDABLE,
    VOLUME_QUOTA_EXCEEDED,
    VOLUME_GROWTH_REFUSED,
    VOLUME_RESIZE_FAILED,
    FILE_SYSTEM_RESIZE_PENDING,
    STORAGE_CLASS_IMMUTABLE,
];
/// `Progressing` False: no pod uses some volume claims, because the StatefulSet was scaled to more than one replica. Delete the claims
/// if you do not need their data. The server keeps running.
pub const VOLUME_CLAIM_UNUSED: &str = "VolumeClaimUnused";
/// The namespace is being deleted, and no child can be created in it. Wait.
pub const NAMESPACE_TERMINATING: &str = "NamespaceTerminating";
/// The DittoServer is being deleted. Wait.
pub const DELETING: &str = "Deleting";

// Several

/// An object of another owner has the name of a child. The operator never changes it. Delete or rename it, or rename the
/// DittoServer. Shown by `ConfigReady` for the ConfigMap, `DatabaseReady` for the PerconaPGCluster, `Available` for the
/// StatefulSet, and `Progressing` for every kind.
pub const RESOURCE_CONFLICT: &str = "ResourceConflict";
/// The API server refused to write a child, or did not answer. The operator retries; the message has the answer. Shown by
/// `ConfigReady` for Secrets and the ConfigMap, `DatabaseReady` for the PerconaPGCluster, and `Progressing` for all.
pub const APPLY_FAILED: &str = "ApplyFailed";
/// An admission policy or a webhook changes a field of a child in every write, so the child stays different from what the
/// operator asks for. Nothing is written until something changes. Change the policy, or the spec. Shown by `Progressing` (False).
pub const FIELD_OVERRIDDEN: &str = "FieldOverridden";
/// Another program sets a field of a child again after each correction. The message names its field manager and the fields. The
/// pauses between the corrections grow, and the conflict ends when the other program stops. Shown by `Progressing` (True).
pub const FIELD_CONFLICT: &str = "FieldConflict";
/// A previous object with the name of a child is still being deleted. Wait. If this lasts, look at its finalizers.
pub const RESOURCE_TERMINATING: &str = "ResourceTerminating";

// Ready

/// `Ready` True: everything that the spec asks for exists and serves. Nothing to do.
pub const ALL_CONDITIONS_MET: &str = "AllConditionsMet";
/// `Ready` False: another condition says why. The message repeats the most important cause.
pub const CONDITIONS_NOT_MET: &str = "ConditionsNotMet";
/// `Ready` Unknown: nothing is known to be wrong, but something could not be read. See the condition that is Unknown.
pub const CONDITIONS_UNKNOWN: &str = "ConditionsUnknown";
