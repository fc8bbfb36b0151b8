//! A cluster as the Go operator leaves it.

use dittofs_operator::api::DittoServer;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{DynamicObject, PostParams, TypeMeta};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Resource, ResourceExt};
use serde_json::{Value, json};

use crate::support::{World, fixtures, wait};

/// Its field manager in its own image: the name of its binary. It wrote with POST and PUT.
const MANAGER: &str = "manager";
/// Service and NetworkPolicy of its NFS adapter.
pub const NFS: &str = "files-adapter-nfs";
const OBJECTS: &str = include_str!("go_operator.yaml");

/// The kinds that it wrote, and the claims.
pub const KINDS: [(&str, &str, &str); 8] = [
    ("apps", "v1", "StatefulSet"),
    ("", "v1", "PersistentVolumeClaim"),
    ("", "v1", "Secret"),
    ("", "v1", "ConfigMap"),
    ("", "v1", "Service"),
    ("networking.k8s.io", "v1", "NetworkPolicy"),
    ("pgv2.percona.com", "v2", "PerconaPGCluster"),
    ("", "v1", "Pod"),
];

/// An API for a kind of [`KINDS`].
pub fn api(world: &World, (group, version, kind): (&str, &str, &str)) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    Api::namespaced_with(world.client.clone(), &world.namespace, &resource)
}

/// Creates the server and all objects that the Go operator created for it, and waits until its pod is ready.
pub async fn set_up(world: &World) {
    set_up_as(world, MANAGER).await;
}

/// As [`set_up`], by a binary of another name.
pub async fn set_up_as(world: &World, manager: &str) {
    // The user's manifest, stored as the Go operator's first full Update left it.
    let server = world.create(&fixtures::server("files", spec())).await;
    let server = as_stored(world, server, manager).await;
    // Percona's operator wrote this one.
    let credentials = [
        ("host", "files-postgres-primary"),
        ("port", "5432"),
        ("dbname", "dittofs"),
        ("user", "dittofs"),
        ("password", "percona-password"),
        ("uri", "postgresql://dittofs@files-postgres-primary:5432/dittofs"),
    ];
    world
        .create(&fixtures::secret("files-postgres-pguser-dittofs", &credentials))
        .await;
    let objects: Vec<Value> = serde_yaml::from_multiple(OBJECTS).expect("YAML");
    for object in objects {
        create(world, object, &server, manager).await;
    }
    wait::until(world.api::<StatefulSet>(), "files", "ready", |set| {
        set.status
            .as_ref()
            .is_some_and(|status| status.ready_replicas == Some(1))
    })
    .await;
    let _: Pod = world.get("files-0").await;
}

fn spec() -> Value {
    json!({
        "image": "marmos91c/dittofs:v0.29.0",
        "storage": {"metadataSize": "10Gi", "contentSize": "50Gi"},
        "metrics": {"enabled": true},
        "percona": {"enabled": true},
    })
}

async fn as_stored(world: &World, server: DittoServer, manager: &str) -> DittoServer {
    let mut value = serde_json::to_value(&server).expect("JSON");
    value["metadata"]["finalizers"] = json!(["dittofs.dittofs.com/finalizer"]);
    value["metadata"]["annotations"] = json!({"dittofs.dittofs.com/auth-retry-count": "2"});
    value["spec"]["service"] = json!({"type": "ClusterIP"});
    value["spec"]["resources"] = json!({});
    let updated: DittoServer = serde_json::from_value(value).expect("a DittoServer");
    let params = PostParams {
        field_manager: Some(manager.into()),
        ..PostParams::default()
    };
    let api = world.api::<DittoServer>();
    let mut stored = api.replace("files", &params, &updated).await.expect("an update");
    let conditions: Vec<Value> = [
        ("ConfigReady", "ConfigValid"), ("DatabaseReady", "PerconaReady"), ("Available", "MinimumReplicasAvailable"),
        ("Progressing", "ReconcileComplete"), ("Authenticated", "AuthenticationSucceeded"), ("Ready", "AllConditionsMet"),
    ]
    .map(|(type_, reason)| {
        json!({"type": type_, "status": if type_ == "Progressing" { "False" } else { "True" }, "reason": reason,
            "message": "as the Go operator said", "lastTransitionTime": "2025-01-01T00:00:00Z",
            "observedGeneration": stored.metadata.generation})
    })
    .into();
    let status = json!({"observedGeneration": stored.metadata.generation, "replicas": 1, "readyReplicas": 1,
        "availableReplicas": 1, "phase": "Running", "configHash": "6f0d", "perconaClusterName": "files-postgres",
        "conditions": conditions});
    stored.status = Some(serde_json::from_value(status).expect("a status"));
    api.replace_status("files", &params, &stored)
        .await
        .expect("a status update")
}

