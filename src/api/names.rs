//! Names of children, label and annotation keys. They must not change: the operator finds the children of a running server by
//! these names, and adopts those that the Go operator created.

use std::collections::BTreeMap;

/// API group of `DittoServer`.
pub const GROUP: &str = "dittofs.dittofs.com";
/// Finalizer on a `DittoServer`.
pub const FINALIZER: &str = "dittofs.dittofs.com/finalizer";
/// Annotation with which a user protects a server, with the value `enabled`. The API server then refuses its deletion.
pub const DELETION_PROTECTION_ANNOTATION: &str = "dittofs.dittofs.com/deletion-protection";
/// Annotation with which a user pauses a server, with the value `true`. The operator then only writes the status.
pub const PAUSED_ANNOTATION: &str = "dittofs.dittofs.com/paused";
/// Annotation with which a user lets a deletion with `storage.retention: Delete` delete what is not in the remote stores yet, with the
/// value `true`.
pub const DELETE_WITHOUT_UPLOAD_ANNOTATION: &str = "dittofs.dittofs.com/delete-without-upload";
/// Annotation with which a user requests new generated Secrets: each new value is one request.
pub const ROTATE_SECRETS_ANNOTATION: &str = "dittofs.dittofs.com/rotate-secrets";
/// Annotation with which a user requests a restart of the NFS adapter: each new value is one request.
pub const RESTART_NFS_ANNOTATION: &str = "dittofs.dittofs.com/restart-nfs";
/// Annotation with which a user requests a restart of the SMB adapter: each new value is one request.
pub const RESTART_SMB_ANNOTATION: &str = "dittofs.dittofs.com/restart-smb";
/// Annotation with which a user confirms, with the value `true`, that the control-plane data of a server has been moved to the
/// Percona database in its spec, or that there is no data to move.
pub const DATABASE_MIGRATED_ANNOTATION: &str = "dittofs.dittofs.com/database-migrated";
/// Annotation with which a user allows a server to adopt a PerconaPGCluster; its value is the name of the `DittoServer`.
pub const ADOPT_ANNOTATION: &str = "dittofs.dittofs.com/adopt";
/// Annotation with which an operator with `--shard-selector` claims a server: namespace and name of its Lease (`namespace/name`).
pub const SHARD_ANNOTATION: &str = "dittofs.dittofs.com/shard";
/// Annotation in which the Go operator counted failed logins. This operator never writes it.
pub const AUTH_RETRY_COUNT_ANNOTATION: &str = "dittofs.dittofs.com/auth-retry-count";

/// Label on every pod and Service; its value is [`APP`].
pub const APP_LABEL: &str = "app";
/// Value of [`APP_LABEL`].
pub const APP: &str = "dittofs-server";
/// Label on every pod and Service; its value is the name of the `DittoServer`.
pub const INSTANCE_LABEL: &str = "instance";
/// Label on every child: the tool that manages it (a recommended label of Kubernetes). Its value is [`MANAGED_BY`].
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";
/// Value of [`MANAGED_BY_LABEL`].
pub const MANAGED_BY: &str = "dittofs-operator";
/// Label of the baseline NetworkPolicy. Its value is `true`.
pub const BASELINE_NETWORK_POLICY_LABEL: &str = "dittofs.io/baseline-networkpolicy";
/// Label of the Services of adapters. Its value is `true`.
pub const ADAPTER_SERVICE_LABEL: &str = "dittofs.io/adapter-service";
/// Label of the NetworkPolicies of adapters. Its value is `true`.
pub const ADAPTER_NETWORK_POLICY_LABEL: &str = "dittofs.io/adapter-networkpolicy";
/// Label of the Services and NetworkPolicies of adapters. Its value is the type of the adapter.
pub const ADAPTER_TYPE_LABEL: &str = "dittofs.io/adapter-type";
/// Label of the metrics Service. Its value is `true`.
pub const METRICS_SERVICE_LABEL: &str = "dittofs.io/metrics-service";
/// Pod template annotation that restarts the pod when the configuration changes.
pub const CONFIG_HASH_ANNOTATION: &str = "dittofs.io/config-hash";
/// Annotation of a Service: the keys of the annotations that come from the spec, separated by commas. The Go operator wrote it on
/// adapter Services.
pub const MANAGED_ANNOTATIONS_ANNOTATION: &str = "dittofs.io/managed-annotations";

