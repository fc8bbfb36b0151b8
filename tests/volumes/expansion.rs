//! A volume is expanded in place, and the StatefulSet follows, without a pod restart.

use std::time::Instant;

use dittofs_operator::api::DittoServer;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::ResourceExt;
use serde_json::json;

use super::{CLAIM, capacity, grow_to, on_class, pod_uid, running, template};
use crate::support::restarts::Restarts;
use crate::support::{World, fixtures, wait};

#[tokio::test]
async fn a_volume_is_expanded_and_the_stateful_set_follows_without_a_pod_restart() {
    let mut world = running("grow", "standard").await;
    let (pod, claim) = (
        pod_uid(&world).await,
        world.get::<PersistentVolumeClaim>(CLAIM).await.uid(),
    );
    let set = world.get::<StatefulSet>("files").await.uid();
    // An annotation of another writer on the pod template is part of its revision. It must be kept.
    let marked = json!({"spec": {"template": {"metadata": {"annotations": {"example.com/mark": "kept"}}}}});
    world.merge::<StatefulSet>("files", marked).await;
    let pod = world.pod_other_than(pod.as_deref()).await.uid();
    world.ready("files").await;

    let start = Instant::now();
    world.merge::<DittoServer>("files", grow_to("2Gi")).await;
    let grown = wait::until(world.api::<PersistentVolumeClaim>(), CLAIM, "grown", |claim| {
        capacity(claim) == Some("2Gi")
    })
    .await;
    let followed = wait::until(world.api::<StatefulSet>(), "files", "on the new size", |set| {
        template(set, "metadata").as_deref() == Some("2Gi")
    })
    .await;
    world.ready("files").await;
    println!(
        "grown, followed and Ready after {:.1} s",
        start.elapsed().as_secs_f32()
    );
    assert_eq!(grown.uid(), claim, "grown in place");
    assert_ne!(followed.uid(), set, "made again");
    assert_eq!(pod_uid(&world).await, pod, "the pod runs on");

    // An edit of the new StatefulSet removes nothing of others, and restarts nothing.
    world
        .merge::<DittoServer>(
            "files",
            json!({"spec": {"service": {"annotations": {"a": "b"}}, "storage": {"metadataSize": "3Gi"}}}),
        )
        .await;
    wait::until(world.api::<StatefulSet>(), "files", "on the newest size", |set| {
        template(set, "metadata").as_deref() == Some("3Gi")
    })
    .await;
    world.ready("files").await;
    let set: StatefulSet = world.get("files").await;
    let template = set.spec.as_ref().and_then(|spec| spec.template.metadata.as_ref());
    let annotations = template
        .and_then(|metadata| metadata.annotations.clone())
        .unwrap_or_default();
    assert_eq!(
        annotations.get("example.com/mark").map(String::as_str),
        Some("kept")
    );
    assert_eq!(pod_uid(&world).await, pod, "the pod runs on");
    let is_applied = |entry: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry| {
        entry.manager.as_deref() == Some("dittofs-operator") && entry.operation.as_deref() == Some("Apply")
    };
    assert!(
        set.managed_fields().iter().any(is_applied),
        "its fields are applied fields again"
    );
    let failures = world.all_notes("ReconcileFailed").await;
    assert!(failures.is_empty(), "{failures:?}");
}

#[tokio::test]
async fn a_volume_without_labels_is_expanded() {
    let world = running("unlabelled", "standard").await;
    let pod = pod_uid(&world).await;
    // Like a claim after a restore with a tool that drops labels.
    let bare = json!({"metadata": {"labels": null}});
    world.merge::<PersistentVolumeClaim>(CLAIM, bare).await;
    world.merge::<DittoServer>("files", grow_to("2Gi")).await;
    wait::until(world.api::<PersistentVolumeClaim>(), CLAIM, "grown", |claim| {
        capacity(claim) == Some("2Gi")
    })
    .await;
    world.ready("files").await;
    assert_eq!(pod_uid(&world).await, pod);
    let claim: PersistentVolumeClaim = world.get(CLAIM).await;
    assert_eq!(claim.labels()["instance"], "files", "it is watched again");
}

