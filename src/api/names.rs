//! Names of children, label and annotation keys. They must not change: a running server's children are found by
//! them, and those that the Go operator made are taken over by them.

use std::collections::BTreeMap;

/// API group of `DittoServer`.
pub const GROUP: &str = "dittofs.dittofs.com";
/// Finalizer on a `DittoServer`.
pub const FINALIZER: &str = "dittofs.dittofs.com/finalizer";
/// Annotation by which a user protects a server, with the value [`PROTECTED`]: the API server then refuses its deletion.
pub const DELETION_PROTECTION_ANNOTATION: &str = "dittofs.dittofs.com/deletion-protection";
/// Value of [`DELETION_PROTECTION_ANNOTATION`].
pub const PROTECTED: &str = "enabled";
/// Annotation by which a user pauses the operator's work on a server, with the value `true`. Only the status is written.
pub const PAUSED_ANNOTATION: &str = "dittofs.dittofs.com/paused";
/// Annotation by which a user asks for new generated Secrets: any value that was not there before.
pub const ROTATE_SECRETS_ANNOTATION: &str = "dittofs.dittofs.com/rotate-secrets";
/// Annotation by which a user says, with the value `true`, that a server's control-plane data has moved from SQLite to
/// the Percona database that its spec asks for, or that there is none to move.
pub const DATABASE_MIGRATED_ANNOTATION: &str = "dittofs.dittofs.com/database-migrated";
/// Annotation by which the owner of a PerconaPGCluster allows a server to use it; its value is the name of the `DittoServer`.
pub const ADOPT_ANNOTATION: &str = "dittofs.dittofs.com/adopt";
/// Annotation in which the Go operator counted failed logins. Ours never writes it.
pub const AUTH_RETRY_COUNT_ANNOTATION: &str = "dittofs.dittofs.com/auth-retry-count";

/// Label on every pod and Service; its value is [`APP`].
pub const APP_LABEL: &str = "app";
/// Value of [`APP_LABEL`].
pub const APP: &str = "dittofs-server";
/// Label on every pod and Service; its value is the name of the `DittoServer`.
pub const INSTANCE_LABEL: &str = "instance";
/// Label on every child: the tool that keeps it (a Kubernetes recommended label); its value is [`MANAGED_BY`].
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";
/// Value of [`MANAGED_BY_LABEL`].
pub const MANAGED_BY: &str = "dittofs-operator";
/// Marks the baseline NetworkPolicy; its value is `true`.
pub const BASELINE_NETWORK_POLICY_LABEL: &str = "dittofs.io/baseline-networkpolicy";
/// Marks the metrics Service; its value is `true`.
pub const METRICS_SERVICE_LABEL: &str = "dittofs.io/metrics-service";
/// Pod template annotation that restarts the pod when the configuration changes.
pub const CONFIG_HASH_ANNOTATION: &str = "dittofs.io/config-hash";
/// Annotation of adapter Services in which the Go operator kept the annotation keys it had set.
pub const MANAGED_ANNOTATIONS_ANNOTATION: &str = "dittofs.io/managed-annotations";

/// Annotation of every child: hash of what was last applied, so that a field that left the spec is noticed.
pub const APPLIED_HASH_ANNOTATION: &str = "dittofs.io/applied-hash";
/// Annotation of a generated Secret: the value of [`ROTATE_SECRETS_ANNOTATION`] for which it was last generated.
pub const ROTATED_FOR_ANNOTATION: &str = "dittofs.io/rotated-for";
/// Annotation of a generated Secret that stays after a deletion by [`crate::api::Retention::Delete`]: the UID of the server that was
/// deleted.
pub const KEPT_FOR_ANNOTATION: &str = "dittofs.io/kept-for";
/// Annotation of the claim `controlplane`: where its server keeps its control-plane data. Without it, the volume may hold the
/// SQLite file.
pub const CONTROL_PLANE_DATABASE_ANNOTATION: &str = "dittofs.io/control-plane-database";
/// Value of [`CONTROL_PLANE_DATABASE_ANNOTATION`]: in the server's PerconaPGCluster.
pub const IN_PERCONA: &str = "percona";
/// Value of [`CONTROL_PLANE_DATABASE_ANNOTATION`]: in a PostgreSQL that the user runs.
pub const IN_OWN_POSTGRES: &str = "postgres";
/// Value of [`CONTROL_PLANE_DATABASE_ANNOTATION`]: as [`IN_OWN_POSTGRES`], although the server has
/// [`DATABASE_MIGRATED_ANNOTATION`], which speaks of an earlier move.
pub const BACK_IN_OWN_POSTGRES: &str = "postgres-again";
/// Value of [`CONTROL_PLANE_DATABASE_ANNOTATION`]: in the SQLite file, although the server has
/// [`DATABASE_MIGRATED_ANNOTATION`], which speaks of an earlier move.
pub const BACK_IN_SQLITE: &str = "sqlite";
/// Field manager of this operator: it names it in every object that it writes (`managedFields`).
pub const FIELD_MANAGER: &str = "dittofs-operator";
/// Field manager under which the Go operator wrote, always with operation `Update`.
pub const GO_FIELD_MANAGER: &str = "manager";

