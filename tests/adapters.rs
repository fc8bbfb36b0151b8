//! The Services and NetworkPolicies of the adapters, as the API of the server changes.

mod answers;

use std::time::Duration;

use dittofs_operator::api::{DittoServer, Endpoint};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::ResourceExt;
use serde_json::{Value, json};

use crate::support::process::POLL;
use crate::support::server_double::{self, Answer, adapter, defaults, healthy};
use crate::support::{World, audit, fixtures, wait};

/// A server whose adapters are asked often.
fn polled(spec: Value) -> DittoServer {
    let mut merged = json!({"adapterDiscovery": {"pollingInterval": "100ms"}});
    if let (Some(merged), Value::Object(spec)) = (merged.as_object_mut(), spec) {
        merged.extend(spec);
    }
    fixtures::server("files", merged)
}

fn ports(service: &Service) -> Vec<(String, i32, String)> {
    let ports = service.spec.as_ref().and_then(|spec| spec.ports.clone());
    let text = |target: Option<_>| serde_json::to_value(target).expect("JSON").to_string();
    ports
        .unwrap_or_default()
        .into_iter()
        .map(|port| (port.name.unwrap_or_default(), port.port, text(port.target_port)))
        .collect()
}

async fn calls(world: &World, count: usize) {
    let before = server_double::calls(&world.namespace, "files").len();
    let is_asked = async || server_double::calls(&world.namespace, "files").len() >= before + count;
    wait::holds("asked", wait::LONGEST, POLL, is_asked).await;
}

fn set(world: &World, answer: Answer) {
    server_double::set(&world.namespace, "files", answer);
}

fn endpoint<'a>(server: &'a DittoServer, protocol: &str) -> Option<&'a Endpoint> {
    let endpoints = &server.status.as_ref()?.endpoints;
    endpoints.iter().find(|endpoint| endpoint.protocol == protocol)
}

#[tokio::test]
async fn each_adapter_that_serves_has_a_service_a_policy_and_an_endpoint() {
    let world = World::new("adapters").await;
    world
        .create(&polled(json!({"adapterServices": {
            "type": "ClusterIP",
            "smb": {"type": "NodePort", "annotations": {"a": "b"}},
        }})))
        .await;
    let server = world.ready("files").await;
    let nfs: Service = world.get("files-adapter-nfs").await;
    let port = |name: &str, number, target: &str| (name.to_owned(), number, target.to_owned());
    assert_eq!(
        ports(&nfs),
        [port("adapter-nfs", 12049, "12049"), port("nfs", 2049, "12049")]
    );
    assert_eq!(nfs.labels()["dittofs.io/adapter-type"], "nfs");
    let smb: Service = world.get("files-adapter-smb").await;
    assert_eq!(
        ports(&smb),
        [port("adapter-smb", 1445, "1445"), port("smb", 445, "1445")]
    );
    assert_eq!(smb.annotations()["a"], "b");
    let _: NetworkPolicy = world.get("files-adapter-nfs").await;
    let _: NetworkPolicy = world.get("files-adapter-smb").await;

    let found = endpoint(&server, "nfs").expect("an endpoint");
    let cluster_ip = nfs.spec.as_ref().and_then(|spec| spec.cluster_ip.clone());
    assert_eq!(
        (found.host.as_str(), found.port, found.ready),
        (
            format!("files-adapter-nfs.{}.svc", world.namespace).as_str(),
            2049,
            true
        )
    );
    assert_eq!(found.cluster_ip, cluster_ip);
    let found = endpoint(&server, "smb").expect("an endpoint");
    assert!(found.node_port.is_some_and(|port| port >= 30000), "{found:?}");
}

#[tokio::test]
async fn the_ports_of_files_are_open_before_the_server_has_answered() {
    let world = World::new("adapters").await;
    set(&world, Answer::Raw(504, String::new()));
    world.create(&polled(json!({}))).await;
    for name in ["files-adapter-nfs", "files-adapter-smb"] {
        wait::until(world.api::<NetworkPolicy>(), name, "there", |_| true).await;
    }
}

