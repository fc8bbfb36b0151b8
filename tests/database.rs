//! The PostgreSQL cluster (Percona) of a server, with a simulator instead of Percona's operator.

use dittofs_operator::api::percona::PerconaPGCluster;
use dittofs_operator::api::{DittoServer, Phase};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, EnvVar, Pod, Secret};
use kube::ResourceExt;
use local_control_plane::percona::Behaviour;
use serde_json::{Value, json};

use crate::support::{World, fixtures, wait};

fn with_percona() -> Value {
    json!({"percona": {"enabled": true}})
}

fn database_ready(server: &DittoServer, status: &str) -> bool {
    wait::condition(server, "DatabaseReady").is_some_and(|ready| ready.status == status)
}

/// The container's variables.
fn variables(set: &StatefulSet) -> Vec<EnvVar> {
    let pod = set
        .spec
        .clone()
        .and_then(|spec| spec.template.spec)
        .unwrap_or_default();
    pod.containers
        .into_iter()
        .next()
        .and_then(|container| container.env)
        .unwrap_or_default()
}

/// Which key of which Secret a variable reads.
fn source(variables: &[EnvVar], name: &str) -> Option<(String, String)> {
    let variable = variables.iter().find(|variable| variable.name == name)?;
    let key = variable.value_from.as_ref()?.secret_key_ref.as_ref()?;
    Some((key.name.clone(), key.key.clone()))
}

#[tokio::test]
async fn the_server_waits_for_the_database_and_then_really_uses_it() {
    let mut world = World::new("percona").await;
    let simulator = world.percona().await;
    simulator.set_behaviour(&world.namespace, "files-postgres", Behaviour::Stuck);
    world.create(&fixtures::server("files", with_percona())).await;
    let server = world
        .server_until("files", "waiting for the database", |server| {
            database_ready(server, "False")
        })
        .await;
    assert!(wait::condition(&server, "Ready").is_some_and(|ready| ready.status == "False"));
    assert!(
        world
            .api::<StatefulSet>()
            .get_opt("files")
            .await
            .expect("a read")
            .is_none(),
        "no pod before its database"
    );

    simulator.set_behaviour(&world.namespace, "files-postgres", Behaviour::Ready);
    let server = world.ready("files").await;
    assert!(database_ready(&server, "True"));
    assert_eq!(
        server
            .status
            .and_then(|status| status.percona_cluster_name)
            .as_deref(),
        Some("files-postgres")
    );
    let config: ConfigMap = world.get("files-config").await;
    let config: Value = serde_yaml::from_str(&config.data.expect("data")["config.yaml"]).expect("YAML");
    assert_eq!(
        config["database"],
        json!({"type": "postgres"}),
        "no sqlite, no placeholders"
    );

    let set: StatefulSet = world.get("files").await;
    let variables = variables(&set);
    for (name, key) in [
        ("HOST", "host"),
        ("PORT", "port"),
        ("DATABASE", "dbname"),
        ("USER", "user"),
        ("PASSWORD", "password"),
    ] {
        let source = source(&variables, &format!("DITTOFS_DATABASE_POSTGRES_{name}"));
        assert_eq!(
            source,
            Some(("files-postgres-pguser-dittofs".into(), key.into())),
            "{name}"
        );
    }
    let mode = variables
        .iter()
        .find(|variable| variable.name == "DITTOFS_DATABASE_POSTGRES_SSLMODE");
    assert_eq!(
        mode.and_then(|variable| variable.value.as_deref()),
        Some("verify-full")
    );
    assert!(variables.iter().all(|variable| variable.name != "DATABASE_URL"));
    let pod = set.spec.and_then(|spec| spec.template.spec).expect("a pod");
    assert!(pod.init_containers.is_none_or(|containers| containers.is_empty()));
    simulator.check().expect("the database operator lives");

    let created = world.all_notes("Created").await;
    for child in ["PerconaPGCluster files-postgres", "Created StatefulSet files"] {
        assert!(created.iter().any(|note| note.contains(child)), "{created:#?}");
    }
}

#[tokio::test]
async fn a_database_outage_is_reported_and_does_not_restart_the_pod() {
    let world = World::new("outage").await;
    let simulator = world.percona().await;
    world.create(&fixtures::server("files", with_percona())).await;
    world.ready("files").await;
    let before = world.get::<Pod>("files-0").await.uid();

    simulator.set_behaviour(&world.namespace, "files-postgres", Behaviour::Stuck);
    let server = world
        .server_until("files", "without database", |server| {
            database_ready(server, "False")
        })
        .await;
    assert!(wait::is(&server, "Ready", "False", "ConditionsNotMet"));
    assert_eq!(
        server.status.and_then(|status| status.phase),
        Some(Phase::Running),
        "the pod runs on"
    );
    simulator.set_behaviour(&world.namespace, "files-postgres", Behaviour::Ready);
    world.ready("files").await;
    assert_eq!(world.get::<Pod>("files-0").await.uid(), before);
}

// invariant: 4
#[tokio::test]
async fn a_rotated_database_password_restarts_the_server_once() {
    let world = World::new("dbrotate").await;
    let _simulator = world.percona().await;
    world.create(&fixtures::server("files", with_percona())).await;
    world.ready("files").await;
    let before = world.get::<Pod>("files-0").await.uid();
    let rotated = json!({"stringData": {"password": "another-password", "verifier": "another"}});
    world
        .merge::<Secret>("files-postgres-pguser-dittofs", rotated)
        .await;
    world.pod_other_than(before.as_deref()).await;
    world.ready("files").await;
}

