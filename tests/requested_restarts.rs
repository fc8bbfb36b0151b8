//! An adapter of a server is restarted when the user asks for it, and only then.

use dittofs_operator::api::{AdapterRestartStatus, DittoServer};
use http::Method;
use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt;
use serde_json::{Value, json};

use crate::support::server_double::{self, Database};
use crate::support::{World, fixtures, wait};

const MARK: &str = "dittofs_operator_restart";

fn polled(spec: Value) -> DittoServer {
    let mut merged = json!({"adapterDiscovery": {"pollingInterval": "100ms"}});
    if let (Some(merged), Value::Object(spec)) = (merged.as_object_mut(), spec) {
        merged.extend(spec);
    }
    fixtures::server("files", merged)
}

async fn running(world: &World, spec: Value) {
    world.create(&polled(spec)).await;
    world.ready("files").await;
}

async fn request(world: &World, value: &str) {
    let annotations = json!({"dittofs.dittofs.com/restart-nfs": value});
    world
        .merge::<DittoServer>("files", json!({"metadata": {"annotations": annotations}}))
        .await;
}

fn with<T>(world: &World, change: impl FnOnce(&mut Database) -> T) -> T {
    server_double::with(&world.namespace, "files", change)
}

/// Waits until the status of NFS is as wanted.
async fn until(world: &World, what: &str, holds: impl Fn(&AdapterRestartStatus) -> bool) {
    world
        .server_until("files", what, |server| {
            let mut known = server.status.iter().flat_map(|status| &status.adapter_restarts);
            known.any(|known| known.adapter == "nfs" && holds(known))
        })
        .await;
}

async fn handled(world: &World, value: &str) {
    until(world, "handled", |known| {
        known.last_request.as_deref() == Some(value)
    })
    .await;
}

/// `enabled` of each PUT of the NFS adapter.
fn puts(world: &World) -> Vec<bool> {
    let calls = server_double::calls(&world.namespace, "files").into_iter();
    let puts = calls.filter(|call| call.method == Method::PUT && call.path == "adapters/nfs");
    puts.map(|call| call.body["enabled"] == true).collect()
}

fn is_enabled(world: &World) -> bool {
    with(world, |database| database.adapters["nfs"]["enabled"] == true)
}

#[tokio::test]
async fn a_setting_that_needs_a_restart_says_how_to_ask_and_each_request_makes_one_restart() {
    let mut world = World::new("restart").await;
    with(&world, |database| {
        database.adapters.entry("nfs".into()).or_default()["config"] = json!({"tls": {"mode": "require"}});
    });
    running(&world, json!({"adapterServices": {"nfsV3Discovery": true}})).await;
    until(&world, "to be restarted", |known| known.required).await;
    let note = world.event_note("AdapterRestartRequired").await;
    assert!(
        note.contains("kubectl annotate --overwrite dittoserver files dittofs.dittofs.com/restart-nfs="),
        "{note}"
    );
    assert!(puts(&world).is_empty(), "not without a request");

    request(&world, "one").await;
    handled(&world, "one").await;
    until(&world, "restarted", |known| {
        !known.required && known.message.is_none()
    })
    .await;
    world.event_note("AdapterRestarted").await;
    assert_eq!(puts(&world), [false, true]);
    let config = with(&world, |database| database.adapters["nfs"]["config"].clone());
    assert_eq!(
        config["tls"]["mode"], "require",
        "the rest of the configuration stays"
    );

    world.stop_operator().await;
    world.start_operator().await;
    request(&world, "two").await;
    handled(&world, "two").await;
    assert_eq!(puts(&world), [false, true, false, true]);
}

#[tokio::test]
async fn an_operator_that_is_killed_between_the_two_calls_leaves_the_second_to_the_next_one() {
    let mut world = World::new("restart").await;
    running(&world, json!({"adapterServices": {"type": "ClusterIP"}})).await;
    let service: Service = world.get("files-adapter-nfs").await;
    with(&world, |database| {
        database.refuses = Some(json!({"enabled": true}));
    });
    request(&world, "one").await;
    until(&world, "to be retried", |known| {
        known.last_request.is_none() && known.message.is_some()
    })
    .await;
    assert!(!is_enabled(&world));
    world.stop_operator().await;
    with(&world, |database| database.refuses = None);
    assert!(!is_enabled(&world));
    world.start_operator().await;
    handled(&world, "one").await;
    assert!(is_enabled(&world));
    let stops = puts(&world).iter().filter(|enabled| !**enabled).count();
    assert_eq!(stops, 1, "it is disabled once");
    let same: Service = world.get("files-adapter-nfs").await;
    assert_eq!(same.uid(), service.uid(), "clients keep the address");
}

#[tokio::test]
async fn a_restart_whose_operator_was_killed_before_it_could_say_so_is_not_repeated() {
    let world = World::new("restart").await;
    running(&world, json!({})).await;
    with(&world, |database| {
        database.adapters.entry("nfs".into()).or_default()["config"] =
            json!({MARK: {"request": "one", "stopped": false}});
    });
    request(&world, "one").await;
    handled(&world, "one").await;
    assert!(puts(&world).is_empty());
}

#[tokio::test]
async fn an_adapter_that_a_person_disabled_is_never_enabled() {
    let world = World::new("restart").await;
    running(&world, json!({})).await;
    with(&world, |database| {
        database.adapters.entry("nfs".into()).or_default()["enabled"] = json!(false);
    });
    request(&world, "one").await;
    handled(&world, "one").await;
    let note = world.event_note("AdapterNotRestarted").await;
    assert!(note.contains("disabled"), "{note}");
    assert_eq!((puts(&world), is_enabled(&world)), (vec![], false));
}

#[tokio::test]
async fn a_paused_server_is_restarted_when_it_is_resumed() {
    let world = World::new("restart").await;
    running(&world, json!({})).await;
    let paused =
        |value: Option<&str>| json!({"metadata": {"annotations": {"dittofs.dittofs.com/paused": value}}});
    world.merge::<DittoServer>("files", paused(Some("true"))).await;
    world
        .server_until("files", "paused", |server| {
            wait::is(server, "Progressing", "False", "Paused")
        })
        .await;
    request(&world, "one").await;
    assert!(puts(&world).is_empty());
    world.merge::<DittoServer>("files", paused(None)).await;
    handled(&world, "one").await;
    assert_eq!(puts(&world), [false, true]);
}
