//! Observations for the tests of the pure steps: a valid world, in which each test changes one thing.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta, OwnerReference};
use kube::ResourceExt;
use serde_json::json;

use crate::api::percona::{PerconaPGCluster, PerconaPGClusterSpec, PerconaPGClusterStatus};
use crate::api::{DittoServer, names};
use crate::domain::applied::{Applied, FailureClass, Outcome, Step, WriteFailure};
use crate::domain::cleanup::Progress;
use crate::domain::conditions::{Inputs, conditions};
use crate::domain::desired::{Adapters, DatabaseChange, Desired, Workload};
use crate::domain::observed::{Database, FreshSecrets, KindState, Observed, Read};
use crate::domain::secrets::{self, Purpose, SecretData};
use crate::domain::validate::validate;

pub(crate) const CONFIG: &str = "logging: {}\n";
pub(crate) const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
pub(crate) const PRIVATE_KEY: &str = "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n";
pub(crate) const PERCONA: &str = "percona: {enabled: true}";
pub(crate) const OWN_POSTGRES: &str = "database: {postgresSecretRef: {name: pg, key: connection}}";

/// A DittoServer `files` with these fields in addition to the required ones.
pub(crate) fn server(spec: &str) -> DittoServer {
    let manifest = format!(
        "metadata: {{name: files, namespace: storage, uid: u1, generation: 3}}\nspec:\n  storage: {{metadataSize: 1Gi}}\n  {spec}"
    );
    serde_yaml::from_str(&manifest).expect("a manifest")
}

/// A valid world: every Secret has a valid value, and the database is ready. The StatefulSet does not exist yet.
pub(crate) fn world(spec: &str) -> Observed {
    let server = server(spec);
    let mut secrets: BTreeMap<String, BTreeMap<String, Vec<u8>>> = BTreeMap::new();
    for used in secrets::uses(&server) {
        secrets
            .entry(used.secret)
            .or_default()
            .insert(used.key, valid_value(used.purpose).into());
    }
    let cluster = if server.spec.percona_enabled() {
        Read::Found(Arc::new(cluster(&server, "ready")))
    } else {
        Read::Missing
    };
    let fresh = FreshSecrets {
        jwt_key: "j".repeat(43),
        admin_password: "p".repeat(24),
    };
    Observed {
        secrets: secrets
            .into_iter()
            .map(|(name, data)| (name, Read::Found(SecretData::new(data))))
            .collect(),
        database: Database {
            kind: KindState::Served,
            cluster,
        },
        ..Observed::of_new(server, fresh)
    }
}

fn valid_value(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::JwtKey => "0123456789abcdef0123456789abcdef",
        Purpose::TlsCertificate | Purpose::ClientCa | Purpose::LdapCa | Purpose::DatabaseCa => CERTIFICATE,
        Purpose::TlsKey => PRIVATE_KEY,
        Purpose::DatabasePort => "5432",
        Purpose::DatabaseSslMode => "require",
        _ => "a-good-value",
    }
}

/// A Secret with these keys.
pub(crate) fn secret(data: &[(&str, &str)]) -> Read<SecretData> {
    let data = data
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec()))
        .collect();
    Read::Found(SecretData::new(data))
}

/// Metadata of a child of `server`.
pub(crate) fn owned(server: &DittoServer, name: &str) -> ObjectMeta {
    let owner = OwnerReference {
        api_version: "dittofs.dittofs.com/v1alpha1".into(),
        kind: "DittoServer".into(),
        name: server.name_any(),
        uid: server.metadata.uid.clone().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    };
    ObjectMeta {
        name: Some(name.into()),
        owner_references: Some(vec![owner]),
        ..ObjectMeta::default()
    }
}

/// Metadata of an object of another owner.
pub(crate) fn foreign(name: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.into()),
        ..ObjectMeta::default()
    }
}

/// The database cluster in a state.
pub(crate) fn cluster(server: &DittoServer, state: &str) -> PerconaPGCluster {
    let name = names::percona_cluster(&server.name_any());
    let mut cluster = PerconaPGCluster::new(
        &name,
        PerconaPGClusterSpec {
            postgres_version: Some(17),
            ..PerconaPGClusterSpec::default()
        },
    );
    cluster.metadata = owned(server, &name);
    cluster.status = Some(PerconaPGClusterStatus {
        state: Some(state.into()),
        host: None,
    });
    cluster
}

/// A StatefulSet whose pod is ready and has the current revision.
pub(crate) fn running(server: &DittoServer) -> StatefulSet {
    stateful_set(
        server,
        &json!({
            "observedGeneration": 2, "replicas": 1, "readyReplicas": 1, "updatedReplicas": 1,
            "currentRevision": "files-a", "updateRevision": "files-a",
        }),
    )
}