// invariant: 6
#[tokio::test]
async fn the_database_cluster_follows_the_spec_and_is_kept_when_the_server_is_deleted() {
    let world = World::new("follow").await;
    let simulator = world.percona().await;
    world.create(&fixtures::server("files", with_percona())).await;
    world.ready("files").await;
    let edit = json!({"spec": {"percona": {"replicas": 3, "storageSize": "20Gi"}}});
    world.merge::<DittoServer>("files", edit).await;
    let cluster = wait::until(
        world.api::<PerconaPGCluster>(),
        "files-postgres",
        "as the spec says",
        |cluster| {
            let value = serde_json::to_value(&cluster.spec.instances).unwrap_or_default();
            value[0]["replicas"] == 3
                && value[0]["dataVolumeClaimSpec"]["resources"]["requests"]["storage"] == "20Gi"
        },
    )
    .await;
    assert!(
        cluster.owner_references().is_empty(),
        "no garbage collection race can take the data"
    );

    let server: DittoServer = world.get("files").await;
    world.delete::<DittoServer>("files").await;
    wait::until_gone(world.api::<DittoServer>(), "files", server.uid()).await;
    wait::until_gone(
        world.api::<StatefulSet>(),
        "files",
        world
            .api::<StatefulSet>()
            .get_opt("files")
            .await
            .expect("a read")
            .and_then(|set| set.uid()),
    )
    .await;
    assert_eq!(
        world.get::<PerconaPGCluster>("files-postgres").await.uid(),
        cluster.uid()
    );
    let mut again = with_percona();
    again["percona"]["replicas"] = json!(3);
    again["percona"]["storageSize"] = json!("20Gi");
    world.create(&fixtures::server("files", again)).await;
    world.ready("files").await;
    assert_eq!(
        world.get::<PerconaPGCluster>("files-postgres").await.uid(),
        cluster.uid(),
        "it was taken up again"
    );
    simulator.check().expect("the database operator lives");
}

// invariant: 7
#[tokio::test]
async fn a_database_that_we_did_not_create_is_used_only_if_spec_and_database_allow_it_and_is_never_deleted() {
    let world = World::new("adopt").await;
    let _simulator = world.percona().await;
    let foreign = json!({
        "apiVersion": "pgv2.percona.com/v2",
        "kind": "PerconaPGCluster",
        "metadata": {"name": "files-postgres"},
        "spec": {
            "postgresVersion": 17,
            "image": "docker.io/percona/percona-distribution-postgresql:17.7-2",
            "instances": [{"name": "instance1", "replicas": 1, "dataVolumeClaimSpec": {
                "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}],
            "proxy": {"pgBouncer": {"image": "docker.io/percona/percona-pgbouncer:1.25.0-1"}},
            "backups": {"enabled": false, "pgbackrest": {"image": "docker.io/percona/percona-pgbackrest:2.57.0-1"}},
        },
    });
    let foreign: PerconaPGCluster = serde_json::from_value(foreign).expect("a cluster");
    let before = world.create(&foreign).await.uid();
    world.create(&fixtures::server("files", with_percona())).await;
    let server = world
        .server_until("files", "refusing the cluster", |server| {
            wait::condition(server, "DatabaseReady")
                .is_some_and(|ready| ready.message.contains("adoptExisting"))
        })
        .await;
    assert!(database_ready(&server, "False"));
    let untouched: PerconaPGCluster = world.get("files-postgres").await;
    let managers = untouched
        .managed_fields()
        .iter()
        .filter_map(|entry| entry.manager.as_deref());
    assert!(
        !managers.into_iter().any(|manager| manager == "dittofs-operator"),
        "it was not written"
    );

    let adopt = json!({"spec": {"percona": {"adoptExisting": true, "deleteWithServer": true}}});
    world.merge::<DittoServer>("files", adopt).await;
    world.observed().await;
    let server: DittoServer = world.get("files").await;
    assert!(
        database_ready(&server, "False"),
        "the cluster does not allow it yet"
    );
    let allow = json!({"metadata": {"annotations": {"dittofs.dittofs.com/adopt": "files"}}});
    world.merge::<PerconaPGCluster>("files-postgres", allow).await;
    world.ready("files").await;
    let adopted: PerconaPGCluster = world.get("files-postgres").await;
    assert_eq!(adopted.uid(), before);

    world.delete::<DittoServer>("files").await;
    wait::until_gone(world.api::<DittoServer>(), "files", server.uid()).await;
    let kept: PerconaPGCluster = world.get("files-postgres").await;
    assert_eq!(kept.uid(), before);
    assert!(kept.metadata.deletion_timestamp.is_none() && kept.finalizers().is_empty());
}

#[tokio::test]
async fn switching_percona_off_removes_database_ready() {
    let world = World::new("off").await;
    world.create(&fixtures::server("files", with_percona())).await;
    world
        .server_until("files", "waiting", |server| {
            wait::condition(server, "DatabaseReady").is_some()
        })
        .await;
    world
        .merge::<DittoServer>("files", json!({"spec": {"percona": {"enabled": false}}}))
        .await;
    let server = world.ready("files").await;
    assert!(wait::condition(&server, "DatabaseReady").is_none());
}
