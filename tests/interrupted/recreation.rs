//! A StatefulSet is re-created for other claim templates, and something happens between its deletion and its creation.

use std::collections::BTreeMap;

use dittofs_operator::api::{DittoServer, names};
use futures::{StreamExt, stream};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod};
use kube::ResourceExt;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::chaos::fault::Fault;
use crate::chaos::proxy::{Proxy, Statuses};
use crate::chaos::scenario::until;
use crate::support::restarts::Restarts;
use crate::support::{World, fixtures, wait};

const HOLD: &str = "example.org/hold";

/// Runs at the same time.
const AT_ONCE: usize = 5;

/// What a re-creation must not change.
#[derive(Debug, PartialEq, Eq)]
struct Kept {
    pod: Option<String>,
    claims: BTreeMap<String, Option<String>>,
    config: Option<BTreeMap<String, String>>,
}

impl Kept {
    pub async fn of(world: &World) -> Self {
        let claims = world.api::<PersistentVolumeClaim>();
        let claims = claims.list(&ListParams::default()).await.expect("a list");
        Self {
            pod: world.get::<Pod>("files-0").await.uid(),
            claims: claims
                .iter()
                .filter(|claim| claim.name_any().ends_with("-files-0"))
                .map(|claim| (claim.name_any(), claim.uid()))
                .collect(),
            config: world.get::<ConfigMap>("files-config").await.data,
        }
    }
}

/// Creates the Ready server `files`, to whose StatefulSet another field manager has added fields.
pub async fn with_fields_of_others(world: &World, strategy: &str) {
    let spec = json!({"storage": {"metadataSize": "1Gi", "storageClassName": "standard"}});
    world.create(&fixtures::server("files", spec)).await;
    world.ready("files").await;
    let before = world.get::<Pod>("files-0").await.uid();
    let patch = json!({
        "metadata": {"labels": {"example.org/team": "files"}},
        "spec": {
            "updateStrategy": {"type": strategy, "rollingUpdate": null},
            "template": {
                "metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"}},
                "spec": {"containers": [{"name": "mesh", "image": "example.org/mesh:1"}]},
            },
        },
    });
    patch_as_others(world, patch).await;
    if strategy == "OnDelete" {
        world.delete::<Pod>("files-0").await;
    }
    world.pod_other_than(before.as_deref()).await;
    world.ready("files").await;
    // The operator re-creates no StatefulSet before.
    world.old_pod().await;
}

async fn patch_as_others(world: &World, patch: Value) {
    let params = PatchParams {
        field_manager: Some("others".into()),
        ..PatchParams::default()
    };
    let api = world.api::<StatefulSet>();
    api.patch("files", &params, &Patch::Strategic(patch))
        .await
        .expect("the API server accepts the patch");
}

pub fn expansion() -> Value {
    json!({"spec": {"storage": {"metadataSize": "2Gi"}}})
}

/// The StatefulSet with the expanded volume, once the saved one is removed.
pub async fn recreated(world: &World) -> StatefulSet {
    wait::until(world.api::<StatefulSet>(), "files", "re-created", |set| {
        set.annotations().contains_key(names::RECREATED_FOR_ANNOTATION)
            && set.metadata.deletion_timestamp.is_none()
            && size(set).as_deref() == Some("2Gi")
    })
    .await;
    wait::until(
        world.api::<ConfigMap>(),
        "files-config",
        "without the saved one",
        |map| !map.annotations().contains_key(names::RECREATE_ANNOTATION),
    )
    .await;
    world.ready("files").await;
    world.get("files").await
}

fn size(set: &StatefulSet) -> Option<String> {
    let set = serde_json::to_value(set).expect("JSON");
    let size = set.pointer("/spec/volumeClaimTemplates/0/spec/resources/requests/storage");
    size.and_then(Value::as_str).map(str::to_owned)
}

