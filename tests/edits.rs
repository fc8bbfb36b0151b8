//! What an edit of a server costs in calls.

use std::collections::BTreeMap;

use dittofs_operator::api::DittoServer;
use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt;
use serde_json::json;

use crate::support::{World, audit, fixtures};

const SERVICE: &str = "files-api";

/// Edits the annotations of the API Service. Returns the calls for that Service.
async fn edit(world: &World, value: &str) -> BTreeMap<String, usize> {
    let before = world.audit().calls().len();
    let edit = json!({"spec": {"service": {"annotations": {"example.com/pool": value}}}});
    world.merge::<DittoServer>("files", edit).await;
    world.observed().await;
    let service: Service = world.get(SERVICE).await;
    assert_eq!(service.annotations()["example.com/pool"], value);
    let mut calls = world.audit().calls().split_off(before);
    calls.retain(|call| call.name == SERVICE);
    audit::count(&calls)
}

#[tokio::test]
async fn the_first_edit_of_a_child_takes_two_calls_and_each_later_one_takes_one() {
    let world = World::new("edits").await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    let patches = |count| BTreeMap::from([("patch services".to_owned(), count)]);
    assert_eq!(
        edit(&world, "a").await,
        patches(2),
        "it moves the fields to an Apply entry"
    );
    assert_eq!(edit(&world, "b").await, patches(1));
    assert_eq!(edit(&world, "c").await, patches(1));
}

#[tokio::test]
async fn an_edit_of_a_child_that_someone_else_has_written_keeps_what_they_set() {
    let world = World::new("edits-other").await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    edit(&world, "a").await;
    let theirs = json!({"metadata": {"annotations": {"example.com/owner": "team"}}});
    world.merge::<Service>(SERVICE, theirs).await;
    edit(&world, "b").await;
    let service: Service = world.get(SERVICE).await;
    assert_eq!(service.annotations()["example.com/owner"], "team");
}

#[tokio::test]
async fn a_field_that_leaves_the_spec_after_edits_without_a_read_leaves_the_child() {
    let world = World::new("edits-removed").await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    edit(&world, "a").await;
    let edit = json!({"spec": {"service": {"annotations": null}}});
    world.merge::<DittoServer>("files", edit).await;
    world.observed().await;
    let service: Service = world.get(SERVICE).await;
    assert!(
        !service.annotations().contains_key("example.com/pool"),
        "{:?}",
        service.annotations()
    );
}
