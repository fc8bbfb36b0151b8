//! Data that would be lost or hidden: claims that are deleted under a running server, and servers that are created again.

use dittofs_operator::api::DittoServer;
use dittofs_operator::api::percona::PerconaPGCluster;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::ResourceExt;
use serde_json::{Value, json};

use crate::support::{World, fixtures, wait};

/// Waits until `ConfigReady` is False for this reason. Returns its message.
async fn blocked(world: &World, reason: &str) -> String {
    let is_blocked = |server: &DittoServer| wait::is(server, "ConfigReady", "False", reason);
    let server = world.server_until("files", reason, is_blocked).await;
    let condition = wait::condition(&server, "ConfigReady").expect("a condition");
    condition.message.clone()
}

/// Deletes the server and waits until it and its StatefulSet are gone.
async fn delete(world: &World) {
    let server: DittoServer = world.get("files").await;
    let set: StatefulSet = world.get("files").await;
    world.delete::<DittoServer>("files").await;
    wait::until_gone(world.api::<DittoServer>(), "files", server.uid()).await;
    wait::until_gone(world.api::<StatefulSet>(), "files", set.uid()).await;
}

async fn image(world: &World) -> Option<String> {
    let set: StatefulSet = world.get("files").await;
    set.spec?.template.spec?.containers.first()?.image.clone()
}

// invariant: 13
#[tokio::test]
async fn a_claim_that_is_deleted_under_a_running_server_stops_rollouts_and_its_loss_has_an_event() {
    for claim in ["metadata-files-0", "content-files-0"] {
        let world = World::new("lostclaim").await;
        let spec = json!({"storage": {"metadataSize": "1Gi", "contentSize": "1Gi"}});
        world.create(&fixtures::server("files", spec)).await;
        world.ready("files").await;
        let before: PersistentVolumeClaim = world.get(claim).await;
        let pod = world.get::<Pod>("files-0").await.uid();
        let old_image = image(&world).await;
        // The controller of kubectl delete --wait=false. Kubernetes removes the finalizer once no pod uses the claim.
        let protected = json!({"metadata": {"finalizers": ["kubernetes.io/pvc-protection"]}});
        world.merge::<PersistentVolumeClaim>(claim, protected).await;
        world.delete::<PersistentVolumeClaim>(claim).await;

        let message = blocked(&world, "VolumeClaimTerminating").await;
        assert!(message.contains(claim) && message.contains("Retain"), "{message}");
        assert!(world.event_note("VolumeClaimTerminating").await.contains(claim));
        let edit = json!({"spec": {"image": "example.org/dittofs:2"}});
        world.merge::<DittoServer>("files", edit).await;
        world.observed().await;
        assert_eq!(image(&world).await, old_image, "nothing is rolled out");
        assert_eq!(
            world.get::<Pod>("files-0").await.uid(),
            pod,
            "the pod is not deleted"
        );

        world.delete::<Pod>("files-0").await;
        let released = json!({"metadata": {"finalizers": null}});
        let _ = world
            .api::<PersistentVolumeClaim>()
            .patch(
                claim,
                &kube::api::PatchParams::default(),
                &kube::api::Patch::Merge(&released),
            )
            .await;
        wait::until_gone(world.api::<PersistentVolumeClaim>(), claim, before.uid()).await;
        assert!(world.event_note("VolumeReplaced").await.contains(claim));
        world
            .server_until("files", "no longer blocked", |server| {
                wait::is(server, "ConfigReady", "True", "ConfigValid")
            })
            .await;
        wait::until(world.api::<StatefulSet>(), "files", "updated", |set| {
            let pod = set.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
            pod.and_then(|pod| pod.containers[0].image.as_deref()) == Some("example.org/dittofs:2")
        })
        .await;
    }
}

// invariant: 11
#[tokio::test]
async fn a_server_that_is_created_again_without_its_database_does_not_start_on_an_empty_one() {
    let world = World::new("elsewhere").await;
    let _simulator = world.percona().await;
    let percona = json!({"percona": {"enabled": true}});
    world.create(&fixtures::server("files", percona.clone())).await;
    world.ready("files").await;
    let annotation = |claim: &PersistentVolumeClaim| {
        claim
            .annotations()
            .get("dittofs.io/control-plane-database")
            .cloned()
    };
    wait::until(
        world.api(),
        "controlplane-files-0",
        "annotated",
        |claim: &PersistentVolumeClaim| annotation(claim).as_deref() == Some("percona"),
    )
    .await;
    delete(&world).await;

    world.create(&fixtures::minimal("files")).await;
    let message = blocked(&world, "DataInOtherDatabase").await;
    assert!(
        message.contains("files-postgres") && message.contains("spec.percona"),
        "{message}"
    );
    world.observed().await;
    assert!(world.lacks::<StatefulSet>("files").await, "no pod is started");
    let claim: PersistentVolumeClaim = world.get("controlplane-files-0").await;
    assert_eq!(
        annotation(&claim).as_deref(),
        Some("percona"),
        "the annotation is not erased"
    );

    world
        .merge::<DittoServer>("files", json!({"spec": percona}))
        .await;
    world.ready("files").await;
    assert!(
        world
            .api::<PerconaPGCluster>()
            .get_opt("files-postgres")
            .await
            .expect("an answer")
            .is_some()
    );
    delete(&world).await;

    world.create(&fixtures::minimal("files")).await;
    blocked(&world, "DataInOtherDatabase").await;
    let forget = json!({"metadata": {"annotations": {"dittofs.io/control-plane-database": Value::Null}}});
    world
        .merge::<PersistentVolumeClaim>("controlplane-files-0", forget)
        .await;
    world.ready("files").await;
}

#[tokio::test]
async fn a_server_that_is_created_again_without_its_content_volume_does_not_start_without_it() {
    let world = World::new("nocontent").await;
    let spec = json!({"storage": {"metadataSize": "1Gi", "contentSize": "1Gi"}});
    world.create(&fixtures::server("files", spec.clone())).await;
    world.ready("files").await;
    delete(&world).await;
    world.create(&fixtures::minimal("files")).await;
    let message = blocked(&world, "ContentVolumeNotInSpec").await;
    assert!(message.contains("content-files-0"), "{message}");
    world.merge::<DittoServer>("files", json!({"spec": spec})).await;
    world.ready("files").await;
    let set: StatefulSet = world.get("files").await;
    let templates = set
        .spec
        .and_then(|spec| spec.volume_claim_templates)
        .unwrap_or_default();
    assert!(
        templates
            .iter()
            .any(|template| template.metadata.name.as_deref() == Some("content"))
    );
}

#[tokio::test]
async fn a_server_that_is_created_again_with_its_own_postgresql_says_that_it_leaves_the_sqlite_file() {
    let mut world = World::new("leavesfile").await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    delete(&world).await;
    let keys = [
        ("host", "db"),
        ("port", "5432"),
        ("database", "d"),
        ("user", "u"),
        ("password", "p"),
        ("sslmode", "require"),
    ];
    world.create(&fixtures::secret("own", &keys)).await;
    let own = json!({"database": {"type": "postgres", "postgresSecretRef": {"name": "own", "key": "host"}}});
    world.create(&fixtures::server("files", own)).await;
    world.ready("files").await;
    let note = world.event_note("DatabaseChanged").await;
    for part in ["Secret own", "SQLite file", "not copied"] {
        assert!(note.contains(part), "{note}");
    }
    world.observed().await;
    assert_eq!(world.all_notes("DatabaseChanged").await.len(), 1);
}
