//! What happens to the database and to the Secrets that it uses.

use std::time::Instant;

use dittofs_operator::api::DittoServer;
use dittofs_operator::api::percona::PerconaPGCluster;
use kube::ResourceExt;
use kube::api::DeleteParams;
use serde_json::{Value, json};

use super::{DATABASE_SECRETS, SECRETS, claims_go, delete, gone, has_finalizer, left, percona, storage};
use crate::support::{World, fixtures, wait};

#[tokio::test]
async fn a_database_with_delete_with_server_is_deleted_with_its_secrets() {
    let world = World::new("dbgoes").await;
    let simulator = world.percona().await;
    let spec = json!({"percona": percona(true), "storage": storage("Delete")});
    world.create(&fixtures::server("files", spec)).await;
    assert!(has_finalizer(&world.ready("files").await));
    let cluster: PerconaPGCluster = world.get("files-postgres").await;
    assert!(cluster.finalizers().is_empty() && cluster.owner_references().is_empty());
    delete(&world, "deleteWithServer and retention: Delete").await;
    assert_eq!(left(&world).await, Vec::<String>::new());
    world.event_note("PerconaDeleted").await;
    simulator.check().expect("the database operator lives");
}

#[tokio::test]
async fn a_kept_database_keeps_the_secrets_that_it_uses() {
    let world = World::new("dbstays").await;
    let simulator = world.percona().await;
    let spec = json!({"percona": percona(false), "storage": storage("Delete")});
    world.create(&fixtures::server("files", spec)).await;
    world.ready("files").await;
    delete(&world, "retention: Delete with a kept database").await;
    let kept: [&[&str]; 3] = [&["database/files-postgres"], &SECRETS, &DATABASE_SECRETS];
    assert_eq!(left(&world).await, kept.concat());
    simulator.check().expect("the database operator lives");
}

#[tokio::test]
async fn the_volumes_of_a_deleted_database_keep_the_secrets_that_it_used() {
    let world = World::new("dbremains").await;
    let simulator = world.percona().await;
    let spec = json!({"percona": percona(false), "storage": storage("Delete")});
    world.create(&fixtures::server("files", spec)).await;
    world.ready("files").await;
    world
        .merge::<DittoServer>("files", json!({"spec": {"percona": {"enabled": false}}}))
        .await;
    world
        .server_until("files", "without database", |server| {
            wait::condition(server, "DatabaseReady").is_none()
        })
        .await;
    world.delete::<PerconaPGCluster>("files-postgres").await;
    gone(world.api::<PerconaPGCluster>(), "files-postgres").await;
    delete(&world, "retention: Delete beside what is left of a database").await;
    claims_go(&world).await;
    assert_eq!(left(&world).await, [SECRETS, DATABASE_SECRETS].concat());
    simulator.check().expect("the database operator lives");
}

// invariant: 6, 11
#[tokio::test]
async fn a_database_policy_that_was_changed_while_the_operator_was_down_still_keeps_the_data() {
    let mut world = World::new("change").await;
    let simulator = world.percona().await;
    world
        .create(&fixtures::server("files", json!({"percona": percona(true)})))
        .await;
    world.ready("files").await;
    let cluster: PerconaPGCluster = world.get("files-postgres").await;
    world.stop_operator().await;

    world
        .merge::<DittoServer>("files", json!({"spec": {"percona": {"deleteWithServer": false}}}))
        .await;
    let start = Instant::now();
    let server: DittoServer = world.get("files").await;
    world.delete::<DittoServer>("files").await;
    world.start_operator().await;
    wait::until_gone(world.api::<DittoServer>(), "files", server.uid()).await;
    println!(
        "delete, operator down, then up, policy changed meanwhile: {:.1} s; left: {}",
        start.elapsed().as_secs_f32(),
        left(&world).await.join(", ")
    );
    let kept: PerconaPGCluster = world.get("files-postgres").await;
    assert_eq!(kept.uid(), cluster.uid());
    assert!(kept.metadata.deletion_timestamp.is_none());
    assert!(kept.owner_references().is_empty() && kept.finalizers().is_empty());

    world
        .create(&fixtures::server("files", json!({"percona": percona(false)})))
        .await;
    world.ready("files").await;
    assert_eq!(
        world.get::<PerconaPGCluster>("files-postgres").await.uid(),
        cluster.uid()
    );
    simulator.check().expect("the database operator lives");
}

