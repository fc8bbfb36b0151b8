//! Percona for servers whose data is in SQLite: they stay there until the user confirms that the data has moved.

use std::collections::BTreeMap;

use dittofs_operator::api::DittoServer;
use dittofs_operator::api::percona::PerconaPGCluster;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::json;

use super::{MIGRATED, database, go_operator, is_pending, settled, starts, variables};
use crate::support::{World, fixtures, wait};

#[tokio::test]
async fn a_migrated_server_moves_to_percona_when_the_user_confirms_it_and_stays_there() {
    let mut world = World::without_operator("move").await;
    go_operator::set_up(&world).await;
    world.start_operator().await;
    world.server_until("files", "on SQLite", is_pending).await;
    settled(&world).await;
    let _simulator = world.percona().await;
    // The cluster uses PostgreSQL 16, for which there is no default image.
    let image = "docker.io/percona/percona-distribution-postgresql:16.11-1";
    let images = json!({"spec": {"percona": {"images": {"postgres": image}}}});
    world.merge::<DittoServer>("files", images).await;
    world
        .server_until("files", "with a database that serves", |server| {
            is_pending(server)
                && wait::condition(server, "DatabaseReady")
                    .is_some_and(|condition| condition.message.contains("is ready"))
        })
        .await;
    assert_eq!(
        starts(&world).await,
        2,
        "a database that comes up restarts nothing"
    );

    let claims = claims(&world).await;
    world
        .merge::<DittoServer>("files", json!({"metadata": {"annotations": {MIGRATED: "true"}}}))
        .await;
    world
        .server_until("files", "on Percona", |server| {
            wait::is(server, "DatabaseReady", "True", "PerconaReady")
        })
        .await;
    settled(&world).await;
    assert_eq!(starts(&world).await, 3, "one restart");
    assert_eq!(database(&world).await, json!({"type": "postgres"}));
    assert!(
        variables(&world)
            .await
            .contains(&"DITTOFS_DATABASE_POSTGRES_HOST".to_owned())
    );
    wait::until(
        world.api::<PersistentVolumeClaim>(),
        "controlplane-files-0",
        "marked",
        |claim| {
            claim
                .annotations()
                .get("dittofs.io/control-plane-database")
                .is_some_and(|value| value == "percona")
        },
    )
    .await;

    // A server of the same name, from a manifest without the annotation, finds its data where it was.
    let old: DittoServer = world.get("files").await;
    world.delete::<DittoServer>("files").await;
    wait::until_gone(world.api::<DittoServer>(), "files", old.uid()).await;
    let again = json!({
        "storage": {"metadataSize": "10Gi", "contentSize": "50Gi"},
        "percona": {"enabled": true, "images": {"postgres": image}},
    });
    world.create(&fixtures::server("files", again)).await;
    world.ready("files").await;
    assert_eq!(database(&world).await, json!({"type": "postgres"}));
    assert_eq!(self::claims(&world).await, claims, "the same volumes");
}

/// The UIDs of the volume claims, by name.
async fn claims(world: &World) -> BTreeMap<String, Option<String>> {
    let claims = world
        .api::<PersistentVolumeClaim>()
        .list(&ListParams::default())
        .await
        .expect("a list");
    claims
        .iter()
        .map(|claim| (claim.name_any(), claim.uid()))
        .collect()
}

// invariant: 17
#[tokio::test]
async fn enabling_percona_for_a_server_with_data_waits_for_confirmation() {
    let mut world = World::new("later").await;
    let _simulator = world.percona().await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    let pod = world.get::<Pod>("files-0").await.uid();
    world
        .merge::<DittoServer>("files", json!({"spec": {"percona": {"enabled": true}}}))
        .await;
    world.server_until("files", "on SQLite", is_pending).await;
    let _: PerconaPGCluster = world.get("files-postgres").await;
    world.stop_operator().await;
    world.start_operator().await;
    let server = settled(&world).await;
    assert!(is_pending(&server), "a restarted operator knows it too");
    assert_eq!(world.get::<Pod>("files-0").await.uid(), pod);
    assert_eq!(database(&world).await["type"], "sqlite");

    world
        .merge::<DittoServer>("files", json!({"spec": {"percona": {"enabled": false}}}))
        .await;
    let server = world.ready("files").await;
    assert!(wait::condition(&server, "DatabaseReady").is_none());
    assert_eq!(
        world.get::<Pod>("files-0").await.uid(),
        pod,
        "nothing had changed for it"
    );
}

// invariant: 17
#[tokio::test]
async fn a_server_recreated_with_percona_stays_on_the_sqlite_file_of_its_predecessor() {
    let world = World::new("leftover").await;
    let _simulator = world.percona().await;
    world.create(&fixtures::minimal("files")).await;
    let old = world.ready("files").await;
    let set = world.get::<StatefulSet>("files").await.uid();
    world.delete::<DittoServer>("files").await;
    wait::until_gone(world.api::<DittoServer>(), "files", old.uid()).await;
    wait::until_gone(world.api::<StatefulSet>(), "files", set).await;
    world
        .create(&fixtures::server("files", json!({"percona": {"enabled": true}})))
        .await;
    world.server_until("files", "on SQLite", is_pending).await;
    world.ready("files").await;
    assert_eq!(database(&world).await["type"], "sqlite");
}
