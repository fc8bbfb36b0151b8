//! Reads the content of a report from the API server. What cannot be read is recorded, and the rest is still collected.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::apps::v1::{ControllerRevision, StatefulSet};
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DynamicObject, ListParams};
use kube::core::{ApiResource, TypeMeta};
use kube::{CustomResourceExt, Resource, ResourceExt};
use serde_json::{Value, json};

use super::archive::Archive;
use crate::api::{DittoServer, PerconaPGCluster, ServiceMonitor, names};
use crate::plugin::cluster::Cluster;
use crate::plugin::events;
use crate::plugin::status::ServerView;
use crate::plugin::stored::Stored;

/// The server as it is stored, including fields that this version does not know.
pub(super) fn server(stored: &Stored, archive: &mut Archive) {
    archive.objects("dittoserver.yaml", &json_of([stored.object.clone()]));
}

/// Its children, pods and claims. They are found by label and by name: the Go operator labelled only some kinds, and a label may be
/// missing.
pub(super) async fn children(cluster: &Cluster, name: &str, archive: &mut Archive) {
    let none: [String; 0] = [];
    let claims = names::claims(name);
    let services = [
        names::api_service(name),
        names::headless_service(name),
        names::metrics_service(name),
    ];
    let policies = [names::baseline_network_policy(name)];
    let kinds = Kinds {
        cluster,
        server: name,
    };
    let set = [names::stateful_set(name)];
    kinds.of::<StatefulSet>(&set, "statefulsets.yaml", archive).await;
    kinds
        .of::<ControllerRevision>(&none, "controllerrevisions.yaml", archive)
        .await;
    kinds.of::<Pod>(&[names::pod(name)], "pods.yaml", archive).await;
    let file = "persistentvolumeclaims.yaml";
    kinds.of::<PersistentVolumeClaim>(&claims, file, archive).await;
    kinds.of::<Service>(&services, "services.yaml", archive).await;
    kinds
        .of::<NetworkPolicy>(&policies, "networkpolicies.yaml", archive)
        .await;
    one::<ConfigMap>(cluster, &names::config_map(name), "configmap.yaml", archive).await;
    let database = names::percona_cluster(name);
    one::<PerconaPGCluster>(cluster, &database, "perconapgcluster.yaml", archive).await;
    let monitor = names::metrics_service(name);
    one::<ServiceMonitor>(cluster, &monitor, "servicemonitor.yaml", archive).await;
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

/// Reads the children of one server, one kind at a time.
struct Kinds<'a> {
    cluster: &'a Cluster,
    server: &'a str,
}

impl Kinds<'_> {
    /// All objects with the labels of the server or one of these names.
    async fn of<K: Resource<DynamicType = ()>>(&self, names: &[String], file: &str, archive: &mut Archive) {
        let api = dynamic::<K>(self.cluster);
        let mut found = BTreeMap::new();
        let labels = ListParams::default().labels(&names::selector(self.server));
        match api.list(&labels).await {
            Ok(listed) => found.extend(listed.items.into_iter().map(|object| (object.name_any(), object))),
            Err(error) => archive.miss(&K::plural(&()), &error),
        }
        for name in names {
            if found.contains_key(name) {
                continue;
            }
            match api.get_opt(name).await {
                Ok(object) => found.extend(object.map(|object| (name.clone(), object))),
                Err(error) => archive.miss(&format!("{} {name}", K::kind(&())), &error),
            }
        }
        // Items of a list have no apiVersion and kind.
        let types = TypeMeta {
            api_version: K::api_version(&()).into_owned(),
            kind: K::kind(&()).into_owned(),
        };
        let complete = found.into_values().map(|mut object| {
            object.types = Some(types.clone());
            object
        });
        archive.objects(file, &json_of(complete));
    }
}

fn json_of(objects: impl IntoIterator<Item = DynamicObject>) -> Vec<Value> {
    objects
        .into_iter()
        .filter_map(|object| serde_json::to_value(object).ok())
        .collect()
}

/// The events about all of these.
pub(super) async fn events(cluster: &Cluster, view: &ServerView, archive: &mut Archive) {
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

/// Versions of all components.
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
    for name in [
        DittoServer::crd_name(),
        PerconaPGCluster::crd_name(),
        ServiceMonitor::crd_name(),
    ] {
        match definitions.get_opt(name).await {
            Ok(definition) => drop(
                installed.insert(
                    name.to_owned(),
                    definition
                        .as_ref()
                        .map_or(json!("not installed"), definition_summary),
                ),
            ),
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

fn definition_summary(definition: &CustomResourceDefinition) -> Value {
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