/// Checks that the fields of others are there, and theirs.
pub fn has_fields_of_others(set: &StatefulSet, strategy: &str, what: &str) {
    let fields = serde_json::to_value(set).expect("JSON");
    let template = &fields["spec"]["template"];
    let containers = template["spec"]["containers"].as_array().expect("containers");
    assert!(
        containers.iter().any(|container| container["name"] == "mesh"),
        "{what}: {template}"
    );
    let annotations = &template["metadata"]["annotations"];
    assert_eq!(
        annotations["kubectl.kubernetes.io/restartedAt"], "2026-01-01T00:00:00Z",
        "{what}"
    );
    assert_eq!(set.labels()["example.org/team"], "files", "{what}");
    assert_eq!(fields["spec"]["updateStrategy"]["type"], strategy, "{what}");
    let entries = fields["metadata"]["managedFields"].as_array().expect("entries");
    let entry = |manager: &str, operation: &str| {
        entries.iter().find(|entry| {
            entry["manager"] == manager && entry["operation"] == operation && entry["subresource"].is_null()
        })
    };
    let mesh = "/fieldsV1/f:spec/f:template/f:spec/f:containers/k:{\"name\":\"mesh\"}";
    let theirs = entry("others", "Update").expect("their entry");
    assert!(theirs.pointer(mesh).is_some(), "{what}: {theirs}");
    let ours = entry("dittofs-operator", "Apply").expect("our entry");
    assert!(ours.pointer(mesh).is_none(), "{what}: {ours}");
    assert!(
        ours.pointer("/fieldsV1/f:spec/f:replicas").is_some(),
        "{what}: {ours}"
    );
    assert_eq!(entry("dittofs-operator", "Update"), None, "{what}");
}

/// An edit that the operator applies to the new StatefulSet leaves the fields of others alone.
async fn survives_an_edit(world: &World, strategy: &str, what: &str) {
    let edit = json!({"spec": {"terminationGracePeriodSeconds": 77}});
    world.merge::<DittoServer>("files", edit).await;
    let edited = wait::until(world.api::<StatefulSet>(), "files", "edited", |set| {
        let spec = set.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
        spec.and_then(|spec| spec.termination_grace_period_seconds) == Some(77)
    })
    .await;
    has_fields_of_others(&edited, strategy, what);
}

// invariant: 4
#[tokio::test]
async fn an_operator_killed_at_any_write_of_a_re_creation_loses_no_field_of_others_and_restarts_no_pod() {
    let killed: Vec<bool> = stream::iter((1..=20).map(killed_at))
        .buffered(AT_ONCE)
        .collect()
        .await;
    assert!(killed[0] && killed[8], "it was killed in the middle: {killed:?}");
    assert!(!killed[19], "all writes were covered: {killed:?}");
}

/// Kills an operator at this write of a re-creation and starts another one. Whether there was such a write.
async fn killed_at(write: usize) -> bool {
    let strategy = ["RollingUpdate", "OnDelete"][write % 2];
    let what = format!("killed at write {write}, {strategy}");
    let mut world = World::without_operator("recreate").await;
    let proxy = Proxy::start(&world, 0, Statuses::default()).await;
    world.start_operator_as(proxy.config()).await;
    with_fields_of_others(&world, strategy).await;
    let (before, restarts) = (Kept::of(&world).await, Restarts::of(&world));

    proxy.arm(Fault::KilledAfter(write)).await;
    world.merge::<DittoServer>("files", expansion()).await;
    let is_done = async || {
        let is_there = |set: &StatefulSet| set.annotations().contains_key(names::RECREATED_FOR_ANNOTATION);
        let set = world
            .api::<StatefulSet>()
            .get_opt("files")
            .await
            .expect("an answer");
        let map = world.get::<ConfigMap>("files-config").await;
        let server = world.get::<DittoServer>("files").await;
        set.as_ref().is_some_and(is_there)
            && !map.annotations().contains_key(names::RECREATE_ANNOTATION)
            && wait::is(&server, "Ready", "True", "AllConditionsMet")
            && server.finalizers().is_empty()
    };
    let is_killed = tokio::select! {
        () = proxy.killed() => true,
        () = until("killed or done", wait::LONGEST * 2, is_done) => false,
    };
    world.stop_operator().await;
    world.start_operator().await;
    let set = recreated(&world).await;
    has_fields_of_others(&set, strategy, &what);
    assert_eq!(Kept::of(&world).await, before, "{what}");
    assert_eq!(restarts.count(), 0, "{what}");
    survives_an_edit(&world, strategy, &what).await;
    is_killed
}

