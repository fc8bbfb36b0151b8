//! `kubectl dittofs diff`.

use dittofs_operator::api::DittoServer;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, ResourceQuota, Service};
use serde_json::json;

use super::{applied, diff_of, plugin};
use crate::support::{World, fixtures, wait};
use crate::takeover::go_operator;

#[tokio::test]
async fn a_stable_server_has_no_difference_and_diff_writes_nothing() {
    let mut world = World::new("diff").await;
    let spec = json!({"image": "example.org/dittofs:1", "service": {"annotations": {"fence": "1"}}});
    applied(&world, spec.clone()).await;
    // It would still write its last events.
    world.stop_operator().await;
    let before = world.audit().writes().len();
    for output in [
        plugin(&world, &["diff", "files"]).await,
        diff_of(&world, spec).await,
    ] {
        assert_eq!(output.code, Some(0), "{}{}", output.text, output.error);
        assert!(output.text.contains("No change. "), "{}", output.text);
        assert!(
            output.text.contains("The pod does not restart."),
            "{}",
            output.text
        );
    }
    let output = diff_of(&world, json!({"image": "example.org/dittofs:2"})).await;
    assert_eq!(output.code, Some(1), "{}{}", output.text, output.error);
    assert_eq!(world.audit().writes().len(), before);
}

#[tokio::test]
async fn a_new_image_is_shown_as_the_reason_for_a_restart() {
    let world = World::new("diff").await;
    applied(&world, json!({"image": "example.org/dittofs:1"})).await;
    let output = diff_of(&world, json!({"image": "example.org/dittofs:2"})).await;
    assert_eq!(output.code, Some(1), "{}{}", output.text, output.error);
    insta::assert_snapshot!("image", output.text.replace(&world.namespace, "NAMESPACE"));
}

#[tokio::test]
async fn an_added_or_removed_service_annotation_restarts_nothing() {
    let world = World::new("diff").await;
    applied(&world, json!({"service": {"annotations": {"old": "1"}}})).await;
    let output = diff_of(&world, json!({"service": {"annotations": {"new": "2"}}})).await;
    assert_eq!(output.code, Some(1), "{}{}", output.text, output.error);
    insta::assert_snapshot!("annotation", output.text.replace(&world.namespace, "NAMESPACE"));

    // The operator does what the diff predicted.
    world
        .merge::<DittoServer>(
            "files",
            json!({"spec": {"service": {"annotations": {"old": null, "new": "2"}}}}),
        )
        .await;
    world.ready("files").await;
    let is_done = |service: &Service| {
        let annotations = service.metadata.annotations.clone().unwrap_or_default();
        annotations.contains_key("new") && !annotations.contains_key("old")
    };
    wait::until(world.api::<Service>(), "files-api", "as predicted", is_done).await;
    let output = plugin(&world, &["diff", "files"]).await;
    assert_eq!(output.code, Some(0), "{}{}", output.text, output.error);
}

#[tokio::test]
async fn a_changed_configuration_is_shown_as_the_reason_for_a_restart() {
    let world = World::new("diff").await;
    applied(&world, json!({})).await;
    let output = diff_of(&world, json!({"logging": {"level": "DEBUG"}})).await;
    assert_eq!(output.code, Some(1), "{}{}", output.text, output.error);
    assert!(
        output.text.contains("ConfigMap files-config (live)"),
        "{}",
        output.text
    );
    assert!(output.text.contains("config.yaml changes"), "{}", output.text);
}

#[tokio::test]
async fn diff_says_that_a_server_is_stopped_or_new() {
    let world = World::new("diff").await;
    let output = diff_of(&world, json!({})).await;
    assert_eq!(output.code, Some(1), "{}{}", output.text, output.error);
    assert!(
        output.text.contains("StatefulSet files would be created"),
        "{}",
        output.text
    );
    assert!(output.text.contains("A pod will be started."), "{}", output.text);
    applied(&world, json!({})).await;
    let output = diff_of(&world, json!({"replicas": 0})).await;
    assert!(
        output.text.contains("The pod will be stopped."),
        "{}",
        output.text
    );
}