/// Annotation of every child: hash of what was last applied. It shows when a field was removed from the spec.
pub const APPLIED_HASH_ANNOTATION: &str = "dittofs.io/applied-hash";
/// Annotation of the ConfigMap while the StatefulSet is re-created: the StatefulSet that will be created, as JSON, with the UID of
/// the one that it replaces.
pub const RECREATE_ANNOTATION: &str = "dittofs.io/recreate-stateful-set";
/// Annotation of a StatefulSet that was re-created: the sizes that the operator asked for in its claim templates.
pub const RECREATED_FOR_ANNOTATION: &str = "dittofs.io/recreated-for";
/// Field manager of [`RECREATE_ANNOTATION`]. Another one than [`FIELD_MANAGER`], so that an apply of the ConfigMap keeps the
/// annotation.
pub const RECREATE_FIELD_MANAGER: &str = "dittofs-operator-recreate";
/// Annotation of a generated Secret: the value of [`ROTATE_SECRETS_ANNOTATION`] for which it was last generated.
pub const ROTATED_FOR_ANNOTATION: &str = "dittofs.io/rotated-for";
/// Annotation of a generated Secret that is kept after a deletion with [`crate::api::Retention::Delete`]: the UID of the deleted
/// server.
pub const KEPT_FOR_ANNOTATION: &str = "dittofs.io/kept-for";
/// Annotation of the claim `controlplane`: where the control-plane data of its server is. Without the annotation, the SQLite file
/// may be on the volume.
pub const CONTROL_PLANE_DATABASE_ANNOTATION: &str = "dittofs.io/control-plane-database";
/// Value of [`CONTROL_PLANE_DATABASE_ANNOTATION`]: in the server's PerconaPGCluster.
pub const IN_PERCONA: &str = "percona";
/// Value of [`CONTROL_PLANE_DATABASE_ANNOTATION`]: in the user's own PostgreSQL.
pub const IN_OWN_POSTGRES: &str = "postgres";
/// Value of [`CONTROL_PLANE_DATABASE_ANNOTATION`]: as [`IN_OWN_POSTGRES`], although the server has
/// [`DATABASE_MIGRATED_ANNOTATION`], which belongs to an earlier move.
pub const BACK_IN_OWN_POSTGRES: &str = "postgres-again";
/// Value of [`CONTROL_PLANE_DATABASE_ANNOTATION`]: in the SQLite file, although the server has
/// [`DATABASE_MIGRATED_ANNOTATION`], which belongs to an earlier move.
pub const BACK_IN_SQLITE: &str = "sqlite";
/// Field manager of this operator in the objects that it writes (`managedFields`).
pub const FIELD_MANAGER: &str = "dittofs-operator";

/// Key of the configuration in the ConfigMap.
pub const CONFIG_KEY: &str = "config.yaml";
/// Key of the signing key in the managed JWT Secret.
pub const JWT_SECRET_KEY: &str = "jwt-secret";
/// Key of the user name in the managed credentials Secrets.
pub const USERNAME_KEY: &str = "username";
/// Key of the password in the managed credentials Secrets.
pub const PASSWORD_KEY: &str = "password";

/// Type of the adapter that serves NFS.
pub const NFS: &str = "nfs";
/// Type of the adapter that serves SMB.
pub const SMB: &str = "smb";

/// Name of the API's port in the pod and in Services.
pub const API_PORT_NAME: &str = "api";
/// Name of the server container.
pub const CONTAINER: &str = "dittofs";
/// Volume claim template of file metadata.
pub const METADATA_VOLUME: &str = "metadata";
/// Mount path of that volume.
pub const METADATA_MOUNT: &str = "/data/store/metadata";
/// Volume claim template of file content.
pub const CONTENT_VOLUME: &str = "content";
/// Mount path of that volume.
pub const CONTENT_MOUNT: &str = "/data/store/block";
/// Volume claim template of the control-plane database.
pub const CONTROL_PLANE_VOLUME: &str = "controlplane";
/// Mount path of that volume.
pub const CONTROL_PLANE_MOUNT: &str = "/data/controlplane";

/// PostgreSQL user. The name of its Secret contains it.
pub const PERCONA_USER: &str = "dittofs";
/// Name of the only instance set.
pub const PERCONA_INSTANCE_SET: &str = "instance1";
/// Label that Percona's operator sets on every object of a cluster.
pub const PERCONA_CLUSTER_LABEL: &str = "postgres-operator.crunchydata.com/cluster";

/// Labels that select the pods. They can never change: the selector of a StatefulSet is immutable.
#[must_use]
pub fn selector_labels(server: &str) -> BTreeMap<String, String> {
    BTreeMap::from([
        (APP_LABEL.to_owned(), APP.to_owned()),
        (INSTANCE_LABEL.to_owned(), server.to_owned()),
    ])
}

