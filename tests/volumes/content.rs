//! A content volume that is added later: the pod is replaced once, as soon as that is possible.

use dittofs_operator::api::DittoServer;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{LimitRange, PersistentVolumeClaim, Pod};
use kube::ResourceExt;
use serde_json::json;

use super::{CLAIM, capacity, pod_uid, running};
use crate::support::restarts::Restarts;
use crate::support::{World, fixtures, wait};

#[tokio::test]
async fn a_content_volume_that_is_added_later_restarts_the_pod_once() {
    let world = World::new("content").await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    let (pod, claim) = (
        pod_uid(&world).await,
        world.get::<PersistentVolumeClaim>(CLAIM).await.uid(),
    );
    world
        .merge::<DittoServer>("files", json!({"spec": {"storage": {"contentSize": "1Gi"}}}))
        .await;
    let new = world.pod_other_than(pod.as_deref()).await;
    world.ready("files").await;
    let volumes = new
        .spec
        .as_ref()
        .and_then(|spec| spec.volumes.clone())
        .unwrap_or_default();
    assert!(
        volumes.iter().any(|volume| volume.name == "content"),
        "{volumes:?}"
    );
    let content: PersistentVolumeClaim = world.get("content-files-0").await;
    assert_eq!(capacity(&content), Some("1Gi"));
    assert_eq!(world.get::<PersistentVolumeClaim>(CLAIM).await.uid(), claim);
    assert_eq!(pod_uid(&world).await, new.uid(), "restarted once");
}

#[tokio::test]
async fn a_content_volume_that_is_added_with_an_edit_of_the_configuration_restarts_the_pod_once() {
    let world = World::new("both").await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    let (pod, restarts) = (pod_uid(&world).await, Restarts::of(&world));
    let both = json!({"spec": {"storage": {"contentSize": "1Gi"}, "logging": {"level": "DEBUG"}}});
    world.merge::<DittoServer>("files", both).await;
    let new = world.pod_other_than(pod.as_deref()).await;
    world.ready("files").await;
    let volumes = new.spec.and_then(|spec| spec.volumes).unwrap_or_default();
    assert!(
        volumes.iter().any(|volume| volume.name == "content"),
        "{volumes:?}"
    );
    assert_eq!(restarts.count(), 1);
}

// invariant: 13
#[tokio::test]
async fn a_content_volume_that_cannot_be_created_keeps_the_pod_until_it_can() {
    let world = running("full", "standard").await;
    let pod = pod_uid(&world).await;
    let range = json!({
        "metadata": {"name": "most"},
        "spec": {"limits": [{"type": "PersistentVolumeClaim", "max": {"storage": "1Gi"}}]},
    });
    world
        .create::<LimitRange>(&serde_json::from_value(range).expect("a LimitRange"))
        .await;
    world.old_pod().await;
    let content = json!({"spec": {"storage": {"contentSize": "2Gi"}}});
    world.merge::<DittoServer>("files", content).await;
    let server = world
        .server_until("files", "waiting for the claim", |server| {
            wait::condition(server, "Progressing").is_some_and(|condition| {
                condition
                    .message
                    .contains("PersistentVolumeClaim content-files-0 does not exist yet")
            })
        })
        .await;
    assert!(wait::is(&server, "Available", "True", "MinimumReplicasAvailable"));
    // Another reconcile finds nothing to do.
    let fence = json!({"spec": {"progressDeadlineSeconds": 601}});
    world.merge::<DittoServer>("files", fence).await;
    world.observed().await;
    assert_eq!(pod_uid(&world).await, pod, "it runs on");

    world.delete::<LimitRange>("most").await;
    // The StatefulSet controller is in backoff. A change of the StatefulSet ends that.
    let woken = json!({"metadata": {"annotations": {"example.com/wake": "up"}}});
    world.merge::<StatefulSet>("files", woken).await;
    world.pod_other_than(pod.as_deref()).await;
    world.ready("files").await;
}

#[tokio::test]
async fn a_content_volume_restarts_no_pod_with_the_on_delete_strategy() {
    let world = running("byhand", "standard").await;
    let pod = pod_uid(&world).await;
    let by_hand = json!({"spec": {"updateStrategy": {"type": "OnDelete", "rollingUpdate": null}}});
    world.merge::<StatefulSet>("files", by_hand).await;
    world.old_pod().await;
    let content = json!({"spec": {"storage": {"contentSize": "1Gi"}}});
    world.merge::<DittoServer>("files", content).await;
    world
        .server_until("files", "waiting for the user", |server| {
            wait::condition(server, "Progressing").is_some_and(|condition| {
                condition
                    .message
                    .contains("delete pod files-0 at a convenient time")
            })
        })
        .await;
    wait::until(
        world.api::<PersistentVolumeClaim>(),
        "content-files-0",
        "there",
        |_| true,
    )
    .await;
    assert_eq!(pod_uid(&world).await, pod, "it runs on");
    world.delete::<Pod>("files-0").await;
    world.ready("files").await;
}
