//! With no change in the cluster, nothing is written.

use std::collections::BTreeMap;

use dittofs_operator::api::DittoServer;
use serde_json::{Value, json};

use crate::support::{World, account, audit, fixtures};

/// Writes since `before` calls. Stops the operator first: a watch reports a write before the audit log does, but an answered call
/// is in the log.
async fn since(world: &mut World, before: usize) -> Vec<audit::Call> {
    world.stop_operator().await;
    world.audit().writes().split_off(before)
}

/// Makes one harmless change and waits until the operator has handled it. Then it has handled everything before as well.
async fn fence(world: &World, value: &str) {
    let edit = json!({"spec": {"adapterDiscovery": {"pollingInterval": value}}});
    world.merge::<DittoServer>("files", edit).await;
    world.observed().await;
}

// invariant: 3
#[tokio::test]
async fn an_annotation_or_label_on_a_server_causes_no_write() {
    let mut world = World::new("fixpoint").await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    fence(&world, "31s").await;
    world.stop_operator().await;
    let before = world.audit().writes().len();
    world.start_operator().await;
    for value in 0..5 {
        let edit = json!({"metadata": {"annotations": {"n": value.to_string()}, "labels": {"n": value.to_string()}}});
        world.merge::<DittoServer>("files", edit).await;
    }
    fence(&world, "32s").await;
    let writes = since(&mut world, before).await;
    assert_eq!(
        audit::count(&writes),
        [("patch dittoservers/status".to_owned(), 1)].into(),
        "only the fence's status"
    );
}

// invariant: 3
#[tokio::test]
async fn a_restarted_operator_writes_nothing_for_a_stable_server() {
    let mut world = World::new("again").await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    fence(&world, "31s").await;
    world.stop_operator().await;
    let before = world.audit().writes().len();
    world.start_operator().await;
    fence(&world, "32s").await;
    let writes = since(&mut world, before).await;
    assert_eq!(
        audit::count(&writes),
        [("patch dittoservers/status".to_owned(), 1)].into()
    );
}

/// Calls for the StatefulSet while an edit of the server is reconciled. A dry run and a read both count as `get`.
async fn about_the_stateful_set(world: &World, edit: Value) -> BTreeMap<String, usize> {
    let calls = || world.audit().calls();
    let before = calls().len();
    world.merge::<DittoServer>("files", edit).await;
    world.ready("files").await;
    let mut calls = calls().split_off(before);
    calls.retain(|call| call.resource == "statefulsets" && call.verb != "watch");
    audit::count(&calls)
}

// invariant: 20
#[tokio::test]
async fn the_stateful_set_is_dry_run_once_when_the_configuration_changes() {
    let world = World::new("asked").await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    // The first apply of a child adopts the fields that the create set.
    let first = json!({"spec": {"logging": {"level": "WARN"}, "image": "example.org/dittofs:1"}});
    about_the_stateful_set(&world, first).await;
    let image = about_the_stateful_set(&world, json!({"spec": {"image": "example.org/dittofs:2"}})).await;
    let level = about_the_stateful_set(&world, json!({"spec": {"logging": {"level": "DEBUG"}}})).await;
    let calls = BTreeMap::from(
        [("get statefulsets", 1), ("patch statefulsets", 1)].map(|(call, count)| (call.to_owned(), count)),
    );
    assert_eq!(image, calls, "read, applied");
    assert_eq!(level, calls, "asked, applied");
}

#[tokio::test]
async fn two_operators_at_the_same_time_do_not_conflict() {
    let world = World::new("two").await;
    let config = account::config(world.control_plane()).await;
    let second = crate::support::Operator::start(config, vec![world.namespace.clone()]).await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    fence(&world, "31s").await;
    let writes = world.audit().writes();
    let created = writes
        .iter()
        .filter(|call| call.verb == "create" && call.code == 201 && call.resource == "secrets");
    assert_eq!(created.count(), 2, "no Secret was generated twice");
    second.stop().await;
}