/// A world whose StatefulSet is being re-created, and is not gone because of a finalizer.
pub async fn held(name: &str) -> World {
    let world = World::new(name).await;
    with_fields_of_others(&world, "RollingUpdate").await;
    patch_as_others(&world, json!({"metadata": {"finalizers": [HOLD]}})).await;
    world.merge::<DittoServer>("files", expansion()).await;
    world
        .server_until("files", "waiting for the finalizer", |server| {
            wait::condition(server, "Progressing").is_some_and(|progressing| {
                progressing.reason == "StatefulSetUpdating" && progressing.message.contains(HOLD)
            })
        })
        .await;
    world
}

pub async fn release(world: &World) {
    patch_as_others(
        world,
        json!({"metadata": {"$deleteFromPrimitiveList/finalizers": [HOLD]}}),
    )
    .await;
}

#[tokio::test]
async fn other_servers_are_reconciled_while_a_stateful_set_hangs_in_its_deletion_which_is_not_polled() {
    let world = held("hangs").await;
    let before = Kept::of(&world).await;
    let reads = |world: &World| {
        let calls = world.audit().calls();
        let of_it = |call: &&crate::support::audit::Call| {
            call.verb == "get" && call.resource == "statefulsets" && call.name == "files"
        };
        calls.iter().filter(of_it).count()
    };
    let reads_before = reads(&world);
    world.create(&fixtures::minimal("other")).await;
    world.ready("other").await;
    assert!(reads(&world) <= reads_before + 2, "it is not polled");
    let server: DittoServer = world.get("files").await;
    assert!(wait::is(&server, "Available", "True", "MinimumReplicasAvailable"));
    release(&world).await;
    let set = recreated(&world).await;
    has_fields_of_others(&set, "RollingUpdate", "after the finalizer");
    assert_eq!(Kept::of(&world).await, before);
}

#[tokio::test]
async fn a_spec_that_is_edited_between_delete_and_create_wins_and_fields_of_others_are_kept() {
    let world = held("edited").await;
    let (before, restarts) = (Kept::of(&world).await, Restarts::of(&world));
    let edit = json!({"spec": {"image": "docker.io/marmos91c/dittofs:v2", "logging": {"level": "DEBUG"}, "nodeSelector": null}});
    world.merge::<DittoServer>("files", edit).await;
    world.observed().await;
    assert_eq!(
        Kept::of(&world).await,
        before,
        "nothing changes before there is a StatefulSet"
    );
    release(&world).await;
    let set = recreated(&world).await;
    let new = world.pod_other_than(before.pod.as_deref()).await;
    world.ready("files").await;
    let template = set.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    let images = template.map(|pod| {
        pod.containers
            .iter()
            .filter_map(|container| container.image.as_deref())
    });
    let mut images = images.expect("a template");
    assert!(images.any(|image| image == "docker.io/marmos91c/dittofs:v2"));
    let settled = wait::until(world.api::<StatefulSet>(), "files", "applied", |set| {
        let entries = set.managed_fields().iter();
        entries
            .clone()
            .any(|entry| entry.operation.as_deref() == Some("Apply"))
    })
    .await;
    has_fields_of_others(&settled, "RollingUpdate", "edited");
    let after = Kept::of(&world).await;
    assert_eq!((after.pod, after.claims), (new.uid(), before.claims));
    assert_ne!(after.config, before.config);
    assert_eq!(restarts.count(), 1, "for the edit");
    survives_an_edit(&world, "RollingUpdate", "edited").await;
}

