//! `spec.controlPlane`, `spec.service`, `spec.adapterServices`, `spec.adapterDiscovery`: how the server is reached.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use super::{defaults, rules, schema};

/// Type of a Service.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[schemars(transform = schema::without_description)]
pub enum ServiceType {
    /// Reachable in the cluster only.
    #[default]
    ClusterIP,
    /// Also on a port of every node.
    NodePort,
    /// Also through the cloud's load balancer.
    LoadBalancer,
}

impl ServiceType {
    /// The name as Kubernetes writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The server's REST API.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::client_ca_needs_certificate())]
pub struct ControlPlaneSpec {
    /// Port of the REST API, 1 to 65535, different from `spec.metrics.port`. Default: 8080.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = defaults::API_PORT), range(min = 1, max = 65535))]
    #[x_kube(validation = rules::api_port())]
    pub port: Option<i32>,

    /// No effect yet. For an operator that asks the server's API: it speaks https although the server itself has no
    /// certificate, because something in between terminates TLS. For TLS in the server itself, set `certSecretName`.
    /// Default: false.
    #[serde(default)]
    pub tls: bool,

    /// Secret with `tls.crt` and `tls.key`, and `ca.crt` if the CA is not a public one. The server then speaks
    /// https.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::secret_name())]
    pub cert_secret_name: Option<String>,

    /// Secret with `ca.crt`: the API then asks every client for a certificate of this CA. Needs `certSecretName`.
    #[serde(rename = "clientCASecretName", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::secret_name())]
    pub client_ca_secret_name: Option<String>,
}

/// How often the operator asks the server for its adapters.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdapterDiscoverySpec {
    /// Time between two questions, as a Go duration, for example `30s`. Default: `30s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = defaults::POLLING_INTERVAL))]
    #[schemars(length(max = 64))]
    #[x_kube(validation = rules::positive_go_duration())]
    pub polling_interval: Option<String>,
}

/// The Services that expose the protocol adapters.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdapterServicesSpec {
    /// `ClusterIP`, `NodePort` or `LoadBalancer`. Default: `LoadBalancer`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "LoadBalancer"))]
    pub r#type: Option<ServiceType>,

    /// Annotations of each adapter Service, for example those of a cloud's load balancer.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// The Service in front of the REST API.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceSpec {
    /// `ClusterIP`, `NodePort` or `LoadBalancer`. Default: `ClusterIP`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "ClusterIP"))]
    pub r#type: Option<ServiceType>,

    /// Annotations of the Service.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}
