//! Parts of a child that this operator makes, when other field managers have written them.

use dittofs_operator::api::DittoServer;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Container, Service};
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Resource, ResourceExt};
use serde_json::{Value, json};

use crate::support::{World, fixtures, wait};

fn container(set: &StatefulSet) -> Option<&Container> {
    let pod = set.spec.as_ref()?.template.spec.as_ref()?;
    pod.containers
        .iter()
        .find(|container| container.name == "dittofs")
}

/// The source of a variable: `value`, `valueFrom`, or both.
fn sources(set: &StatefulSet, variable: &str) -> Vec<&'static str> {
    let variables = container(set).and_then(|container| container.env.as_ref());
    let mut found = variables.into_iter().flatten().filter(|env| env.name == variable);
    let Some(env) = found.next() else {
        return Vec::new();
    };
    let value = env.value.as_ref().map(|_| "value");
    value
        .into_iter()
        .chain(env.value_from.as_ref().map(|_| "valueFrom"))
        .collect()
}

/// Patches an object as another field manager.
async fn patched(world: &World, name: &str, manager: &str, patch: Value) {
    let params = PatchParams {
        field_manager: Some(manager.into()),
        ..PatchParams::default()
    };
    let patch = Patch::Strategic(patch);
    let api = world.api::<StatefulSet>();
    api.patch(name, &params, &patch).await.expect("a patch");
}

fn dittofs(fields: Value) -> Value {
    let mut container = fields;
    container["name"] = json!("dittofs");
    json!({"spec": {"template": {"spec": {"containers": [container]}}}})
}

#[tokio::test]
async fn a_variable_that_kubectl_set_env_changed_is_restored_and_others_are_kept() {
    let world = World::new("setenv").await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    let mut kubectl = world.control_plane().kubectl();
    let values = ["DITTOFS_CONTROLPLANE_SECRET=x", "MINE=1"];
    kubectl.args(["-n", &world.namespace, "set", "env", "statefulset/files"]);
    assert!(kubectl.args(values).status().expect("kubectl runs").success());
    wait::until(world.api::<StatefulSet>(), "files", "restored", |set| {
        sources(set, "DITTOFS_CONTROLPLANE_SECRET") == ["valueFrom"] && sources(set, "MINE") == ["value"]
    })
    .await;
    world.ready("files").await;
}

#[tokio::test]
async fn a_probe_of_another_kind_is_restored() {
    let world = World::new("probe").await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    let probe = json!({"livenessProbe": {"httpGet": null, "tcpSocket": {"port": 8080}}});
    patched(&world, "files", "kubectl-patch", dittofs(probe)).await;
    wait::until(world.api::<StatefulSet>(), "files", "restored", |set| {
        let probe = container(set).and_then(|container| container.liveness_probe.as_ref());
        probe.is_some_and(|probe| probe.http_get.is_some() && probe.tcp_socket.is_none())
    })
    .await;
    world.ready("files").await;
}

#[tokio::test]
async fn a_port_of_a_service_that_was_renumbered_is_restored() {
    let world = World::new("renumbered").await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    let port = json!({"spec": {"ports": [{"name": "api", "port": 9999, "targetPort": 8080}]}});
    world.merge::<Service>("files-api", port).await;
    wait::until(world.api::<Service>(), "files-api", "restored", |service| {
        let ports = service.spec.as_ref().and_then(|spec| spec.ports.as_ref());
        ports.is_some_and(|ports| ports.len() == 1 && ports[0].port == 8080)
    })
    .await;
    world.ready("files").await;
}

const KINDS: [(&str, &str, &str, &[&str]); 5] = [
    (
        "",
        "Secret",
        "v1",
        &["files-jwt-secret", "files-admin-bootstrap-credentials"],
    ),
    ("", "ConfigMap", "v1", &["files-config"]),
    (
        "",
        "Service",
        "v1",
        &["files-headless", "files-api", "files-metrics"],
    ),
    ("networking.k8s.io", "NetworkPolicy", "v1", &["files-baseline"]),
    ("apps", "StatefulSet", "v1", &["files"]),
];

fn api(world: &World, (group, kind, version): (&str, &str, &str)) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    Api::namespaced_with(world.client.clone(), &world.namespace, &resource)
}

/// The children as a backup keeps them: without what the API server maintains, and without owners.
async fn backup(world: &World) -> Vec<(Api<DynamicObject>, DynamicObject)> {
    let mut saved = Vec::new();
    for (group, kind, version, names) in KINDS {
        let api = api(world, (group, kind, version));
        for name in names {
            let mut object = api.get(name).await.expect("a child");
            let metadata = std::mem::take(&mut object.metadata);
            object.metadata.name = metadata.name;
            object.metadata.labels = metadata.labels;
            object.metadata.annotations = metadata.annotations;
            if let Some(fields) = object.data.as_object_mut() {
                fields.remove("status");
            }
            let spec = object.data.get_mut("spec").and_then(Value::as_object_mut);
            if let Some(spec) = spec.filter(|spec| spec.get("clusterIP") != Some(&json!("None"))) {
                spec.remove("clusterIP");
                spec.remove("clusterIPs");
            }
            saved.push((api.clone(), object));
        }
    }
    saved
}

