//! What goes into a report, read from the API server. What cannot be read is noted, and the rest goes on.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::apps::v1::{ControllerRevision, StatefulSet};
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DynamicObject, ListParams};
use kube::core::ApiResource;
use kube::{CustomResourceExt, Resource, ResourceExt};
use serde_json::{Value, json};

use super::archive::Archive;
use crate::api::{DittoServer, PerconaPGCluster, names};
use crate::observe::Observed;
use crate::plugin::cluster::Cluster;
use crate::plugin::events;
use crate::plugin::status::View;
use crate::redact::Redactor;
use crate::secrets;

/// Keys of the Secrets of servers and databases whose values everybody may know. Taking them out would make a report
/// unreadable: a database's host is its Service's name.
const PUBLIC_KEYS: [&str; 11] = [
    "host",
    "port",
    "dbname",
    "database",
    "user",
    "username",
    "sslmode",
    "ca.crt",
    "tls.crt",
    "pgbouncer-host",
    "pgbouncer-port",
];

/// The names of the Secrets that a server, its pod and its database use.
fn used(observed: &Observed) -> BTreeSet<String> {
    let server = &observed.server;
    let mut names: BTreeSet<String> = secrets::uses(server)
        .into_iter()
        .map(|used| used.secret)
        .collect();
    names.extend(secrets::kept(server));
    names.insert(names::percona_user_secret(&server.name_any()));
    names.insert(names::percona_cert_secret(&server.name_any()));
    let pods = observed.pods.found().map(Vec::as_slice).unwrap_or_default();
    let templates = pods.iter().filter_map(|pod| serde_json::to_value(&pod.spec).ok());
    templates.for_each(|template| referenced(&template, &mut names));
    names
}

/// Every Secret that a pod refers to: `secretKeyRef`, `secretRef`, `secret` (a volume), `imagePullSecrets`.
fn referenced(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| referenced(item, names)),
        Value::Object(fields) => {
            for (key, value) in fields {
                let references: Vec<&Value> = match (key.as_str(), value) {
                    ("secretKeyRef" | "secretRef", reference) => vec![&reference["name"]],
                    ("secret", volume) => vec![&volume["secretName"], &volume["name"]],
                    ("imagePullSecrets", Value::Array(items)) => {
                        items.iter().map(|item| &item["name"]).collect()
                    }
                    _ => Vec::new(),
                };
                names.extend(
                    references
                        .into_iter()
                        .filter_map(Value::as_str)
                        .map(str::to_owned),
                );
                referenced(value, names);
            }
        }
        _ => {}
    }
}

/// The Secrets to be told of: those in use, and all of the database cluster. Beside them what could not be read.
async fn read_secrets(cluster: &Cluster, observed: &Observed) -> (Vec<Secret>, Vec<String>) {
    let api: Api<Secret> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let (mut found, mut missed) = (BTreeMap::new(), Vec::new());
    for name in used(observed) {
        match api.get_opt(&name).await {
            Ok(Some(secret)) => drop(found.insert(name, secret)),
            Ok(None) => {}
            Err(error) => missed.push(unread(&format!("Secret {name}"), &error)),
        }
    }
    let database = names::percona_cluster(&observed.server.name_any());
    let labels = ListParams::default().labels(&format!("{}={database}", names::PERCONA_CLUSTER_LABEL));
    match api.list(&labels).await {
        Ok(listed) => found.extend(listed.items.into_iter().map(|secret| (secret.name_any(), secret))),
        Err(error) => missed.push(unread("the Secrets of the database cluster", &error)),
    }
    (found.into_values().collect(), missed)
}

/// The text of an error about a Secret could quote it; its reason cannot.
fn unread(what: &str, error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => format!(
            "{what}: {} (HTTP {}); its values were not looked for in the logs",
            status.reason, status.code
        ),
        _ => format!("{what}: the API server did not answer; its values were not looked for in the logs"),
    }
}

/// What must not be in the report, and the Secrets that could not be read.
pub(super) async fn redactor(cluster: &Cluster, observed: &Observed) -> (Redactor, Vec<String>) {
    let (secrets, missed) = read_secrets(cluster, observed).await;
    let data = secrets.iter().flat_map(|secret| secret.data.iter().flatten());
    let confidential = data.filter(|(key, _)| !PUBLIC_KEYS.contains(&key.as_str()));
    let redactor = Redactor::of(confidential.map(|(_, value)| value.0.as_slice()));
    (redactor, missed)
}

/// The Secrets, without their values.
pub(super) async fn secrets(cluster: &Cluster, observed: &Observed, archive: &mut Archive) {
    let (secrets, _) = read_secrets(cluster, observed).await;
    let told: Vec<Value> = secrets.iter().map(without_values).collect();
    archive.objects("secrets.yaml", &told);
}

fn without_values(secret: &Secret) -> Value {
    let metadata = &secret.metadata;
    let keys: BTreeMap<&String, String> = secret
        .data
        .iter()
        .flatten()
        .map(|(key, value)| (key, format!("{} bytes", value.0.len())))
        .collect();
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "type": secret.type_,
        "metadata": {
            "name": metadata.name,
            "namespace": metadata.namespace,
            "uid": metadata.uid,
            "resourceVersion": metadata.resource_version,
            "creationTimestamp": metadata.creation_timestamp,
            "labels": metadata.labels,
            // Their values may be anything, a copy of the Secret among it.
            "annotationKeys": metadata.annotations.iter().flatten().map(|(key, _)| key).collect::<Vec<_>>(),
            "ownerReferences": metadata.owner_references,
            "finalizers": metadata.finalizers,
        },
        "keys": keys,
    })
}

