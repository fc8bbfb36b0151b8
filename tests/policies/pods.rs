//! Pods that the API server would refuse after a rollout.

use dittofs_operator::api::DittoServer;
use k8s_openapi::api::core::v1::{ConfigMap, LimitRange, Namespace, Pod, ResourceQuota};
use kube::ResourceExt;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};

use super::{annotate, progressing};
use crate::support::{World, fixtures, wait};

/// An edit of the configuration and the resources whose pod is refused: the old pod and its configuration stay, and the status has
/// the words of the refusal.
async fn keeps_the_pod(world: &World, spec: Value, words: &str) {
    let pod: Pod = world.get("files-0").await;
    let config: ConfigMap = world.get("files-config").await;
    world.merge::<DittoServer>("files", json!({"spec": spec})).await;
    let server = world
        .server_until("files", "refused", |server| {
            progressing(server, "True", "ApplyFailed")
        })
        .await;
    let message = wait::condition(&server, "Progressing")
        .map(|told| told.message.clone())
        .unwrap_or_default();
    assert!(message.contains(words), "{message}");
    annotate(world).await;
    let kept: Pod = world.get("files-0").await;
    assert_eq!(kept.uid(), pod.uid());
    assert_eq!(kept.metadata.deletion_timestamp, None);
    assert_eq!(world.get::<ConfigMap>("files-config").await.data, config.data);
}

async fn limit_range(world: &World) {
    let limits = json!({"metadata": {"name": "small"}, "spec": {"limits": [{"type": "Container", "max": {"cpu": "500m"}, "default": {"cpu": "100m"}, "defaultRequest": {"cpu": "100m"}}]}});
    world
        .create::<LimitRange>(&serde_json::from_value(limits).expect("a LimitRange"))
        .await;
}

#[tokio::test]
async fn a_pod_that_a_limit_range_refuses_leaves_the_old_pod_and_its_configuration() {
    let world = World::new("limits").await;
    limit_range(&world).await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    let cpu = |amount: &str| json!({"requests": {"cpu": amount}, "limits": {"cpu": amount}});
    let spec = json!({"resources": cpu("1"), "logging": {"level": "DEBUG"}});
    keeps_the_pod(&world, spec, "maximum cpu usage per Container is 500m").await;
    let before: Pod = world.get("files-0").await;
    world
        .merge::<DittoServer>("files", json!({"spec": {"resources": cpu("400m")}}))
        .await;
    world.pod_other_than(before.uid().as_deref()).await;
    world.ready("files").await;
}

#[tokio::test]
async fn a_pod_that_a_quota_refuses_leaves_the_old_pod_and_one_that_fits_in_its_place_is_rolled_out() {
    let world = World::new("quota").await;
    let cpu = |amount: &str| json!({"resources": {"requests": {"cpu": amount}, "limits": {"cpu": amount}}});
    world.create(&fixtures::server("files", cpu("500m"))).await;
    world.ready("files").await;
    let quota = json!({"metadata": {"name": "team"}, "spec": {"hard": {"limits.cpu": "1", "pods": "1"}}});
    world
        .create::<ResourceQuota>(&serde_json::from_value(quota).expect("a ResourceQuota"))
        .await;
    wait::until(world.api::<ResourceQuota>(), "team", "counted", |quota| {
        let used = quota.status.as_ref().and_then(|status| status.used.as_ref());
        used.and_then(|used| used.get("pods"))
            .is_some_and(|pods| pods.0 == "1")
    })
    .await;
    keeps_the_pod(&world, cpu("2"), "exceeded quota: team").await;
    let before: Pod = world.get("files-0").await;
    world
        .merge::<DittoServer>("files", json!({"spec": cpu("900m")}))
        .await;
    world.pod_other_than(before.uid().as_deref()).await;
    world.ready("files").await;
}

#[tokio::test]
async fn a_pod_that_pod_security_refuses_leaves_the_old_pod() {
    let world = World::new("podsecurity").await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    let api: Api<Namespace> = Api::all(world.client.clone());
    let labels = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}});
    api.patch(&world.namespace, &PatchParams::default(), &Patch::Merge(labels))
        .await
        .expect("a label");
    keeps_the_pod(
        &world,
        json!({"securityContext": {"capabilities": {"add": ["NET_ADMIN"]}}}),
        "violates PodSecurity",
    )
    .await;
}
