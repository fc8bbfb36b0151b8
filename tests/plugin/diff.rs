//! `kubectl dittofs diff`.

use dittofs_operator::api::DittoServer;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, ResourceQuota, Service};
use serde_json::json;

use super::{against, applied, plugin};
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
    for said in [
        plugin(&world, &["diff", "files"]).await,
        against(&world, spec).await,
    ] {
        assert_eq!(said.code, Some(0), "{}{}", said.text, said.error);
        assert!(said.text.contains("No change. "), "{}", said.text);
        assert!(said.text.contains("The pod does not restart."), "{}", said.text);
    }
    let said = against(&world, json!({"image": "example.org/dittofs:2"})).await;
    assert_eq!(said.code, Some(1), "{}{}", said.text, said.error);
    assert_eq!(world.audit().writes().len(), before);
}

#[tokio::test]
async fn a_new_image_is_shown_as_the_reason_for_a_restart() {
    let world = World::new("diff").await;
    applied(&world, json!({"image": "example.org/dittofs:1"})).await;
    let said = against(&world, json!({"image": "example.org/dittofs:2"})).await;
    assert_eq!(said.code, Some(1), "{}{}", said.text, said.error);
    insta::assert_snapshot!("image", said.text.replace(&world.namespace, "NAMESPACE"));
}

#[tokio::test]
async fn an_added_or_removed_service_annotation_restarts_nothing() {
    let world = World::new("diff").await;
    applied(&world, json!({"service": {"annotations": {"old": "1"}}})).await;
    let said = against(&world, json!({"service": {"annotations": {"new": "2"}}})).await;
    assert_eq!(said.code, Some(1), "{}{}", said.text, said.error);
    insta::assert_snapshot!("annotation", said.text.replace(&world.namespace, "NAMESPACE"));

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
    let said = plugin(&world, &["diff", "files"]).await;
    assert_eq!(said.code, Some(0), "{}{}", said.text, said.error);
}

#[tokio::test]
async fn a_changed_configuration_is_shown_as_the_reason_for_a_restart() {
    let world = World::new("diff").await;
    applied(&world, json!({})).await;
    let said = against(&world, json!({"logging": {"level": "DEBUG"}})).await;
    assert_eq!(said.code, Some(1), "{}{}", said.text, said.error);
    assert!(
        said.text.contains("ConfigMap files-config (live)"),
        "{}",
        said.text
    );
    assert!(said.text.contains("config.yaml changes"), "{}", said.text);
}

#[tokio::test]
async fn diff_says_that_a_server_is_stopped_or_new() {
    let world = World::new("diff").await;
    let said = against(&world, json!({})).await;
    assert_eq!(said.code, Some(1), "{}{}", said.text, said.error);
    assert!(
        said.text.contains("StatefulSet files would be created"),
        "{}",
        said.text
    );
    assert!(said.text.contains("A pod is started."), "{}", said.text);
    applied(&world, json!({})).await;
    let said = against(&world, json!({"replicas": 0})).await;
    assert!(said.text.contains("The pod is stopped."), "{}", said.text);
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
    let said = plugin(&world, &["diff", "files"]).await;
    assert_eq!(said.code, Some(1), "{}{}", said.text, said.error);
    assert!(said.text.contains("-    instance: stolen"), "{}", said.text);
    assert!(said.text.contains("+    instance: files"), "{}", said.text);
    assert!(
        !said.text.contains("mine"),
        "a label of another writer is kept: {}",
        said.text
    );
}

#[tokio::test]
async fn an_expanded_volume_restarts_nothing_and_an_added_volume_restarts_the_pod() {
    let world = World::new("diff").await;
    applied(&world, json!({})).await;
    let grown = json!({"storage": {"metadataSize": "2Gi"}});
    let said = against(&world, grown).await;
    assert_eq!(said.code, Some(1), "{}{}", said.text, said.error);
    let predicted = "PersistentVolumeClaim metadata-files-0 would grow from 1Gi to 2Gi";
    assert!(said.text.contains(predicted), "{}", said.text);
    assert!(said.text.contains("The pod does not restart."), "{}", said.text);

    let added = json!({"storage": {"metadataSize": "1Gi", "contentSize": "1Gi"}});
    let said = against(&world, added).await;
    assert_eq!(said.code, Some(1), "{}{}", said.text, said.error);
    assert!(said.text.contains("StatefulSet files (desired)"), "{}", said.text);
    assert!(said.text.contains("      name: content\n"), "{}", said.text);
    assert!(
        !said.text.contains("volumeMode"),
        "templates that stay are not shown as changed: {}",
        said.text
    );
    assert!(said.text.contains("The pod restarts:"), "{}", said.text);
}