/// The server as it is stored, fields that this version does not know included.
pub(super) async fn server(cluster: &Cluster, name: &str, archive: &mut Archive) {
    one::<DittoServer>(cluster, name, "dittoserver.yaml", archive).await;
}

/// Its children, its pods and its claims.
pub(super) async fn children(cluster: &Cluster, name: &str, archive: &mut Archive) {
    labelled::<StatefulSet>(cluster, name, "statefulsets.yaml", archive).await;
    labelled::<ControllerRevision>(cluster, name, "controllerrevisions.yaml", archive).await;
    labelled::<Pod>(cluster, name, "pods.yaml", archive).await;
    labelled::<PersistentVolumeClaim>(cluster, name, "persistentvolumeclaims.yaml", archive).await;
    labelled::<Service>(cluster, name, "services.yaml", archive).await;
    labelled::<NetworkPolicy>(cluster, name, "networkpolicies.yaml", archive).await;
    one::<ConfigMap>(cluster, &names::config_map(name), "configmap.yaml", archive).await;
    let database = names::percona_cluster(name);
    one::<PerconaPGCluster>(cluster, &database, "perconapgcluster.yaml", archive).await;
}

fn dynamic<K: Resource<DynamicType = ()>>(cluster: &Cluster) -> Api<DynamicObject> {
    let resource = ApiResource::erase::<K>(&());
    Api::namespaced_with(cluster.client.clone(), &cluster.namespace, &resource)
}

async fn one<K: Resource<DynamicType = ()>>(
    cluster: &Cluster,
    name: &str,
    file: &str,
    archive: &mut Archive,
) {
    match dynamic::<K>(cluster).get_opt(name).await {
        Ok(Some(object)) => archive.objects(file, &json_of([object])),
        Ok(None) => {}
        Err(error) => archive.miss(&format!("{} {name}", K::kind(&())), &error),
    }
}

async fn labelled<K: Resource<DynamicType = ()>>(
    cluster: &Cluster,
    server: &str,
    file: &str,
    archive: &mut Archive,
) {
    let labels = ListParams::default().labels(&names::selector(server));
    match dynamic::<K>(cluster).list(&labels).await {
        Ok(listed) => {
            // The items of a list lack what the list says once.
            let types = kube::core::TypeMeta {
                api_version: K::api_version(&()).into_owned(),
                kind: K::kind(&()).into_owned(),
            };
            let complete = listed.items.into_iter().map(|mut object| {
                object.types = Some(types.clone());
                object
            });
            archive.objects(file, &json_of(complete));
        }
        Err(error) => archive.miss(&K::plural(&()), &error),
    }
}

fn json_of(objects: impl IntoIterator<Item = DynamicObject>) -> Vec<Value> {
    objects
        .into_iter()
        .filter_map(|object| serde_json::to_value(object).ok())
        .collect()
}

/// The events about all of these.
pub(super) async fn events(cluster: &Cluster, view: &View, archive: &mut Archive) {
    let mut objects = BTreeSet::from([format!("DittoServer/{}", view.name)]);
    view.names(&mut objects);
    match events::about(&cluster.client, &cluster.namespace, &objects).await {
        Ok(events) => {
            let events: Vec<Value> = events
                .iter()
                .filter_map(|event| serde_json::to_value(event).ok())
                .collect();
            archive.objects("events.yaml", &events);
        }
        Err(error) => archive.miss("events", &error),
    }
}

/// Versions of everything that takes part.
pub(super) async fn versions(cluster: &Cluster, archive: &mut Archive) {
    let kubernetes = match cluster.client.apiserver_version().await {
        Ok(version) => json!(version.git_version),
        Err(error) => {
            archive.miss("the version of Kubernetes", &error);
            Value::Null
        }
    };
    let definitions: Api<CustomResourceDefinition> = Api::all(cluster.client.clone());
    let mut installed = serde_json::Map::new();
    for name in [DittoServer::crd_name(), "perconapgclusters.pgv2.percona.com"] {
        match definitions.get_opt(name).await {
            Ok(definition) => drop(installed.insert(
                name.to_owned(),
                definition.as_ref().map_or(json!("not installed"), told),
            )),
            Err(error) => archive.miss(&format!("CustomResourceDefinition {name}"), &error),
        }
    }
    let versions = json!({
        "plugin": env!("CARGO_PKG_VERSION"),
        "kubernetes": kubernetes,
        "definitions": installed,
    });
    archive.objects("versions.yaml", &[versions]);
}

fn told(definition: &CustomResourceDefinition) -> Value {
    let versions: Vec<&str> = definition
        .spec
        .versions
        .iter()
        .map(|version| version.name.as_str())
        .collect();
    json!({
        "versions": versions,
        "labels": definition.metadata.labels,
        "generation": definition.metadata.generation,
    })
}
