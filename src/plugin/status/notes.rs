//! Settings of a server without the effect that a user may expect.

use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicyBinding;
use kube::{Api, Client};

use crate::api::DittoServer;
use crate::api::names::DELETION_PROTECTION_ANNOTATION;

/// Name of the binding in `config/admission/deletion-protection.yaml`.
const PROTECTION_POLICY: &str = "dittofs-deletion-protection";

/// What a user should know about the settings of a server.
pub(super) async fn notes(client: &Client, server: &DittoServer) -> Vec<String> {
    let mut notes = of_server(server);
    if server.deletion_protection().is_on() && is_policy_missing(client).await {
        notes.push(format!(
            "the annotation {DELETION_PROTECTION_ANNOTATION} has no effect, because the policy {PROTECTION_POLICY} is not installed. Install config/admission/deletion-protection.yaml, or set deletionProtection.enabled in the chart"
        ));
    }
    notes
}

fn of_server(server: &DittoServer) -> Vec<String> {
    let mut notes = server.unknown_switches();
    if server.spec.tls_without_certificate() {
        notes.push(
            "spec.controlPlane.tls does not enable TLS: the API is served over plain HTTP. Set spec.controlPlane.certSecretName".into(),
        );
    }
    notes
}

/// False if the policies cannot be read.
async fn is_policy_missing(client: &Client) -> bool {
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(client.clone());
    matches!(bindings.get_metadata_opt(PROTECTION_POLICY).await, Ok(None))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::names::PAUSED_ANNOTATION;

    #[test]
    fn unknown_values_and_tls_without_a_certificate_are_noted() {
        let server: DittoServer = serde_json::from_value(json!({
            "metadata": {"name": "files", "annotations": {PAUSED_ANNOTATION: "yes", DELETION_PROTECTION_ANNOTATION: "on"}},
            "spec": {"storage": {"metadataSize": "1Gi"}, "controlPlane": {"tls": true}},
        }))
        .unwrap();
        let notes = of_server(&server);
        assert_eq!(notes.len(), 3, "{notes:?}");
        assert!(notes[0].contains("unknown value \"yes\""), "{notes:?}");
        assert!(notes[2].contains("certSecretName"), "{notes:?}");
        assert_eq!(of_server(&DittoServer::default()), [""; 0]);
    }
}
