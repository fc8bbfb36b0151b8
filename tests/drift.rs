//! Changes that others make to a child, and how they are corrected.

use std::time::Instant;

use dittofs_operator::api::DittoServer;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Pod, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::ResourceExt;
use kube::api::{ListParams, ObjectMeta, Patch, PatchParams};
use serde_json::json;

use crate::support::process::POLL;
use crate::support::{Kind, World, fixtures, wait};

async fn comes_back<K: Kind>(world: &World, name: &str) {
    let before = world.get::<K>(name).await.meta().uid.clone();
    world.delete::<K>(name).await;
    wait::until(world.api::<K>(), name, "created again", |object| {
        object.meta().uid != before
    })
    .await;
}

#[tokio::test]
async fn a_deleted_child_is_recreated() {
    let world = World::new("deleted").await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    comes_back::<ConfigMap>(&world, "files-config").await;
    comes_back::<Service>(&world, "files-headless").await;
    comes_back::<Service>(&world, "files-api").await;
    comes_back::<NetworkPolicy>(&world, "files-baseline").await;
    comes_back::<StatefulSet>(&world, "files").await;
    world.ready("files").await;
}

// invariant: 12
#[tokio::test]
async fn an_edited_child_is_corrected_and_fields_of_other_managers_are_kept() {
    let world = World::new("edited").await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    let edit =
        json!({"metadata": {"annotations": {"mesh": "on"}}, "data": {"config.yaml": "nonsense: true"}});
    world.merge::<ConfigMap>("files-config", edit).await;
    wait::until(world.api::<ConfigMap>(), "files-config", "put back", |config| {
        config
            .data
            .as_ref()
            .is_some_and(|data| data["config.yaml"].contains("controlplane"))
            && config
                .annotations()
                .get("mesh")
                .is_some_and(|value| value == "on")
    })
    .await;
    world
        .merge::<Service>("files-api", json!({"spec": {"selector": {"instance": "other"}}}))
        .await;
    wait::until(world.api::<Service>(), "files-api", "put back", |service| {
        let selector = service.spec.as_ref().and_then(|spec| spec.selector.as_ref());
        selector.is_some_and(|selector| selector["instance"] == "files")
    })
    .await;
    world
        .merge::<StatefulSet>(
            "files",
            json!({"metadata": {"ownerReferences": null, "labels": null}}),
        )
        .await;
    wait::until(world.api::<StatefulSet>(), "files", "owned again", |set| {
        !set.owner_references().is_empty()
    })
    .await;
}

fn port_names(service: &Service) -> Vec<&str> {
    let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    let mut names: Vec<&str> = ports.filter_map(|port| port.name.as_deref()).collect();
    names.sort_unstable();
    names
}

fn variables(set: &StatefulSet) -> Vec<&str> {
    let pod = set.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    let containers = pod.iter().flat_map(|pod| &pod.containers);
    let variables = containers.flat_map(|container| container.env.iter().flatten());
    variables.map(|variable| variable.name.as_str()).collect()
}

// invariant: 12
#[tokio::test]
async fn parts_that_another_program_adds_under_names_of_ours_are_removed_and_its_own_are_kept() {
    let world = World::new("leftovers").await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    let ports = json!({"spec": {"ports": [
        {"name": "metrics", "port": 9090, "protocol": "TCP"},
        {"name": "debug", "port": 6060, "protocol": "TCP"},
    ]}});
    let services = world.api::<Service>();
    let by_patch = PatchParams::default();
    let patched = services
        .patch("files-api", &by_patch, &Patch::Strategic(&ports))
        .await;
    assert_eq!(
        port_names(&patched.expect("a patch")),
        ["api", "debug", "metrics"]
    );
    wait::until(
        services.clone(),
        "files-api",
        "without the port of ours",
        |service| port_names(service) == ["api", "debug"],
    )
    .await;
    let variables_of_others = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet",
        "spec": {"template": {"spec": {"containers": [{"name": "dittofs", "env": [
            {"name": "DITTOFS_DATABASE_POSTGRES_SSLMODE", "value": "disable"}, {"name": "MINE", "value": "1"},
        ]}]}}},
    });
    let by_apply = PatchParams::apply("another").force();
    let sets = world.api::<StatefulSet>();
    let applied = sets
        .patch("files", &by_apply, &Patch::Apply(&variables_of_others))
        .await;
    assert!(variables(&applied.expect("an apply")).contains(&"DITTOFS_DATABASE_POSTGRES_SSLMODE"));
    wait::until(sets, "files", "without the variable of ours", |set| {
        let variables = variables(set);
        variables.contains(&"MINE") && !variables.contains(&"DITTOFS_DATABASE_POSTGRES_SSLMODE")
    })
    .await;
    assert_eq!(port_names(&world.get("files-api").await), ["api", "debug"]);
}

/// Like a child after `kubectl delete --cascade=orphan` of its server.
async fn is_owned_again<K: Kind>(world: &World, name: &str) {
    let disowned = json!({"metadata": {"ownerReferences": null}});
    world.merge::<K>(name, disowned).await;
    wait::until(world.api::<K>(), name, "owned again", |object| {
        !object.owner_references().is_empty()
    })
    .await;
}

