//! Deletion protection: the API server itself refuses to delete a protected server.

use std::path::PathBuf;
use std::sync::Arc;

use dittofs_operator::api::DittoServer;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::{delete, left, storage};
use crate::support::{World, fixtures, wait};

const PROTECTION: &str = "dittofs.dittofs.com/deletion-protection";

#[tokio::test]
async fn the_api_server_refuses_to_delete_a_protected_server_until_the_protection_is_removed() {
    let world = World::new("protected").await;
    let manifest =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("config/admission/deletion-protection.yaml");
    local_control_plane::apply::apply_files(&world.client, &[manifest])
        .await
        .expect("the policies are accepted");
    let mut server = fixtures::server("files", json!({"storage": storage("Delete")}));
    server.metadata.annotations = Some([(PROTECTION.to_owned(), "enabled".to_owned())].into());
    world.create(&server).await;
    world.ready("files").await;

    let servers = Arc::new(world.api::<DittoServer>());
    let refusal = refused(|params| {
        let servers = Arc::clone(&servers);
        async move { servers.delete("files", &params).await.map(drop) }
    })
    .await;
    assert!(
        refusal.contains("kubectl annotate") && refusal.contains(PROTECTION),
        "{refusal}"
    );
    println!("protected: {refusal}");
    let collection = world.api::<DittoServer>();
    let swept = collection
        .delete_collection(&DeleteParams::default(), &ListParams::default())
        .await;
    assert!(swept.is_err(), "kubectl delete --all is refused too");

    let namespaces = Api::<Namespace>::all(world.client.clone());
    let annotate = |value: Value| Patch::Merge(json!({"metadata": {"annotations": {PROTECTION: value}}}));
    namespaces
        .patch(
            &world.namespace,
            &PatchParams::default(),
            &annotate(json!("enabled")),
        )
        .await
        .expect("an annotation");
    let refusal = refused(|params| {
        let (namespaces, name) = (namespaces.clone(), world.namespace.clone());
        async move { namespaces.delete(&name, &params).await.map(drop) }
    })
    .await;
    assert!(refusal.contains("kubectl annotate namespace"), "{refusal}");

    for value in ["true", "yes", "on"] {
        world
            .merge::<DittoServer>("files", json!({"metadata": {"annotations": {PROTECTION: value}}}))
            .await;
        let params = DeleteParams {
            dry_run: true,
            ..DeleteParams::default()
        };
        let outcome = servers.delete("files", &params).await;
        assert!(outcome.is_err(), "any value but false protects: {value}");
    }
    world
        .merge::<DittoServer>(
            "files",
            json!({"metadata": {"annotations": {PROTECTION: "false"}}}),
        )
        .await;
    delete(&world, "protection lifted").await;
    assert_eq!(left(&world).await, Vec::<String>::new());
}

/// Deletes with dry runs until the API server refuses: a new policy takes effect after a moment. Returns the message.
async fn refused<F: Future<Output = kube::Result<()>>>(delete: impl Fn(DeleteParams) -> F) -> String {
    let params = DeleteParams {
        dry_run: true,
        ..DeleteParams::default()
    };
    let asking = async {
        loop {
            if let Err(kube::Error::Api(status)) = delete(params.clone()).await {
                assert_eq!(status.code, 403, "{status:?}");
                return status.message;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(wait::LONGEST, asking)
        .await
        .expect("the policy takes effect")
}
