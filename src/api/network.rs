//! `spec.controlPlane`, `spec.service`, `spec.networkPolicy`, `spec.adapterServices`, `spec.adapterDiscovery`: how clients reach
//! the server.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::NetworkPolicyPeer;
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

    /// Call the API over https although `certSecretName` is not set: for a server behind a proxy that terminates TLS. It does not
    /// enable TLS in the server. Default: false.
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

    /// Secret with `tls.crt` and `tls.key` with which the operator identifies itself to the API, if `clientCASecretName` is set.
    /// The certificate must allow client authentication. Without it the operator cannot call the API.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::secret_name())]
    pub operator_cert_secret_name: Option<String>,
}

/// How often the operator queries the server for its adapters.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdapterDiscoverySpec {
    /// Time between two queries, as a Go duration, for example `30s`. Values below 100ms count as 100ms, values above 24h as 24h.
    /// Default: `30s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = defaults::POLLING_INTERVAL))]
    #[schemars(length(max = 64))]
    #[x_kube(validation = rules::positive_go_duration())]
    pub polling_interval: Option<String>,
}

/// How a Service is exposed. An absent field has the API server's default.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Exposure {
    /// Annotations of the Service, for example for the load balancer of your cloud.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,

    /// Class of the load balancer. It cannot be changed while the type is `LoadBalancer`: change the type first.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub load_balancer_class: Option<String>,

    /// Networks (CIDR) that may connect to the load balancer, if your cloud supports it. Empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub load_balancer_source_ranges: Vec<String>,

    /// Whether a load balancer also gets node ports. Default: true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allocate_load_balancer_node_ports: Option<bool>,

    /// `Cluster` or `Local`. `Local` keeps the addresses of clients, which NFS needs to check `allowedClients` and to call back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_traffic_policy: Option<TrafficPolicy>,

    /// `SingleStack`, `PreferDualStack` or `RequireDualStack`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_family_policy: Option<IpFamilyPolicy>,

    /// `IPv4`, `IPv6`, or both, the preferred one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2))]
    pub ip_families: Vec<IpFamily>,
}

impl Exposure {
    /// Takes every field that is not set from `other`. Annotations are merged.
    pub fn inherit(&mut self, other: &Self) {
        fn inherit<T: Clone>(own: &mut Option<T>, other: Option<&T>) {
            if own.is_none() {
                *own = other.cloned();
            }
        }
        let Self {
            annotations,
            load_balancer_class,
            load_balancer_source_ranges,
            allocate_load_balancer_node_ports,
            external_traffic_policy,
            ip_family_policy,
            ip_families,
        } = self;
        inherit(load_balancer_class, other.load_balancer_class.as_ref());
        inherit(
            allocate_load_balancer_node_ports,
            other.allocate_load_balancer_node_ports.as_ref(),
        );
        inherit(external_traffic_policy, other.external_traffic_policy.as_ref());
        inherit(ip_family_policy, other.ip_family_policy.as_ref());
        for (key, value) in &other.annotations {
            annotations.entry(key.clone()).or_insert_with(|| value.clone());
        }
        if load_balancer_source_ranges.is_empty() {
            load_balancer_source_ranges.clone_from(&other.load_balancer_source_ranges);
        }
        if ip_families.is_empty() {
            ip_families.clone_from(&other.ip_families);
        }
    }
}

/// Where a Service sends traffic from outside the cluster.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[schemars(transform = schema::without_description)]
pub enum TrafficPolicy {
    /// To any node.
    Cluster,
    /// Only to a pod on the node that received it. Keeps the client's address.
    Local,
}

/// How many families of addresses a Service has.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[schemars(transform = schema::without_description)]
pub enum IpFamilyPolicy {
    /// One.
    SingleStack,
    /// Two, if the cluster has two.
    PreferDualStack,
    /// Two.
    RequireDualStack,
}

/// A family of addresses.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[schemars(transform = schema::without_description)]
pub enum IpFamily {
    /// IP version 4.
    IPv4,
    /// IP version 6.
    IPv6,
}

/// Services that expose the protocol adapters, one for each adapter that the server runs.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::node_ports_differ())]
pub struct AdapterServicesSpec {
    /// `ClusterIP`, `NodePort` or `LoadBalancer`. Default: `LoadBalancer`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "LoadBalancer"))]
    pub r#type: Option<ServiceType>,

    /// How all adapter Services are exposed.
    #[serde(flatten)]
    pub exposure: Exposure,

    /// Differences for the Service of NFS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nfs: Option<AdapterServiceSpec>,

    /// Differences for the Service of SMB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smb: Option<AdapterServiceSpec>,

    /// Enable the portmapper and UDP of NFS, and expose them with the Service `<name>-nfs-udp`: NFSv3 clients then find the ports
    /// of NFS and MOUNT themselves (`showmount`, automounters). The server uses a change after its next start. Absent: the settings
    /// of the server stay as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nfs_v3_discovery: Option<bool>,
}

/// How the Service of one adapter differs from the others.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdapterServiceSpec {
    /// `ClusterIP`, `NodePort` or `LoadBalancer`. Default: that of `spec.adapterServices`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub r#type: Option<ServiceType>,

    /// Fields that are set here replace those of `spec.adapterServices`. Annotations are merged.
    #[serde(flatten)]
    pub exposure: Exposure,

    /// Node port of the standard port: 2049 for NFS, 445 for SMB. Default: the API server chooses one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub node_port: Option<i32>,

    /// Node port of the adapter's own port, for example 12049. Default: the API server chooses one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub adapter_node_port: Option<i32>,
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

/// The NetworkPolicies of the server. They allow connections to the API, to the metrics if they are enabled, and to the adapters.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerNetworkPolicySpec {
    /// Create the NetworkPolicies `<name>-baseline` and `<name>-adapter-<type>`. If false, the operator deletes them, and your own
    /// policies decide who may connect. Default: true.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = true))]
    pub enabled: Option<bool>,

    /// Sources that may connect, as in a NetworkPolicy. NetworkPolicies add up: in a namespace that denies all traffic by default,
    /// these policies open their ports to these sources. The operator must be among them: it calls the API. Absent or empty: all
    /// sources.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub from: Vec<NetworkPolicyPeer>,

    /// Sources that may connect to the adapters (NFS, SMB). Traffic through a node port or a load balancer can have the address of
    /// a node. Absent or empty: the sources in `from`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub files_from: Vec<NetworkPolicyPeer>,
}
