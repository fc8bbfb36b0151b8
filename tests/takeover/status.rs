//! Servers that the Go operator managed before.

use dittofs_operator::api::DittoServer;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::support::{World, audit, fixtures, wait};

/// The Go operator's finalizer, which it set on every server.
const FINALIZER: &str = "dittofs.dittofs.com/finalizer";

/// A status as the Go operator left it: with a condition and a database that do not exist any more.
async fn leave_status(world: &World, name: &str) {
    let status = json!({"status": {
        "perconaClusterName": "files-postgres",
        "conditions": [{
            "type": "Authenticated", "status": "True", "reason": "AuthenticationSucceeded", "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }],
    }});
    world
        .api::<DittoServer>()
        .patch_status(name, &PatchParams::default(), &Patch::Merge(&status))
        .await
        .expect("the status is accepted");
}

// invariant: 3
#[tokio::test]
async fn the_go_operators_status_fields_are_removed_once() {
    let mut world = World::without_operator("stale").await;
    world.create(&fixtures::minimal("files")).await;
    leave_status(&world, "files").await;
    world.start_operator().await;
    let server = world.ready("files").await;
    assert!(wait::condition(&server, "Authenticated").is_none());
    let status = server.status.clone().expect("a status");
    assert_eq!(status.percona_cluster_name, None);

    world.stop_operator().await;
    let before = world.audit().writes().len();
    world.start_operator().await;
    world
        .merge::<DittoServer>(
            "files",
            json!({"spec": {"adapterDiscovery": {"pollingInterval": "31s"}}}),
        )
        .await;
    world.ready("files").await;
    // A watch reports a write before the audit log does, but an answered call is in the log.
    world.stop_operator().await;
    let writes = world.audit().writes().split_off(before);
    assert_eq!(
        audit::count(&writes),
        [("patch dittoservers/status".to_owned(), 1)].into(),
        "nothing is left to remove"
    );
}

#[tokio::test]
async fn a_server_with_the_go_operators_finalizer_can_be_deleted_and_other_finalizers_are_kept() {
    let world = World::new("finalizer").await;
    let mut server = fixtures::minimal("files");
    server.metadata.finalizers = Some(vec!["example.org/before".into(), FINALIZER.into()]);
    let uid = world.create(&server).await.metadata.uid;
    world.ready("files").await;
    world.delete::<DittoServer>("files").await;
    let deleting = world
        .server_until("files", "left to others", |server| {
            server.metadata.finalizers.as_deref() == Some(&["example.org/before".to_owned()])
        })
        .await;
    assert!(deleting.metadata.deletion_timestamp.is_some());
    world
        .server_until("files", "deleting", |server| {
            wait::is(server, "Progressing", "True", "Deleting")
        })
        .await;
    world
        .merge::<DittoServer>("files", json!({"metadata": {"finalizers": null}}))
        .await;
    wait::until_gone(world.api::<DittoServer>(), "files", uid).await;
}