#[tokio::test]
async fn diff_shows_which_manual_edits_would_be_reverted() {
    let mut world = World::new("diff").await;
    applied(&world, json!({})).await;
    world.stop_operator().await;
    world
        .merge::<Service>(
            "files-api",
            json!({"metadata": {"labels": {"instance": "stolen", "mine": "stays"}}}),
        )
        .await;
    let output = plugin(&world, &["diff", "files"]).await;
    assert_eq!(output.code, Some(1), "{}{}", output.text, output.error);
    assert!(output.text.contains("-    instance: stolen"), "{}", output.text);
    assert!(output.text.contains("+    instance: files"), "{}", output.text);
    assert!(
        !output.text.contains("mine"),
        "a label of another writer is kept: {}",
        output.text
    );
}

#[tokio::test]
async fn an_expanded_volume_restarts_nothing_and_an_added_volume_restarts_the_pod() {
    let world = World::new("diff").await;
    applied(&world, json!({})).await;
    let grown = json!({"storage": {"metadataSize": "2Gi"}});
    let output = diff_of(&world, grown).await;
    assert_eq!(output.code, Some(1), "{}{}", output.text, output.error);
    let predicted = "PersistentVolumeClaim metadata-files-0 would grow from 1Gi to 2Gi";
    assert!(output.text.contains(predicted), "{}", output.text);
    assert!(
        output.text.contains("The pod does not restart."),
        "{}",
        output.text
    );

    let added = json!({"storage": {"metadataSize": "1Gi", "contentSize": "1Gi"}});
    let output = diff_of(&world, added).await;
    assert_eq!(output.code, Some(1), "{}{}", output.text, output.error);
    assert!(
        output.text.contains("StatefulSet files (desired)"),
        "{}",
        output.text
    );
    assert!(output.text.contains("      name: content\n"), "{}", output.text);
    assert!(
        !output.text.contains("volumeMode"),
        "templates that stay are not shown as changed: {}",
        output.text
    );
    assert!(output.text.contains("The pod restarts:"), "{}", output.text);
}

#[tokio::test]
async fn a_service_that_the_spec_no_longer_wants_would_be_deleted() {
    let world = World::new("diff").await;
    applied(&world, json!({"metrics": {"enabled": true}})).await;
    let output = diff_of(&world, json!({})).await;
    assert_eq!(output.code, Some(1), "{}{}", output.text, output.error);
    let goes = "Service files-metrics would be deleted";
    assert!(output.text.contains(goes), "{}", output.text);
    assert!(output.text.contains("The pod restarts:"), "{}", output.text);
}

#[tokio::test]
async fn no_restart_is_predicted_while_the_config_map_has_another_owner() {
    let mut world = World::without_operator("diff").await;
    let foreign = json!({"metadata": {"name": "files-config"}, "data": {"mine": "1"}});
    world
        .create::<ConfigMap>(&serde_json::from_value(foreign).expect("a ConfigMap"))
        .await;
    let output = diff_of(&world, json!({"percona": {"enabled": true}})).await;
    assert_eq!(output.code, Some(1), "{}{}", output.text, output.error);
    for wanted in [
        "ConfigMap files-config: belongs to an unknown owner",
        "PerconaPGCluster files-postgres: waits for an earlier child",
        "There is no pod, and none will be started.",
    ] {
        assert!(output.text.contains(wanted), "{wanted}: {}", output.text);
    }
    let output = diff_of(&world, json!({})).await;
    let waits = "StatefulSet files: waits for an earlier child";
    assert!(output.text.contains(waits), "{}", output.text);
    assert!(!output.text.contains("A pod will be started"), "{}", output.text);

    // The operator does what the diff predicted.
    world.create(&fixtures::minimal("files")).await;
    world.start_operator().await;
    world
        .server_until("files", "reported as a conflict", |server| {
            wait::condition(server, "ConfigReady").is_some_and(|ready| ready.status == "False")
        })
        .await;
    let set = world.api::<StatefulSet>().get_opt("files").await;
    assert_eq!(set.expect("an answer"), None);
}

