//! `spec.controlPlane`, `spec.service`, `spec.adapterServices`, `spec.adapterDiscovery`: how clients reach the server.

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
    /// Reachable only in the cluster.
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

/// REST API of the server.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::client_ca_needs_certificate())]
pub struct ControlPlaneSpec {
    /// Port of the REST API, 1 to 65535, different from `spec.metrics.port`. Default: 8080.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = defaults::API_PORT), range(min = 1, max = 65535))]
    #[x_kube(validation = rules::api_port())]
    pub port: Option<i32>,

    /// No effect yet: it does not enable TLS. To enable TLS in the server, set `certSecretName`. Later the operator will
    /// call the API over https if this field is true, for a server behind a proxy that terminates TLS. Default: false.
    #[serde(default)]
    pub tls: bool,

    /// Secret with `tls.crt` and `tls.key`, and `ca.crt` if the CA is not a public one. If it is set, the API is served
    /// over https.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::secret_name())]
    pub cert_secret_name: Option<String>,

    /// Secret with `ca.crt`. If it is set, every client needs a certificate of this CA. Needs `certSecretName`.
    #[serde(rename = "clientCASecretName", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::secret_name())]
    pub client_ca_secret_name: Option<String>,
}

/// How often the operator queries the server for its adapters.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdapterDiscoverySpec {
    /// Time between two queries, as a Go duration, for example `30s`. Default: `30s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = defaults::POLLING_INTERVAL))]
    #[schemars(length(max = 64))]
    #[x_kube(validation = rules::positive_go_duration())]
    pub polling_interval: Option<String>,
}

/// Services that expose the protocol adapters.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdapterServicesSpec {
    /// `ClusterIP`, `NodePort` or `LoadBalancer`. Default: `LoadBalancer`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "LoadBalancer"))]
    pub r#type: Option<ServiceType>,

    /// Annotations of each adapter Service, for example for the load balancer of your cloud.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// The Service that exposes the REST API.
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