/// Key of the configuration in the ConfigMap.
pub const CONFIG_KEY: &str = "config.yaml";
/// Key of the signing key in the managed JWT Secret.
pub const JWT_SECRET_KEY: &str = "jwt-secret";
/// Key of the user name in the managed credentials Secrets.
pub const USERNAME_KEY: &str = "username";
/// Key of the password in the managed credentials Secrets.
pub const PASSWORD_KEY: &str = "password";

/// Name of the server container.
pub const CONTAINER: &str = "dittofs";
/// Volume claim template of file metadata.
pub const METADATA_VOLUME: &str = "metadata";
/// Where the server finds that volume.
pub const METADATA_MOUNT: &str = "/data/store/metadata";
/// Volume claim template of file content.
pub const CONTENT_VOLUME: &str = "content";
/// Where the server finds that volume.
pub const CONTENT_MOUNT: &str = "/data/store/block";
/// Volume claim template of the control-plane database.
pub const CONTROL_PLANE_VOLUME: &str = "controlplane";
/// Where the server finds that volume.
pub const CONTROL_PLANE_MOUNT: &str = "/data/controlplane";

/// PostgreSQL user, and its place in the name of its Secret.
pub const PERCONA_USER: &str = "dittofs";
/// Name of the only instance set.
pub const PERCONA_INSTANCE_SET: &str = "instance1";
/// Label by which Percona's operator marks everything that belongs to a cluster.
pub const PERCONA_CLUSTER_LABEL: &str = "postgres-operator.crunchydata.com/cluster";

/// Labels by which pods are selected, everywhere and for ever: a StatefulSet's selector is immutable.
#[must_use]
pub fn selector_labels(server: &str) -> BTreeMap<String, String> {
    BTreeMap::from([
        (APP_LABEL.to_owned(), APP.to_owned()),
        (INSTANCE_LABEL.to_owned(), server.to_owned()),
    ])
}

/// Labels of every object that this operator makes for a server.
#[must_use]
pub fn labels(server: &str) -> BTreeMap<String, String> {
    let mut labels = selector_labels(server);
    labels.insert(MANAGED_BY_LABEL.to_owned(), MANAGED_BY.to_owned());
    labels
}

/// [`selector_labels`] as text, for `status.selector`.
#[must_use]
pub fn selector(server: &str) -> String {
    format!("{APP_LABEL}={APP},{INSTANCE_LABEL}={server}")
}

/// The StatefulSet, named like the server.
#[must_use]
pub fn stateful_set(server: &str) -> String {
    server.to_owned()
}

/// The only pod of the StatefulSet.
#[must_use]
pub fn pod(server: &str) -> String {
    format!("{server}-0")
}

/// The claim of a volume claim template.
#[must_use]
pub fn claim(volume: &str, server: &str) -> String {
    format!("{volume}-{server}-0")
}

/// The claims that a server may have.
#[must_use]
pub fn claims(server: &str) -> [String; 3] {
    [METADATA_VOLUME, CONTENT_VOLUME, CONTROL_PLANE_VOLUME].map(|volume| claim(volume, server))
}

/// The ConfigMap.
#[must_use]
pub fn config_map(server: &str) -> String {
    format!("{server}-config")
}

/// The headless Service, `serviceName` of the StatefulSet.
#[must_use]
pub fn headless_service(server: &str) -> String {
    format!("{server}-headless")
}

