//! Policies that refuse fields which the operator's apply removes.

use dittofs_operator::api::DittoServer;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::ResourceExt;
use kube::api::Patch;
use serde_json::{Value, json};

use super::{bind, constraints, refused};
use crate::support::restarts::Restarts;
use crate::support::{World, fixtures, wait};

/// A server with resource limits, in a namespace whose policy came later and refuses limits with this reason.
async fn with_refused_limits(reason: &str) -> World {
    let world = World::new("nolimits").await;
    let limits = json!({"resources": {"limits": {"memory": "1Gi"}}});
    world.create(&fixtures::server("files", limits)).await;
    world.ready("files").await;
    let policy = json!({
        "matchConstraints": constraints(&world, "apps", "statefulsets", &["CREATE", "UPDATE"]),
        "failurePolicy": "Fail",
        "validations": [{
            "expression": "object.spec.template.spec.containers.all(c, !has(c.resources) || !has(c.resources.limits))",
            "message": "no limits",
            "reason": reason,
        }],
    });
    bind(&world, "ValidatingAdmissionPolicy", policy).await;
    let probe = json!({"metadata": {"annotations": {"probe": "1"}}});
    refused::<StatefulSet>(&world, "files", &Patch::Merge(probe)).await;
    world
}

async fn rolls_out_without_limits(world: &World, edit: Value, restarts: usize) {
    let (pod, counted) = (world.get::<Pod>("files-0").await.uid(), Restarts::of(world));
    world.merge::<DittoServer>("files", edit).await;
    world.pod_other_than(pod.as_deref()).await;
    world.ready("files").await;
    let pod: Pod = world.get("files-0").await;
    let resources = pod
        .spec
        .and_then(|spec| spec.containers.into_iter().next()?.resources);
    assert!(resources.is_none_or(|resources| resources.limits.is_none()));
    assert_eq!(counted.count(), restarts);
}

#[tokio::test]
async fn a_field_that_a_policy_denies_is_removed_with_an_edit_of_the_configuration() {
    for reason in ["Forbidden", "Invalid"] {
        let world = with_refused_limits(reason).await;
        // The StatefulSet was only created until now, so the fields are in our entry of the create.
        let edit = json!({"spec": {"resources": null, "logging": {"level": "DEBUG"}}});
        rolls_out_without_limits(&world, edit, 1).await;
        let config: ConfigMap = world.get("files-config").await;
        let config = config.data.unwrap_or_default();
        assert!(config["config.yaml"].contains("DEBUG"), "{reason}");
    }
}

#[tokio::test]
async fn a_field_that_a_policy_denies_is_removed_without_an_edit_of_the_configuration() {
    let world = with_refused_limits("Forbidden").await;
    rolls_out_without_limits(&world, json!({"spec": {"resources": null}}), 1).await;
}

#[tokio::test]
async fn a_policy_that_denies_what_is_desired_keeps_pod_and_configuration() {
    let world = with_refused_limits("Forbidden").await;
    let (pod, config): (Pod, ConfigMap) = (world.get("files-0").await, world.get("files-config").await);
    let edit = json!({"spec": {"logging": {"level": "DEBUG"}}});
    world.merge::<DittoServer>("files", edit).await;
    world
        .server_until("files", "refused", |server| {
            wait::condition(server, "Progressing").is_some_and(|progressing| {
                progressing.reason == "ApplyFailed" && progressing.message.contains("no limits")
            })
        })
        .await;
    assert_eq!(world.get::<Pod>("files-0").await.uid(), pod.uid());
    assert_eq!(world.get::<ConfigMap>("files-config").await.data, config.data);
}
