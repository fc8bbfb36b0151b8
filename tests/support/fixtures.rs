//! Objects that many tests use.

use dittofs_operator::api::DittoServer;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::ObjectMeta;
use serde_json::{Value, json};

/// A DittoServer with this spec, laid over the smallest one.
pub fn server(name: &str, spec: Value) -> DittoServer {
    let mut merged = json!({"storage": {"metadataSize": "1Gi"}});
    if let (Some(merged), Value::Object(spec)) = (merged.as_object_mut(), spec) {
        merged.extend(spec);
    }
    let object = json!({
        "apiVersion": "dittofs.dittofs.com/v1alpha1",
        "kind": "DittoServer",
        "metadata": {"name": name},
        "spec": merged,
    });
    serde_json::from_value(object).expect("a DittoServer")
}

/// The smallest DittoServer.
pub fn minimal(name: &str) -> DittoServer {
    server(name, json!({}))
}

/// The server `files`, of this image.
pub fn with_image(image: &str) -> DittoServer {
    server("files", json!({"image": image}))
}

/// A Secret.
pub fn secret(name: &str, data: &[(&str, &str)]) -> Secret {
    Secret {
        metadata: ObjectMeta {
            name: Some(name.into()),
            ..ObjectMeta::default()
        },
        string_data: Some(
            data.iter()
                .map(|(key, value)| ((*key).into(), (*value).into()))
                .collect(),
        ),
        ..Secret::default()
    }
}

/// The CRD of ServiceMonitor, with the fields that the API of the Prometheus Operator requires.
pub fn service_monitor_crd() -> CustomResourceDefinition {
    let endpoints =
        json!({"type": "array", "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    let spec = json!({
        "type": "object",
        "required": ["endpoints", "selector"],
        "properties": {"endpoints": endpoints},
        "x-kubernetes-preserve-unknown-fields": true,
    });
    let schema = json!({"type": "object", "required": ["spec"], "properties": {"spec": spec}});
    let definition = json!({
        "metadata": {"name": "servicemonitors.monitoring.coreos.com"},
        "spec": {
            "group": "monitoring.coreos.com",
            "scope": "Namespaced",
            "names": {"kind": "ServiceMonitor", "listKind": "ServiceMonitorList", "plural": "servicemonitors", "singular": "servicemonitor"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
        },
    });
    serde_json::from_value(definition).expect("a definition")
}

/// The CRD as an older version might have had it: it accepts everything.
pub fn without_schema(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    let anything =
        json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    for version in &mut crd.spec.versions {
        version.schema = serde_json::from_value(anything.clone()).ok();
    }
    crd
}
