//! The database cluster, above all one that exists already.

use std::sync::Arc;

use kube::Resource;
use serde_json::{Value, json};

use crate::domain::desired::{DatabaseChange, desired};
use crate::domain::observed::{KindState, Observed, Read};
use crate::domain::settings::Settings;
use crate::domain::testing::{self, valid};
use crate::domain::validate::PodGate;

fn cluster_with(observed: &Observed, settings: &Settings) -> Option<Value> {
    let children = desired(&valid(observed, PodGate::Closed), settings).expect("children");
    match children.database {
        DatabaseChange::Apply(cluster) => Some(serde_json::to_value(cluster).unwrap()),
        DatabaseChange::Release(_) | DatabaseChange::Leave => None,
    }
}

/// The cluster of a server with this `spec.percona`, given a live one.
fn cluster(percona: &str, live: Option<&str>) -> Value {
    let mut observed = testing::nothing(&format!("percona: {percona}"));
    if let Some(live) = live {
        observed.database.cluster = Read::Found(Arc::new(testing::percona(live, &json!({}))));
    }
    cluster_with(&observed, &Settings::default()).expect("a cluster")
}

fn images(cluster: &Value) -> [Option<&str>; 3] {
    let spec = &cluster["spec"];
    [
        &spec["image"],
        &spec["proxy"]["pgBouncer"]["image"],
        &spec["backups"]["pgbackrest"]["image"],
    ]
    .map(Value::as_str)
}

const DEFAULT_IMAGES: [Option<&str>; 3] = [
    Some("docker.io/percona/percona-distribution-postgresql:17.7-2"),
    Some("docker.io/percona/percona-pgbouncer:1.25.0-1"),
    Some("docker.io/percona/percona-pgbackrest:2.57.0-1"),
];

#[test]
fn without_percona_there_is_no_cluster() {
    assert_eq!(
        cluster_with(
            &testing::nothing("percona: {enabled: false}"),
            &Settings::default()
        ),
        None
    );
}

#[test]
fn no_new_cluster_is_created_while_data_of_an_earlier_server_may_be_hidden() {
    let nothing = testing::nothing("percona: {enabled: true}");
    let unread = || "connection reset".to_owned();
    let mut without_set = nothing.clone();
    without_set.stateful_set = Read::Unreadable(unread());
    let mut without_claims = nothing.clone();
    without_claims.claims = Read::Unreadable(unread());
    let mut without_secret = nothing.clone();
    without_secret
        .secrets
        .insert("files-postgres-pguser-dittofs".into(), Read::Unreadable(unread()));
    for observed in [without_set, without_claims, without_secret] {
        assert_eq!(cluster_with(&observed, &Settings::default()), None);
    }
    assert!(cluster_with(&nothing, &Settings::default()).is_some());
}

#[test]
fn a_new_cluster_has_all_that_perconas_operator_needs() {
    let cluster = cluster("{enabled: true}", None);
    assert_eq!(images(&cluster), DEFAULT_IMAGES);
    assert_eq!(cluster["spec"]["postgresVersion"], 17);
    assert_eq!(cluster["spec"]["proxy"]["pgBouncer"]["replicas"], 1);
    assert_eq!(cluster["spec"]["backups"]["enabled"], false);
    assert_eq!(cluster["spec"].get("crVersion"), None);
}

#[test]
fn an_existing_cluster_keeps_its_version_and_its_images() {
    let live =
        "{postgresVersion: 16, image: 'i/pg:16', proxy: {pgBouncer: {image: 'i/bouncer', replicas: 3}}}";
    let cluster = cluster("{enabled: true}", Some(live));
    assert_eq!(cluster["spec"]["postgresVersion"], 16);
    assert_eq!(
        images(&cluster),
        [Some("i/pg:16"), Some("i/bouncer"), DEFAULT_IMAGES[2]]
    );
    assert_eq!(cluster["spec"]["proxy"]["pgBouncer"]["replicas"], 3);
}

#[test]
fn another_version_never_gets_the_image_of_the_default_version() {
    assert_eq!(
        images(&cluster("{enabled: true}", Some("{postgresVersion: 16}")))[0],
        None
    );
    assert_eq!(
        images(&cluster("{enabled: true, postgresVersion: 18}", None))[0],
        None
    );
}

#[test]
fn an_existing_cluster_of_the_default_version_follows_the_default_images() {
    let live = "{postgresVersion: 17, image: 'docker.io/percona/percona-distribution-postgresql:17.5-1'}";
    assert_eq!(images(&cluster("{enabled: true}", Some(live))), DEFAULT_IMAGES);
}

#[test]
fn the_spec_wins_over_the_live_cluster() {
    let percona = "{enabled: true, postgresVersion: 18, images: {postgres: a, pgBouncer: b, pgBackRest: c}}";
    let cluster = cluster(percona, Some("{postgresVersion: 16, image: old}"));
    assert_eq!(cluster["spec"]["postgresVersion"], 18);
    assert_eq!(images(&cluster), [Some("a"), Some("b"), Some("c")]);
}

#[test]
fn a_registry_replaces_that_of_the_defaults_only() {
    let observed =
        testing::nothing("percona: {enabled: true, images: {pgBouncer: 'docker.io/percona/own:1'}}");
    for registry in ["mirror.example.com/db", "mirror.example.com/db/"] {
        let settings = Settings {
            percona_registry: Some(registry.into()),
            ..Settings::default()
        };
        let cluster = cluster_with(&observed, &settings).unwrap();
        assert_eq!(
            images(&cluster),
            [
                Some("mirror.example.com/db/percona-distribution-postgresql:17.7-2"),
                Some("docker.io/percona/own:1"),
                Some("mirror.example.com/db/percona-pgbackrest:2.57.0-1"),
            ]
        );
    }
}

