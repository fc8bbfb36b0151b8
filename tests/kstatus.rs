//! How Flux and other tools that use kstatus see a server: the rules of kstatus (sigs.k8s.io/cli-utils, pkg/kstatus/status).
//!
//! `compute` follows `Compute` of its release 0.37: `checkGenericProperties`, then `checkReadyCondition`, then Current.

use dittofs_operator::api::DittoServer;
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use crate::support::{World, fixtures, wait};

/// The result of kstatus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    InProgress,
    Failed,
    Current,
    Terminating,
}

/// The generic rules, in kstatus's order.
fn compute(object: &Value) -> Status {
    if !object["metadata"]["deletionTimestamp"].is_null() {
        return Status::Terminating;
    }
    let generation = object["metadata"]["generation"].as_i64();
    if let Some(observed) = object["status"]["observedGeneration"].as_i64()
        && generation != Some(observed)
    {
        return Status::InProgress;
    }
    let none = Vec::new();
    let conditions = object["status"]["conditions"].as_array().unwrap_or(&none);
    for condition in conditions
        .iter()
        .filter(|condition| condition["status"] == "True")
    {
        match condition["type"].as_str() {
            Some("Reconciling") => return Status::InProgress,
            Some("Stalled") => return Status::Failed,
            _ => {}
        }
    }
    let ready = conditions.iter().find(|condition| condition["type"] == "Ready");
    match ready.and_then(|ready| ready["status"].as_str()) {
        Some("False" | "Unknown") => Status::InProgress,
        _ => Status::Current,
    }
}

fn of(server: &DittoServer) -> Status {
    compute(&serde_json::to_value(server).expect("JSON"))
}

async fn until(world: &World, status: Status) -> DittoServer {
    let what = format!("{status:?}");
    world
        .server_until("files", &what, |server| of(server) == status)
        .await
}

/// The annotation that the simulated kubelets follow.
fn pod_is_ready(value: &str) -> serde_json::Value {
    json!({"metadata": {"annotations": {"local-control-plane/ready": value}}})
}

async fn set_image(world: &World, image: &str) -> DittoServer {
    world.merge("files", json!({"spec": {"image": image}})).await
}

#[tokio::test]
async fn kstatus_shows_a_server_as_in_progress_current_or_failed_from_its_creation_to_its_deletion() {
    let world = World::new("kstatus").await;
    let spec = json!({"image": "example.org/dittofs:1", "progressDeadlineSeconds": 5});
    let created = world.create(&fixtures::server("files", spec)).await;
    assert_eq!(
        of(&created),
        Status::InProgress,
        "at creation, before anybody has looked"
    );
    let current = until(&world, Status::Current).await;
    assert!(wait::is(&current, "Ready", "True", "AllConditionsMet"));

    let edited = set_image(&world, "example.org/dittofs:2").await;
    assert_eq!(
        of(&edited),
        Status::InProgress,
        "at the edit, before anybody has looked"
    );
    let seen = world.server_until("files", "seen", |server| {
        let status = server.status.as_ref();
        status.and_then(|status| status.observed_generation) == server.metadata.generation
    });
    let seen = seen.await;
    let rolled = wait::condition(&seen, "Ready").is_some_and(|ready| ready.status == "True");
    assert_eq!(
        of(&seen) == Status::Current,
        rolled,
        "Current as soon as, and not before, it is Ready"
    );
    until(&world, Status::Current).await;

    let broken = set_image(&world, "example.org/dittofs:crash").await;
    assert_eq!(of(&broken), Status::InProgress);
    let failed = until(&world, Status::Failed).await;
    assert!(wait::is(&failed, "Stalled", "True", "ProgressDeadlineExceeded"));
    set_image(&world, "example.org/dittofs:2").await;
    let healed = until(&world, Status::Current).await;
    assert!(
        wait::condition(&healed, "Stalled").is_none(),
        "it goes when it is no longer true"
    );

    // An outage: the pod is not ready, until it is again.
    world.merge::<Pod>("files-0", pod_is_ready("false")).await;
    until(&world, Status::InProgress).await;
    world.merge::<Pod>("files-0", pod_is_ready("true")).await;
    until(&world, Status::Current).await;

    // A finalizer keeps the server, so that its deletion can be observed.
    let held = json!({"metadata": {"finalizers": ["example.org/test"]}});
    world.merge::<DittoServer>("files", held).await;
    world.delete::<DittoServer>("files").await;
    until(&world, Status::Terminating).await;
    let released = json!({"metadata": {"finalizers": null}});
    world.merge::<DittoServer>("files", released).await;
    wait::until_gone(world.api::<DittoServer>(), "files", created.metadata.uid).await;
}
