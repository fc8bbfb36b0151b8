//! A deletion with `--cascade=orphan`: the usual way to delete an object and keep what belongs to it.

use dittofs_operator::api::DittoServer;
use dittofs_operator::api::percona::PerconaPGCluster;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt;
use kube::api::DeleteParams;
use serde_json::json;

use super::{left, percona, storage};
use crate::support::{World, fixtures, wait};

/// Deletes the server and keeps its children.
async fn orphan(world: &World) {
    let uid = world.get::<DittoServer>("files").await.uid();
    let servers = world.api::<DittoServer>();
    servers
        .delete("files", &DeleteParams::orphan())
        .await
        .expect("a deletion");
    wait::until_gone(servers, "files", uid).await;
}

#[tokio::test]
async fn no_data_is_deleted_with_a_server_whose_children_are_kept_and_the_event_says_so() {
    let world = World::new("orphan").await;
    let _simulator = world.percona().await;
    let spec = json!({"storage": storage("Delete"), "percona": percona(true)});
    world.create(&fixtures::server("files", spec)).await;
    world.ready("files").await;
    let before = left(&world).await;
    orphan(&world).await;
    assert!(world.event_note("DataKept").await.contains("--cascade=orphan"));
    assert_eq!(left(&world).await, before);
    let set: StatefulSet = world.get("files").await;
    assert_eq!(set.metadata.deletion_timestamp, None);
    assert_eq!(
        world
            .get::<PerconaPGCluster>("files-postgres")
            .await
            .owner_references(),
        []
    );
    let _: Service = world.get("files-api").await;
}

#[tokio::test]
async fn no_data_is_deleted_if_the_operator_sees_the_deletion_only_after_the_children_were_orphaned() {
    let mut world = World::new("orphanlate").await;
    world
        .create(&fixtures::server("files", json!({"storage": storage("Delete")})))
        .await;
    world.ready("files").await;
    let before = left(&world).await;
    world.stop_operator().await;
    let servers = world.api::<DittoServer>();
    servers
        .delete("files", &DeleteParams::orphan())
        .await
        .expect("a deletion");
    let is_orphaned =
        |server: &DittoServer| !server.finalizers().iter().any(|finalizer| finalizer == "orphan");
    let server = world.server_until("files", "orphaned", is_orphaned).await;
    world.start_operator().await;
    wait::until_gone(servers, "files", server.uid()).await;
    assert_eq!(left(&world).await, before);
    let _: StatefulSet = world.get("files").await;
}

#[tokio::test]
async fn the_children_that_were_kept_are_used_by_the_server_when_it_is_created_again() {
    let world = World::new("orphanback").await;
    let server = fixtures::server("files", json!({"storage": storage("Delete")}));
    world.create(&server).await;
    world.ready("files").await;
    let set = world.get::<StatefulSet>("files").await.uid();
    orphan(&world).await;
    world.create(&server).await;
    world.ready("files").await;
    assert_eq!(world.get::<StatefulSet>("files").await.uid(), set);
}
