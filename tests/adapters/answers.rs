//! Answers of the API that are unusual, and a server that restarts: the Services and NetworkPolicies at each moment.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::*;
use crate::support::server_double::Door;

const NAMES: [&str; 2] = ["files-adapter-nfs", "files-adapter-smb"];

/// A server whose endpoints need no load balancer.
fn in_cluster() -> DittoServer {
    polled(json!({"adapterServices": {"type": "ClusterIP"}}))
}

/// A new server whose API gives this answer.
async fn answering(adapters: Vec<Value>) -> World {
    let world = World::new("answers").await;
    set(&world, Answer::Adapters(adapters));
    world.create(&in_cluster()).await;
    world.ready("files").await;
    world
}

/// The port that a NetworkPolicy opens.
async fn open_port(world: &World, name: &str) -> Option<IntOrString> {
    let policy: NetworkPolicy = world.get(name).await;
    let rule = policy.spec?.ingress?.into_iter().next()?;
    rule.ports?.into_iter().next()?.port
}

async fn named_ports(world: &World, name: &str) -> Vec<(String, i32)> {
    let service: Service = world.get(name).await;
    let ports = ports(&service).into_iter();
    ports.map(|(name, port, _)| (name, port)).collect()
}

/// UIDs and versions of the Services and NetworkPolicies of NFS and SMB.
async fn versions(world: &World) -> Vec<(Option<String>, Option<String>)> {
    let mut versions = Vec::new();
    for name in NAMES {
        let (service, policy): (Service, NetworkPolicy) = (world.get(name).await, world.get(name).await);
        versions.push((service.uid(), service.resource_version()));
        versions.push((policy.uid(), policy.resource_version()));
    }
    versions
}

/// The writes to Services and NetworkPolicies.
fn writes(world: &World) -> BTreeMap<String, usize> {
    let mut writes = audit::count(&world.audit().writes());
    writes.retain(|what, _| what.ends_with("services") || what.ends_with("networkpolicies"));
    writes
}

fn deletes(world: &World) -> usize {
    let calls = world.audit().writes();
    calls
        .iter()
        .filter(|call| call.verb.starts_with("delete"))
        .count()
}

/// Asserts that answers that say nothing new cause no write.
async fn is_at_rest(world: &World) {
    calls(world, 3).await;
    let before = world.audit().writes();
    calls(world, 5).await;
    assert_eq!(world.audit().writes(), before);
}

fn named(ports: &[(&str, i32)]) -> Vec<(String, i32)> {
    let owned = ports.iter().map(|(name, port)| ((*name).to_owned(), *port));
    owned.collect()
}

#[tokio::test]
async fn an_adapter_of_an_unknown_type_has_a_service_and_a_policy_unless_nobody_knows_its_port() {
    let mut adapters = defaults();
    adapters.extend([healthy("Web_DAV", 8443), healthy("ftp", 0)]);
    let world = answering(adapters).await;
    world
        .server_until("files", "with WebDAV", |server| {
            endpoint(server, "web-dav").is_some()
        })
        .await;
    let ports = named_ports(&world, "files-adapter-web-dav").await;
    assert_eq!(ports.len(), 1, "{ports:?}");
    assert_eq!(ports[0].1, 8443);
    let open = open_port(&world, "files-adapter-web-dav").await;
    assert_eq!(open, Some(IntOrString::Int(8443)));
    is_at_rest(&world).await;
    assert!(world.lacks::<Service>("files-adapter-ftp").await);
    assert!(world.lacks::<NetworkPolicy>("files-adapter-ftp").await);
    assert_eq!(deletes(&world), 0);
}

#[tokio::test]
async fn a_reported_port_of_zero_is_the_port_on_which_the_server_then_listens() {
    let world = answering(vec![healthy("nfs", 0), healthy("smb", 0)]).await;
    let smb = |service: &Service| ports(service).first().is_some_and(|(_, port, _)| *port == 12445);
    wait::until(world.api::<Service>(), "files-adapter-smb", "on 12445", smb).await;
    let nfs = named_ports(&world, "files-adapter-nfs").await;
    assert_eq!(nfs, named(&[("adapter-nfs", 12049), ("nfs", 2049)]));
    let smb = named_ports(&world, "files-adapter-smb").await;
    assert_eq!(smb, named(&[("adapter-smb", 12445), ("smb", 445)]));
    is_at_rest(&world).await;
    for (name, port) in NAMES.into_iter().zip([12049, 12445]) {
        assert_eq!(
            open_port(&world, name).await,
            Some(IntOrString::Int(port)),
            "{name}"
        );
    }
    assert_eq!(deletes(&world), 0);
}