/// A StatefulSet of generation 2 with this status, for as many replicas as the server wants.
pub(crate) fn stateful_set(server: &DittoServer, status: &serde_json::Value) -> StatefulSet {
    let mut value = json!({
        "metadata": owned(server, "files"),
        "spec": {
            "replicas": server.spec.desired_replicas(), "serviceName": "files-headless", "selector": {},
            "template": {
                "metadata": {"annotations": {"dittofs.io/config-hash": "abc"}},
                "spec": {"containers": [{"name": "dittofs", "env": []}]},
            },
        },
        "status": status,
    });
    value["metadata"]["generation"] = json!(2);
    value["metadata"]["resourceVersion"] = json!("7");
    serde_json::from_value(value).expect("a StatefulSet")
}

/// Makes the StatefulSet's pod use the Percona database, verifying its certificate or not.
pub(crate) fn uses_percona(stateful_set: &mut StatefulSet, sslmode: &str) {
    let env = serde_json::from_value(json!([
        {"name": "DITTOFS_DATABASE_POSTGRES_HOST", "valueFrom": {"secretKeyRef": {"name": "files-postgres-pguser-dittofs", "key": "host"}}},
        {"name": "DITTOFS_DATABASE_POSTGRES_SSLMODE", "value": sslmode},
    ]))
    .expect("variables");
    let pod = stateful_set
        .spec
        .as_mut()
        .expect("a spec")
        .template
        .spec
        .as_mut()
        .expect("a pod");
    pod.containers[0].env = Some(env);
}

/// A pod of the server whose container runs.
pub(crate) fn running_pod() -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": "files-0"},
        "status": {"containerStatuses": [{
            "name": "dittofs", "ready": true, "restartCount": 0, "image": "i", "imageID": "",
            "state": {"running": {}},
        }]},
    }))
    .expect("a Pod")
}

/// A claim of the server for a volume.
pub(crate) fn claim(volume: &str, annotations: &[(&str, &str)]) -> PersistentVolumeClaim {
    let annotations: BTreeMap<String, String> = annotations
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some(names::claim(volume, "files")),
            annotations: Some(annotations),
            ..ObjectMeta::default()
        },
        ..PersistentVolumeClaim::default()
    }
}

/// A step of an apply.
pub(crate) fn step(kind: &'static str, name: &str, outcome: Outcome) -> Step {
    Step {
        kind,
        name: name.into(),
        outcome,
    }
}

/// A failed write.
pub(crate) fn failed() -> Outcome {
    Outcome::Failed(WriteFailure {
        verb: Some("create"),
        text: "Forbidden (HTTP 403)".into(),
        class: FailureClass::Secret,
    })
}

/// A world after a successful apply, with this StatefulSet.
pub(crate) fn applied(observed: &Observed, stateful_set: Option<StatefulSet>) -> Applied {
    Applied {
        steps: Vec::new(),
        config_map: Read::Found(Arc::new(config_map(&observed.server, CONFIG))),
        stateful_set: stateful_set.map_or(Read::Missing, |found| Read::Found(Arc::new(found))),
        database: observed.database.cluster.clone(),
    }
}

/// Our ConfigMap with this configuration.
pub(crate) fn config_map(server: &DittoServer, config: &str) -> ConfigMap {
    ConfigMap {
        metadata: owned(server, "files-config"),
        data: Some(BTreeMap::from([(
            names::CONFIG_KEY.to_owned(),
            config.to_owned(),
        )])),
        ..ConfigMap::default()
    }
}

/// What `desired` would build, as far as the conditions read it.
pub(crate) fn built(observed: &Observed) -> Desired {
    Desired {
        expansions: Vec::new(),
        secrets: Vec::new(),
        secret_changes: Vec::new(),
        not_generated: Vec::new(),
        config_map: Some(config_map(&observed.server, CONFIG)),
        headless_service: Service::default(),
        api_service: Service::default(),
        metrics_service: None,
        service_monitor: None,
        network_policy: Some(NetworkPolicy::default()),
        pod_disruption_budget: None,
        adapters: Adapters::default(),
        database: DatabaseChange::Leave,
        workload: Workload::Await,
        uploads: crate::domain::uploads::Plan::default(),
    }
}

/// A fixed time, a number of seconds after an arbitrary start.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).expect("a time")
}

/// Runs the pure steps from an observation and an apply to conditions.
pub(crate) fn judged(observed: &Observed, applied: &Applied) -> Vec<Condition> {
    with_inputs(observed, applied, |inputs| conditions(inputs, &[], 3, at(0)))
}

/// Hands the inputs of an observation and an apply to `then`.
pub(crate) fn with_inputs<T>(
    observed: &Observed,
    applied: &Applied,
    then: impl FnOnce(&mut Inputs<'_>) -> T,
) -> T {
    let verdict = validate(observed);
    let desired = verdict.valid.is_some().then(|| built(observed));
    then(&mut Inputs::new(
        observed,
        &verdict,
        Ok(&desired),
        applied,
        Progress::default(),
    ))
}
