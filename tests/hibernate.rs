//! Hibernation: a database that stops with its server, and starts before it.

use dittofs_operator::api::DittoServer;
use dittofs_operator::api::percona::PerconaPGCluster;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use local_control_plane::percona::Behaviour;
use serde_json::json;

use crate::support::{World, fixtures, wait};

async fn scale(world: &World, replicas: i32) -> DittoServer {
    world
        .merge::<DittoServer>("files", json!({"spec": {"replicas": replicas}}))
        .await
}

fn hibernating() -> serde_json::Value {
    json!({"percona": {"enabled": true, "hibernate": "whenStopped"}})
}

async fn pause_of(world: &World) -> Option<bool> {
    world.get::<PerconaPGCluster>("files-postgres").await.spec.pause
}

async fn stopped(world: &World) -> DittoServer {
    let server = scale(world, 0).await;
    world
        .server_until("files", "stopped with its database", |now| {
            wait::is(now, "DatabaseReady", "True", "PerconaHibernating")
                && wait::is(now, "Ready", "True", "AllConditionsMet")
                && wait::condition(now, "Ready").and_then(|ready| ready.observed_generation)
                    == server.metadata.generation
        })
        .await
}

#[tokio::test]
async fn the_database_stops_after_the_server_and_starts_before_it() {
    let world = World::new("hibernate").await;
    let simulator = world.percona().await;
    world.create(&fixtures::server("files", hibernating())).await;
    world.ready("files").await;
    let cluster = world.get::<PerconaPGCluster>("files-postgres").await.uid();
    assert_eq!(
        pause_of(&world).await,
        None,
        "the field is not ours while the server runs"
    );

    let pod = world.get::<Pod>("files-0").await.uid();
    stopped(&world).await;
    assert_eq!(pause_of(&world).await, Some(true));
    wait::until_gone(world.api::<Pod>(), "files-0", pod).await;

    // The database is still starting: the server must stay at 0 replicas.
    simulator.set_behaviour(&world.namespace, "files-postgres", Behaviour::Stuck);
    scale(&world, 1).await;
    let waiting = world
        .server_until("files", "waiting for its database", |server| {
            wait::condition(server, "DatabaseReady")
                .is_some_and(|ready| ready.message.ends_with("initializing"))
        })
        .await;
    assert!(wait::is(&waiting, "Progressing", "True", "WaitingForDatabase"));
    assert_eq!(pause_of(&world).await, None, "it was released");
    assert!(
        world
            .api::<Pod>()
            .get_opt("files-0")
            .await
            .expect("a read")
            .is_none()
    );
    let set: StatefulSet = world.get("files").await;
    assert_eq!(set.spec.and_then(|spec| spec.replicas), Some(0));

    simulator.set_behaviour(&world.namespace, "files-postgres", Behaviour::Ready);
    world.ready("files").await;
    let database = world.get::<PerconaPGCluster>("files-postgres").await;
    assert!(database.is_ready());
    assert_eq!(database.uid(), cluster, "the same database");
    simulator.check().expect("the database operator lives");
}

#[tokio::test]
async fn a_server_that_is_created_stopped_hibernates_once_its_database_exists() {
    let world = World::new("bornstopped").await;
    let simulator = world.percona().await;
    let mut spec = hibernating();
    spec["replicas"] = json!(0);
    world.create(&fixtures::server("files", spec)).await;
    world
        .server_until("files", "hibernating", |server| {
            wait::is(server, "DatabaseReady", "True", "PerconaHibernating")
        })
        .await;
    scale(&world, 1).await;
    world.ready("files").await;
    simulator.check().expect("the database operator lives");
}

#[tokio::test]
async fn hibernation_that_is_switched_off_starts_the_database_of_a_stopped_server() {
    let world = World::new("wake").await;
    let _simulator = world.percona().await;
    world.create(&fixtures::server("files", hibernating())).await;
    world.ready("files").await;
    stopped(&world).await;
    world
        .merge::<DittoServer>("files", json!({"spec": {"percona": {"hibernate": "never"}}}))
        .await;
    world
        .server_until("files", "with a database", |server| {
            wait::is(server, "DatabaseReady", "True", "PerconaReady")
        })
        .await;
    assert_eq!(pause_of(&world).await, None);
}

#[tokio::test]
async fn a_restarted_operator_finishes_a_hibernation() {
    let mut world = World::new("restarthib").await;
    let _simulator = world.percona().await;
    world.create(&fixtures::server("files", hibernating())).await;
    world.ready("files").await;
    let pod = world.get::<Pod>("files-0").await.uid();
    world.stop_operator().await;
    scale(&world, 0).await;
    world.start_operator().await;
    stopped(&world).await;
    wait::until_gone(world.api::<Pod>(), "files-0", pod).await;
    world.stop_operator().await;
    scale(&world, 1).await;
    world.start_operator().await;
    world.ready("files").await;
}

#[tokio::test]
async fn a_manually_paused_database_stays_paused_and_the_running_pod_is_kept() {
    let world = World::new("byhand").await;
    let _simulator = world.percona().await;
    world.create(&fixtures::server("files", hibernating())).await;
    world.ready("files").await;
    let before = world.get::<Pod>("files-0").await.uid();
    world
        .merge::<PerconaPGCluster>("files-postgres", json!({"spec": {"pause": true}}))
        .await;
    world
        .server_until("files", "without database", |server| {
            wait::condition(server, "DatabaseReady")
                .is_some_and(|ready| ready.status == "False" && ready.message.ends_with("paused"))
        })
        .await;
    assert_eq!(world.get::<Pod>("files-0").await.uid(), before);
    assert_eq!(pause_of(&world).await, Some(true));
}
