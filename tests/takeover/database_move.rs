//! No server is moved to an empty database without confirmation.

use dittofs_operator::api::DittoServer;
use dittofs_operator::api::percona::PerconaPGCluster;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Secret};
use kube::ResourceExt;
use kube::api::DeleteParams;
use kube::runtime::wait::await_condition;
use serde_json::{Value, json};

use super::{MIGRATED, database, is_pending, starts, variables};
use crate::support::{World, fixtures, wait};

const CLAIM: &str = "controlplane-files-0";
const MARK: &str = "dittofs.io/control-plane-database";

async fn patch(world: &World, body: serde_json::Value) {
    world.merge::<DittoServer>("files", body).await;
}

async fn marked(world: &World, mark: Option<&str>) {
    wait::until(world.api(), CLAIM, "marked", |claim: &PersistentVolumeClaim| {
        claim.annotations().get(MARK).map(String::as_str) == mark
    })
    .await;
}

async fn on_percona(world: &World) {
    world
        .server_until("files", "on Percona", |server| {
            wait::is(server, "DatabaseReady", "True", "PerconaReady")
        })
        .await;
    world.ready("files").await;
    assert_eq!(database(world).await, json!({"type": "postgres"}));
}

// invariant: 17
#[tokio::test]
async fn a_stopped_server_on_a_volume_without_labels_stays_on_sqlite_when_percona_is_enabled() {
    let world = World::new("unlabelled").await;
    let _simulator = world.percona().await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    // Like a claim after a restore with a tool that drops labels.
    world
        .merge::<PersistentVolumeClaim>(CLAIM, json!({"metadata": {"labels": null}}))
        .await;
    patch(&world, json!({"spec": {"replicas": 0}})).await;
    world.ready("files").await;

    patch(&world, json!({"spec": {"percona": {"enabled": true}}})).await;
    world.server_until("files", "on SQLite", is_pending).await;
    wait::until(world.api(), CLAIM, "labelled", |claim: &PersistentVolumeClaim| {
        claim.labels().get("instance").is_some_and(|name| name == "files")
    })
    .await;
    patch(&world, json!({"spec": {"replicas": 1}})).await;
    let server = world.ready("files").await;
    assert!(is_pending(&server));
    assert_eq!(database(&world).await["type"], "sqlite");
}

async fn create_on_own_postgres(world: &World) {
    let keys = [
        ("host", "db"),
        ("user", "u"),
        ("database", "d"),
        ("password", "a-password"),
    ];
    world.create(&fixtures::secret("own", &keys)).await;
    let own = json!({"database": {"postgresSecretRef": {"name": "own", "key": "host"}}});
    world.create(&fixtures::server("files", own)).await;
    world.ready("files").await;
}

#[tokio::test]
async fn a_server_that_moves_from_its_own_postgresql_to_sqlite_reports_the_old_database() {
    let world = World::new("left").await;
    create_on_own_postgres(&world).await;
    patch(&world, json!({"spec": {"database": {"postgresSecretRef": null}}})).await;
    let note = world.event_note("DatabaseChanged").await;
    assert!(note.contains("the PostgreSQL that Secret own names"), "{note}");
    world.ready("files").await;
    assert_eq!(database(&world).await["type"], "sqlite");
}

#[tokio::test]
async fn a_server_with_a_changed_sqlite_path_reports_the_old_file() {
    let world = World::new("file").await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    let path = json!({"sqlite": {"path": "/data/store/metadata/other.db"}});
    patch(&world, json!({"spec": {"database": path}})).await;
    let note = world.event_note("DatabaseChanged").await;
    assert!(
        note.contains("The data in /data/controlplane/controlplane.db stays"),
        "{note}"
    );
    world.ready("files").await;
}

#[tokio::test]
async fn a_stopped_server_starts_on_its_own_postgresql_although_percona_is_not_ready() {
    let world = World::new("ownstopped").await;
    create_on_own_postgres(&world).await;
    patch(&world, json!({"spec": {"replicas": 0}})).await;
    world.ready("files").await;
    let percona =
        json!({"database": {"postgresSecretRef": null}, "percona": {"enabled": true}, "replicas": 1});
    patch(&world, json!({"spec": percona})).await;
    world
        .server_until("files", "running where its data is", |server| {
            wait::is(server, "DatabaseReady", "False", "DatabaseMoveUnconfirmed")
                && wait::is(server, "Available", "True", "MinimumReplicasAvailable")
        })
        .await;
    assert_eq!(starts(&world).await, 1);
}

