//! The migration from the Go operator, and servers that stay on SQLite until the data has moved.

mod adapters;
mod changes;
mod database_move;
pub mod go_operator;
mod percona;
mod status;

use dittofs_operator::api::DittoServer;
use k8s_openapi::api::apps::v1::{ControllerRevision, StatefulSet};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::{Value, json};

use self::changes::{Change, changes, objects, print};
use crate::support::process::Process;
use crate::support::restarts::Restarts;
use crate::support::{World, fixtures, wait};

const MIGRATED: &str = "dittofs.dittofs.com/database-migrated";

fn is_pending(server: &DittoServer) -> bool {
    wait::is(server, "DatabaseReady", "True", "MigrationPending")
}

/// The database section of the rendered configuration.
async fn database(world: &World) -> Value {
    let config: ConfigMap = world.get("files-config").await;
    let config: Value = serde_yaml::from_str(&config.data.expect("data")["config.yaml"]).expect("YAML");
    config["database"].clone()
}

/// Names of the pod's variables.
async fn variables(world: &World) -> Vec<String> {
    let set: Value = serde_json::to_value(world.get::<StatefulSet>("files").await).expect("JSON");
    let container = &set["spec"]["template"]["spec"]["containers"][0];
    let variables = container["env"].as_array().cloned().unwrap_or_default();
    variables
        .iter()
        .map(|variable| variable["name"].as_str().unwrap_or_default().to_owned())
        .collect()
}

/// Each revision of the pod template is one start of the pod.
async fn starts(world: &World) -> usize {
    let params = ListParams::default();
    let revisions = world.api::<ControllerRevision>().list(&params).await;
    revisions.expect("a list").items.len()
}

/// Waits until the operator has handled everything up to now, and the server is Ready.
async fn settled(world: &World) -> DittoServer {
    let fence = json!({"spec": {"adapterDiscovery": {"pollingInterval": "31s"}}});
    world.merge::<DittoServer>("files", fence).await;
    world.ready("files").await
}

fn find<'c>(changes: &'c [Change], object: &str) -> &'c Change {
    changes
        .iter()
        .find(|change| change.object == object)
        .unwrap_or_else(|| panic!("{object} was there"))
}

fn has(change: &Change, paths: &[&str]) {
    for path in paths {
        assert!(
            change.paths.iter().any(|changed| changed == path),
            "{path} in {change:#?}"
        );
    }
}

// invariant: 15
#[tokio::test]
async fn the_children_of_the_go_operator_are_migrated_in_place() {
    let mut world = World::without_operator("takeover").await;
    go_operator::set_up(&world).await;
    let before = objects(&world).await;
    assert_eq!(starts(&world).await, 1);

    world.start_operator().await;
    world
        .server_until("files", "migrated", |server| {
            is_pending(server) && wait::condition(server, "Authenticated").is_none()
        })
        .await;
    let server = settled(&world).await;
    let changed = changes(&before, &objects(&world).await);
    print(&changed);
    assert_eq!(starts(&world).await, 2, "one restart");
    for change in &changed {
        let may_change = change.object == "Pod files-0";
        assert!(
            change.uid_kept || may_change,
            "{} is the same object",
            change.object
        );
    }

    let set = find(&changed, "StatefulSet files");
    let pod = "spec.template.spec";
    has(
        set,
        &[
            &format!("-{pod}.initContainers"),
            &format!("-{pod}.containers.dittofs.env.DATABASE_URL"),
            &format!("-{pod}.containers.dittofs.ports.adapter-nfs"),
            &format!("-{pod}.containers.dittofs.ports.adapter-mdns"),
            &format!("-{pod}.containers.dittofs.lifecycle.preStop.exec"),
            &format!("+{pod}.containers.dittofs.lifecycle.preStop.sleep"),
        ],
    );
    assert!(
        !set.paths.iter().any(|path| path.contains("volumeClaimTemplates")),
        "{set:#?}"
    );
    for name in [
        "files-jwt-secret",
        "files-admin-bootstrap-credentials",
        "files-operator-credentials",
    ] {
        let secret = find(&changed, &format!("Secret {name}"));
        assert_eq!(
            secret.paths,
            ["-metadata.ownerReferences", "+metadata.labels"],
            "{name}"
        );
    }
    let cluster = find(&changed, "PerconaPGCluster files-postgres");
    has(
        cluster,
        &[
            "-metadata.ownerReferences",
            "+spec.proxy",
            "+spec.backups.pgbackrest",
        ],
    );
    for untouched in ["postgresVersion", "crVersion", "instances", "users"] {
        assert!(
            !cluster.paths.iter().any(|path| path.contains(untouched)),
            "{cluster:#?}"
        );
    }
    has(
        find(&changed, "Service files-adapter-nfs"),
        &["-spec.ports.portmap-udp", "-spec.ports.mdns", "+spec.ports.nfs"],
    );
    for volume in ["metadata", "content", "controlplane"] {
        let claim = find(&changed, &format!("PersistentVolumeClaim {volume}-files-0"));
        assert_eq!(claim.paths, Vec::<String>::new());
    }

    assert_eq!(
        database(&world).await,
        json!({"type": "sqlite", "sqlite": {"path": "/data/controlplane/controlplane.db"}}),
        "the share definitions are there"
    );
    let condition = wait::condition(&server, "DatabaseReady").expect("a condition");
    assert!(condition.message.contains(MIGRATED), "{}", condition.message);
    world.event_note("MigrationPending").await;
}

