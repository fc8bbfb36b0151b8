//! The CRD on a real API server: what it accepts, what it refuses, and with which message.
#![allow(clippy::expect_used, clippy::panic, reason = "a test fails this way")]

mod cases;

use std::time::Duration;

use dittofs_operator::api;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::{Api, Client, Error, ResourceExt};
use local_control_plane::{ControlPlane, Options};
use serde_json::{Value, json};
use tokio::time::timeout;

use self::cases::{Case, Expect};
use crate::support::install_crd;

/// Longest wait for an asynchronous step of the API server.
const PATIENCE: Duration = Duration::from_secs(60);

/// A control plane of its own, because the definition changes under the objects in it.
async fn control_plane() -> (ControlPlane, Client) {
    let control_plane = ControlPlane::start(Options::default())
        .await
        .expect("the control plane starts");
    let client = control_plane.client().expect("a client");
    (control_plane, client)
}

fn servers(client: &Client) -> Api<DynamicObject> {
    let resource = ApiResource::erase::<api::DittoServer>(&());
    Api::namespaced_with(client.clone(), "default", &resource)
}

/// The CRD without rules, like the one of the Go operator. It allows to store what was valid before the rules existed.
fn without_rules(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    fn strip(schema: &mut JSONSchemaProps) {
        schema.x_kubernetes_validations = None;
        schema
            .properties
            .iter_mut()
            .flat_map(|properties| properties.values_mut())
            .for_each(strip);
        if let Some(JSONSchemaPropsOrArray::Schema(items)) = schema.items.as_mut() {
            strip(items);
        }
    }
    for version in &mut crd.spec.versions {
        version
            .schema
            .iter_mut()
            .filter_map(|schema| schema.open_api_v3_schema.as_mut())
            .for_each(strip);
    }
    crd
}

fn manifest(name: &str, spec: &str) -> DynamicObject {
    let mut object = json!({
        "apiVersion": "dittofs.dittofs.com/v1alpha1",
        "kind": "DittoServer",
        "metadata": {"name": name},
    });
    if !spec.is_empty() {
        object["spec"] = serde_yaml::from_str(spec).expect("the case is YAML");
    }
    serde_json::from_value(object).expect("an object")
}

/// Writes the case as a dry run.
async fn write(servers: &Api<DynamicObject>, name: &str, case: &Case) -> Result<DynamicObject, Error> {
    let dry_run = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let mut object = manifest(name, case.spec);
    if case.before.is_none() {
        return servers.create(&dry_run, &object).await;
    }
    object.metadata = servers.get_metadata(name).await?.metadata;
    // Every update changes something. The API server does not validate an update without a change.
    object.labels_mut().insert("edited".into(), "true".into());
    servers.replace(name, &dry_run, &object).await
}

/// The difference between the outcome and the expectation.
fn complaint(case: &Case, outcome: &Result<DynamicObject, Error>) -> Option<String> {
    let said = match outcome {
        Ok(_) => String::new(),
        Err(Error::Api(status)) => status.message.clone(),
        Err(error) => format!("{error:?}"),
    };
    let good = match case.expect {
        Expect::Accepted => said.is_empty(),
        Expect::Refused(field, message) => {
            said.contains(&format!("{field}: Invalid value")) && said.contains(message)
        }
        Expect::RefusedBySchema(field, message) => said.contains(field) && said.contains(message),
    };
    (!good).then(|| format!("{}: wanted {:?}, got {said:?}", case.sentence, case.expect))
}

/// The API server applies a changed CRD some time after it is stored.
async fn rules_in_force(servers: &Api<DynamicObject>) {
    let dry_run = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let probe = manifest("probe", "storage: {metadataSize: 0Gi}");
    let refused = async {
        while servers.create(&dry_run, &probe).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, refused)
        .await
        .expect("the rules come into force");
}

#[tokio::test]
async fn the_api_server_accepts_and_refuses_every_case_of_the_table_as_listed() {
    let (_control_plane, client) = control_plane().await;
    let servers = servers(&client);
    let table: Vec<(String, Case)> = cases::all()
        .into_iter()
        .enumerate()
        .map(|(number, case)| {
            (
                case.name.map_or_else(|| format!("case-{number}"), str::to_owned),
                case,
            )
        })
        .collect();

    install_crd(&client, without_rules(api::crd())).await;
    for (name, case) in &table {
        if let Some(before) = case.before {
            servers
                .create(&PostParams::default(), &manifest(name, before))
                .await
                .expect(case.sentence);
        }
    }
    install_crd(&client, api::crd()).await;
    rules_in_force(&servers).await;

    let mut complaints = Vec::new();
    for (name, case) in &table {
        let outcome = write(&servers, name, case).await;
        complaints.extend(complaint(case, &outcome));
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[tokio::test]
async fn a_new_object_has_its_defaults_and_no_observed_generation() {
    let (_control_plane, client) = control_plane().await;
    install_crd(&client, api::crd()).await;
    let spec = "{storage: {metadataSize: 1Gi}, image: null, metrics: {}, percona: {backup: {}}}";
    let created = servers(&client)
        .create(&PostParams::default(), &manifest("files", spec))
        .await
        .expect("accepted");
    let wanted = json!({
        "image": "marmos91c/dittofs:latest",
        "replicas": 1,
        "storage": {"metadataSize": "1Gi", "controlPlaneSize": "1Gi", "retention": "Retain"},
        "metrics": {"enabled": false, "port": 9090, "path": "/metrics"},
        "progressDeadlineSeconds": 600,
        "percona": {
            "enabled": false, "deleteWithServer": false, "adoptExisting": false, "replicas": 1, "storageSize": "10Gi",
            "databaseName": "dittofs", "hibernate": "never",
            "backup": {
                "enabled": false, "region": "eu-west-1", "fullSchedule": "0 2 * * *", "incrSchedule": "0 * * * *",
                "retentionDays": 7,
            },
        },
    });
    assert_eq!(created.data["spec"], wanted);
    assert_eq!(created.data["status"], json!({"observedGeneration": -1}));
}

#[tokio::test]
async fn the_scale_subresource_stops_and_starts_a_server_and_refuses_more_than_one_replica() {
    let (_control_plane, client) = control_plane().await;
    install_crd(&client, api::crd()).await;
    let servers = servers(&client);
    let minimal = manifest("files", "storage: {metadataSize: 1Gi}");
    servers
        .create(&PostParams::default(), &minimal)
        .await
        .expect("accepted");
    let scale = |replicas: i32| Patch::Merge(json!({"spec": {"replicas": replicas}}));

    servers
        .patch_scale("files", &PatchParams::default(), &scale(0))
        .await
        .expect("stopped");
    let stopped = servers.get("files").await.expect("read");
    assert_eq!(stopped.data["spec"]["replicas"], Value::from(0));

    let refused = servers
        .patch_scale("files", &PatchParams::default(), &scale(2))
        .await;
    let Err(Error::Api(status)) = refused else {
        panic!("accepted: {refused:?}")
    };
    assert!(
        status.message.contains("should be less than or equal to 1"),
        "{}",
        status.message
    );
}
