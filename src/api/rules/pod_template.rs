//! Rules on `spec.podTemplate`: the parts of the pod without which the server does not run belong to the operator.
//!
//! `domain/desired/made_here.rs` has the same parts by their use; a test compares the two.

use kube::core::Rule;

use super::field;
use crate::api::defaults::{NFS_PORT, PORTMAPPER_PORT, SMB_PORT};
use crate::api::names;

/// Names of volumes of the operator.
pub const VOLUMES: [&str; 13] = [
    "metadata",
    "content",
    "controlplane",
    "config",
    "tls-cert",
    "tls-client-ca",
    "metrics-token",
    "kerberos-keytab",
    "kerberos-krb5",
    "kerberos-machine-keytab",
    "postgres-ca",
    "ldap-ca",
    "server-tmp",
];

/// Where the operator mounts them.
pub const MOUNTS: [&str; 12] = [
    names::METADATA_MOUNT,
    names::CONTENT_MOUNT,
    names::CONTROL_PLANE_MOUNT,
    "/config",
    "/tls",
    "/tls-client-ca",
    "/metrics-token",
    "/kerberos",
    "/kerberos-krb5",
    "/kerberos-machine",
    "/postgres-ca",
    "/ldap-ca",
];

/// Variables that the operator sets, or that would move what its probes and Services reach and its volumes keep.
pub const VARIABLES: [&str; 24] = [
    "DITTOFS_CONTROLPLANE_SECRET",
    "DITTOFS_ADMIN_INITIAL_PASSWORD",
    "DITTOFS_LDAP_BIND_PASSWORD",
    "DITTOFS_KERBEROS_MACHINE_ACCOUNT_SECRET",
    "DITTOFS_DATABASE_POSTGRES_HOST",
    "DITTOFS_DATABASE_POSTGRES_PORT",
    "DITTOFS_DATABASE_POSTGRES_DATABASE",
    "DITTOFS_DATABASE_POSTGRES_USER",
    "DITTOFS_DATABASE_POSTGRES_PASSWORD",
    "DITTOFS_DATABASE_POSTGRES_SSLMODE",
    "DITTOFS_DATABASE_POSTGRES_SSL_ROOT_CERT",
    "DITTOFS_DATABASE_TYPE",
    "DITTOFS_DATABASE_SQLITE_PATH",
    "DITTOFS_CONTROLPLANE_HOST",
    "DITTOFS_CONTROLPLANE_PORT",
    "DITTOFS_CONTROLPLANE_TLS_CERT_FILE",
    "DITTOFS_CONTROLPLANE_TLS_KEY_FILE",
    "DITTOFS_CONTROLPLANE_TLS_CLIENT_CA",
    "DITTOFS_METRICS_ENABLED",
    "DITTOFS_METRICS_HOST",
    "DITTOFS_METRICS_PORT",
    "DITTOFS_METRICS_PATH",
    "DITTOFS_METRICS_AUTH",
    "DITTOFS_METRICS_TOKEN_FILE",
];

/// Labels by which the StatefulSet and the Services find the pod.
pub const LABELS: [&str; 2] = [names::APP_LABEL, names::INSTANCE_LABEL];

/// Annotations of the pod that the operator sets.
pub const ANNOTATIONS: [&str; 1] = [names::CONFIG_HASH_ANNOTATION];

/// Ports on which the server listens, next to those of the spec: NFS, SMB, SMB without a port in its database, portmapper.
pub const SERVER_PORTS: [i32; 4] = [NFS_PORT, SMB_PORT, 12445, PORTMAPPER_PORT];

/// The container of the server.
pub const CONTAINERS: [&str; 1] = [names::CONTAINER];

fn list(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    format!("[{}]", quoted.join(", "))
}

fn none_of(names: &[&str], message: &str) -> Rule {
    field(format!("!(self in {})", list(names)), message)
}

/// The labels do not select other pods.
pub fn labels() -> Rule {
    let has = LABELS.map(|label| format!("'{label}' in self"));
    field(
        format!("!({})", has.join(" || ")),
        "must not have the labels app and instance, by which the StatefulSet and the Services find the pod: remove them",
    )
}

/// The annotations do not replace the config hash.
pub fn annotations() -> Rule {
    field(
        format!("!('{}' in self)", names::CONFIG_HASH_ANNOTATION),
        &format!(
            "must not have the annotation {}, with which the operator restarts the pod: remove it",
            names::CONFIG_HASH_ANNOTATION
        ),
    )
}

/// A variable is not one of the operator.
pub fn variable() -> Rule {
    none_of(
        &VARIABLES,
        "is a variable that the operator sets from the spec: remove it, and set the field of the spec (controlPlane, database, identity or metrics)",
    )
}

/// A volume is not one of the operator.
pub fn volume() -> Rule {
    none_of(
        &VOLUMES,
        "is the name of a volume of the operator: choose another name",
    )
}

/// A mount does not replace one of the operator.
pub fn mount() -> Rule {
    none_of(
        &MOUNTS,
        "is where the operator mounts a volume of the server: choose another path",
    )
}

/// A container is not that of the server.
pub fn container() -> Rule {
    none_of(
        &CONTAINERS,
        "is the name of the server's container: choose another name. Variables and mounts of the server are spec.podTemplate.env, envFrom and volumeMounts",
    )
}