/// Labels of every object that this operator creates for a server.
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

/// The StatefulSet. It has the name of the server.
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

/// The server that finds this claim by its name, as its StatefulSet does: the name is `<volume>-<server>-<ordinal>`.
#[must_use]
pub fn server_of_claim(claim: &str) -> Option<&str> {
    let volumes = [METADATA_VOLUME, CONTENT_VOLUME, CONTROL_PLANE_VOLUME];
    let (server, ordinal) = volumes
        .into_iter()
        .find_map(|volume| claim.strip_prefix(volume)?.strip_prefix('-'))?
        .rsplit_once('-')?;
    (!server.is_empty() && ordinal.parse::<u32>().is_ok()).then_some(server)
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

/// The Service of the portmapper and of NFS over UDP.
#[must_use]
pub fn nfs_udp_service(server: &str) -> String {
    format!("{server}-nfs-udp")
}

/// The PodDisruptionBudget.
#[must_use]
pub fn pod_disruption_budget(server: &str) -> String {
    server.to_owned()
}

/// The baseline NetworkPolicy.
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

/// The former name of the Secret [`admin_bootstrap_secret`]. Such a Secret is adopted.
#[must_use]
pub fn legacy_admin_secret(server: &str) -> String {
    format!("{server}-admin-credentials")
}

/// The Secret with the account of the operator on the server.
#[must_use]
pub fn operator_credentials_secret(server: &str) -> String {
    format!("{server}-operator-credentials")
}

/// The PerconaPGCluster.
#[must_use]
pub fn percona_cluster(server: &str) -> String {
    format!("{server}{PERCONA_CLUSTER_SUFFIX}")
}

/// The server of a PerconaPGCluster with this name, if it can be one of ours.
#[must_use]
pub fn server_of_percona_cluster(cluster: &str) -> Option<&str> {
    cluster.strip_suffix(PERCONA_CLUSTER_SUFFIX)
}

const PERCONA_CLUSTER_SUFFIX: &str = "-postgres";

/// The Secret that Percona's operator creates for the user of the server.
#[must_use]
pub fn percona_user_secret(server: &str) -> String {
    format!("{}-pguser-{PERCONA_USER}", percona_cluster(server))
}

/// The Secret that Percona's operator creates with the CA of the cluster in `ca.crt`.
#[must_use]
pub fn percona_cert_secret(server: &str) -> String {
    format!("{}-cluster-cert", percona_cluster(server))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_claim_belongs_to_the_server_in_its_name() {
        for server in ["files", "a-0", "metadata", "metadata-x-0"] {
            for claim in super::claims(server) {
                assert_eq!(super::server_of_claim(&claim), Some(server));
            }
        }
        assert_eq!(super::server_of_claim("metadata-files-3"), Some("files"));
        for other in [
            "data-files-0",
            "metadata-files",
            "metadata--0",
            "metadata-0",
            "metadatafiles-0",
            "content-files-x",
        ] {
            assert_eq!(super::server_of_claim(other), None, "{other}");
        }
    }

    use super::*;
    use crate::api::rules::{NAME_MAX, NAME_MAX_WITH_PERCONA};

    /// Longest name of a Service, and longest value of a label.
    const LABEL_MAX: usize = 63;
    /// A controller revision's hash is a 32-bit number in at most ten characters.
    const HASH: &str = "0123456789";

    #[test]
    fn the_longest_name_is_valid_for_every_service_and_label() {
        let server = "x".repeat(NAME_MAX);
        let names = [
            stateful_set(&server),
            pod(&server),
            headless_service(&server),
            api_service(&server),
            metrics_service(&server),
            adapter(&server, "nfs"),
            adapter(&server, "smb"),
            nfs_udp_service(&server),
            format!("{}-{HASH}", stateful_set(&server)),
        ];
        let longest = names.iter().map(String::len).max();
        assert_eq!(longest, Some(LABEL_MAX), "{names:?}");
    }

    #[test]
    fn the_longest_name_with_percona_is_valid_for_the_pods_of_the_cluster() {
        let cluster = percona_cluster(&"x".repeat(NAME_MAX_WITH_PERCONA));
        let instance = format!("{cluster}-{PERCONA_INSTANCE_SET}-abcd");
        assert_eq!(format!("{instance}-{HASH}").len(), LABEL_MAX);
        // A CronJob name has at most 52 characters.
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
