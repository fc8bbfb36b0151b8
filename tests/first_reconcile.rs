//! From nothing to a working server.

use std::collections::BTreeMap;

use dittofs_operator::api::{DittoServer, Phase};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::ResourceExt;
use serde_json::Value;

use crate::support::{World, audit, fixtures, wait};

// invariant: 9
#[tokio::test]
async fn a_minimal_server_becomes_ready_and_has_all_its_children() {
    let world = World::new("minimal").await;
    world.create(&fixtures::minimal("files")).await;
    let server = world.ready("files").await;

    let status = server.status.clone().expect("a status");
    assert_eq!(status.observed_generation, server.metadata.generation);
    assert_eq!(
        (status.replicas, status.ready_replicas, status.available_replicas),
        (Some(1), Some(1), Some(1))
    );
    assert_eq!(status.phase, Some(Phase::Running));
    let types: Vec<&str> = status
        .conditions
        .iter()
        .map(|condition| condition.type_.as_str())
        .collect();
    assert_eq!(types.len(), 4, "no DatabaseReady without Percona: {types:?}");

    let stateful_set: StatefulSet = world.get("files").await;
    let template = stateful_set
        .spec
        .expect("a spec")
        .template
        .metadata
        .expect("metadata");
    assert_eq!(
        template
            .annotations
            .unwrap_or_default()
            .get("dittofs.io/config-hash"),
        status.config_hash.as_ref()
    );
    let config: ConfigMap = world.get("files-config").await;
    let config: Value = serde_yaml::from_str(&config.data.expect("data")["config.yaml"]).expect("YAML");
    assert_eq!(config["database"]["type"], "sqlite");
    for name in ["files-headless", "files-api"] {
        let service: Service = world.get(name).await;
        assert_eq!(owner(&service.metadata), server.uid());
    }
    let policy: NetworkPolicy = world.get("files-baseline").await;
    assert_eq!(owner(&policy.metadata), server.uid());
}

// invariant: 9
#[tokio::test]
async fn generated_secrets_have_no_owner_and_the_required_format() {
    let world = World::new("generated").await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    for (name, key, length) in [
        ("files-jwt-secret", "jwt-secret", 43),
        ("files-admin-bootstrap-credentials", "password", 24),
    ] {
        let secret: Secret = world.get(name).await;
        assert_eq!(
            owner(&secret.metadata),
            None,
            "{name} lives as long as the volumes that know its value"
        );
        assert_eq!(secret.data.expect("data")[key].0.len(), length, "{name}");
    }
}

#[tokio::test]
async fn the_first_reconcile_creates_each_child_once() {
    let world = World::new("calls").await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    let writes = world.audit().writes();
    let mut creates = audit::count(&writes);
    let statuses = creates.remove("patch dittoservers/status").unwrap_or_default();
    let expected = [
        ("create configmaps", 1),
        ("create networkpolicies", 3),
        ("create secrets", 2),
        ("create services", 4),
        ("create statefulsets", 1),
    ];
    assert_eq!(
        creates,
        BTreeMap::from(expected.map(|(call, count)| (call.to_owned(), count)))
    );
    // A start can be observed in each of these states: no pod, unschedulable, two claims unbound, one, none, scheduled, ready, API
    // reachable, one Service, two.
    assert!(
        (2..=10).contains(&statuses),
        "one status write for each state that was seen, got {statuses}: {writes:#?}"
    );
    assert!(
        writes.iter().all(|call| call.code < 300),
        "no write failed: {writes:#?}"
    );
}

#[tokio::test]
async fn a_new_server_is_in_progress_before_an_operator_has_observed_it() {
    let world = World::without_operator("fresh").await;
    world.create(&fixtures::minimal("files")).await;
    let server: DittoServer = world.get("files").await;
    assert_eq!(
        server.status.expect("a default status").observed_generation,
        Some(-1)
    );
}

#[tokio::test]
async fn a_stopped_server_has_all_children_except_a_pod_and_starts_when_scaled() {
    let world = World::new("stopped").await;
    world
        .create(&fixtures::server("files", serde_json::json!({"replicas": 0})))
        .await;
    let stopped = |server: &DittoServer| {
        server
            .status
            .as_ref()
            .is_some_and(|status| status.phase == Some(Phase::Stopped))
            && wait::is(server, "Available", "True", "Stopped")
    };
    world.server_until("files", "stopped", stopped).await;
    let _: StatefulSet = world.get("files").await;
    assert!(
        world
            .api::<Pod>()
            .get_opt("files-0")
            .await
            .expect("a read")
            .is_none()
    );

    scale(&world, 1);
    world.ready("files").await;
    scale(&world, 0);
    world.server_until("files", "stopped", stopped).await;
}

/// Like `kubectl scale`: with the scale subresource.
fn scale(world: &World, replicas: u8) {
    let status = world
        .control_plane()
        .kubectl()
        .args([
            "-n",
            &world.namespace,
            "scale",
            "dittoserver/files",
            &format!("--replicas={replicas}"),
        ])
        .status()
        .expect("kubectl runs");
    assert!(status.success());
}

fn owner(metadata: &kube::api::ObjectMeta) -> Option<String> {
    let references = metadata.owner_references.as_deref().unwrap_or_default();
    references
        .iter()
        .find(|owner| owner.controller == Some(true))
        .map(|owner| owner.uid.clone())
}