#[tokio::test]
async fn a_child_without_its_owner_reference_gets_it_back() {
    let world = World::new("orphaned").await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    is_owned_again::<ConfigMap>(&world, "files-config").await;
    is_owned_again::<Service>(&world, "files-api").await;
    is_owned_again::<NetworkPolicy>(&world, "files-baseline").await;
    is_owned_again::<StatefulSet>(&world, "files").await;
    world.ready("files").await;
}

// invariant: 12
#[tokio::test]
async fn kubectl_rollout_restart_is_not_reverted() {
    let world = World::new("restart").await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    let before = world.get::<Pod>("files-0").await.uid();
    let restart = ["-n", &world.namespace, "rollout", "restart", "statefulset/files"];
    assert!(
        world
            .control_plane()
            .kubectl()
            .args(restart)
            .status()
            .expect("kubectl runs")
            .success()
    );
    world.pod_other_than(before.as_deref()).await;
    world.ready("files").await;
    let set: StatefulSet = world.get("files").await;
    let template = set
        .spec
        .and_then(|spec| spec.template.metadata)
        .unwrap_or_default();
    assert!(
        template
            .annotations
            .unwrap_or_default()
            .contains_key("kubectl.kubernetes.io/restartedAt")
    );
}

// invariant: 7
#[tokio::test]
async fn an_object_of_the_same_name_with_another_owner_is_reported_and_not_changed() {
    let world = World::new("foreign").await;
    let foreign = ConfigMap {
        metadata: ObjectMeta {
            name: Some("files-config".into()),
            ..ObjectMeta::default()
        },
        data: Some([("mine".to_owned(), "yes".to_owned())].into()),
        ..ConfigMap::default()
    };
    let before = world.create(&foreign).await;
    world.create(&fixtures::minimal("files")).await;
    let server = world
        .server_until("files", "refused", |server| {
            wait::condition(server, "ConfigReady")
                .is_some_and(|ready| ready.status == "False" && ready.message.contains("files-config"))
        })
        .await;
    assert!(wait::condition(&server, "Ready").is_some_and(|ready| ready.status == "False"));
    let after: ConfigMap = world.get("files-config").await;
    assert_eq!(
        after.resource_version(),
        before.resource_version(),
        "it was not written"
    );
    assert!(
        world
            .api::<StatefulSet>()
            .get_opt("files")
            .await
            .expect("a read")
            .is_none(),
        "no pod without its configuration"
    );
    until_warned_of(&world, "files-config").await;

    world.delete::<ConfigMap>("files-config").await;
    world.ready("files").await;
}

/// Events are published after the status.
async fn until_warned_of(world: &World, child: &str) {
    let params = ListParams::default().fields("involvedObject.name=files,type=Warning");
    let deadline = Instant::now() + wait::LONGEST;
    loop {
        let warnings = world.api::<Event>().list(&params).await.expect("events").items;
        let mut notes = warnings.iter().filter_map(|event| event.message.as_deref());
        if notes.any(|note| note.contains(child)) {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "no warning about {child}: {warnings:#?}"
        );
        tokio::time::sleep(POLL).await;
    }
}

// invariant: 7
#[tokio::test]
async fn the_metrics_service_is_deleted_with_the_metrics_and_one_of_another_owner_is_kept() {
    let world = World::new("metrics").await;
    world
        .create(&fixtures::server("files", json!({"metrics": {"enabled": true}})))
        .await;
    let foreign: Service = serde_json::from_value(json!({
        "metadata": {"name": "other-metrics", "labels": {"app": "dittofs-server", "instance": "other"}},
        "spec": {"ports": [{"port": 1}]},
    }))
    .expect("a Service");
    world.create(&foreign).await;
    world.create(&fixtures::minimal("other")).await;
    world.ready("files").await;
    world.ready("other").await;
    let ours = world.get::<Service>("files-metrics").await;
    world
        .merge::<DittoServer>("files", json!({"spec": {"metrics": {"enabled": false}}}))
        .await;
    wait::until_gone(world.api::<Service>(), "files-metrics", ours.uid()).await;
    world.ready("files").await;
    let _: Service = world.get("other-metrics").await;
}

#[tokio::test]
async fn an_object_of_another_owner_is_read_and_not_created_again_in_every_reconcile() {
    let world = World::new("lookfirst").await;
    let foreign = ConfigMap {
        metadata: ObjectMeta {
            name: Some("files-config".into()),
            ..ObjectMeta::default()
        },
        ..ConfigMap::default()
    };
    let uid = world.create(&foreign).await.uid();
    world.create(&fixtures::minimal("files")).await;
    let is_refused = |server: &DittoServer| {
        let generation = server.metadata.generation;
        let ready = wait::condition(server, "ConfigReady");
        ready.is_some_and(|ready| ready.status == "False" && ready.observed_generation == generation)
    };
    for interval in ["31s", "32s", "33s"] {
        let edit = json!({"spec": {"adapterDiscovery": {"pollingInterval": interval}}});
        world.merge::<DittoServer>("files", edit).await;
        world.server_until("files", "refused", is_refused).await;
    }
    let creates = world.audit().writes();
    let creates = creates
        .iter()
        .filter(|call| call.verb == "create" && call.resource == "configmaps");
    assert_eq!(creates.count(), 1);
    let gone = world.api::<ConfigMap>();
    world.delete::<ConfigMap>("files-config").await;
    wait::until_gone(gone, "files-config", uid).await;
    world.ready("files").await;
}
