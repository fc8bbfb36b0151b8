//! What is deleted with a DittoServer and what is kept, under every policy and with every kind of failure.

mod database;
mod incomplete;
mod orphan;
mod protection;

use std::time::{Duration, Instant};

use dittofs_operator::api::DittoServer;
use dittofs_operator::api::percona::PerconaPGCluster;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, PersistentVolumeClaim, Secret};
use kube::api::{DeleteParams, ListParams};
use kube::core::ObjectMeta;
use kube::runtime::wait::await_condition;
use kube::{Api, ResourceExt};
use local_control_plane::percona;
use serde_json::{Value, json};

use crate::support::{World, fixtures, wait};

const FINALIZER: &str = "dittofs.dittofs.com/finalizer";
/// The operator's time limit, and a margin for a slow machine.
const BOUND: Duration = Duration::from_secs(60);

fn storage(retention: &str) -> Value {
    json!({"metadataSize": "1Gi", "retention": retention})
}

fn percona(delete_with_server: bool) -> Value {
    json!({"enabled": true, "deleteWithServer": delete_with_server})
}

fn has_finalizer(server: &DittoServer) -> bool {
    server.finalizers().iter().any(|name| name == FINALIZER)
}

/// Deletes the server, waits until it is gone, and returns how long that took.
async fn delete(world: &World, case: &str) -> Duration {
    let server: DittoServer = world.get("files").await;
    let start = Instant::now();
    world.delete::<DittoServer>("files").await;
    let gone = await_condition(
        world.api::<DittoServer>(),
        "files",
        |object: Option<&DittoServer>| object.is_none_or(|object| object.uid() != server.uid()),
    );
    tokio::time::timeout(BOUND + wait::LONGEST, gone)
        .await
        .unwrap_or_else(|_| panic!("{case}: it did not end"))
        .expect("a watch");
    let took = start.elapsed();
    println!(
        "delete, {case}: {:.1} s; left: {}",
        took.as_secs_f32(),
        left(world).await.join(", ")
    );
    took
}

/// Claims, Secrets and databases that exist and are not being deleted.
async fn left(world: &World) -> Vec<String> {
    let params = ListParams::default();
    let mut left = Vec::new();
    let mut add = |kind: &str, metadata: ObjectMeta| {
        if metadata.deletion_timestamp.is_none() {
            left.push(format!("{kind}/{}", metadata.name.unwrap_or_default()));
        }
    };
    for claim in world
        .api::<PersistentVolumeClaim>()
        .list(&params)
        .await
        .expect("claims")
    {
        add("pvc", claim.metadata);
    }
    for secret in world.api::<Secret>().list(&params).await.expect("secrets") {
        add("secret", secret.metadata);
    }
    for cluster in world
        .api::<PerconaPGCluster>()
        .list(&params)
        .await
        .into_iter()
        .flatten()
    {
        add("database", cluster.metadata);
    }
    left.sort();
    left
}

const VOLUMES: [&str; 2] = ["pvc/controlplane-files-0", "pvc/metadata-files-0"];
const SECRETS: [&str; 2] = [
    "secret/files-admin-bootstrap-credentials",
    "secret/files-jwt-secret",
];
const DATABASE_SECRETS: [&str; 2] = [
    "secret/files-postgres-cluster-cert",
    "secret/files-postgres-pguser-dittofs",
];

/// Waits until the claims are gone. Their pod must be deleted first.
async fn claims_go(world: &World) {
    for name in ["metadata-files-0", "controlplane-files-0"] {
        gone(world.api::<PersistentVolumeClaim>(), name).await;
    }
}

/// Waits until no object of this name exists.
async fn gone<K>(api: Api<K>, name: &str)
where
    K: kube::Resource + Clone + std::fmt::Debug + Send + serde::de::DeserializeOwned + 'static,
{
    let gone = await_condition(api, name, |object: Option<&K>| object.is_none());
    let gone = tokio::time::timeout(wait::LONGEST, gone).await;
    gone.unwrap_or_else(|_| panic!("{name} did not go in time"))
        .expect("a watch");
}

// invariant: 6
#[tokio::test]
async fn by_default_volumes_and_secrets_are_kept_and_no_finalizer_is_set() {
    let world = World::new("retain").await;
    world.create(&fixtures::minimal("files")).await;
    assert!(!has_finalizer(&world.ready("files").await));
    delete(&world, "default policy").await;
    assert_eq!(left(&world).await, [VOLUMES, SECRETS].concat());
}

