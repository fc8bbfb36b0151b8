//! A volume expansion that is impossible, or has to wait, is reported. Everything else still works.

use std::time::Instant;

use dittofs_operator::api::DittoServer;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{LimitRange, PersistentVolumeClaim, ResourceQuota};
use k8s_openapi::api::rbac::v1::{ClusterRole, RoleBinding};
use kube::Api;
use kube::api::PostParams;
use serde_json::json;

use super::{CLAIM, capacity, grow_to, on_class, pod_uid, request, running, template};
use crate::support::process::POLL;
use crate::support::{World, fixtures, wait};

/// Waits until `Progressing` has this reason for the current generation.
async fn progressing_with(world: &World, reason: &str) -> DittoServer {
    world
        .server_until("files", reason, |server| {
            wait::condition(server, "Progressing").is_some_and(|progressing| {
                progressing.reason == reason && progressing.observed_generation == server.metadata.generation
            })
        })
        .await
}

fn expansion_writes(world: &World) -> usize {
    world
        .audit()
        .writes()
        .iter()
        .filter(|call| call.resource == "persistentvolumeclaims")
        .count()
}

#[tokio::test]
async fn a_storage_class_without_expansion_is_reported_and_an_image_change_still_rolls_out() {
    let world = running("fixed", "fixed").await;
    let pod = pod_uid(&world).await;
    let before = expansion_writes(&world);

    world.merge::<DittoServer>("files", grow_to("2Gi")).await;
    let server = progressing_with(&world, "VolumeNotExpandable").await;
    let message = &wait::condition(&server, "Progressing")
        .expect("a condition")
        .message;
    assert!(
        message.contains("allowVolumeExpansion") && message.contains(CLAIM),
        "{message}"
    );
    assert!(
        wait::is(&server, "Ready", "True", "AllConditionsMet"),
        "the server runs as before"
    );
    world.event_note("VolumeNotExpandable").await;
    assert_eq!(pod_uid(&world).await, pod, "the pod runs on");

    world
        .merge::<DittoServer>(
            "files",
            json!({"spec": {"image": "docker.io/marmos91c/dittofs:v2"}}),
        )
        .await;
    world.pod_other_than(pod.as_deref()).await;
    world.ready("files").await;
    progressing_with(&world, "VolumeNotExpandable").await;
    assert_eq!(
        expansion_writes(&world),
        before,
        "nothing was tried that cannot be"
    );
    let claim: PersistentVolumeClaim = world.get(CLAIM).await;
    assert_eq!(request(&claim).as_deref(), Some("1Gi"));
}

#[tokio::test]
async fn a_volume_expansion_beyond_the_quota_waits_for_the_quota() {
    let world = World::new("quota").await;
    let quota = |hard: &str| {
        json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "small"},
               "spec": {"hard": {"requests.storage": hard}}})
    };
    let small: ResourceQuota = serde_json::from_value(quota("3Gi")).expect("a quota");
    world.create(&small).await;
    wait::until(world.api::<ResourceQuota>(), "small", "counted", |quota| {
        quota.status.as_ref().is_some_and(|status| status.used.is_some())
    })
    .await;
    world
        .create(&fixtures::server("files", on_class("standard")))
        .await;
    world.ready("files").await;
    let (pod, before) = (pod_uid(&world).await, expansion_writes(&world));

    world.merge::<DittoServer>("files", grow_to("10Gi")).await;
    let server = progressing_with(&world, "VolumeQuotaExceeded").await;
    assert!(
        wait::is(&server, "Ready", "True", "AllConditionsMet"),
        "the server runs as before"
    );
    world.event_note("VolumeQuotaExceeded").await;
    assert_eq!(expansion_writes(&world), before, "it was asked by a dry run only");

    world.merge::<ResourceQuota>("small", quota("20Gi")).await;
    wait::until(world.api::<ResourceQuota>(), "small", "counted again", |quota| {
        let hard = quota.status.as_ref().and_then(|status| status.hard.as_ref());
        hard.and_then(|hard| hard.get("requests.storage"))
            .is_some_and(|hard| hard.0 == "20Gi")
    })
    .await;
    // Any reconcile finds the raised quota, once the admission plugin has observed it.
    let deadline = Instant::now() + wait::LONGEST;
    while capacity(&world.get::<PersistentVolumeClaim>(CLAIM).await) != Some("10Gi") {
        assert!(Instant::now() < deadline, "the volume does not grow");
        let look = json!({"metadata": {"annotations": {"example.com/look": Timestamp::now().to_string()}}});
        world.merge::<DittoServer>("files", look).await;
        tokio::time::sleep(POLL * 5).await;
    }
    wait::until(world.api::<StatefulSet>(), "files", "on the new size", |set| {
        template(set, "metadata").as_deref() == Some("10Gi")
    })
    .await;
    world.ready("files").await;
    assert_eq!(pod_uid(&world).await, pod, "the pod runs on");
}

