//! `spec.podTemplate`: additions to the server's pod.
//!
//! It is a part of a pod template, not a whole one: command, arguments, probes and ports of the server have no field here. Containers,
//! volumes and affinity are open objects in the schema. Their full schemas would triple the size of the definition and of the
//! reference, and remove fields of newer Kubernetes versions without a message. They are checked twice instead: by the operator,
//! which names an unknown field or a wrong type, and by a dry run of the pod before it replaces the running one.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    EnvFromSource, EnvVar, HostAlias, LocalObjectReference, PodDNSConfig, Toleration,
    TopologySpreadConstraint, VolumeMount,
};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use strum::IntoStaticStr;

use super::rules::pod_template as rules;
use super::schema;

/// When the kubelet pulls the image of the server.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[schemars(transform = schema::without_description)]
pub enum PullPolicy {
    /// At each start.
    Always,
    /// If the node does not have it.
    IfNotPresent,
    /// Never: the node must have it.
    Never,
}

/// How the pod resolves names.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[schemars(transform = schema::without_description)]
pub enum DnsPolicy {
    /// By the cluster.
    ClusterFirst,
    /// By the cluster, in the host's network.
    ClusterFirstWithHostNet,
    /// As the node.
    Default,
    /// Only by `dnsConfig`.
    None,
}

/// A PodDisruptionBudget for the server's pod.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodDisruptionBudgetSpec {
    /// Create a PodDisruptionBudget with `maxUnavailable: 0`. A server has one pod, so the budget blocks every eviction: `kubectl drain`
    /// and the cluster autoscaler wait until you stop the server or switch the budget off. If false, the operator deletes it.
    /// Default: false.
    #[serde(default)]
    pub enabled: bool,
}

/// Additions to the server's pod. They are merged into the pod of the operator as the API server merges: lists by name, mount path or
/// IP. An edit restarts the server, because it changes the pod template.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodTemplate {
    /// Labels of the pod, in addition to those of the operator.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[x_kube(validation = rules::labels())]
    pub labels: BTreeMap<String, String>,

    /// Annotations of the pod, in addition to that of the operator.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[x_kube(validation = rules::annotations())]
    pub annotations: BTreeMap<String, String>,

    /// Secrets with the credentials of private registries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::pull_secrets")]
    pub image_pull_secrets: Vec<LocalObjectReference>,

    /// `Always`, `IfNotPresent` or `Never`, for the image of the server. Default: `Always` for the tag `latest`, otherwise
    /// `IfNotPresent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_pull_policy: Option<PullPolicy>,

    /// Labels that a node must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,

    /// Rules for nodes and other pods, as in any pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::open_object")]
    pub affinity: Option<Value>,

    /// Taints of nodes that the pod tolerates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub tolerations: Vec<Toleration>,

    /// How pods are spread over zones and nodes. A server has one pod, so select the pods of several servers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::topology_spread_constraints")]
    pub topology_spread_constraints: Vec<TopologySpreadConstraint>,

    /// `PriorityClass` of the pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub priority_class_name: Option<String>,

    /// `RuntimeClass` of the pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub runtime_class_name: Option<String>,

    /// `ServiceAccount` of the pod. Its token is not mounted: a container that needs one needs a projected volume.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub service_account_name: Option<String>,

    /// Lines for `/etc/hosts`, for example for domain controllers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::host_aliases")]
    pub host_aliases: Vec<HostAlias>,

    /// `ClusterFirst`, `ClusterFirstWithHostNet`, `Default` or `None`. Default: `ClusterFirst`, or `ClusterFirstWithHostNet` with
    /// `hostNetwork`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns_policy: Option<DnsPolicy>,

    /// Name servers, search domains and options of the resolver, for example those of an Active Directory.
    #[serde(rename = "dnsConfig", skip_serializing_if = "Option::is_none")]
    pub dns_config: Option<PodDNSConfig>,

    /// Run in the network of the node. NetworkPolicies then do not apply to the pod, every port of the server is open on the node, and
    /// two servers on one node need different ports. The operator warns with an event. Default: false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub host_network: bool,

    /// Variables of the server's container. A variable of the server (`DITTOFS_<section>_<key>`) replaces the value in its
    /// configuration file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::environment")]
    pub env: Vec<EnvVar>,

    /// ConfigMaps and Secrets whose keys become variables of the server's container. The operator does not see these variables: a
    /// variable of the server among them replaces the value in its configuration file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::environment_sources")]
    pub env_from: Vec<EnvFromSource>,

    /// Volumes of the pod, as in any pod.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::volumes")]
    pub volumes: Vec<Value>,

    /// Mounts of the server's container.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::volume_mounts")]
    pub volume_mounts: Vec<VolumeMount>,

    /// Containers that run before the server, as in any pod. With `restartPolicy: Always` they run next to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::containers")]
    pub init_containers: Vec<Value>,

    /// Containers that run next to the server, as in any pod. They share its network and can mount its volumes. Security contexts are
    /// not added to them. The server is ready only if they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::containers")]
    pub sidecars: Vec<Value>,
}
