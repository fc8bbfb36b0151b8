//! The Secrets that the simulator makes.

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::json;

use crate::support::{Percona, eventually, good_spec};

fn value(secret: &Secret, key: &str) -> String {
    let data = secret.data.as_ref().unwrap();
    String::from_utf8(data[key].0.clone()).unwrap()
}

#[tokio::test]
async fn the_secret_of_a_user_has_perconas_keys_and_labels_and_no_owner() {
    let percona = Percona::start().await;
    percona.create("db", &good_spec()).await;
    percona.until_state("db", "ready").await;
    let secrets = Api::<Secret>::namespaced(percona.client.clone(), &percona.namespace);
    let secret = secrets.get("db-pguser-dittofs").await.unwrap();
    let keys: Vec<_> = secret.data.as_ref().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "dbname",
            "host",
            "jdbc-uri",
            "password",
            "pgbouncer-host",
            "pgbouncer-jdbc-uri",
            "pgbouncer-port",
            "pgbouncer-uri",
            "port",
            "uri",
            "user",
            "verifier",
        ]
    );
    assert_eq!(
        value(&secret, "host"),
        format!("db-primary.{}.svc", percona.namespace)
    );
    assert_eq!(
        (value(&secret, "port"), value(&secret, "dbname")),
        ("5432".to_owned(), "dittofs".to_owned())
    );
    let label = |name: &str| secret.labels()[&format!("postgres-operator.crunchydata.com/{name}")].as_str();
    assert_eq!(
        (label("cluster"), label("pguser"), label("role")),
        ("db", "dittofs", "pguser")
    );
    assert!(secret.owner_references().is_empty());

    let certificate = secrets.get("db-cluster-cert").await.unwrap();
    assert!(value(&certificate, "ca.crt").starts_with("-----BEGIN CERTIFICATE-----"));
}

#[tokio::test]
async fn an_existing_secret_is_kept_and_a_deleted_one_is_recreated_with_another_password() {
    let percona = Percona::start().await;
    let secrets = Api::<Secret>::namespaced(percona.client.clone(), &percona.namespace);
    let mine = json!({
        "metadata": {
            "name": "db-pguser-dittofs",
            "labels": {"postgres-operator.crunchydata.com/cluster": "db"},
        },
        "stringData": {"password": "mine"},
    });
    secrets
        .create(&PostParams::default(), &serde_json::from_value(mine).unwrap())
        .await
        .unwrap();
    percona.create("db", &good_spec()).await;
    percona.until_state("db", "ready").await;
    assert_eq!(
        value(&secrets.get("db-pguser-dittofs").await.unwrap(), "password"),
        "mine"
    );

    secrets
        .delete("db-pguser-dittofs", &DeleteParams::default())
        .await
        .unwrap();
    let fresh = eventually("the Secret is back", async || {
        secrets.get_opt("db-pguser-dittofs").await.unwrap()
    })
    .await;
    assert_ne!(value(&fresh, "password"), "mine");
}

#[tokio::test]
async fn the_finalizers_delete_the_secrets_of_a_deleted_cluster_and_without_them_the_secrets_are_kept() {
    let percona = Percona::start().await;
    let secrets = Api::<Secret>::namespaced(percona.client.clone(), &percona.namespace);
    for (name, finalizers) in [
        ("kept", json!([])),
        (
            "gone",
            json!(["percona.com/delete-pvc", "percona.com/delete-ssl"]),
        ),
    ] {
        percona.create(name, &good_spec()).await;
        percona.until_state(name, "ready").await;
        let patch = Patch::Merge(json!({"metadata": {"finalizers": finalizers}}));
        percona
            .clusters
            .patch(name, &PatchParams::default(), &patch)
            .await
            .unwrap();
        percona
            .clusters
            .delete(name, &DeleteParams::default())
            .await
            .unwrap();
        eventually("the cluster is gone", || async {
            percona
                .clusters
                .get_opt(name)
                .await
                .unwrap()
                .is_none()
                .then_some(())
        })
        .await;
    }
    let mut names: Vec<_> = secrets
        .list(&ListParams::default())
        .await
        .unwrap()
        .iter()
        .map(ResourceExt::name_any)
        .collect();
    names.sort();
    assert_eq!(names, ["kept-cluster-cert", "kept-pguser-dittofs"]);
    percona.simulator.check().unwrap();
}
