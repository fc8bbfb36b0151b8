//! The names that this operator gives to the parts of a child, in any configuration. Whatever has one of them was made by it, or
//! is in its place.

use serde_json::Value;
use strum::IntoEnumIterator;

use super::mounts;
use super::services::METRICS_PORT_NAME;
use crate::api::names;
use crate::api::names::API_PORT_NAME;
use crate::domain::secrets::{Purpose, SSL_MODE_VARIABLE, SSL_ROOT_CERT_VARIABLE};

/// Whether a variable of the server's container is ours.
#[must_use]
pub fn is_variable(name: &str) -> bool {
    variables().any(|variable| variable == name)
}

/// The variables of the server's container that are ours.
pub(crate) fn variables() -> impl Iterator<Item = &'static str> {
    let of_secrets = Purpose::iter().filter_map(Purpose::variable);
    of_secrets.chain([SSL_MODE_VARIABLE, SSL_ROOT_CERT_VARIABLE])
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
        names::ADAPTER_SERVICE_LABEL,
        names::ADAPTER_NETWORK_POLICY_LABEL,
        names::ADAPTER_TYPE_LABEL,
    ]
    .contains(&key)
}

/// Whether a port of the server's container is ours.
#[must_use]
pub fn is_port(name: &str) -> bool {
    [API_PORT_NAME, METRICS_PORT_NAME].contains(&name)
}

/// Whether a port of a Service is ours. The Go operator gave the Services of adapters ports for discovery.
#[must_use]
pub fn is_service_port(name: &str) -> bool {
    const DISCOVERY: [&str; 5] = ["portmap", "portmap-udp", "mdns", "wsd", "wsd-meta"];
    let is_of_adapter = name.starts_with("adapter-") || [names::NFS, names::SMB].contains(&name);
    is_port(name) || is_of_adapter || DISCOVERY.contains(&name)
}

/// Whether a volume of the pod is ours. Those of the claims come from the claim templates.
#[must_use]
pub fn is_volume(name: &str) -> bool {
    volumes().any(|volume| volume == name)
}

/// The volumes of the pod that are ours.
pub(crate) fn volumes() -> impl Iterator<Item = &'static str> {
    let claims = [
        names::METADATA_VOLUME,
        names::CONTENT_VOLUME,
        names::CONTROL_PLANE_VOLUME,
    ];
    claims.into_iter().chain(mounts::names())
}

/// Whether a mount path is ours.
#[must_use]
pub fn is_mount(path: &str) -> bool {
    mounts::paths().any(|mount| mount == path)
}
