//! The Services and NetworkPolicies of adapters that the Go operator made.

use k8s_openapi::api::core::v1::{Service, ServicePort};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::ResourceExt;

use super::go_operator::{self, NFS};
use crate::support::{World, wait};

fn ports(service: &Service) -> Vec<ServicePort> {
    let ports = service.spec.as_ref().and_then(|spec| spec.ports.clone());
    ports.unwrap_or_default()
}

/// What clients hold: the object, its address, and the node port of the adapter.
fn held(service: &Service) -> (Option<String>, Option<String>, Option<i32>) {
    let ports = ports(service);
    let adapter = ports
        .iter()
        .find(|port| port.name.as_deref() == Some("adapter-nfs"));
    let address = service.spec.as_ref().and_then(|spec| spec.cluster_ip.clone());
    (service.uid(), address, adapter.and_then(|port| port.node_port))
}

fn is_ours(service: &Service) -> bool {
    let ports = ports(service);
    let mut names: Vec<&str> = ports.iter().filter_map(|port| port.name.as_deref()).collect();
    names.sort_unstable();
    let is_tcp = |port: &ServicePort| port.protocol.as_deref() == Some("TCP");
    names == ["adapter-nfs", "nfs"] && ports.iter().all(is_tcp)
}

fn opens_nfs_only(policy: &NetworkPolicy) -> bool {
    let rules = policy.spec.iter().flat_map(|spec| spec.ingress.iter().flatten());
    let ports: Vec<_> = rules.flat_map(|rule| rule.ports.iter().flatten()).collect();
    matches!(ports.as_slice(), [port] if port.protocol.as_deref() == Some("TCP"))
}

// invariant: 15
#[tokio::test]
async fn clients_keep_the_addresses_of_adapters_in_a_migration_and_on_the_way_back() {
    let mut world = World::without_operator("adapters").await;
    go_operator::set_up(&world).await;
    let before: Service = world.get(NFS).await;
    let policy = world.get::<NetworkPolicy>(NFS).await.uid();
    assert!(held(&before).2.is_some(), "it has a node port");
    world.start_operator().await;
    let ours = wait::until(world.api::<Service>(), NFS, "ours", is_ours).await;
    assert_eq!(held(&ours), held(&before), "the migration");
    let opened = wait::until(world.api::<NetworkPolicy>(), NFS, "ours", opens_nfs_only).await;
    assert_eq!(opened.uid(), policy);
    world.stop_operator().await;
    go_operator::come_back_for_adapters(&world).await;
    let back: Service = world.get(NFS).await;
    assert_eq!(held(&back), held(&before), "the way back");
    assert!(!is_ours(&back));
    world.start_operator().await;
    let again = wait::until(world.api::<Service>(), NFS, "ours again", is_ours).await;
    assert_eq!(held(&again), held(&before), "the second migration");
}