#[tokio::test]
async fn with_retention_delete_volumes_and_secrets_are_deleted_and_a_new_server_starts_empty() {
    let world = World::new("delete").await;
    world
        .create(&fixtures::server("files", json!({"storage": storage("Delete")})))
        .await;
    assert!(has_finalizer(&world.ready("files").await));
    let claim: PersistentVolumeClaim = world.get("metadata-files-0").await;
    let secret: Secret = world.get("files-jwt-secret").await;
    delete(&world, "retention: Delete").await;
    assert_eq!(left(&world).await, Vec::<String>::new());

    // Immediately, while the old claims and the old StatefulSet may still be terminating.
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    assert_ne!(
        world.get::<PersistentVolumeClaim>("metadata-files-0").await.uid(),
        claim.uid()
    );
    assert_ne!(world.get::<Secret>("files-jwt-secret").await.uid(), secret.uid());
    world.event_note("DataDeleted").await;
}

#[tokio::test]
async fn the_finalizer_follows_the_policy_and_the_go_operators_finalizer_is_removed() {
    let mut world = World::without_operator("policy").await;
    let mut server = fixtures::minimal("files");
    server.metadata.finalizers = Some(vec![FINALIZER.into(), "example.com/other".into()]);
    world.create(&server).await;
    world.start_operator().await;
    let server = world
        .server_until("files", "without the finalizer", |server| !has_finalizer(server))
        .await;
    assert_eq!(server.finalizers(), ["example.com/other"], "that of others stays");
    world.ready("files").await;
    for (retention, wanted) in [("Delete", true), ("Retain", false)] {
        world
            .merge::<DittoServer>("files", json!({"spec": {"storage": {"retention": retention}}}))
            .await;
        world
            .server_until("files", retention, |server| has_finalizer(server) == wanted)
            .await;
    }
    world
        .merge::<DittoServer>("files", json!({"metadata": {"finalizers": null}}))
        .await;
}

#[tokio::test]
async fn while_a_server_terminates_no_child_is_recreated() {
    let world = World::new("norecreate").await;
    let mut server = fixtures::minimal("files");
    server.metadata.finalizers = Some(vec!["example.com/hold".into()]);
    world.create(&server).await;
    world.ready("files").await;
    world.delete::<DittoServer>("files").await;
    world
        .server_until("files", "Deleting", |server| {
            wait::is(server, "Progressing", "True", "Deleting")
        })
        .await;
    let map: ConfigMap = world.get("files-config").await;
    world.delete::<ConfigMap>("files-config").await;
    wait::until_gone(world.api::<ConfigMap>(), "files-config", map.uid()).await;
    // Another change of the server, which triggers a reconcile.
    world
        .merge::<DittoServer>("files", json!({"spec": {"replicas": 0}}))
        .await;
    world.observed().await;
    assert!(
        world
            .api::<ConfigMap>()
            .get_opt("files-config")
            .await
            .expect("a read")
            .is_none()
    );
    world
        .merge::<DittoServer>("files", json!({"metadata": {"finalizers": null}}))
        .await;
}

#[tokio::test]
async fn the_deletion_of_a_namespace_is_not_delayed_and_causes_no_warnings() {
    let world = World::new("ending").await;
    let simulator = world.percona().await;
    let spec = json!({"storage": storage("Delete"), "percona": percona(true)});
    world.create(&fixtures::server("files", spec)).await;
    world.create(&fixtures::minimal("plain")).await;
    world.ready("files").await;
    world.ready("plain").await;
    let namespaces = Api::<Namespace>::all(world.client.clone());
    let start = Instant::now();
    namespaces
        .delete(&world.namespace, &DeleteParams::default())
        .await
        .expect("it may be deleted");
    gone(world.api::<DittoServer>(), "files").await;
    println!(
        "delete, namespace terminating: {:.1} s",
        start.elapsed().as_secs_f32()
    );
    let refused: Vec<_> = world
        .audit()
        .calls()
        .into_iter()
        .filter(|call| call.verb == "create" && call.code == 403 && call.resource != "events")
        .collect();
    println!(
        "creates refused because the namespace terminates: {}",
        refused.len()
    );
    // A few calls for each deletion that triggers a reconcile.
    assert!(refused.len() < 40, "no loop: {refused:?}");
    simulator.check().expect("the database operator lives");
}