// invariant: 15
#[tokio::test]
async fn no_broken_answer_and_no_stopped_server_removes_or_changes_a_service() {
    let world = World::new("adapters").await;
    world.create(&polled(json!({}))).await;
    world.ready("files").await;
    let before: Service = world.get("files-adapter-nfs").await;
    for answer in [
        Answer::Raw(401, "Unauthorized\n".into()),
        Answer::Raw(403, "Forbidden\n".into()),
        Answer::Raw(413, r#"{"title": "too large"}"#.into()),
        Answer::Raw(500, r#"{"title": "error"}"#.into()),
        Answer::Raw(504, String::new()),
        Answer::Raw(200, String::new()),
        Answer::Raw(200, "null".into()),
        Answer::Raw(200, "[{\"type\": 7}]".into()),
        Answer::Raw(200, format!("[\"{}\"]", "x".repeat(10 << 20))),
        Answer::Truncated,
        Answer::Slow(Duration::from_secs(1)),
        Answer::Adapters(vec![]),
    ] {
        set(&world, answer);
        calls(&world, 2).await;
    }
    world
        .merge::<DittoServer>("files", json!({"spec": {"replicas": 0}}))
        .await;
    world
        .server_until("files", "stopped", |server| {
            wait::is(server, "Available", "True", "Stopped")
        })
        .await;
    let after: Service = world.get("files-adapter-nfs").await;
    assert_eq!(after.resource_version(), before.resource_version());
    let writes = audit::count(&world.audit().writes());
    assert_eq!(writes.get("delete services"), None, "{writes:?}");
}

#[tokio::test]
async fn an_adapter_that_is_disabled_loses_its_service_after_two_answers_and_gets_it_back() {
    let world = World::new("adapters").await;
    world.create(&polled(json!({}))).await;
    world.ready("files").await;
    let uid = world.get::<Service>("files-adapter-smb").await.uid();
    let disabled = vec![healthy("nfs", 12049), adapter("smb", 1445, false, "unknown")];
    set(&world, Answer::Adapters(disabled));
    wait::until_gone(world.api::<Service>(), "files-adapter-smb", uid).await;
    let policy = world.api::<NetworkPolicy>();
    wait::until_gone(policy, "files-adapter-smb", None).await;
    world
        .server_until("files", "without SMB", |server| endpoint(server, "smb").is_none())
        .await;
    set(&world, Answer::Adapters(defaults()));
    world
        .server_until("files", "with SMB", |server| endpoint(server, "smb").is_some())
        .await;
}

// invariant: 15
#[tokio::test]
async fn an_adapter_that_moves_to_another_port_keeps_its_service_its_address_and_its_node_ports() {
    let world = World::new("adapters").await;
    world
        .create(&polled(json!({"adapterServices": {"type": "NodePort"}})))
        .await;
    world.ready("files").await;
    let before: Service = world.get("files-adapter-nfs").await;
    set(
        &world,
        Answer::Adapters(vec![healthy("nfs", 12050), healthy("smb", 1445)]),
    );
    let after = wait::until(world.api::<Service>(), "files-adapter-nfs", "moved", |service| {
        ports(service).first().is_some_and(|(_, port, _)| *port == 12050)
    })
    .await;
    assert_eq!(after.uid(), before.uid());
    let spec = |service: &Service| service.spec.clone().expect("a spec");
    assert_eq!(spec(&after).cluster_ip, spec(&before).cluster_ip);
    let node_ports = |service: &Service| -> Vec<Option<i32>> {
        let ports = spec(service).ports.unwrap_or_default();
        ports.iter().map(|port| port.node_port).collect()
    };
    assert_eq!(node_ports(&after), node_ports(&before));
}

#[tokio::test]
async fn an_api_that_does_not_answer_is_an_event_and_a_status_and_changes_no_condition() {
    let world = World::new("adapters").await;
    world.create(&polled(json!({}))).await;
    world.ready("files").await;
    set(&world, Answer::Raw(401, "Unauthorized\n".into()));
    let server = world
        .server_until("files", "unreachable", |server| {
            let api = server.status.as_ref().and_then(|status| status.api.as_ref());
            api.is_some_and(|api| !api.reachable && api.last_success.is_some())
        })
        .await;
    assert!(wait::is(&server, "Ready", "True", "AllConditionsMet"));
    let note = world.event_note("APIUnreachable").await;
    assert!(note.contains("401") && note.contains("signing key"), "{note}");
    set(&world, Answer::Adapters(defaults()));
    world.event_note("APIReachable").await;
    world.ready("files").await;
}

#[tokio::test]
async fn a_server_of_which_nothing_new_is_known_is_not_reconciled_and_its_calls_have_a_signed_token() {
    let world = World::new("adapters").await;
    world.create(&polled(json!({}))).await;
    world.ready("files").await;
    calls(&world, 3).await;
    let writes = world.audit().writes().len();
    calls(&world, 10).await;
    assert_eq!(world.audit().writes().len(), writes);
    let calls = server_double::calls(&world.namespace, "files");
    for call in calls {
        assert_eq!((call.method.as_str(), call.path.as_str()), ("GET", "adapters"));
        assert!(call.token.starts_with("Bearer eyJ"), "{}", call.token.len());
    }
}
