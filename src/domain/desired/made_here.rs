//! The names that this operator gives to the parts of a child, in any configuration. Whatever has one of them was made by it, or
//! is in its place.

use serde_json::Value;
use strum::IntoEnumIterator;

use super::mounts;
use super::services::{API_PORT_NAME, METRICS_PORT_NAME};
use crate::api::names;
use crate::domain::secrets::{Purpose, SSL_MODE_VARIABLE, SSL_ROOT_CERT_VARIABLE};

/// Whether a variable of the server's container is ours.
#[must_use]
pub fn is_variable(name: &str) -> bool {
    let is_of_secret = || Purpose::iter().any(|purpose| purpose.variable() == Some(name));
    name == SSL_MODE_VARIABLE || name == SSL_ROOT_CERT_VARIABLE || is_of_secret()
}

/// Whether an annotation of a child is ours. `all` are the annotations of the child.
#[must_use]
pub fn is_annotation(key: &str, all: &Value) -> bool {
    let recorded = all[names::MANAGED_ANNOTATIONS_ANNOTATION]
        .as_str()
        .unwrap_or_default();
    key == names::APPLIED_HASH_ANNOTATION
        || key == names::MANAGED_ANNOTATIONS_ANNOTATION
        || recorded.split(',').any(|recorded| recorded == key)
}

/// Whether a label of a child is ours.
#[must_use]
pub fn is_label(key: &str) -> bool {
    [
        names::APP_LABEL,
        names::INSTANCE_LABEL,
        names::MANAGED_BY_LABEL,
        names::BASELINE_NETWORK_POLICY_LABEL,
        names::METRICS_SERVICE_LABEL,
    ]
    .contains(&key)
}

/// Whether a port of the server's container or of a Service is ours.
#[must_use]
pub fn is_port(name: &str) -> bool {
    [API_PORT_NAME, METRICS_PORT_NAME].contains(&name)
}

/// Whether a volume of the pod is ours. Those of the claims come from the claim templates.
#[must_use]
pub fn is_volume(name: &str) -> bool {
    let claims = [
        names::METADATA_VOLUME,
        names::CONTENT_VOLUME,
        names::CONTROL_PLANE_VOLUME,
    ];
    claims.contains(&name) || mounts::names().any(|volume| volume == name)
}

/// Whether a mount path is ours.
#[must_use]
pub fn is_mount(path: &str) -> bool {
    mounts::paths().any(|mount| mount == path)
}
