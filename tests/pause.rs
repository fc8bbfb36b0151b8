//! The annotation that pauses the operator's work on one server.

use dittofs_operator::api::DittoServer;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret, Service};
use kube::ResourceExt;
use serde_json::{Value, json};

use crate::support::{World, audit, fixtures, wait};

fn paused(value: &Value) -> Value {
    json!({"metadata": {"annotations": {"dittofs.dittofs.com/paused": value}}})
}

fn says_paused(server: &DittoServer, status: &str) -> bool {
    wait::is(server, "Progressing", status, "Paused")
}

fn writes_of_children(world: &World) -> Vec<audit::Call> {
    let mut writes = world.audit().writes();
    writes.retain(|call| call.resource != "dittoservers/status");
    writes
}

#[tokio::test]
async fn a_paused_server_gets_only_status_updates_and_is_reconciled_when_resumed() {
    let world = World::new("paused").await;
    world.create(&fixtures::with_image("example.org/dittofs:1")).await;
    world.ready("files").await;
    world.merge::<DittoServer>("files", paused(&json!("true"))).await;
    let server = world
        .server_until("files", "paused", |server| says_paused(server, "False"))
        .await;
    assert!(
        wait::is(&server, "Ready", "True", "AllConditionsMet"),
        "it holds what the spec asks for"
    );
    let before = writes_of_children(&world);

    let edit = json!({"spec": {
        "image": "example.org/dittofs:2",
        "service": {"annotations": {"a": "1"}},
        "logging": {"level": "DEBUG"},
    }});
    let edited = world.merge::<DittoServer>("files", edit).await;
    world.delete::<Service>("files-headless").await;
    let server = world
        .server_until("files", "listing what is left", |server| {
            let message =
                wait::condition(server, "Progressing").map_or("", |condition| condition.message.as_str());
            [
                "ConfigMap files-config",
                "Service files-api",
                "Service files-headless",
                "StatefulSet files",
            ]
            .iter()
            .all(|child| message.contains(child))
        })
        .await;
    assert!(says_paused(&server, "Unknown"));
    assert!(!wait::is(&server, "Ready", "True", "AllConditionsMet"));
    assert_eq!(
        server
            .status
            .as_ref()
            .and_then(|status| status.observed_generation),
        edited.metadata.generation
    );
    assert_eq!(writes_of_children(&world), before, "only the status was written");

    world.merge::<DittoServer>("files", paused(&Value::Null)).await;
    world.ready("files").await;
    let pod: Pod = world.get("files-0").await;
    assert_eq!(
        pod.spec.expect("a spec").containers[0].image.as_deref(),
        Some("example.org/dittofs:2")
    );
    let service: Service = world.get("files-api").await;
    assert_eq!(service.annotations().get("a").map(String::as_str), Some("1"));
    let config: ConfigMap = world.get("files-config").await;
    assert!(config.data.expect("data")["config.yaml"].contains("DEBUG"));
    world.get::<Service>("files-headless").await;
}

#[tokio::test]
async fn a_server_that_is_created_paused_has_no_children_until_it_is_resumed() {
    let world = World::new("bornpaused").await;
    let mut server = fixtures::minimal("files");
    server
        .annotations_mut()
        .insert("dittofs.dittofs.com/paused".into(), "true".into());
    world.create(&server).await;
    world
        .server_until("files", "paused", |server| says_paused(server, "Unknown"))
        .await;
    assert_eq!(writes_of_children(&world), [], "nothing was made");
    assert!(
        world
            .api::<Secret>()
            .get_opt("files-jwt-secret")
            .await
            .expect("a read")
            .is_none()
    );
    world.merge::<DittoServer>("files", paused(&json!("false"))).await;
    world.ready("files").await;
}

#[tokio::test]
async fn a_paused_server_can_be_deleted() {
    let world = World::new("pauseddelete").await;
    let policy = json!({"storage": {"metadataSize": "1Gi", "retention": "Delete"}});
    world.create(&fixtures::server("files", policy)).await;
    assert!(!world.ready("files").await.finalizers().is_empty());
    world.merge::<DittoServer>("files", paused(&json!("true"))).await;
    let server = world
        .server_until("files", "paused", |server| says_paused(server, "False"))
        .await;
    let set: StatefulSet = world.get("files").await;
    world.delete::<DittoServer>("files").await;
    wait::until_gone(world.api::<DittoServer>(), "files", server.uid()).await;
    wait::until_gone(world.api::<StatefulSet>(), "files", set.uid()).await;
}

#[tokio::test]
async fn unknown_values_of_annotations_are_in_a_condition_and_in_one_event_each() {
    let mut world = World::new("unknownvalues").await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    let values = json!({"metadata": {"annotations": {
        "dittofs.dittofs.com/paused": "yes", "dittofs.dittofs.com/deletion-protection": "on",
    }}});
    world.merge::<DittoServer>("files", values).await;
    let names = |server: &DittoServer, value: &str| {
        wait::condition(server, "ConfigReady").is_some_and(|ready| {
            ready.status == "True" && ready.message.contains(&format!("the unknown value {value:?}"))
        })
    };
    let both = |server: &DittoServer| names(server, "yes") && names(server, "on");
    let server = world.server_until("files", "naming both", both).await;
    assert!(says_paused(&server, "False"), "every value but false pauses");
    assert!(wait::is(&server, "Ready", "True", "AllConditionsMet"));

    world.event_note("UnknownAnnotationValue").await;
    world.merge::<DittoServer>("files", paused(&Value::Null)).await;
    let ended = |server: &DittoServer| names(server, "on") && !names(server, "yes");
    world.server_until("files", "naming the other", ended).await;
    world.merge::<DittoServer>("files", paused(&json!("true"))).await;
    world
        .server_until("files", "paused", |server| says_paused(server, "False"))
        .await;
    let notes = world.all_notes("UnknownAnnotationValue").await;
    assert_eq!(notes.len(), 2, "{notes:?}");
}