#[tokio::test]
async fn a_server_that_went_back_to_the_go_operator_can_be_migrated_again() {
    let mut world = World::without_operator("back").await;
    go_operator::set_up(&world).await;
    world.start_operator().await;
    world.server_until("files", "migrated", is_pending).await;
    settled(&world).await;
    world.stop_operator().await;
    go_operator::come_back(&world).await;

    let restarts = Restarts::of(&world);
    world.start_operator().await;
    wait::until(world.api::<StatefulSet>(), "files", "ours again", |set| {
        let pod = set.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
        pod.is_some_and(|pod| pod.init_containers.is_none())
    })
    .await;
    let fence = json!({"spec": {"adapterDiscovery": {"pollingInterval": "32s"}}});
    world.merge::<DittoServer>("files", fence).await;
    world.ready("files").await;
    assert_eq!(restarts.count(), 1, "one restart");
    assert!(!variables(&world).await.contains(&"DATABASE_URL".to_owned()));
    let set = serde_json::to_value(world.get::<StatefulSet>("files").await).expect("JSON");
    let container = &set["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(
        container["lifecycle"]["preStop"],
        json!({"sleep": {"seconds": 5}}),
        "the exec hook is gone"
    );
    let ports = container["ports"].as_array().expect("ports").iter();
    let ports: Vec<&Value> = ports.map(|port| &port["name"]).collect();
    assert_eq!(ports, ["api", "metrics"]);
}

#[tokio::test]
async fn the_legacy_password_is_copied_and_its_secret_is_deleted() {
    let mut world = World::without_operator("legacy").await;
    let server = world.create(&fixtures::minimal("files")).await;
    let mut legacy = fixtures::secret(
        "files-admin-credentials",
        &[("username", "admin"), ("password", "legacy-password")],
    );
    legacy.metadata.owner_references =
        kube::Resource::controller_owner_ref(&server, &()).map(|owner| vec![owner]);
    let legacy = world.create(&legacy).await;
    world.start_operator().await;
    world.ready("files").await;
    wait::until_gone(world.api::<Secret>(), "files-admin-credentials", legacy.uid()).await;
    let adopted = go_operator::values(&world, "files-admin-bootstrap-credentials")
        .await
        .expect("data");
    assert_eq!(adopted["password"].0, b"legacy-password");
    assert_eq!(adopted["username"].0, b"admin");
}

