//! Uploads before a server stops, is replaced or is deleted. The server is a double, which fails when a test wants it to;
//! `files/s3.rs` has the real one, with a real remote store.

use std::time::Duration;

use dittofs_operator::api::{DittoServer, DrainBefore, DrainState, UploadsStatus};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::ResourceExt;
use serde_json::{Value, json};

use crate::support::server_double::{self, Database};
use crate::support::{World, fixtures, wait};

const CALL: &str = "system/drain-uploads";
const IMAGE: &str = "example.org/dittofs:2";

fn with_database<T>(world: &World, change: impl FnOnce(&mut Database) -> T) -> T {
    server_double::with(&world.namespace, "files", change)
}

/// The server answers this call with 503.
fn refuse(world: &World) {
    with_database(world, |database| database.refuses = Some(json!({})));
}

fn accept(world: &World) {
    with_database(world, |database| database.refuses = None);
}

/// A Ready server with these settings of uploads.
async fn server(world: &World, uploads: Value, retention: &str) {
    let spec = json!({
        "uploads": uploads,
        "storage": {"metadataSize": "1Gi", "retention": retention},
    });
    world.create(&fixtures::server("files", spec)).await;
    world.ready("files").await;
}

/// As [`server`], and it refuses to upload.
async fn refusing(uploads: Value, retention: &str) -> World {
    let world = World::new("uploads").await;
    server(&world, uploads, retention).await;
    refuse(&world);
    world
}

async fn edit(world: &World, spec: Value) {
    world.merge::<DittoServer>("files", json!({"spec": spec})).await;
}

fn uploads(server: &DittoServer) -> Option<&UploadsStatus> {
    server.status.as_ref()?.uploads.as_ref()
}

/// Waits until the status has this state of the uploads before this end.
pub async fn until(world: &World, state: DrainState, before: DrainBefore) -> DittoServer {
    world
        .server_until("files", "with this state of its uploads", |server| {
            uploads(server).is_some_and(|uploads| uploads.state == state && uploads.before == before)
        })
        .await
}

async fn replicas(world: &World) -> Option<i32> {
    let set = world.get::<StatefulSet>("files").await;
    set.spec.and_then(|spec| spec.replicas)
}

async fn stopped(world: &World) {
    wait::until(world.api::<StatefulSet>(), "files", "without a pod", |set| {
        let wanted = set.spec.as_ref().and_then(|spec| spec.replicas);
        let existing = set.status.as_ref().map(|status| status.replicas);
        (wanted, existing) == (Some(0), Some(0))
    })
    .await;
}

async fn until_asked(world: &World) {
    wait::holds(
        "the server is asked",
        wait::LONGEST,
        Duration::from_millis(50),
        async || {
            let calls = server_double::calls(&world.namespace, "files");
            calls.iter().any(|call| call.path == CALL)
        },
    )
    .await;
}

// invariant: 6
#[tokio::test]
async fn a_server_stops_after_it_has_uploaded_also_if_its_operator_dies_meanwhile() {
    let mut world = refusing(json!({}), "Retain").await;
    let pod = world.get::<Pod>("files-0").await.uid();
    edit(&world, json!({"replicas": 0, "image": IMAGE})).await;
    let draining = until(&world, DrainState::Draining, DrainBefore::Stop).await;
    assert!(wait::is(&draining, "Progressing", "True", "DrainingUploads"));
    until_asked(&world).await;
    assert_eq!(replicas(&world).await, Some(1));
    assert_eq!(
        world.get::<Pod>("files-0").await.uid(),
        pod,
        "the same pod, and no rollout"
    );

    world.stop_operator().await;
    accept(&world);
    world.start_operator().await;
    until(&world, DrainState::Drained, DrainBefore::Stop).await;
    stopped(&world).await;
    assert!(
        world
            .event_note("UploadsDrained")
            .await
            .contains("before it stops")
    );

    edit(&world, json!({"replicas": 1})).await;
    let running = world.ready("files").await;
    assert_eq!(uploads(&running), None, "nothing stops it");
}

// invariant: 6
#[tokio::test]
async fn a_pod_that_has_lost_its_stateful_set_uploads_before_it_is_stopped() {
    let mut world = refusing(json!({}), "Retain").await;
    let pod = world.get::<Pod>("files-0").await.uid();
    world.stop_operator().await;
    world.orphan_pod().await;
    edit(&world, json!({"replicas": 0})).await;
    world.start_operator().await;
    let draining = until(&world, DrainState::Draining, DrainBefore::Stop).await;
    assert!(wait::is(&draining, "Progressing", "True", "DrainingUploads"));
    until_asked(&world).await;
    assert!(world.lacks::<StatefulSet>("files").await, "it would stop the pod");
    assert_eq!(world.get::<Pod>("files-0").await.uid(), pod);
    accept(&world);
    until(&world, DrainState::Drained, DrainBefore::Stop).await;
    wait::until_gone(world.api::<Pod>(), "files-0", pod).await;
    stopped(&world).await;
}

