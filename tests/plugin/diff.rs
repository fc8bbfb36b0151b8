//! `kubectl dittofs diff`.

use std::io::Write;
use std::process::Stdio;

use dittofs_operator::api::DittoServer;
use k8s_openapi::api::core::v1::Service;
use serde_json::{Value, json};

use super::{Said, command, plugin};
use crate::support::{World, audit, fixtures};

/// A settled server that was made by `kubectl apply` of this spec.
async fn applied(world: &World, spec: Value) {
    let mut kubectl = world.control_plane().kubectl();
    kubectl
        .args(["-n", &world.namespace, "apply", "-f", "-"])
        .stdin(Stdio::piped());
    let mut child = kubectl.spawn().expect("kubectl runs");
    let manifest = manifest(spec);
    let mut input = child.stdin.take().expect("a pipe");
    input.write_all(manifest.as_bytes()).expect("kubectl reads");
    drop(input);
    assert!(child.wait().expect("kubectl ends").success());
    world.ready("files").await;
}

fn manifest(spec: Value) -> String {
    serde_json::to_string(&fixtures::server("files", spec)).expect("JSON")
}

/// What `diff -f -` says to a manifest.
async fn against(world: &World, spec: Value) -> Said {
    let mut command = command(&world.control_plane().kubeconfig());
    command
        .args(["-n", &world.namespace, "diff", "-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let manifest = manifest(spec);
    let output = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().expect("the plugin runs");
        let mut input = child.stdin.take().expect("a pipe");
        input.write_all(manifest.as_bytes()).expect("the plugin reads");
        drop(input);
        child.wait_with_output().expect("the plugin ends")
    });
    output.await.expect("no panic").into()
}

#[tokio::test]
async fn a_settled_server_has_no_difference_and_a_diff_writes_nothing() {
    let world = World::new("diff").await;
    let spec = json!({"image": "example.org/dittofs:1", "service": {"annotations": {"fence": "1"}}});
    applied(&world, spec.clone()).await;
    let before = audit::writes(world.control_plane(), &world.namespace).len();
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
    assert_eq!(
        audit::writes(world.control_plane(), &world.namespace).len(),
        before
    );
}

#[tokio::test]
async fn a_new_image_restarts_the_pod_and_is_named_as_the_reason() {
    let world = World::new("diff").await;
    applied(&world, json!({"image": "example.org/dittofs:1"})).await;
    let said = against(&world, json!({"image": "example.org/dittofs:2"})).await;
    assert_eq!(said.code, Some(1), "{}{}", said.text, said.error);
    insta::assert_snapshot!("image", said.text.replace(&world.namespace, "NAMESPACE"));
}

#[tokio::test]
async fn an_annotation_of_a_service_that_comes_or_goes_restarts_nothing() {
    let world = World::new("diff").await;
    applied(&world, json!({"service": {"annotations": {"old": "1"}}})).await;
    let said = against(&world, json!({"service": {"annotations": {"new": "2"}}})).await;
    assert_eq!(said.code, Some(1), "{}{}", said.text, said.error);
    insta::assert_snapshot!("annotation", said.text.replace(&world.namespace, "NAMESPACE"));

    // What the diff foretold is what the operator does.
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
    crate::support::wait::until(world.api::<Service>(), "files-api", "as foretold", is_done).await;
    let said = plugin(&world, &["diff", "files"]).await;
    assert_eq!(said.code, Some(0), "{}{}", said.text, said.error);
}

#[tokio::test]
async fn a_changed_configuration_restarts_the_pod_and_the_reason_is_told() {
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
async fn a_server_that_is_stopped_or_new_is_told_as_such() {
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
async fn a_manifest_that_the_api_server_refuses_is_an_error() {
    let world = World::new("diff").await;
    let said = against(&world, json!({"replicas": 7})).await;
    assert_eq!(said.code, Some(2), "{}", said.text);
    assert!(said.error.contains("spec.replicas"), "{}", said.error);
}

#[tokio::test]
async fn what_an_edit_by_hand_would_lose_is_shown() {
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
        "a label of somebody else is left alone: {}",
        said.text
    );
}

#[tokio::test]
async fn a_volume_that_grows_restarts_nothing_and_one_that_is_added_does() {
    let world = World::new("diff").await;
    applied(&world, json!({})).await;
    let grown = json!({"storage": {"metadataSize": "2Gi"}});
    let said = against(&world, grown).await;
    assert_eq!(said.code, Some(1), "{}{}", said.text, said.error);
    let foretold = "PersistentVolumeClaim metadata-files-0 would grow from 1Gi to 2Gi";
    assert!(said.text.contains(foretold), "{}", said.text);
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