async fn create(world: &World, object: Value, server: &DittoServer, manager: &str) {
    let types: TypeMeta = serde_json::from_value(object.clone()).expect("apiVersion and kind");
    let kind = GroupVersionKind::try_from(types).expect("a kind");
    let mut object: DynamicObject = serde_json::from_value(object).expect("an object");
    let mut owner = server.controller_owner_ref(&()).expect("a stored server");
    owner.block_owner_deletion = Some(true);
    object.metadata.owner_references = Some(vec![owner]);
    let params = PostParams {
        field_manager: Some(manager.into()),
        ..PostParams::default()
    };
    let api = api(world, (&kind.group, &kind.version, &kind.kind));
    let name = object.name_any();
    api.create(&params, &object)
        .await
        .unwrap_or_else(|error| panic!("{} {name}: {error}", kind.kind));
}

/// Writes the pod template and the configuration again, as the Go operator does after its return: it replaces its whole part with
/// PUT, and keeps the rest of the object. Waits until the pod of that template is ready.
pub async fn come_back(world: &World) {
    come_back_as(world, MANAGER).await;
}

/// As [`come_back`], by a binary of another name.
pub async fn come_back_as(world: &World, manager: &str) {
    let objects: Vec<Value> = serde_yaml::from_multiple(OBJECTS).expect("YAML");
    for (part, kind) in [
        ("data", ("", "v1", "ConfigMap")),
        ("spec", ("apps", "v1", "StatefulSet")),
    ] {
        let object = objects.iter().find(|object| object["kind"] == kind.2);
        let object = object.expect("the Go operator makes one");
        let name = object["metadata"]["name"].as_str().expect("a name");
        put(&api(world, kind), name, part, &object[part], manager).await;
    }
    wait::until(world.api::<StatefulSet>(), "files", "back", |set| {
        let status = set.status.clone().unwrap_or_default();
        status.observed_generation == set.metadata.generation
            && status.ready_replicas == Some(1)
            && status.current_revision == status.update_revision
    })
    .await;
}

/// Writes the ports of the Service and the NetworkPolicy of NFS again, as the Go operator does after its return.
pub async fn come_back_for_adapters(world: &World) {
    let objects: Vec<Value> = serde_yaml::from_multiple(OBJECTS).expect("YAML");
    for kind in [
        ("", "v1", "Service"),
        ("networking.k8s.io", "v1", "NetworkPolicy"),
    ] {
        let is_of_nfs = |object: &&Value| object["kind"] == kind.2 && object["metadata"]["name"] == NFS;
        let object = objects.iter().find(is_of_nfs).expect("the Go operator makes one");
        put(&api(world, kind), NFS, "spec", &object["spec"], MANAGER).await;
    }
}

/// Replaces one part of an object, and retries after a conflict, for example with its status.
async fn put(api: &Api<DynamicObject>, name: &str, part: &str, value: &Value, manager: &str) {
    let params = PostParams {
        field_manager: Some(manager.into()),
        ..PostParams::default()
    };
    loop {
        let mut live = api.get(name).await.expect("it is there");
        live.data[part] = value.clone();
        live.metadata.managed_fields = None;
        match api.replace(name, &params, &live).await {
            Ok(_) => return,
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => panic!("{name}: {error}"),
        }
    }
}

/// The values of a Secret.
pub async fn values(
    world: &World,
    name: &str,
) -> Option<std::collections::BTreeMap<String, k8s_openapi::ByteString>> {
    world.get::<Secret>(name).await.data
}