// invariant: 6
#[tokio::test]
async fn a_server_of_the_go_operator_that_is_deleted_before_its_migration_keeps_its_data_and_secrets() {
    let mut world = World::without_operator("deletedfirst").await;
    go_operator::set_up(&world).await;
    let before = objects(&world).await;
    world.delete::<DittoServer>("files").await;
    let server: DittoServer = world.get("files").await;
    assert!(
        server.metadata.deletion_timestamp.is_some(),
        "its finalizer holds it"
    );

    let set = world.get::<StatefulSet>("files").await.uid();
    world.start_operator().await;
    wait::until_gone(world.api::<DittoServer>(), "files", server.uid()).await;
    wait::until_gone(world.api::<StatefulSet>(), "files", set).await;
    let changed = changes(&before, &objects(&world).await);
    for kept in [
        "Secret files-jwt-secret",
        "Secret files-admin-bootstrap-credentials",
        "Secret files-operator-credentials",
        "PerconaPGCluster files-postgres",
        "PersistentVolumeClaim controlplane-files-0",
        "PersistentVolumeClaim metadata-files-0",
    ] {
        let change = find(&changed, kept);
        assert!(change.uid_kept, "{kept} stays: {change:?}");
        let owners = "-metadata.ownerReferences".to_owned();
        assert_eq!(
            change.paths.contains(&owners),
            !kept.starts_with("PersistentVolumeClaim"),
            "{kept}: {change:?}"
        );
    }
}

#[tokio::test]
async fn an_operator_killed_at_any_write_of_a_migration_reaches_the_same_end_state() {
    for moment in ["Secret", "ConfigMap", "StatefulSet"] {
        let world = World::without_operator("takeoverkilled").await;
        go_operator::set_up(&world).await;
        let before = objects(&world).await;
        let operator = Process::start(&world, &[]).await;
        taken_over(&world, moment).await;
        drop(operator);

        let _operator = Process::start(&world, &[]).await;
        settled(&world).await;
        let changed = changes(&before, &objects(&world).await);
        let lost: Vec<_> = changed
            .iter()
            .filter(|change| !change.uid_kept && change.object != "Pod files-0")
            .collect();
        assert!(lost.is_empty(), "killed at the {moment}: {lost:?}");
        assert_eq!(starts(&world).await, 2, "one restart, killed at the {moment}");
    }
}

/// Waits until the operator manages the first child of a kind.
async fn taken_over(world: &World, kind: &str) {
    fn is_ours<K: ResourceExt>(object: &K) -> bool {
        object.labels().contains_key("app.kubernetes.io/managed-by")
    }
    match kind {
        "Secret" => drop(wait::until(world.api::<Secret>(), "files-jwt-secret", "ours", is_ours).await),
        "ConfigMap" => drop(wait::until(world.api::<ConfigMap>(), "files-config", "ours", is_ours).await),
        _ => drop(wait::until(world.api::<StatefulSet>(), "files", "ours", is_ours).await),
    }
}

#[tokio::test]
async fn a_migration_does_not_depend_on_the_name_of_the_go_operators_binary() {
    for manager in ["dittofs-controller", "__debug_bin"] {
        let mut world = World::without_operator("binary").await;
        go_operator::set_up_as(&world, manager).await;
        world.start_operator().await;
        has_no_leftovers(&world).await;
        world.stop_operator().await;
        go_operator::come_back_as(&world, manager).await;
        world.start_operator().await;
        has_no_leftovers(&world).await;
    }
}

/// Waits until nothing of the Go operator's pod template is left, and the server is ready.
async fn has_no_leftovers(world: &World) {
    let is_ours = |set: &StatefulSet| {
        let Some(pod) = set.spec.as_ref().and_then(|spec| spec.template.spec.as_ref()) else {
            return false;
        };
        let hook = pod.containers[0]
            .lifecycle
            .as_ref()
            .and_then(|lifecycle| lifecycle.pre_stop.as_ref());
        pod.init_containers.is_none() && hook.is_some_and(|hook| hook.exec.is_none() && hook.sleep.is_some())
    };
    wait::until(world.api::<StatefulSet>(), "files", "ours", is_ours).await;
}
