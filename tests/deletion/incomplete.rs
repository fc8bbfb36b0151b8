//! Deletions while something is missing: the operator, Percona's operator, a CRD, the StatefulSet, a spec that parses.

use std::time::{Duration, Instant};

use dittofs_operator::api;
use dittofs_operator::api::DittoServer;
use dittofs_operator::api::percona::PerconaPGCluster;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use local_control_plane::percona::{Behaviour, install_crd as install_perconas_crd, remove_crd};
use serde_json::json;

use super::{FINALIZER, SECRETS, VOLUMES, claims_go, delete, gone, has_finalizer, left, percona, storage};
use crate::support::{World, fixtures, install_crd, own_control_plane, wait};

#[tokio::test]
async fn a_server_that_waits_for_its_stuck_database_can_be_deleted() {
    let world = World::new("stuck").await;
    let simulator = world.percona().await;
    simulator.set_behaviour(&world.namespace, "files-postgres", Behaviour::Stuck);
    world
        .create(&fixtures::server("files", json!({"percona": percona(true)})))
        .await;
    world
        .server_until("files", "waiting", |server| {
            wait::is(server, "DatabaseReady", "False", "PerconaNotReady")
        })
        .await;
    delete(&world, "database stuck").await;
    gone(world.api::<PerconaPGCluster>(), "files-postgres").await;
}

#[tokio::test]
async fn without_perconas_operator_a_deletion_ends_after_its_time_limit_and_reports_what_is_left() {
    let world = World::new("absent").await;
    {
        let _simulator = world.percona().await;
        world
            .create(&fixtures::server("files", json!({"percona": percona(true)})))
            .await;
        world.ready("files").await;
    }
    world.delete::<DittoServer>("files").await;
    let server = world
        .server_until("files", "reported with what it waits for", |server| {
            wait::condition(server, "Progressing")
                .is_some_and(|progressing| progressing.message.contains("files-postgres"))
        })
        .await;
    assert_eq!(
        server.status.and_then(|status| status.phase),
        Some(api::Phase::Deleting)
    );
    let took = delete(&world, "database operator gone").await;
    assert!(took >= Duration::from_secs(30), "it was given time: {took:?}");
    world.event_note("CleanupTimeout").await;
    world
        .merge::<PerconaPGCluster>("files-postgres", json!({"metadata": {"finalizers": null}}))
        .await;
}

#[tokio::test]
async fn a_server_deleted_while_the_operator_is_down_is_cleaned_up_after_its_restart() {
    let mut world = World::new("down").await;
    world
        .create(&fixtures::server("files", json!({"storage": storage("Delete")})))
        .await;
    let server = world.ready("files").await;
    world.stop_operator().await;
    world.delete::<Secret>("files-jwt-secret").await;
    world.delete::<StatefulSet>("files").await;
    world.delete::<DittoServer>("files").await;
    let start = Instant::now();
    world.start_operator().await;
    wait::until_gone(world.api::<DittoServer>(), "files", server.uid()).await;
    println!(
        "delete, operator down, then up, children missing: {:.1} s after its start; left: {}",
        start.elapsed().as_secs_f32(),
        left(&world).await.join(", ")
    );
    claims_go(&world).await;
    assert_eq!(left(&world).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_pod_without_its_stateful_set_is_deleted_with_its_server() {
    let mut world = World::new("lostset").await;
    world.create(&fixtures::minimal("files")).await;
    let server = world.ready("files").await;
    let pod = world.get::<Pod>("files-0").await.uid();
    // An operator that is killed while it re-creates the StatefulSet, and then a Secret is missing.
    world.stop_operator().await;
    world.orphan_pod().await;
    world.delete::<Secret>("files-jwt-secret").await;
    world.start_operator().await;
    world
        .server_until("files", "with the finalizer", has_finalizer)
        .await;
    assert_eq!(world.get::<Pod>("files-0").await.uid(), pod, "it runs on");

    world.delete::<DittoServer>("files").await;
    wait::until_gone(world.api::<DittoServer>(), "files", server.uid()).await;
    wait::until_gone(world.api::<Pod>(), "files-0", pod).await;
    let admin = SECRETS[0];
    assert_eq!(left(&world).await, [&VOLUMES[..], &[admin]].concat());
}

#[tokio::test]
async fn a_removed_database_crd_does_not_block_a_deletion() {
    let mut world = World::on(own_control_plane().await, "nocrd").await;
    install_crd(&world.client, api::crd()).await;
    install_perconas_crd(&world.client)
        .await
        .expect("the CRD is installed");
    let simulator = world.percona().await;
    world.start_operator().await;
    world
        .create(&fixtures::server("files", json!({"percona": percona(true)})))
        .await;
    world
        .server_until("files", "on its database", |server| {
            has_finalizer(server) && wait::is(server, "DatabaseReady", "True", "PerconaReady")
        })
        .await;
    remove_crd(&world.client).await.expect("the CRD goes");
    delete(&world, "database definition removed").await;
    drop(simulator);
}

#[tokio::test]
async fn a_stored_server_that_does_not_parse_can_be_deleted_and_its_data_is_kept() {
    let mut world = World::on(own_control_plane().await, "broken").await;
    let mut loose = serde_json::to_value(api::crd()).expect("JSON");
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    loose["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = schema;
    install_crd(&world.client, serde_json::from_value(loose).expect("a CRD")).await;
    let resource = kube::core::ApiResource::erase::<DittoServer>(&());
    let untyped: Api<kube::core::DynamicObject> =
        Api::namespaced_with(world.client.clone(), &world.namespace, &resource);
    let broken = json!({
        "apiVersion": "dittofs.dittofs.com/v1alpha1", "kind": "DittoServer",
        "metadata": {"name": "files", "finalizers": [FINALIZER]},
        "spec": {"storage": "ten gigabytes"},
    });
    untyped
        .patch("files", &PatchParams::apply("tests"), &Patch::Apply(&broken))
        .await
        .expect("a loose schema stores anything");
    world.start_operator().await;
    let start = Instant::now();
    untyped
        .delete("files", &DeleteParams::default())
        .await
        .expect("it may be deleted");
    let metadata: Api<DittoServer> = world.api();
    let is_gone = async {
        while metadata
            .get_metadata_opt("files")
            .await
            .expect("a read")
            .is_some()
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(wait::LONGEST, is_gone)
        .await
        .expect("in time");
    println!(
        "delete, stored spec does not parse: {:.1} s",
        start.elapsed().as_secs_f32()
    );
}