// invariant: 17
#[tokio::test]
async fn a_server_on_its_own_postgresql_moves_to_percona_only_after_confirmation() {
    let world = World::new("own").await;
    let _simulator = world.percona().await;
    create_on_own_postgres(&world).await;
    marked(&world, Some("postgres")).await;
    let pod = world.get::<Pod>("files-0").await.uid();

    let percona = json!({"spec": {"database": {"postgresSecretRef": null}, "percona": {"enabled": true}}});
    patch(&world, percona.clone()).await;
    world
        .server_until("files", "asking", |server| {
            wait::is(server, "DatabaseReady", "False", "DatabaseMoveUnconfirmed")
                && wait::is(server, "Available", "True", "MinimumReplicasAvailable")
        })
        .await;
    assert_eq!(world.get::<Pod>("files-0").await.uid(), pod);
    assert_eq!(starts(&world).await, 1, "it runs on where its data is");

    patch(&world, json!({"metadata": {"annotations": {MIGRATED: "true"}}})).await;
    on_percona(&world).await;
    assert_eq!(starts(&world).await, 2, "one restart");
    marked(&world, Some("percona")).await;

    // Back and forth again: the confirmation was for the first move.
    let own = json!({"spec": {"database": {"postgresSecretRef": {"name": "own", "key": "host"}}, "percona": {"enabled": false}}});
    patch(&world, own).await;
    world.ready("files").await;
    marked(&world, Some("postgres-again")).await;
    let starts_before = starts(&world).await;
    patch(&world, percona).await;
    let server = world
        .server_until("files", "asking again", |server| {
            wait::is(server, "DatabaseReady", "False", "DatabaseMoveUnconfirmed")
        })
        .await;
    let condition = wait::condition(&server, "DatabaseReady").expect("a condition");
    assert!(
        condition.message.contains("does not count for this move"),
        "{}",
        condition.message
    );
    assert_eq!(starts(&world).await, starts_before);
}

// invariant: 6
#[tokio::test]
async fn a_server_deleted_before_it_moved_from_its_own_postgresql_keeps_its_secrets() {
    for policy in [DeleteParams::background(), DeleteParams::foreground()] {
        let world = World::new("owngoes").await;
        let _simulator = world.percona().await;
        create_on_own_postgres(&world).await;
        let name = "files-admin-bootstrap-credentials";
        let secret = world.get::<Secret>(name).await.uid();
        let percona = json!({"spec": {
            "database": {"postgresSecretRef": null},
            "percona": {"enabled": true, "deleteWithServer": true},
            "storage": {"retention": "Delete"},
        }});
        patch(&world, percona).await;
        let server = world
            .server_until("files", "asking", |server| {
                wait::is(server, "DatabaseReady", "False", "DatabaseMoveUnconfirmed")
            })
            .await;
        // A finalizer keeps the cluster longer than the StatefulSet of a foreground deletion and the volumes, which show where the data is.
        let hold = |finalizers: Value| json!({"metadata": {"finalizers": finalizers}});
        let cluster = "files-postgres";
        world
            .merge::<PerconaPGCluster>(cluster, hold(json!(["example.com/hold"])))
            .await;
        let servers = world.api::<DittoServer>();
        servers.delete("files", &policy).await.expect("deleted");
        if policy == DeleteParams::foreground() {
            let is_gone = |claim: Option<&PersistentVolumeClaim>| claim.is_none();
            let gone = await_condition(world.api(), CLAIM, is_gone);
            tokio::time::timeout(wait::LONGEST, gone)
                .await
                .expect("in time")
                .expect("a watch");
        }
        world.merge::<PerconaPGCluster>(cluster, hold(json!([]))).await;
        wait::until_gone(servers, "files", server.uid()).await;
        assert_eq!(world.get::<Secret>(name).await.uid(), secret);
    }
}

// invariant: 17
#[tokio::test]
async fn the_confirmation_that_the_data_has_moved_is_valid_for_one_move() {
    let world = World::new("again").await;
    let _simulator = world.percona().await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    let moved =
        json!({"metadata": {"annotations": {MIGRATED: "true"}}, "spec": {"percona": {"enabled": true}}});
    patch(&world, moved).await;
    on_percona(&world).await;
    patch(&world, json!({"spec": {"percona": {"enabled": false}}})).await;
    world.ready("files").await;
    assert_eq!(database(&world).await["type"], "sqlite");
    marked(&world, Some("sqlite")).await;

    // Months later: the file now holds data that is not in the cluster.
    patch(&world, json!({"spec": {"percona": {"enabled": true}}})).await;
    let server = world.server_until("files", "on SQLite", is_pending).await;
    let condition = wait::condition(&server, "DatabaseReady").expect("a condition");
    assert!(
        condition.message.contains("does not count for this move"),
        "{}",
        condition.message
    );
    patch(&world, json!({"metadata": {"annotations": {MIGRATED: null}}})).await;
    marked(&world, None).await;
    patch(&world, json!({"metadata": {"annotations": {MIGRATED: "true"}}})).await;
    on_percona(&world).await;
    let host = "DITTOFS_DATABASE_POSTGRES_HOST".to_owned();
    assert!(variables(&world).await.contains(&host));
}