#[test]
fn storage_is_expanded_and_never_shrinks() {
    for (spec, live, size) in [
        ("20Gi", "10Gi", "20Gi"),
        ("10Gi", "20Gi", "20Gi"),
        ("1024Mi", "1Gi", "1024Mi"),
        ("1Gi", "1025Mi", "1025Mi"),
    ] {
        let live = format!(
            "{{instances: [{{name: instance1, dataVolumeClaimSpec: {{resources: {{requests: {{storage: {live}}}}}}}}}]}}"
        );
        let cluster = cluster(&format!("{{enabled: true, storageSize: {spec}}}"), Some(&live));
        let claim = &cluster["spec"]["instances"][0]["dataVolumeClaimSpec"];
        assert_eq!(
            claim["resources"]["requests"]["storage"], size,
            "{spec} over {live}"
        );
    }
}

#[test]
fn an_adopted_cluster_gets_no_second_instance_set() {
    let cluster = cluster(
        "{enabled: true, replicas: 2}",
        Some("{instances: [{name: pg, replicas: 1}]}"),
    );
    let sets = cluster["spec"]["instances"].as_array().unwrap();
    assert_eq!(
        (sets.len(), &sets[0]["name"], &sets[0]["replicas"]),
        (1, &json!("pg"), &json!(2))
    );
}

#[test]
fn an_adopted_cluster_keeps_its_standbys_backups_and_images_unless_the_spec_speaks_of_them() {
    let live = "{postgresVersion: 17, image: own, instances: [{name: a, replicas: 3}], \
                proxy: {pgBouncer: {image: b}}, backups: {enabled: true, pgbackrest: {image: c}}}";
    let silent = cluster("{enabled: true, adoptExisting: true, replicas: 1}", Some(live));
    assert_eq!(images(&silent), [Some("own"), Some("b"), Some("c")]);
    assert_eq!(silent["spec"]["instances"][0]["replicas"], 3);
    assert_eq!(silent["spec"]["backups"]["enabled"], true);
    let message = cluster(
        "{enabled: true, adoptExisting: true, backup: {enabled: false}}",
        Some(live),
    );
    assert_eq!(message["spec"]["backups"]["enabled"], false);
}

#[test]
fn retention_is_in_days() {
    let backup =
        "{enabled: true, bucket: b, endpoint: e, credentialsSecretRef: {name: s}, retentionDays: 30}";
    let cluster = cluster(&format!("{{enabled: true, backup: {backup}}}"), None);
    let global = &cluster["spec"]["backups"]["pgbackrest"]["global"];
    assert_eq!(
        (
            &global["repo1-retention-full"],
            &global["repo1-retention-full-type"]
        ),
        (&json!("30"), &json!("time"))
    );
}

// invariant: 6, 9, 11
#[test]
fn the_cluster_has_no_owner_and_no_finalizer_while_the_server_lives() {
    for spec in ["{enabled: true}", "{enabled: true, deleteWithServer: true}"] {
        let metadata = &cluster(spec, None)["metadata"];
        assert_eq!(metadata.get("ownerReferences"), None, "{spec}");
        assert_eq!(metadata.get("finalizers"), None, "{spec}");
    }
}

#[test]
fn an_owner_reference_that_an_earlier_version_set_is_removed() {
    let database = |percona: &str, owned: bool| {
        let mut observed = testing::nothing(&format!("percona: {percona}"));
        let mut live = testing::percona("{postgresVersion: 17}", &json!({}));
        live.metadata.owner_references =
            owned.then(|| vec![observed.server.controller_owner_ref(&()).unwrap()]);
        observed.database.cluster = Read::Found(Arc::new(live));
        desired(&valid(&observed, PodGate::Closed), &Settings::default())
            .expect("children")
            .database
    };
    for off in ["{enabled: false, deleteWithServer: true}", "null"] {
        assert!(matches!(database(off, true), DatabaseChange::Release(_)), "{off}");
        assert_eq!(database(off, false), DatabaseChange::Leave, "{off}");
    }
    for on in ["{enabled: true}", "{enabled: true, deleteWithServer: true}"] {
        assert!(matches!(database(on, true), DatabaseChange::Release(_)), "{on}");
        assert!(matches!(database(on, false), DatabaseChange::Apply(_)), "{on}");
    }
}

#[test]
fn the_class_of_existing_database_volumes_is_not_edited() {
    let class = |live: Option<&str>| {
        let cluster = cluster("{enabled: true, storageClassName: slow}", live);
        cluster["spec"]["instances"][0]["dataVolumeClaimSpec"]["storageClassName"].clone()
    };
    assert_eq!(class(None), "slow");
    let live = "{instances: [{name: instance1, dataVolumeClaimSpec: {storageClassName: fast}}]}";
    assert_eq!(class(Some(live)), "fast");
    assert_eq!(
        class(Some("{instances: [{name: instance1}]}")),
        serde_json::Value::Null
    );
}

#[test]
fn a_cluster_that_cannot_be_read_is_not_written() {
    let mut observed = testing::nothing("percona: {enabled: true}");
    observed.database.cluster = Read::Unreadable("timed out".into());
    assert_eq!(cluster_with(&observed, &Settings::default()), None);
}

#[test]
fn a_cluster_of_a_kind_that_is_not_installed_is_not_written() {
    let mut observed = testing::nothing("percona: {enabled: true}");
    observed.database.kind = KindState::NotServed;
    assert_eq!(cluster_with(&observed, &Settings::default()), None);
}