/// The Service of the REST API.
#[must_use]
pub fn api_service(server: &str) -> String {
    format!("{server}-api")
}

/// The Service of the metrics, and the ServiceMonitor.
#[must_use]
pub fn metrics_service(server: &str) -> String {
    format!("{server}-metrics")
}

/// The Service and the NetworkPolicy of an adapter. `adapter_type` must be sanitised already.
#[must_use]
pub fn adapter(server: &str, adapter_type: &str) -> String {
    format!("{server}-adapter-{adapter_type}")
}

/// The NetworkPolicy that is always there.
#[must_use]
pub fn baseline_network_policy(server: &str) -> String {
    format!("{server}-baseline")
}

/// The Secret with the generated signing key.
#[must_use]
pub fn jwt_secret(server: &str) -> String {
    format!("{server}-jwt-secret")
}

/// The Secret with the generated initial password of the admin user.
#[must_use]
pub fn admin_bootstrap_secret(server: &str) -> String {
    format!("{server}-admin-bootstrap-credentials")
}

/// The Secret of [`admin_bootstrap_secret`] under its former name. Adopted if it is found.
#[must_use]
pub fn legacy_admin_secret(server: &str) -> String {
    format!("{server}-admin-credentials")
}

/// The Secret with the operator's own account on the server.
#[must_use]
pub fn operator_credentials_secret(server: &str) -> String {
    format!("{server}-operator-credentials")
}

/// The PerconaPGCluster.
#[must_use]
pub fn percona_cluster(server: &str) -> String {
    format!("{server}-postgres")
}

/// The Secret that Percona's operator makes for our user of the cluster.
#[must_use]
pub fn percona_user_secret(server: &str) -> String {
    format!("{}-pguser-{PERCONA_USER}", percona_cluster(server))
}

/// The Secret that Percona's operator makes with the cluster's CA in `ca.crt`.
#[must_use]
pub fn percona_cert_secret(server: &str) -> String {
    format!("{}-cluster-cert", percona_cluster(server))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::rules::{NAME_MAX, NAME_MAX_WITH_PERCONA};

    /// Longest name of a Service, and longest value of a label.
    const LABEL_MAX: usize = 63;
    /// A controller revision's hash is a 32-bit number in at most ten characters.
    const HASH: &str = "0123456789";

    #[test]
    fn the_longest_name_fits_every_service_and_label() {
        let server = "x".repeat(NAME_MAX);
        let names = [
            stateful_set(&server),
            pod(&server),
            headless_service(&server),
            api_service(&server),
            metrics_service(&server),
            adapter(&server, "nfs"),
            adapter(&server, "smb"),
            format!("{}-{HASH}", stateful_set(&server)),
        ];
        let longest = names.iter().map(String::len).max();
        assert_eq!(longest, Some(LABEL_MAX), "{names:?}");
    }

    #[test]
    fn the_longest_name_with_percona_fits_the_pods_of_the_cluster() {
        let cluster = percona_cluster(&"x".repeat(NAME_MAX_WITH_PERCONA));
        let instance = format!("{cluster}-{PERCONA_INSTANCE_SET}-abcd");
        assert_eq!(format!("{instance}-{HASH}").len(), LABEL_MAX);
        // CronJob names have at most 52 characters.
        assert!(format!("{cluster}-repo1-full").len() <= 52);
    }

    #[test]
    fn names_are_those_of_the_go_operator() {
        let names = [
            config_map("f"),
            headless_service("f"),
            api_service("f"),
            metrics_service("f"),
            adapter("f", "nfs"),
            baseline_network_policy("f"),
            jwt_secret("f"),
            admin_bootstrap_secret("f"),
            legacy_admin_secret("f"),
            operator_credentials_secret("f"),
            percona_cluster("f"),
            percona_user_secret("f"),
            claim(CONTROL_PLANE_VOLUME, "f"),
            selector("f"),
        ];
        let wanted = [
            "f-config",
            "f-headless",
            "f-api",
            "f-metrics",
            "f-adapter-nfs",
            "f-baseline",
            "f-jwt-secret",
            "f-admin-bootstrap-credentials",
            "f-admin-credentials",
            "f-operator-credentials",
            "f-postgres",
            "f-postgres-pguser-dittofs",
            "controlplane-f-0",
            "app=dittofs-server,instance=f",
        ];
        assert_eq!(names, wanted);
    }
}