#[tokio::test]
async fn a_service_that_the_spec_no_longer_wants_would_be_deleted() {
    let world = World::new("diff").await;
    applied(&world, json!({"metrics": {"enabled": true}})).await;
    let said = against(&world, json!({})).await;
    assert_eq!(said.code, Some(1), "{}{}", said.text, said.error);
    let goes = "Service files-metrics would be deleted";
    assert!(said.text.contains(goes), "{}", said.text);
    assert!(said.text.contains("The pod restarts:"), "{}", said.text);
}

#[tokio::test]
async fn no_restart_is_predicted_while_the_config_map_has_another_owner() {
    let mut world = World::without_operator("diff").await;
    let foreign = json!({"metadata": {"name": "files-config"}, "data": {"mine": "1"}});
    world
        .create::<ConfigMap>(&serde_json::from_value(foreign).expect("a ConfigMap"))
        .await;
    let said = against(&world, json!({"percona": {"enabled": true}})).await;
    assert_eq!(said.code, Some(1), "{}{}", said.text, said.error);
    for wanted in [
        "ConfigMap files-config: belongs to an unknown owner",
        "PerconaPGCluster files-postgres: waits for an earlier child",
        "There is no pod, and none is started.",
    ] {
        assert!(said.text.contains(wanted), "{wanted}: {}", said.text);
    }
    let said = against(&world, json!({})).await;
    let waits = "StatefulSet files: waits for an earlier child";
    assert!(said.text.contains(waits), "{}", said.text);
    assert!(!said.text.contains("A pod is started"), "{}", said.text);

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
    let resources = json!({"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}});
    let said = against(&world, json!({"resources": resources})).await;
    assert_eq!(said.code, Some(2), "{}{}", said.text, said.error);
    let why = "must be less than or equal to memory limit";
    assert!(said.text.contains(why), "{}", said.text);
    assert!(!said.text.contains("A pod is started"), "{}", said.text);
}

#[tokio::test]
async fn the_configuration_does_not_change_while_the_stateful_set_would_be_refused() {
    let world = World::new("diff").await;
    applied(&world, json!({})).await;
    let half = json!({"limits": {"example.org/device": "500m"}});
    let bad = json!({"logging": {"level": "DEBUG"}, "resources": half});
    let said = against(&world, bad).await;
    assert_eq!(said.code, Some(2), "{}{}", said.text, said.error);
    for wanted in [
        "ConfigMap files-config: stays as it is",
        "StatefulSet files: apply failed:",
        "must be an integer",
    ] {
        assert!(said.text.contains(wanted), "{wanted}: {}", said.text);
    }
}

#[tokio::test]
async fn a_volume_that_cannot_be_expanded_is_reported() {
    let world = World::new("diff").await;
    let storage = |size: &str| json!({"storage": {"metadataSize": size, "storageClassName": "fixed"}});
    applied(&world, storage("1Gi")).await;
    let said = against(&world, storage("2Gi")).await;
    assert_eq!(said.code, Some(0), "{}{}", said.text, said.error);
    assert!(said.text.contains("note: VolumeNotExpandable:"), "{}", said.text);
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
    let said = against(&world, json!({})).await;
    assert_eq!(said.code, Some(2), "{}{}", said.text, said.error);
    for wanted in [
        "ConfigMap files-config: create failed:",
        "exceeded quota: none",
        "StatefulSet files: waits for an earlier child",
    ] {
        assert!(said.text.contains(wanted), "{wanted}: {}", said.text);
    }
    assert!(!said.text.contains("A pod is started"), "{}", said.text);
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
    let said = plugin(world, &["diff", "files"]).await;
    assert_eq!(said.code, Some(1), "{}{}", said.text, said.error);
    for wanted in [
        "ConfigMap files-config (live)",
        "- name: DATABASE_URL",
        "-            exec:",
        "+            sleep:",
        "-      initContainers:",
        "The pod restarts:",
    ] {
        assert!(said.text.contains(wanted), "{wanted}: {}", said.text);
    }
}
