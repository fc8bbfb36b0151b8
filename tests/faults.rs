//! The operator keeps working when parts of the cluster fail.

use std::path::Path;
use std::process::Command;

use dittofs_operator::api;
use dittofs_operator::api::{DittoServer, Phase};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, ResourceQuota, Service};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::api::{DeleteParams, DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Resource};
use local_control_plane::{Component, percona};
use serde_json::json;

use crate::support::restarts::Restarts;
use crate::support::{World, fixtures, install_crd, own_control_plane, wait};

/// A world on a control plane of its own, with the DittoServer CRD and nothing else.
async fn own_world(name: &str) -> World {
    let world = World::on(own_control_plane().await, name).await;
    install_crd(&world.client, api::crd()).await;
    world
}

/// As [`own_world`], with the CRD of Percona.
async fn world_with_percona(name: &str) -> World {
    let world = own_world(name).await;
    let installed = percona::install_crd(&world.client).await;
    installed.expect("the CRD is installed");
    world
}

/// Creates a server, and waits for its StatefulSet.
async fn created(world: &World, name: &str) {
    world.create(&fixtures::minimal(name)).await;
    wait::until(world.api::<StatefulSet>(), name, "there", |_| true).await;
}

/// Deletes the ConfigMap of the server `before`, and waits for a new one: the operator sees what happens.
async fn watches_children(world: &World) {
    let uid = world.get::<ConfigMap>("before-config").await.metadata.uid;
    world.delete::<ConfigMap>("before-config").await;
    wait::until(
        world.api::<ConfigMap>(),
        "before-config",
        "created again",
        |config| config.meta().uid != uid,
    )
    .await;
}

// invariant: 8
#[tokio::test]
async fn without_perconas_crd_everything_else_works_and_the_crd_is_detected_when_installed() {
    let mut world = own_world("nocrd").await;
    world.start_operator().await;
    world
        .create(&fixtures::server("wants", json!({"percona": {"enabled": true}})))
        .await;
    world.create(&fixtures::minimal("plain")).await;
    let reported = world.server_until("wants", "reported with what to install", |server| {
        wait::condition(server, "DatabaseReady")
            .is_some_and(|ready| ready.status == "False" && ready.message.contains("install"))
    });
    reported.await;
    let _ = wait::until(world.api::<StatefulSet>(), "plain", "there", |_| true).await;
    let _: Service = world.get("wants-api").await;
    let _: ConfigMap = world.get("wants-config").await;

    percona::install_crd(&world.client)
        .await
        .expect("the CRD is installed");
    let _simulator = world.percona().await;
    world
        .server_until("wants", "on its database", |server| {
            wait::is(server, "DatabaseReady", "True", "PerconaReady")
        })
        .await;
    wait::until(world.api::<StatefulSet>(), "wants", "there", |_| true).await;
}

// invariant: 8, 14
#[tokio::test]
async fn a_forbidden_kind_is_reported_and_does_not_block_the_other_kinds() {
    let mut world = world_with_percona("forbidden").await;
    let mut config = world.control_plane().client_config();
    config.auth_info.impersonate = Some(limited_user(&world).await);
    world.start_operator_unsynced(config);
    created(&world, "files").await;
    let server = world.server_until("files", "reporting what failed", |server| {
        wait::condition(server, "Ready")
            .is_some_and(|ready| ready.status != "True" && ready.message.contains("NetworkPolicy"))
    });
    server.await;
}

/// A user with the rights for a server without a pod, and no right on NetworkPolicies.
async fn limited_user(world: &World) -> String {
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "limited"},
        "rules": [
            {"apiGroups": [""], "resources": ["configmaps", "secrets", "services", "events"], "verbs": ["*"]},
            {"apiGroups": [""], "resources": ["persistentvolumeclaims"], "verbs": ["get", "list", "watch", "patch"]},
            {"apiGroups": ["apps"], "resources": ["statefulsets"], "verbs": ["*"]},
            {"apiGroups": ["dittofs.dittofs.com"], "resources": ["*"], "verbs": ["*"]},
            {"apiGroups": ["pgv2.percona.com"], "resources": ["*"], "verbs": ["*"]},
            {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["*"]},
        ],
    });
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "limited"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "limited"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "limited"}],
    });
    let role: ClusterRole = serde_json::from_value(role).expect("a role");
    let binding: ClusterRoleBinding = serde_json::from_value(binding).expect("a binding");
    let params = PostParams::default();
    Api::all(world.client.clone())
        .create(&params, &role)
        .await
        .expect("the role is created");
    Api::all(world.client.clone())
        .create(&params, &binding)
        .await
        .expect("the binding is created");
    "limited".into()
}

