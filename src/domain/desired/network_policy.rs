//! The baseline NetworkPolicy: the API, and the metrics if they are enabled (contract, section 2.4).

use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;
use kube::api::ObjectMeta;

use super::meta;
use crate::api::{DittoServer, names};

/// Builds the policy. `None` if the spec disables it: an existing one of ours is then deleted.
///
/// Policies add up, so in a namespace that denies traffic by default this one opens its ports. By default it opens them to all
/// sources, as the Go operator does; `spec.networkPolicy.from` limits them.
pub(super) fn build(server: &DittoServer) -> Option<NetworkPolicy> {
    if !server.spec.network_policy_enabled() {
        return None;
    }
    let metadata = meta::owned(server, names::baseline_network_policy(&server.name_any()));
    let metadata = meta::with_label(metadata, names::BASELINE_NETWORK_POLICY_LABEL);
    let metrics = server.spec.metrics_enabled().then(|| server.spec.metrics_port());
    let ports = [server.spec.api_port()].into_iter().chain(metrics);
    let ports = ports.map(|number| port(number, "TCP")).collect();
    Some(ingress(server, metadata, ports, server.spec.allowed_sources()))
}

/// A policy that opens ports of the server's pod to these sources; `None` means all.
pub(super) fn ingress(
    server: &DittoServer,
    metadata: ObjectMeta,
    ports: Vec<NetworkPolicyPort>,
    from: Option<&[NetworkPolicyPeer]>,
) -> NetworkPolicy {
    NetworkPolicy {
        metadata,
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(LabelSelector {
                match_labels: Some(names::selector_labels(&server.name_any())),
                ..LabelSelector::default()
            }),
            policy_types: Some(vec!["Ingress".to_owned()]),
            ingress: Some(vec![NetworkPolicyIngressRule {
                ports: Some(ports),
                from: from.map(<[_]>::to_vec),
            }]),
            ..NetworkPolicySpec::default()
        }),
    }
}

pub(super) fn port(port: i32, protocol: &str) -> NetworkPolicyPort {
    NetworkPolicyPort {
        port: Some(IntOrString::Int(port)),
        protocol: Some(protocol.to_owned()),
        ..NetworkPolicyPort::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::testing;

    fn built(spec: &str) -> Option<serde_json::Value> {
        let policy = build(&testing::server(spec))?;
        Some(serde_json::to_value(policy.spec).unwrap())
    }

    #[test]
    fn the_policy_can_be_disabled_and_its_sources_limited() {
        assert_eq!(built("networkPolicy: {enabled: false}"), None);
        assert_eq!(
            built("networkPolicy: {enabled: false, from: [{podSelector: {}}]}"),
            None
        );
        let limited =
            built("networkPolicy: {from: [{ipBlock: {cidr: 192.0.2.0/24}}, {podSelector: {}}]}").unwrap();
        assert_eq!(
            limited["ingress"][0]["from"],
            json!([{"ipBlock": {"cidr": "192.0.2.0/24"}}, {"podSelector": {}}])
        );
    }

    #[test]
    fn without_sources_the_policy_is_the_same_as_without_the_field() {
        let unlimited = built("").unwrap();
        assert!(unlimited["ingress"][0].get("from").is_none(), "{unlimited}");
        for spec in [
            "networkPolicy: {}",
            "networkPolicy: {enabled: true}",
            "networkPolicy: {from: []}",
        ] {
            assert_eq!(built(spec).as_ref(), Some(&unlimited), "{spec}");
        }
    }
}