#[tokio::test]
async fn no_restart_is_predicted_for_a_pod_that_the_api_server_would_refuse() {
    let world = World::without_operator("diff").await;
    let resources = json!({"limits": {"example.org/device": "500m"}});
    let output = diff_of(&world, json!({"resources": resources})).await;
    assert_eq!(output.code, Some(2), "{}{}", output.text, output.error);
    let why = "must be an integer";
    assert!(output.text.contains(why), "{}", output.text);
    assert!(!output.text.contains("A pod will be started"), "{}", output.text);
}

#[tokio::test]
async fn the_configuration_does_not_change_while_the_stateful_set_would_be_refused() {
    let world = World::new("diff").await;
    applied(&world, json!({})).await;
    let half = json!({"limits": {"example.org/device": "500m"}});
    let bad = json!({"logging": {"level": "DEBUG"}, "resources": half});
    let output = diff_of(&world, bad).await;
    assert_eq!(output.code, Some(2), "{}{}", output.text, output.error);
    for wanted in [
        "ConfigMap files-config: stays as it is",
        "StatefulSet files: apply failed:",
        "must be an integer",
    ] {
        assert!(output.text.contains(wanted), "{wanted}: {}", output.text);
    }
}

#[tokio::test]
async fn a_volume_that_cannot_be_expanded_is_reported() {
    let world = World::new("diff").await;
    let storage = |size: &str| json!({"storage": {"metadataSize": size, "storageClassName": "fixed"}});
    applied(&world, storage("1Gi")).await;
    let output = diff_of(&world, storage("2Gi")).await;
    assert_eq!(output.code, Some(0), "{}{}", output.text, output.error);
    assert!(
        output.text.contains("note: VolumeNotExpandable:"),
        "{}",
        output.text
    );
}

#[tokio::test]
async fn no_restart_is_predicted_while_a_quota_refuses_the_configuration() {
    let world = World::without_operator("diff").await;
    let quota = json!({"metadata": {"name": "none"}, "spec": {"hard": {"count/configmaps": "0"}}});
    world
        .create::<ResourceQuota>(&serde_json::from_value(quota).expect("a ResourceQuota"))
        .await;
    wait::until(world.api::<ResourceQuota>(), "none", "in force", |quota| {
        let used = quota.status.as_ref().and_then(|status| status.used.as_ref());
        used.is_some_and(|used| !used.is_empty())
    })
    .await;
    let output = diff_of(&world, json!({})).await;
    assert_eq!(output.code, Some(2), "{}{}", output.text, output.error);
    for wanted in [
        "ConfigMap files-config: create failed:",
        "exceeded quota: none",
        "StatefulSet files: waits for an earlier child",
    ] {
        assert!(output.text.contains(wanted), "{wanted}: {}", output.text);
    }
    assert!(!output.text.contains("A pod will be started"), "{}", output.text);
}

#[tokio::test]
async fn diff_predicts_the_takeover_from_the_go_operator() {
    let mut world = World::without_operator("diff").await;
    go_operator::set_up(&world).await;
    foretells_the_take_over(&world).await;
    world.start_operator().await;
    let is_ours = |set: &StatefulSet| {
        let pod = set.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
        pod.is_some_and(|pod| pod.init_containers.is_none())
    };
    wait::until(world.api::<StatefulSet>(), "files", "ours", is_ours).await;
    world.stop_operator().await;
    go_operator::come_back(&world).await;
    foretells_the_take_over(&world).await;
}

async fn foretells_the_take_over(world: &World) {
    let output = plugin(world, &["diff", "files"]).await;
    assert_eq!(output.code, Some(1), "{}{}", output.text, output.error);
    for wanted in [
        "ConfigMap files-config (live)",
        "- name: DATABASE_URL",
        "-            exec:",
        "+            sleep:",
        "-      initContainers:",
        "The pod restarts:",
    ] {
        assert!(output.text.contains(wanted), "{wanted}: {}", output.text);
    }
}
