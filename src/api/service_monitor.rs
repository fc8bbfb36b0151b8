//! The part of `ServiceMonitor` (`monitoring.coreos.com/v1`, Prometheus Operator) that the operator writes.
//!
//! Every field is optional, and absent unless set, so that a server-side apply of these types owns exactly the fields that are
//! set. Other fields are ignored when read.

use std::collections::BTreeMap;

use kube::CustomResource;
use serde::{Deserialize, Serialize};

/// Which Services Prometheus scrapes, and how.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "monitoring.coreos.com",
    version = "v1",
    kind = "ServiceMonitor",
    plural = "servicemonitors",
    singular = "servicemonitor",
    namespaced,
    schema = "disabled",
    derive = "PartialEq",
    derive = "Default"
)]
pub struct Monitoring {
    /// Selects the Services. Required by the schema.
    #[serde(default)]
    pub selector: ServiceSelector,
    /// The namespaces of the Services. Absent: the namespace of the ServiceMonitor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<NamespaceSelector>,
    /// Ports of the Services. Required by the schema.
    #[serde(default)]
    pub endpoints: Vec<Endpoint>,
}

/// Selects Services by their labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceSelector {
    /// Labels that a Service must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
}

/// Selects namespaces by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceSelector {
    /// Names of namespaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub match_names: Vec<String>,
}

/// A port of the Services, and how it is scraped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// Name of the port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// Path of the metrics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Time between two scrapes, as a Prometheus duration. Absent: the default of Prometheus.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
    /// The bearer token that Prometheus sends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bearer_token_secret: Option<SecretKey>,
}

/// A key of a Secret in the namespace of the ServiceMonitor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretKey {
    /// Name of the Secret.
    #[serde(default)]
    pub name: String,
    /// The key.
    #[serde(default)]
    pub key: String,
}

impl ServiceMonitor {
    /// The kind's name.
    pub const KIND: &'static str = "ServiceMonitor";
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn field_names_are_those_of_the_prometheus_operator() {
        let spec = json!({
            "selector": {"matchLabels": {"app": "a"}},
            "namespaceSelector": {"matchNames": ["storage"]},
            "endpoints": [{
                "port": "metrics",
                "path": "/m",
                "interval": "30s",
                "bearerTokenSecret": {"name": "scrape", "key": "token"},
            }],
        });
        let read: Monitoring = serde_json::from_value(spec.clone()).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), spec);
    }

    #[test]
    fn fields_that_the_operator_does_not_write_are_ignored_when_read() {
        let read: ServiceMonitor = serde_json::from_value(json!({
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "ServiceMonitor",
            "metadata": {"name": "files-metrics"},
            "spec": {"jobLabel": "app", "selector": {"matchExpressions": []}, "endpoints": [{"targetPort": 9090, "scheme": "https"}]},
        }))
        .unwrap();
        assert_eq!(read.spec.endpoints, [Endpoint::default()]);
    }
}