#[tokio::test]
async fn a_volume_with_the_labels_of_another_owner_keeps_its_labels() {
    let world = running("labelled", "standard").await;
    let theirs = json!({"metadata": {"labels": {"app": "billing", "instance": null}}});
    world.merge::<PersistentVolumeClaim>(CLAIM, theirs).await;
    world.merge::<DittoServer>("files", grow_to("2Gi")).await;
    wait::until(world.api::<PersistentVolumeClaim>(), CLAIM, "grown", |claim| {
        capacity(claim) == Some("2Gi")
    })
    .await;
    world.ready("files").await;
    let labels = world.get::<PersistentVolumeClaim>(CLAIM).await.metadata.labels;
    let labels = labels.expect("labels");
    assert!(
        labels["app"] == "billing" && !labels.contains_key("instance"),
        "{labels:?}"
    );
}

#[tokio::test]
async fn a_volume_is_expanded_while_its_pod_is_not_ready() {
    let world = running("sick", "standard").await;
    let sick = json!({"metadata": {"annotations": {"local-control-plane/ready": "false"}}});
    world.merge::<Pod>("files-0", sick).await;
    world
        .server_until("files", "not Ready", |server| {
            wait::is(server, "Available", "False", "NoReplicasAvailable")
        })
        .await;
    let pod = pod_uid(&world).await;
    world.merge::<DittoServer>("files", grow_to("2Gi")).await;
    wait::until(world.api::<PersistentVolumeClaim>(), CLAIM, "grown", |claim| {
        capacity(claim) == Some("2Gi")
    })
    .await;
    assert_eq!(pod_uid(&world).await, pod, "the pod is left alone");
}

// invariant: 4
#[tokio::test]
async fn a_volume_expansion_during_a_rollout_does_not_restart_the_new_pod() {
    let world = running("both", "standard").await;
    let (pod, restarts) = (pod_uid(&world).await, Restarts::of(&world));
    let both = json!({"spec": {
        "image": "docker.io/marmos91c/dittofs:v2",
        "storage": {"metadataSize": "2Gi"},
    }});
    world.merge::<DittoServer>("files", both).await;
    let made = world.pod_other_than(pod.as_deref()).await;
    let followed = wait::until(world.api::<StatefulSet>(), "files", "on the new size", |set| {
        template(set, "metadata").as_deref() == Some("2Gi")
    })
    .await;
    world.ready("files").await;
    assert_eq!(pod_uid(&world).await, made.uid(), "it runs on");
    assert_eq!(restarts.count(), 1, "of the new image");
    let age = followed.creation_timestamp().expect("a time").0 - made.creation_timestamp().expect("a time").0;
    assert!(
        age.total(jiff::Unit::Second).expect("seconds") >= 9.0,
        "{age}: the garbage collector knows the pod"
    );
}

#[tokio::test]
async fn an_operator_killed_between_delete_and_create_of_the_stateful_set_restarts_no_pod() {
    let mut world = World::new("growkilled").await;
    world
        .create(&fixtures::server("files", on_class("standard")))
        .await;
    world.ready("files").await;
    let pod = pod_uid(&world).await;
    // What the operator had done before it was killed.
    world.stop_operator().await;
    world.merge::<DittoServer>("files", grow_to("2Gi")).await;
    world.orphan_pod().await;

    world.start_operator().await;
    wait::until(world.api::<StatefulSet>(), "files", "on the new size", |set| {
        template(set, "metadata").as_deref() == Some("2Gi")
    })
    .await;
    world.ready("files").await;
    assert_eq!(pod_uid(&world).await, pod, "the pod runs on");
}
