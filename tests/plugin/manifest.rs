//! `kubectl dittofs diff -f` with an invalid manifest.

use dittofs_operator::api::DittoServer;
use kube::Api;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::ApiResource;
use serde_json::{Value, json};

use super::{CommandOutput, applied, command, diff_of, manifest, run_with_input};
use crate::support::World;

/// The output of `diff -f -` for this text.
async fn diff_of_text(world: &World, text: String) -> CommandOutput {
    let mut command = command(&world.control_plane().kubeconfig());
    command.args(["-n", &world.namespace, "diff", "-f", "-"]);
    run_with_input(command, text).await
}

/// A manifest with a field that does not exist.
fn mistyped() -> Value {
    let mut manifest: Value = serde_json::from_str(&manifest(json!({}))).expect("JSON");
    manifest["spec"]["imag"] = json!("example.org/dittofs:2");
    manifest
}

#[tokio::test]
async fn a_manifest_that_the_api_server_refuses_is_an_error() {
    let world = World::new("diff").await;
    let output = diff_of(&world, json!({"replicas": 7})).await;
    assert_eq!(output.code, Some(2), "{}", output.text);
    assert!(output.error.contains("spec.replicas"), "{}", output.error);
}

#[tokio::test]
async fn manual_annotations_are_kept_under_a_manifest_without_them() {
    let world = World::new("manifest").await;
    applied(&world, json!({})).await;
    let paused = json!({"metadata": {"annotations": {"dittofs.dittofs.com/paused": "true"}}});
    world.merge::<DittoServer>("files", paused).await;
    let output = diff_of(&world, json!({"image": "example.org/dittofs:2"})).await;
    assert!(output.text.contains("the server is paused"), "{}", output.text);
}

#[tokio::test]
async fn a_wrong_type_in_a_new_manifest_is_reported_with_the_api_servers_message() {
    let world = World::without_operator("manifest").await;
    let mut wrong: Value = serde_json::from_str(&manifest(json!({}))).expect("JSON");
    wrong["spec"]["storage"] = json!("a lot");
    let output = diff_of_text(&world, wrong.to_string()).await;
    assert_eq!(output.code, Some(2), "{}", output.text);
    assert!(output.error.contains("spec.storage"), "{}", output.error);
    assert!(output.error.contains("Correct the manifest"), "{}", output.error);
    assert!(!output.error.contains("kubectl edit"), "{}", output.error);
}

#[tokio::test]
async fn a_field_that_does_not_exist_is_an_error_in_a_new_manifest_and_over_a_stored_server() {
    let world = World::new("manifest").await;
    let output = diff_of_text(&world, mistyped().to_string()).await;
    assert_eq!(output.code, Some(2), "new: {}", output.text);
    assert!(output.error.contains("spec.imag"), "{}", output.error);

    applied(&world, json!({})).await;
    let output = diff_of_text(&world, mistyped().to_string()).await;
    assert_eq!(output.code, Some(2), "by kubectl apply: {}", output.text);
    assert!(output.error.contains("spec.imag"), "{}", output.error);

    // Like the writes of Argo CD and Flux.
    let resource = ApiResource::erase::<DittoServer>(&());
    let servers: Api<DynamicObject> = Api::namespaced_with(world.client.clone(), &world.namespace, &resource);
    let good: Value = serde_json::from_str(&manifest(json!({}))).expect("JSON");
    servers
        .patch("files", &PatchParams::apply("flux").force(), &Patch::Apply(&good))
        .await
        .expect("it is applied");
    let output = diff_of_text(&world, mistyped().to_string()).await;
    assert_eq!(output.code, Some(2), "by server-side apply: {}", output.text);
    assert!(output.error.contains("spec.imag"), "{}", output.error);
}