// invariant: 15
#[tokio::test]
async fn an_adapter_that_runs_without_a_listener_has_a_policy_and_no_service_before_it_serves_and_keeps_it_then()
 {
    let smb = |status: &str| {
        let smb = adapter("smb", 1445, true, status);
        assert_eq!(smb["running"], true);
        Answer::Adapters(vec![healthy("nfs", 12049), smb])
    };
    let world = World::new("answers").await;
    set(&world, smb("unknown"));
    world.create(&in_cluster()).await;
    world.ready("files").await;
    is_at_rest(&world).await;
    assert!(world.lacks::<Service>("files-adapter-smb").await);
    assert_eq!(
        open_port(&world, "files-adapter-smb").await,
        Some(IntOrString::Int(1445))
    );

    set(&world, smb("healthy"));
    let is_ready = |server: &DittoServer| endpoint(server, "smb").is_some_and(|found| found.ready);
    world.server_until("files", "with SMB", is_ready).await;
    is_at_rest(&world).await;
    let before = versions(&world).await;

    for status in ["unhealthy", "unknown"] {
        set(&world, smb(status));
        world
            .server_until("files", status, |server| {
                let message = endpoint(server, "smb").and_then(|found| found.message.as_deref());
                message.is_some_and(|message| message.contains(status))
            })
            .await;
        is_at_rest(&world).await;
    }
    assert_eq!(versions(&world).await, before);
    assert_eq!(deletes(&world), 0);
}

// invariant: 15
#[tokio::test]
async fn a_row_that_cannot_be_read_hides_no_other_and_removes_nothing_also_after_a_restart_of_the_operator() {
    let mut world = answering(defaults()).await;
    let before = versions(&world).await;
    for broken in [
        json!({"type": "smb", "enabled": true, "port": 70000}),
        json!({"type": 7, "enabled": true, "port": 1445}),
    ] {
        set(&world, Answer::Adapters(vec![healthy("nfs", 12049), broken]));
        is_at_rest(&world).await;
        assert_eq!(versions(&world).await, before);
        let written = writes(&world);
        world.stop_operator().await;
        world.start_operator().await;
        is_at_rest(&world).await;
        assert_eq!(writes(&world), written);
        let server = world.ready("files").await;
        assert!(
            endpoint(&server, "smb").is_some_and(|found| found.ready),
            "it is not known otherwise"
        );
    }
    let broken = json!({"type": "smb", "enabled": "yes", "port": 1445});
    set(&world, Answer::Adapters(vec![healthy("nfs", 12050), broken]));
    let nfs = |service: &Service| ports(service).first().is_some_and(|(_, port, _)| *port == 12050);
    wait::until(world.api::<Service>(), "files-adapter-nfs", "moved", nfs).await;
    is_at_rest(&world).await;
    let after = versions(&world).await;
    assert_eq!(after[2..], before[2..], "SMB is not touched");
    assert_eq!(after[0].0, before[0].0, "the Service of NFS is the same object");
    assert_eq!(deletes(&world), 0);
}

// invariant: 15
#[tokio::test]
async fn a_server_that_refuses_connections_for_a_while_keeps_its_services_and_policies() {
    let mut door = Door::new();
    let world = World::without_operator("answers").await;
    let world = world.calling(door.template()).await;
    world.create(&in_cluster()).await;
    world.ready("files").await;
    is_at_rest(&world).await;
    let before = (versions(&world).await, writes(&world));
    let is_reachable = |server: &DittoServer, wanted: bool| {
        let api = server.status.as_ref().and_then(|status| status.api.as_ref());
        api.is_some_and(|api| api.reachable == wanted)
    };
    for _ in 0..2 {
        door.close().await;
        let server = world
            .server_until("files", "unreachable", |server| is_reachable(server, false))
            .await;
        assert!(wait::is(&server, "Ready", "True", "AllConditionsMet"));
        assert!(endpoint(&server, "nfs").is_some_and(|found| found.ready));
        assert_eq!((versions(&world).await, writes(&world)), before);
        door.open();
        world
            .server_until("files", "reachable", |server| is_reachable(server, true))
            .await;
        is_at_rest(&world).await;
        assert_eq!((versions(&world).await, writes(&world)), before);
    }
    assert_eq!(deletes(&world), 0);
}
