//! Programs that set fields of children again and again: the corrections get pauses, and end when the programs stop.

use std::time::{Duration, Instant};

use dittofs_operator::api::DittoServer;
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::support::process::POLL;
use crate::support::{Kind, World, fixtures, wait};

/// How long a program fights, with 40 writes. The operator corrects a field three times without a pause, then after 1, 2 and 4 seconds.
const FIGHT: Duration = Duration::from_secs(6);
/// The most writes in this time: seven corrections, each of up to five calls (dry runs, fields that are taken over).
const MOST_WRITES: usize = 35;

/// Sets a field again and again.
async fn fight<K: Kind>(api: Api<K>, name: &str, params: PatchParams, patch: Patch<Value>) {
    let end = Instant::now() + FIGHT;
    while Instant::now() < end {
        api.patch(name, &params, &patch).await.expect("a patch");
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
}

fn manager(name: &str) -> PatchParams {
    PatchParams {
        field_manager: Some(name.into()),
        ..PatchParams::default()
    }
}

/// A server, and the number of writes of a resource so far.
async fn running(world: &World, resource: &str) -> usize {
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    writes(world, resource)
}

fn writes(world: &World, resource: &str) -> usize {
    let writes = world.audit().writes();
    writes.iter().filter(|call| call.resource == resource).count()
}

/// Waits until the condition names the programs and the fields.
async fn named(world: &World, parts: &[&str]) {
    let is_named = |server: &DittoServer| {
        wait::condition(server, "Progressing").is_some_and(|told| {
            told.reason == "FieldConflict" && parts.iter().all(|part| told.message.contains(part))
        })
    };
    world.server_until("files", "reported", is_named).await;
}

/// The conflict has an event, and ends by itself.
async fn ends(world: &World, part: &str) {
    let note = world.event_note("FieldConflict").await;
    assert!(note.contains(part), "{note}");
    let is_ready = async || {
        let server: DittoServer = world.get("files").await;
        wait::condition(&server, "Ready").is_some_and(|ready| ready.status == "True")
    };
    // The last pause can be longer than other waits: two programs on one object double it once more.
    let deadline = Instant::now() + 4 * wait::LONGEST;
    while !is_ready().await {
        assert!(Instant::now() < deadline, "the conflict does not end");
        tokio::time::sleep(POLL).await;
    }
}

#[tokio::test]
async fn a_port_of_a_service_that_is_renumbered_again_and_again_is_corrected_with_pauses() {
    let world = World::new("fightport").await;
    let before = running(&world, "services").await;
    let port = json!([{"name": "api", "port": 9999, "targetPort": 9999, "protocol": "TCP"}]);
    let patch = Patch::Merge(json!({"spec": {"ports": port}}));
    tokio::join!(
        fight(world.api::<Service>(), "files-api", manager("tuner"), patch),
        named(&world, &["tuner", "spec.ports[api].port"]),
    );
    assert!(writes(&world, "services") - before <= MOST_WRITES);
    ends(&world, "tuner").await;
}

#[tokio::test]
async fn two_programs_at_once_are_both_named() {
    let world = World::new("fighttwo").await;
    let before = running(&world, "networkpolicies").await;
    let policy = Patch::Merge(json!({"spec": {"ingress": [{"ports": [{"port": 1, "protocol": "TCP"}]}]}}));
    let label = Patch::Merge(json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": "other"}}}));
    let hash = Patch::Merge(json!({"metadata": {"annotations": {"dittofs.io/applied-hash": "x"}}}));
    tokio::join!(
        fight(
            world.api::<NetworkPolicy>(),
            "files-baseline",
            manager("closer"),
            policy
        ),
        fight(
            world.api::<NetworkPolicy>(),
            "files-baseline",
            manager("labeller"),
            label
        ),
        fight(
            world.api::<Service>(),
            "files-headless",
            manager("annotator"),
            hash
        ),
        named(
            &world,
            &[
                "closer",
                "spec.ingress",
                "labeller",
                "managed-by",
                "annotator",
                "applied-hash"
            ]
        ),
    );
    assert!(writes(&world, "networkpolicies") - before <= 2 * MOST_WRITES);
    ends(&world, "field manager").await;
}

#[tokio::test]
async fn a_program_that_uses_the_field_manager_of_the_operator_is_damped_as_well() {
    let world = World::new("fightname").await;
    let before = running(&world, "configmaps").await;
    let patch = Patch::Merge(json!({"data": {"config.yaml": "nonsense: true"}}));
    tokio::join!(
        fight(
            world.api::<ConfigMap>(),
            "files-config",
            manager("dittofs-operator"),
            patch
        ),
        named(&world, &["another program", "data[config.yaml]"]),
    );
    assert!(writes(&world, "configmaps") - before <= MOST_WRITES);
    ends(&world, "another program").await;
}

#[tokio::test]
async fn a_program_that_applies_as_the_operator_and_removes_its_fields_is_damped_as_well() {
    let world = World::new("fightapply").await;
    let before = running(&world, "services").await;
    let live: Service = world.get("files-api").await;
    let own = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "files-api", "labels": live.metadata.labels, "ownerReferences": live.metadata.owner_references},
        "spec": {"selector": {"instance": "other"}, "ports": live.spec.and_then(|spec| spec.ports)},
    });
    let params = PatchParams::apply("dittofs-operator").force();
    tokio::join!(
        fight(world.api::<Service>(), "files-api", params, Patch::Apply(own)),
        named(&world, &["another program", "spec.selector.instance"]),
    );
    assert!(writes(&world, "services") - before <= MOST_WRITES);
    ends(&world, "another program").await;
}