/// A server with metrics and a token whose children were deleted and restored by another field manager, together with what
/// others had added to them.
async fn restored(world: &mut World, by_apply: bool) -> DittoServer {
    let token = json!({"name": "token", "key": "token"});
    world
        .create(&fixtures::secret(
            "token",
            &[("token", "a-token-of-thirty-two-characters")],
        ))
        .await;
    let spec = json!({
        "metrics": {"enabled": true, "bearerTokenSecret": token},
        "service": {"annotations": {"lb.example.org/kind": "internal", "lb.example.org/zone": "a"}},
    });
    let server = fixtures::server("files", spec);
    world.create(&server).await;
    world.ready("files").await;
    let pod = json!({"spec": {"template": {"spec": {
        "containers": [{"name": "mesh", "image": "example.org/mesh"}, {"name": "dittofs", "env": [{"name": "MINE", "value": "1"}]}],
        "volumes": [{"name": "mine", "emptyDir": {}}],
    }}}});
    patched(world, "files", "mesh", pod).await;
    let note = json!({"metadata": {"annotations": {"mesh": "on"}}});
    world.merge::<Service>("files-api", note).await;
    world.ready("files").await;
    let saved = backup(world).await;
    let uid = world.get::<DittoServer>("files").await.uid();
    world.delete::<DittoServer>("files").await;
    wait::until_gone(world.api::<DittoServer>(), "files", uid).await;
    world.stop_operator().await;
    for (api, object) in &saved {
        let name = object.name_any();
        let _ = api.delete(&name, &DeleteParams::background()).await;
        while api.get_opt(&name).await.expect("an answer").is_some() {
            tokio::task::yield_now().await;
        }
        let created = if by_apply {
            let params = PatchParams::apply("restore").force();
            api.patch(&name, &params, &Patch::Apply(object)).await
        } else {
            let params = PostParams {
                field_manager: Some("restore".into()),
                ..PostParams::default()
            };
            api.create(&params, object).await
        };
        created.expect("a child");
    }
    server
}

async fn adapts_restored_children(name: &str, by_apply: bool) {
    let mut world = World::new(name).await;
    restored(&mut world, by_apply).await;
    world.start_operator().await;
    let kept = json!({"annotations": {"lb.example.org/zone": "a"}});
    let spec = json!({"controlPlane": {"port": 8443}, "service": kept});
    world.create(&fixtures::server("files", spec)).await;
    let set = wait::until(world.api::<StatefulSet>(), "files", "adapted", |set| {
        let ports = container(set).and_then(|container| container.ports.clone());
        let ports: Vec<i32> = ports
            .into_iter()
            .flatten()
            .map(|port| port.container_port)
            .collect();
        ports == [8443]
    })
    .await;
    let pod = set
        .spec
        .as_ref()
        .and_then(|spec| spec.template.spec.as_ref())
        .expect("a pod");
    let volumes: Vec<&str> = pod
        .volumes
        .iter()
        .flatten()
        .map(|volume| volume.name.as_str())
        .collect();
    assert!(
        !volumes.contains(&"metrics-token") && volumes.contains(&"mine"),
        "{volumes:?}"
    );
    assert!(pod.containers.iter().any(|container| container.name == "mesh"));
    let mounts = container(&set).and_then(|container| container.volume_mounts.clone());
    assert!(
        mounts
            .into_iter()
            .flatten()
            .all(|mount| mount.name != "metrics-token")
    );
    assert_eq!(sources(&set, "MINE"), ["value"]);
    world.ready("files").await;
    let service: Service = world.get("files-api").await;
    let keys = ["mesh", "lb.example.org/zone", "lb.example.org/kind"];
    let annotations = keys.map(|key| service.annotations().get(key).map(String::as_str));
    assert_eq!(
        annotations,
        [Some("on"), Some("a"), None],
        "the operator's own annotation is gone"
    );
    let ports = service.spec.and_then(|spec| spec.ports).unwrap_or_default();
    let ports: Vec<i32> = ports.iter().map(|port| port.port).collect();
    assert_eq!(ports, [8443]);
    assert_eq!(
        world
            .api::<Service>()
            .get_opt("files-metrics")
            .await
            .expect("an answer"),
        None
    );
    let last = json!({"spec": {"service": {"annotations": null}}});
    world.merge::<DittoServer>("files", last).await;
    wait::until(
        world.api::<Service>(),
        "files-api",
        "without annotations of the spec",
        |service| {
            let annotations = service.annotations();
            annotations.contains_key("mesh")
                && !annotations.contains_key("lb.example.org/zone")
                && !annotations.contains_key("dittofs.io/managed-annotations")
        },
    )
    .await;
    let config: ConfigMap = world.get("files-config").await;
    let server: DittoServer = world.get("files").await;
    assert!(
        config
            .owner_references()
            .iter()
            .any(|owner| Some(&owner.uid) == server.meta().uid.as_ref())
    );
}

#[tokio::test]
async fn children_that_were_restored_follow_the_spec() {
    adapts_restored_children("restored", false).await;
}

#[tokio::test]
async fn children_that_were_restored_by_server_side_apply_follow_the_spec() {
    adapts_restored_children("restoredssa", true).await;
}
