//! A read that fails once is repeated with the server's backoff, and not only at the next resync.

use serde_json::json;

use crate::chaos::fault::Fault;
use crate::chaos::proxy::{Proxy, Statuses};
use crate::support::{World, fixtures};

/// A world whose operator reaches the API server through the proxy.
async fn world_behind(path: &'static str) -> (World, Proxy) {
    let mut world = World::without_operator("cutread").await;
    let proxy = Proxy::start(&world, 0, Statuses::default()).await;
    proxy.arm(Fault::FirstReadCut(path)).await;
    world.start_operator_as(proxy.config()).await;
    (world, proxy)
}

/// A world with a server that has become Ready although this first read was cut.
async fn ready_despite(path: &'static str) -> World {
    let (world, proxy) = world_behind(path).await;
    let simulator = world.percona().await;
    world
        .create(&fixtures::server("files", json!({"percona": {"enabled": true}})))
        .await;
    world.ready("files").await;
    assert!(proxy.plan().hits() > 0);
    drop(simulator);
    world
}

#[tokio::test]
async fn a_server_becomes_ready_although_the_first_read_of_the_secret_of_its_database_is_cut() {
    ready_despite("/secrets/files-postgres-pguser-dittofs").await;
}

#[tokio::test]
async fn a_server_becomes_ready_although_the_first_read_of_its_stateful_set_is_cut() {
    let world = ready_despite("/statefulsets/files").await;
    let admin = "files-admin-bootstrap-credentials";
    let _: k8s_openapi::api::core::v1::Secret = world.get(admin).await;
}

#[tokio::test]
async fn a_volume_is_expanded_although_the_first_read_of_its_storage_class_is_cut() {
    let (world, proxy) = world_behind("/storageclasses/standard").await;
    let storage = |size: &str| json!({"storage": {"metadataSize": size, "storageClassName": "standard"}});
    world.create(&fixtures::server("files", storage("1Gi"))).await;
    world.ready("files").await;
    let bigger = json!({"spec": storage("2Gi")});
    world
        .merge::<dittofs_operator::api::DittoServer>("files", bigger)
        .await;
    let claim = "metadata-files-0";
    crate::support::wait::until(
        world.api::<k8s_openapi::api::core::v1::PersistentVolumeClaim>(),
        claim,
        "asked for 2Gi",
        |claim| {
            let spec = claim.spec.as_ref();
            let requests = spec.and_then(|spec| spec.resources.as_ref()?.requests.as_ref());
            requests.is_some_and(|requests| requests["storage"].0 == "2Gi")
        },
    )
    .await;
    assert!(proxy.plan().hits() > 0);
}