#[tokio::test]
async fn a_claim_that_was_refused_as_too_small_is_created_once_the_spec_asks_for_more() {
    let world = World::new("small").await;
    let range = json!({
        "metadata": {"name": "least"},
        "spec": {"limits": [{"type": "PersistentVolumeClaim", "min": {"storage": "1Gi"}}]},
    });
    world
        .create::<LimitRange>(&serde_json::from_value(range).expect("a LimitRange"))
        .await;
    let spec = json!({"storage": {"metadataSize": "100Mi", "storageClassName": "standard"}});
    world.create(&fixtures::server("files", spec)).await;
    wait::until(
        world.api::<StatefulSet>(),
        "files",
        "seen by its controller",
        |set| {
            set.status
                .as_ref()
                .is_some_and(|status| status.observed_generation.is_some())
        },
    )
    .await;
    world.merge::<DittoServer>("files", grow_to("1Gi")).await;
    world.ready("files").await;
    let claim: PersistentVolumeClaim = world.get(CLAIM).await;
    assert_eq!(request(&claim).as_deref(), Some("1Gi"));
}

#[tokio::test]
async fn an_unreadable_storage_class_does_not_block_and_a_changed_class_in_the_spec_is_reported() {
    let mut world = World::without_operator("blind").await;
    let mut config = world.control_plane().client_config();
    config.auth_info.impersonate = Some(without_classes(&world).await);
    world.start_operator_as(config).await;
    world
        .create(&fixtures::server("files", on_class("standard")))
        .await;
    world.ready("files").await;
    world.merge::<DittoServer>("files", grow_to("2Gi")).await;
    wait::until(world.api::<PersistentVolumeClaim>(), CLAIM, "grown", |claim| {
        capacity(claim) == Some("2Gi")
    })
    .await;
    world.ready("files").await;

    world
        .merge::<DittoServer>(
            "files",
            json!({"spec": {"storage": {"storageClassName": "fixed"}}}),
        )
        .await;
    let server = progressing_with(&world, "StorageClassImmutable").await;
    assert!(
        wait::is(&server, "Ready", "True", "AllConditionsMet"),
        "the server runs as before"
    );
    world.event_note("StorageClassImmutable").await;
}

/// A user with every right except on cluster-wide objects.
async fn without_classes(world: &World) -> String {
    let user = format!("blind-{}", world.namespace);
    let role: ClusterRole = serde_json::from_value(json!({
        "metadata": {"name": user},
        "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}],
    }))
    .expect("a role");
    let binding: RoleBinding = serde_json::from_value(json!({
        "metadata": {"name": user},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": user},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    }))
    .expect("a binding");
    let roles = Api::<ClusterRole>::all(world.client.clone());
    roles.create(&PostParams::default(), &role).await.expect("a role");
    world.create(&binding).await;
    user
}