#[tokio::test]
async fn a_child_that_the_api_server_refuses_as_invalid_is_reported_with_its_message() {
    let world = World::new("invalid").await;
    // Kubernetes 1.33 accepts the StatefulSet, and its controller cannot create the pod.
    let half = json!({"limits": {"example.org/device": "500m"}});
    world
        .create(&fixtures::server("files", json!({"resources": half})))
        .await;
    let server = world
        .server_until("files", "Failed", |server| {
            server
                .status
                .as_ref()
                .is_some_and(|status| status.phase == Some(Phase::Failed))
        })
        .await;
    let message = &wait::condition(&server, "Ready").expect("a condition").message;
    assert!(message.contains("must be an integer"), "{message}");
    assert!(!message.contains("Status {"), "{message}");
}

#[tokio::test]
async fn a_request_above_its_limit_is_reported_before_the_running_pod_is_touched() {
    let world = World::new("abovelimit").await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    let restarts = Restarts::of(&world);
    let resources = json!({"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}});
    world
        .merge::<DittoServer>("files", json!({"spec": {"resources": resources}}))
        .await;
    world
        .server_until("files", "reported with the resource", |server| {
            wait::condition(server, "ConfigReady").is_some_and(|ready| {
                ready.reason == "InvalidSpec" && ready.message.contains("memory (2Gi is above 1Gi)")
            })
        })
        .await;
    assert_eq!(restarts.count(), 0);
}

#[tokio::test]
async fn a_new_server_whose_pod_exceeds_a_quota_says_so_until_there_is_room() {
    let world = World::new("nopods").await;
    let quota = json!({"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}});
    let quota: ResourceQuota = serde_json::from_value(quota).expect("a quota");
    world.create(&quota).await;
    wait::until(world.api::<ResourceQuota>(), "none", "counted", |quota| {
        quota.status.as_ref().is_some_and(|status| status.used.is_some())
    })
    .await;
    world.create(&fixtures::minimal("files")).await;
    world
        .server_until("files", "reported as refused", |server| {
            wait::condition(server, "Progressing").is_some_and(|progressing| {
                progressing.reason == "ApplyFailed" && progressing.message.contains("exceeded quota: none")
            })
        })
        .await;
    world.delete::<ResourceQuota>("none").await;
    world.ready("files").await;
}

// invariant: 13, 20
#[tokio::test]
async fn a_refused_stateful_set_keeps_the_configuration_of_the_running_pod() {
    let world = World::new("refused").await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    let before = configuration(&world).await;
    let restarts = Restarts::of(&world);

    // The configuration is valid. The StatefulSet is not: it asks for half a device.
    let half = json!({"limits": {"example.org/device": "500m"}});
    let bad = json!({"spec": {"logging": {"level": "DEBUG"}, "service": {"annotations": {"a": "1"}}, "resources": half}});
    world.merge::<DittoServer>("files", bad).await;
    let why = "must be an integer";
    let server = world
        .server_until("files", "reported as refused", |server| {
            ["ConfigReady", "Progressing", "Ready"].iter().all(|type_| {
                wait::condition(server, type_).is_some_and(|condition| condition.message.contains(why))
            })
        })
        .await;
    assert!(wait::is(&server, "ConfigReady", "False", "ConfigOutdated"));
    assert!(wait::is(&server, "Progressing", "True", "ApplyFailed"));
    assert_eq!(
        configuration(&world).await,
        before,
        "the pod may restart by itself"
    );
    let service: Service = world.get("files-api").await;
    assert!(
        service.metadata.annotations.unwrap_or_default().contains_key("a"),
        "the rest is reconciled"
    );
    assert_eq!(restarts.count(), 0);

    world
        .merge::<DittoServer>("files", json!({"spec": {"resources": null}}))
        .await;
    world.ready("files").await;
    let after = configuration(&world).await;
    assert!(after.contains("DEBUG") && after != before, "{after}");
    assert_eq!(restarts.count(), 1, "one restart for both");
}

#[tokio::test]
async fn a_server_whose_stateful_set_is_refused_can_be_stopped() {
    let world = World::new("stopped").await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    let pod = world.get::<Pod>("files-0").await.metadata.uid;
    let half = json!({"limits": {"example.org/device": "500m"}});
    let stop = json!({"spec": {"resources": half, "replicas": 0}});
    world.merge::<DittoServer>("files", stop).await;
    wait::until_gone(world.api::<Pod>(), "files-0", pod).await;
    let is_stopped = |server: &DittoServer| {
        let status = server.status.as_ref();
        status.is_some_and(|status| status.ready_replicas == Some(0))
    };
    let is_refused = |server: &DittoServer| wait::is(server, "Progressing", "True", "ApplyFailed");
    // Kubernetes 1.33 accepts the StatefulSet, and refuses its pod.
    let is_accepted = |server: &DittoServer| wait::is(server, "Progressing", "False", "ReconcileComplete");
    world
        .server_until("files", "stopped", |server| {
            is_stopped(server) && (is_refused(server) || is_accepted(server))
        })
        .await;
    world
        .merge::<DittoServer>("files", json!({"spec": {"replicas": 1}}))
        .await;
    world
        .server_until("files", "refused", |server| {
            let progressing = wait::condition(server, "Progressing");
            is_refused(server)
                && progressing.is_some_and(|progressing| progressing.message.contains("must be an integer"))
        })
        .await;
}

/// The rendered configuration.
async fn configuration(world: &World) -> String {
    let config: ConfigMap = world.get("files-config").await;
    config.data.expect("data")["config.yaml"].clone()
}

// invariant: 15
#[tokio::test]
async fn the_operator_survives_a_restart_of_the_api_server() {
    let mut world = world_with_percona("apirestart").await;
    world.start_operator().await;
    created(&world, "before").await;
    let service = world.get::<Service>("before-api").await.metadata.uid;
    world
        .control_plane()
        .restart(Component::ApiServer)
        .await
        .expect("the API server comes back");
    created(&world, "after").await;
    assert_eq!(world.get::<Service>("before-api").await.metadata.uid, service);
    watches_children(&world).await;
}

// invariant: 8, 14
#[tokio::test]
async fn one_stored_server_that_does_not_parse_does_not_delay_the_others() {
    let mut world = World::on(own_control_plane().await, "unparsable").await;
    install_crd(&world.client, fixtures::without_schema(api::crd())).await;
    percona::install_crd(&world.client)
        .await
        .expect("the CRD is installed");
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(
        "dittofs.dittofs.com",
        "v1alpha1",
        "DittoServer",
    ));
    let servers: Api<DynamicObject> = Api::namespaced_with(world.client.clone(), &world.namespace, &resource);
    let mut bad = DynamicObject::new("bad", &resource).data(json!({"spec": {"storage": "a lot"}}));
    bad.metadata.finalizers = Some(vec!["dittofs.dittofs.com/finalizer".into()]);
    let bad = servers
        .create(&PostParams::default(), &bad)
        .await
        .expect("without a schema it is stored");
    world.start_operator().await;
    world.create(&fixtures::minimal("good")).await;
    wait::until(world.api::<StatefulSet>(), "good", "there", |_| true).await;
    wait::until(servers.clone(), "bad", "reported as unparsable", |bad| {
        bad.data["status"]["conditions"]
            .as_array()
            .is_some_and(|conditions| {
                conditions
                    .iter()
                    .any(|condition| condition["type"] == "Ready" && condition["status"] == "False")
            })
    })
    .await;
    let _: DittoServer = world.get("good").await;

    // The Go operator set a finalizer on every server. This server must be deletable as well.
    servers
        .delete("bad", &DeleteParams::default())
        .await
        .expect("it can be deleted");
    wait::until_gone(servers, "bad", bad.metadata.uid).await;
}

/// Stops etcd and the API server, copies a folder over another one, and starts them again.
async fn copy_while_stopped(world: &World, from: &Path, to: &Path) {
    let control_plane = world.control_plane();
    for component in [Component::ApiServer, Component::Etcd] {
        control_plane.stop(component).await.expect("it stops");
    }
    let _ = std::fs::remove_dir_all(to);
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(copied.expect("cp runs").success());
    for component in [Component::Etcd, Component::ApiServer] {
        control_plane.start_component(component).await.expect("it starts");
    }
}

#[tokio::test]
async fn the_operator_continues_in_the_older_history_of_a_restored_etcd() {
    let mut world = world_with_percona("restored").await;
    world.start_operator().await;
    created(&world, "before").await;
    let kubeconfig = world.control_plane().kubeconfig();
    let folder = kubeconfig.parent().expect("a folder");
    let (data, backup) = (folder.join("etcd"), folder.join("etcd-backup"));
    copy_while_stopped(&world, &data, &backup).await;

    // The history that will be lost has higher versions than the new one will have for long.
    created(&world, "lost").await;
    for number in 0..100 {
        let edit = json!({"metadata": {"annotations": {"n": number.to_string()}}});
        world.merge::<ConfigMap>("before-config", edit).await;
    }
    copy_while_stopped(&world, &backup, &data).await;

    let lost = world.api::<DittoServer>().get_opt("lost").await;
    assert!(lost.expect("an answer").is_none());
    created(&world, "after").await;
    watches_children(&world).await;
    created(&world, "lost").await;
}
