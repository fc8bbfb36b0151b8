//! Volumes are expanded in place, without a pod restart. Where that is impossible, everything else still works.

mod content;

use std::time::Instant;

use dittofs_operator::api::DittoServer;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Event, LimitRange, PersistentVolumeClaim, Pod, ResourceQuota};
use k8s_openapi::api::rbac::v1::{ClusterRole, RoleBinding};
use kube::api::{ListParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use crate::support::process::POLL;
use crate::support::restarts::Restarts;
use crate::support::{World, fixtures, wait};

const CLAIM: &str = "metadata-files-0";

fn on_class(class: &str) -> Value {
    json!({"storage": {"metadataSize": "1Gi", "storageClassName": class}})
}

/// A world with the Ready server `files` on this StorageClass.
async fn running(name: &str, class: &str) -> World {
    let world = World::new(name).await;
    world.create(&fixtures::server("files", on_class(class))).await;
    world.ready("files").await;
    world
}

fn grow_to(size: &str) -> Value {
    json!({"spec": {"storage": {"metadataSize": size}}})
}

fn capacity(claim: &PersistentVolumeClaim) -> Option<&str> {
    Some(
        claim
            .status
            .as_ref()?
            .capacity
            .as_ref()?
            .get("storage")?
            .0
            .as_str(),
    )
}

fn request(claim: &PersistentVolumeClaim) -> Option<String> {
    let requests = claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?;
    Some(requests.get("storage")?.0.clone())
}

/// The size of a volume in the StatefulSet's template.
fn template(set: &StatefulSet, volume: &str) -> Option<String> {
    let templates = set.spec.as_ref()?.volume_claim_templates.as_ref()?;
    let template = templates
        .iter()
        .find(|template| template.metadata.name.as_deref() == Some(volume))?;
    request(template)
}

async fn pod_uid(world: &World) -> Option<String> {
    world.get::<Pod>("files-0").await.uid()
}

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
async fn a_volume_is_expanded_and_the_stateful_set_follows_without_a_pod_restart() {
    let world = running("grow", "standard").await;
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
    let events = world.api::<Event>().list(&ListParams::default()).await;
    let failures: Vec<Option<String>> = events
        .expect("events")
        .into_iter()
        .filter(|event| event.reason.as_deref() == Some("ReconcileFailed"))
        .map(|event| event.message)
        .collect();
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
