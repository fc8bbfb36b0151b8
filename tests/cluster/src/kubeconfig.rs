//! Kubeconfig files, and kube's client configuration from the same data.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::pki::Identity;

/// A kubeconfig for one user of one API server, with the certificates inside the file.
pub(crate) fn render(server: &str, authority: &str, user: &str, identity: &Identity) -> String {
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "local-control-plane",
        "clusters": [{"name": "local-control-plane", "cluster": {
            "server": server,
            "certificate-authority-data": STANDARD.encode(authority),
        }}],
        "users": [{"name": user, "user": {
            "client-certificate-data": STANDARD.encode(&identity.certificate),
            "client-key-data": STANDARD.encode(&identity.key),
        }}],
        "contexts": [{"name": "local-control-plane", "context": {
            "cluster": "local-control-plane", "user": user, "namespace": "default",
        }}],
    });
    // JSON is YAML; a value of strings only always serializes.
    serde_json::to_string_pretty(&config).unwrap_or_default()
}
