//! The `CustomResourceDefinition` accepts, defaults and refuses as Percona's does.

use kube::api::{Api, ListParams};
use local_control_plane::percona::{
    PerconaPGCluster, PerconaSimulator, SimulatorOptions, install_crd, remove_crd,
};
use local_control_plane::{ControlPlane, Options};
use serde_json::{Value, json};

use crate::support::{Percona, eventually, good_spec};

/// Makes one mistake in a good specification.
type Spoil = fn(&mut Value);

#[tokio::test]
async fn the_crd_sets_perconas_defaults() {
    let percona = Percona::start().await;
    let mut spec = good_spec();
    spec["proxy"]["pgBouncer"]
        .as_object_mut()
        .unwrap()
        .remove("replicas");
    let cluster = percona.create("db", &spec).await;
    assert_eq!(cluster.spec.port, Some(5432));
    assert_eq!(cluster.spec.instances[0].replicas, Some(1));
    let bouncer = cluster.spec.proxy.unwrap().pg_bouncer.unwrap();
    assert_eq!((bouncer.port, bouncer.replicas), (Some(5432), Some(1)));
}

#[tokio::test]
async fn the_crd_refuses_what_perconas_crd_refuses() {
    let percona = Percona::start().await;
    let cases: [(&str, Spoil, &str); 5] = [
        (
            "no-repo",
            |spec| spec["backups"]["enabled"] = json!(true),
            "At least one repository",
        ),
        (
            "no-instance",
            |spec| spec["instances"] = json!([]),
            "should have at least 1 items",
        ),
        (
            "old",
            |spec| spec["postgresVersion"] = json!(11),
            "should be greater than or equal to 12",
        ),
        (
            "user",
            |spec| spec["users"][0]["name"] = json!("Ditto_FS"),
            "should match",
        ),
        (
            "no-backups",
            |spec| drop(spec.as_object_mut().unwrap().remove("backups")),
            "Required value",
        ),
    ];
    for (name, spoil, message) in cases {
        let mut spec = good_spec();
        spoil(&mut spec);
        let cluster = json!({
            "apiVersion": "pgv2.percona.com/v2", "kind": "PerconaPGCluster",
            "metadata": {"name": name}, "spec": spec,
        });
        let request = http::Request::post(format!(
            "/apis/pgv2.percona.com/v2/namespaces/{}/perconapgclusters",
            percona.namespace
        ));
        let request = request
            .header("content-type", "application/json")
            .body(serde_json::to_vec(&cluster).unwrap())
            .unwrap();
        let answer = percona
            .client
            .request::<Value>(request)
            .await
            .unwrap_err()
            .to_string();
        assert!(answer.contains(message), "{name}: {answer}");
    }
    percona.simulator.check().unwrap();
}

#[tokio::test]
async fn a_removed_crd_can_be_installed_again_under_a_running_operator() {
    // Its own API server: the others share a definition.
    let control_plane = ControlPlane::start(Options::default()).await.unwrap();
    let client = control_plane.client().unwrap();
    let options = SimulatorOptions::default();
    let simulator = PerconaSimulator::start(control_plane.client_config(), options)
        .await
        .unwrap();
    let percona = Percona {
        clusters: Api::<PerconaPGCluster>::namespaced(client.clone(), "default"),
        namespace: "default".to_owned(),
        client: client.clone(),
        simulator,
    };
    percona.create("first", &good_spec()).await;
    percona.until_state("first", "ready").await;

    remove_crd(&client).await.unwrap();
    eventually("the kind is no longer served", || async {
        percona.clusters.list(&ListParams::default()).await.err()
    })
    .await;
    install_crd(&client).await.unwrap();
    percona.create("second", &good_spec()).await;
    percona.until_state("second", "ready").await;
    percona.simulator.check().unwrap();
}