#[tokio::test]
async fn a_server_that_is_stopped_between_delete_and_create_stops() {
    let world = held("stopped").await;
    world
        .merge::<DittoServer>("files", json!({"spec": {"replicas": 0}}))
        .await;
    world.observed().await;
    release(&world).await;
    wait::until_gone(
        world.api::<Pod>(),
        "files-0",
        world.get::<Pod>("files-0").await.uid(),
    )
    .await;
    let set = recreated(&world).await;
    has_fields_of_others(&set, "RollingUpdate", "stopped");
    assert_eq!(set.spec.and_then(|spec| spec.replicas), Some(0));
}

#[tokio::test]
async fn a_server_that_is_paused_between_delete_and_create_gets_its_stateful_set_after_the_pause() {
    let world = held("paused").await;
    let before = Kept::of(&world).await;
    let paused = |value: Value| json!({"metadata": {"annotations": {names::PAUSED_ANNOTATION: value}}});
    world.merge::<DittoServer>("files", paused(json!("true"))).await;
    world
        .server_until("files", "paused", |server| {
            wait::condition(server, "Progressing").is_some_and(|progressing| progressing.reason == "Paused")
        })
        .await;
    let uid = world.get::<StatefulSet>("files").await.uid();
    release(&world).await;
    wait::until_gone(world.api::<StatefulSet>(), "files", uid).await;
    let server = world
        .server_until("files", "paused without a StatefulSet", |server| {
            wait::condition(server, "Progressing").is_some_and(|progressing| {
                progressing.reason == "Paused" && progressing.message.contains("StatefulSet files")
            })
        })
        .await;
    assert!(wait::is(&server, "Available", "True", "MinimumReplicasAvailable"));
    world.merge::<DittoServer>("files", paused(Value::Null)).await;
    let set = recreated(&world).await;
    has_fields_of_others(&set, "RollingUpdate", "paused");
    assert_eq!(Kept::of(&world).await, before);
}

#[tokio::test]
async fn a_server_that_is_deleted_between_delete_and_create_leaves_no_pod() {
    let world = held("gone").await;
    let pod = world.get::<Pod>("files-0").await.uid();
    world.delete::<DittoServer>("files").await;
    release(&world).await;
    wait::until_gone(world.api::<Pod>(), "files-0", pod).await;
    assert!(world.lacks::<StatefulSet>("files").await);
}

#[tokio::test]
async fn a_saved_stateful_set_is_only_removed_while_another_one_exists() {
    let mut world = World::new("stale").await;
    with_fields_of_others(&world, "RollingUpdate").await;
    let before = Kept::of(&world).await;
    world.stop_operator().await;
    let set: StatefulSet = world.get("files").await;
    let mut saved = serde_json::to_value(&set).expect("JSON");
    saved["metadata"]["uid"] = json!("another");
    saved["metadata"]["resourceVersion"] = Value::Null;
    saved["spec"]["replicas"] = json!(0);
    let annotation = json!({"metadata": {"annotations": {names::RECREATE_ANNOTATION: saved.to_string()}}});
    world.merge::<ConfigMap>("files-config", annotation).await;
    world.start_operator().await;
    wait::until(
        world.api::<ConfigMap>(),
        "files-config",
        "without the saved one",
        |map| !map.annotations().contains_key(names::RECREATE_ANNOTATION),
    )
    .await;
    let after: StatefulSet = world.get("files").await;
    assert_eq!(after.metadata.generation, set.metadata.generation);
    assert_eq!(after.uid(), set.uid());
    assert_eq!(Kept::of(&world).await, before);
}
