//! What a namespace holds, without what differs between two runs: names that the API server draws, times, random values.

use std::collections::BTreeMap;

use dittofs_operator::api::percona::PerconaPGCluster;
use dittofs_operator::api::{DittoServer, names};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::support::{Kind, World};

/// Fields that are different in each run, wherever they are.
const DRAWN: [&str; 13] = [
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "managedFields",
    "generation",
    "observedGeneration",
    "lastTransitionTime",
    "clusterIP",
    "clusterIPs",
    "nodePort",
    "healthCheckNodePort",
    "volumeName",
    "lastSuccess",
];

/// Hashes that depend on generated values. Whether they are there is compared.
const HASHES: [&str; 4] = [
    names::CONFIG_HASH_ANNOTATION,
    names::APPLIED_HASH_ANNOTATION,
    "configHash",
    "passwordVersion",
];

/// Fields with ports. The servers that are real share those of this machine.
const PORTS: [&str; 2] = ["port", "targetPort"];

/// The objects by kind and name.
pub type Snapshot = BTreeMap<String, Value>;

/// Objects that hold data, by kind and name: the UID, and the values of a Secret.
pub type Holders = BTreeMap<String, (String, Value)>;

/// All objects of the world that the operator or its children brought about.
pub async fn snapshot(world: &World) -> Snapshot {
    let mut all = Snapshot::new();
    add::<ConfigMap>(world, &mut all, config_map).await;
    add::<Secret>(world, &mut all, |secret| secret["data"] = keys(&secret["data"])).await;
    add::<Service>(world, &mut all, without_status).await;
    add::<StatefulSet>(world, &mut all, without_status).await;
    add::<NetworkPolicy>(world, &mut all, |_| {}).await;
    add::<PodDisruptionBudget>(world, &mut all, without_status).await;
    add::<PersistentVolumeClaim>(world, &mut all, without_status).await;
    add::<PerconaPGCluster>(world, &mut all, without_status).await;
    add::<Pod>(world, &mut all, |pod| {
        *pod = json!({"metadata": {"name": pod["metadata"]["name"]}});
    })
    .await;
    add::<DittoServer>(world, &mut all, |server| server["spec"] = Value::Null).await;
    all.retain(|name, _| !name.ends_with(" kube-root-ca.crt"));
    all
}

async fn add<K: Kind>(world: &World, all: &mut Snapshot, reduce: fn(&mut Value)) {
    let objects = world.api::<K>().list(&ListParams::default()).await;
    for object in objects.expect("a list") {
        let mut value = serde_json::to_value(&object).expect("JSON");
        reduce(&mut value);
        neutralize(&mut value, &world.namespace);
        all.insert(format!("{} {}", K::kind(&()), object.name_any()), value);
    }
}

fn without_status(object: &mut Value) {
    object["status"] = Value::Null;
}

/// The configuration has random values in no place, but a re-creation is saved in an annotation.
fn config_map(map: &mut Value) {
    if let Some(saved) = map["metadata"]["annotations"].get_mut(names::RECREATE_ANNOTATION) {
        *saved = json!("saved");
    }
}

fn keys(data: &Value) -> Value {
    data.as_object()
        .into_iter()
        .flatten()
        .map(|(key, _)| key.clone())
        .collect()
}

fn neutralize(value: &mut Value, namespace: &str) {
    match value {
        Value::Object(map) => {
            map.retain(|key, value| !DRAWN.contains(&key.as_str()) && !value.is_null());
            for (key, value) in map {
                if HASHES.contains(&key.as_str()) {
                    *value = json!("a hash");
                } else {
                    neutralize(value, namespace);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| neutralize(item, namespace)),
        Value::String(text) => *text = text.replace(namespace, "NAMESPACE"),
        _ => {}
    }
}

/// Without the ports of the adapters, and what depends on them.
pub fn without_ports(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|key, _| !PORTS.contains(&key.as_str()));
            map.values_mut().for_each(without_ports);
        }
        Value::Array(items) => items.iter_mut().for_each(without_ports),
        _ => {}
    }
}

/// What holds data.
pub async fn holders(world: &World) -> Holders {
    let mut all = Holders::new();
    hold::<PersistentVolumeClaim>(world, &mut all).await;
    hold::<PerconaPGCluster>(world, &mut all).await;
    hold::<Secret>(world, &mut all).await;
    all
}

async fn hold<K: Kind>(world: &World, all: &mut Holders) {
    let objects = world.api::<K>().list(&ListParams::default()).await;
    for object in objects.expect("a list") {
        let name = format!("{} {}", K::kind(&()), object.name_any());
        let uid = object.uid().unwrap_or_default();
        let data = serde_json::to_value(&object).expect("JSON")["data"].take();
        all.insert(name, (uid, data));
    }
}

/// The first difference of two snapshots, or `None`.
pub fn difference(expected: &Snapshot, found: &Snapshot) -> Option<String> {
    let names = expected.keys().chain(found.keys());
    let mut different = names.filter(|name| expected.get(*name) != found.get(*name));
    let name = different.next()?;
    let (expected, found) = (expected.get(name), found.get(name));
    Some(match (expected, found) {
        (Some(expected), Some(found)) => format!("{name} differs: {}", of_values("", expected, found)),
        (Some(_), None) => format!("{name} is missing"),
        _ => format!("{name} should not exist"),
    })
}

fn of_values(path: &str, expected: &Value, found: &Value) -> String {
    match (expected, found) {
        (Value::Object(one), Value::Object(other)) => {
            let mut keys = one.keys().chain(other.keys());
            let key = keys.find(|key| one.get(*key) != other.get(*key));
            let key = key.map(String::as_str).unwrap_or_default();
            of_values(&format!("{path}.{key}"), &expected[key], &found[key])
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            let index = one
                .iter()
                .zip(other)
                .position(|(one, other)| one != other)
                .unwrap_or(0);
            of_values(&format!("{path}[{index}]"), &expected[index], &found[index])
        }
        _ => format!("{path} is {found}, and without faults {expected}"),
    }
}
