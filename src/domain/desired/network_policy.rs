//! The baseline NetworkPolicy: the API, and the metrics if they are enabled (contract, section 2.4).

use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;

use super::meta;
use crate::api::{DittoServer, names};

/// Builds the policy. It limits ports, not sources: who may reach the server is the user's own policy to say.
pub(super) fn build(server: &DittoServer) -> NetworkPolicy {
    let name = server.name_any();
    let metadata = meta::owned(server, names::baseline_network_policy(&name));
    let metrics = server.spec.metrics_enabled().then(|| server.spec.metrics_port());
    let ports = [server.spec.api_port()]
        .into_iter()
        .chain(metrics)
        .map(tcp)
        .collect();
    NetworkPolicy {
        metadata: meta::with_label(metadata, names::BASELINE_NETWORK_POLICY_LABEL),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(LabelSelector {
                match_labels: Some(names::selector_labels(&name)),
                ..LabelSelector::default()
            }),
            policy_types: Some(vec!["Ingress".to_owned()]),
            ingress: Some(vec![NetworkPolicyIngressRule {
                ports: Some(ports),
                ..NetworkPolicyIngressRule::default()
            }]),
            ..NetworkPolicySpec::default()
        }),
    }
}

fn tcp(port: i32) -> NetworkPolicyPort {
    NetworkPolicyPort {
        port: Some(IntOrString::Int(port)),
        protocol: Some("TCP".to_owned()),
        ..NetworkPolicyPort::default()
    }
}