#[tokio::test]
async fn a_stop_without_all_uploads_happens_after_the_time_limit_and_is_told() {
    let world = refusing(json!({"drainTimeoutSeconds": 3}), "Retain").await;
    edit(&world, json!({"replicas": 0})).await;
    let late = until(&world, DrainState::NotDrained, DrainBefore::Stop).await;
    let message = uploads(&late).and_then(|uploads| uploads.message.clone());
    assert!(message.is_some_and(|message| message.contains("503")));
    stopped(&world).await;
    let note = world.event_note("UploadsNotDrained").await;
    assert!(note.contains("stays on the volumes"), "{note}");
}

#[tokio::test]
async fn a_server_of_a_version_that_cannot_be_asked_stops_at_once() {
    let world = World::new("uploads").await;
    server(&world, json!({}), "Retain").await;
    with_database(&world, |database| database.missing.push(CALL.to_owned()));
    edit(&world, json!({"replicas": 0})).await;
    until(&world, DrainState::NotDrained, DrainBefore::Stop).await;
    stopped(&world).await;
}

/// Deletes the server, and waits until its volumes wait for uploads.
async fn delete(world: &World) -> DittoServer {
    world.delete::<DittoServer>("files").await;
    let waiting = world
        .server_until("files", "that waits for the user", |server| {
            wait::condition(server, "Progressing")
                .is_some_and(|progressing| progressing.message.contains("delete-without-upload"))
        })
        .await;
    let claim = world.get::<PersistentVolumeClaim>("metadata-files-0").await;
    assert_eq!(claim.metadata.deletion_timestamp, None);
    waiting
}

/// Waits until the server is gone. Returns whether its claim goes, too.
async fn claim_goes(world: &World, uid: Option<String>) -> bool {
    wait::until_gone(world.api::<DittoServer>(), "files", uid).await;
    let claim = world
        .api::<PersistentVolumeClaim>()
        .get_opt("metadata-files-0")
        .await;
    let claim = claim.expect("a read");
    claim.is_none_or(|claim| claim.metadata.deletion_timestamp.is_some())
}

// invariant: 6
#[tokio::test]
async fn volumes_are_not_deleted_with_their_server_before_it_has_uploaded_or_the_user_decides() {
    let annotation =
        json!({"metadata": {"annotations": {"dittofs.dittofs.com/delete-without-upload": "true"}}});
    let retain = json!({"spec": {"storage": {"retention": "Retain"}}});
    for (decision, expected) in [(None, true), (Some(annotation), true), (Some(retain), false)] {
        let world = refusing(json!({"drainTimeoutSeconds": 2}), "Delete").await;
        let uid = delete(&world).await.uid();
        let note = world.event_note("UploadsNotDrained").await;
        assert!(note.contains("spec.storage.retention"), "{note}");
        match &decision {
            Some(decision) => {
                world.merge::<DittoServer>("files", decision.clone()).await;
            }
            None => accept(&world),
        }
        assert_eq!(claim_goes(&world, uid).await, expected, "{decision:?}");
    }
}

// invariant: 6
#[tokio::test]
async fn a_stopped_server_that_has_not_uploaded_everything_is_not_deleted_with_its_volumes() {
    let world = refusing(json!({"drainTimeoutSeconds": 2}), "Delete").await;
    edit(&world, json!({"replicas": 0})).await;
    stopped(&world).await;
    accept(&world);
    let waiting = delete(&world).await;
    assert_eq!(
        uploads(&waiting).map(|uploads| uploads.state),
        Some(DrainState::NotDrained)
    );
}

#[tokio::test]
async fn a_rollout_waits_for_uploads_if_the_spec_says_so() {
    let world = refusing(json!({"drainBeforeRollout": true}), "Retain").await;
    let pod = world.get::<Pod>("files-0").await.uid();
    edit(&world, json!({"image": IMAGE})).await;
    until(&world, DrainState::Draining, DrainBefore::Rollout).await;
    until_asked(&world).await;
    assert_eq!(world.get::<Pod>("files-0").await.uid(), pod);
    accept(&world);
    world.pod_other_than(pod.as_deref()).await;
    let ready = world.ready("files").await;
    assert_eq!(uploads(&ready), None);
}