/// Binds the cluster to its server, as an earlier version of the operator did for `deleteWithServer`.
async fn bind(world: &World) {
    let server: DittoServer = world.get("files").await;
    let owner = json!([{
        "apiVersion": "dittofs.dittofs.com/v1alpha1", "kind": "DittoServer", "name": "files", "uid": server.uid(),
        "controller": true, "blockOwnerDeletion": true,
    }]);
    let finalizers = json!(["percona.com/delete-pvc", "percona.com/delete-ssl"]);
    let bound = json!({"metadata": {"ownerReferences": owner, "finalizers": finalizers}});
    world.merge::<PerconaPGCluster>("files-postgres", bound).await;
}

/// Whether the cluster and its data would be deleted with the server.
fn follows_its_server(cluster: &PerconaPGCluster) -> bool {
    !cluster.owner_references().is_empty() || !cluster.finalizers().is_empty()
}

/// Waits until the database no longer depends on its server, and the server has no finalizer any more.
async fn database_is_free(world: &World) -> PerconaPGCluster {
    let is_free = |cluster: &PerconaPGCluster| !follows_its_server(cluster);
    let cluster = wait::until(
        world.api::<PerconaPGCluster>(),
        "files-postgres",
        "free of its server",
        is_free,
    )
    .await;
    world
        .server_until("files", "without the finalizer", |server| !has_finalizer(server))
        .await;
    cluster
}

// invariant: 6, 11
#[tokio::test]
async fn a_database_that_was_switched_off_survives_a_foreground_deletion() {
    let world = World::new("switchedoff").await;
    let simulator = world.percona().await;
    world
        .create(&fixtures::server("files", json!({"percona": percona(true)})))
        .await;
    world.ready("files").await;
    let cluster: PerconaPGCluster = world.get("files-postgres").await;
    let paused = |value: Value| json!({"metadata": {"annotations": {"dittofs.dittofs.com/paused": value}}});
    world.merge::<DittoServer>("files", paused(json!("true"))).await;
    world.observed().await;
    bind(&world).await;
    world
        .merge::<DittoServer>("files", json!({"spec": {"percona": {"enabled": false}}}))
        .await;
    world
        .server_until("files", "reported with the bound database", |server| {
            wait::condition(server, "Progressing").is_some_and(|condition| {
                condition.reason == "Paused" && condition.message.contains("PerconaPGCluster files-postgres")
            })
        })
        .await;
    assert!(
        follows_its_server(&world.get("files-postgres").await),
        "nothing of a paused server is written"
    );
    world.merge::<DittoServer>("files", paused(Value::Null)).await;

    database_is_free(&world).await;
    world.event_note("PerconaOrphaned").await;
    let server: DittoServer = world.get("files").await;
    world
        .api::<DittoServer>()
        .delete("files", &DeleteParams::foreground())
        .await
        .expect("it may be deleted");
    wait::until_gone(world.api::<DittoServer>(), "files", server.uid()).await;
    let kept: PerconaPGCluster = world.get("files-postgres").await;
    assert_eq!(kept.uid(), cluster.uid());
    assert!(kept.metadata.deletion_timestamp.is_none());

    let again = json!({"percona": percona(false)});
    world.create(&fixtures::server("files", again)).await;
    world.ready("files").await;
    assert_eq!(
        world.get::<PerconaPGCluster>("files-postgres").await.uid(),
        cluster.uid(),
        "it is taken up again"
    );
    simulator.check().expect("the database operator lives");
}

// invariant: 6, 11
#[tokio::test]
async fn a_database_does_not_follow_a_live_server_even_if_it_is_to_be_deleted_with_it() {
    let world = World::new("stays").await;
    let simulator = world.percona().await;
    world
        .create(&fixtures::server("files", json!({"percona": percona(true)})))
        .await;
    world.ready("files").await;
    assert!(!follows_its_server(&world.get("files-postgres").await));
    bind(&world).await;
    let is_free = |cluster: &PerconaPGCluster| !follows_its_server(cluster);
    wait::until(
        world.api::<PerconaPGCluster>(),
        "files-postgres",
        "free of its server",
        is_free,
    )
    .await;
    world
        .merge::<DittoServer>("files", json!({"spec": {"percona": {"deleteWithServer": false}}}))
        .await;
    database_is_free(&world).await;
    simulator.check().expect("the database operator lives");
}
