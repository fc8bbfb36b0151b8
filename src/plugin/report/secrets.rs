//! The Secrets of a server: their metadata, and their values, which are redacted in the rest of the report.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::{Api, ListParams};
use serde_json::{Value, json};

use super::archive::Archive;
use crate::api::{DittoServer, names};
use crate::domain::observed::Observed;
use crate::domain::redact::Redactor;
use crate::domain::secrets;
use crate::plugin::cluster::Cluster;
use crate::plugin::stored::Stored;

/// Keys of Secrets whose values are not secret. Without them a report would be unreadable: the host of a database is the name of
/// its Service.
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

/// The Secrets that were read.
pub(super) struct SecretsRead {
    pub(super) found: Vec<Secret>,
    /// What could not be read.
    pub(super) missed: Vec<String>,
}

/// Reads the Secrets in use, and all Secrets of the database cluster.
pub(super) async fn read(cluster: &Cluster, stored: &Stored, observed: &Observed) -> SecretsRead {
    let api: Api<Secret> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let (mut found, mut missed) = (BTreeMap::new(), Vec::new());
    for name in used(stored, observed) {
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
    SecretsRead {
        found: found.into_values().collect(),
        missed,
    }
}

/// The names of the Secrets that a server, its pod and its database use. This includes Secrets in fields of the stored spec that
/// this version does not know.
fn used(stored: &Stored, observed: &Observed) -> BTreeSet<String> {
    let server = &observed.server;
    let mut names: BTreeSet<String> = secrets::uses(server)
        .into_iter()
        .map(|used| used.secret)
        .collect();
    names.extend(secrets::kept(server));
    names.insert(names::percona_user_secret(&server.name_any()));
    names.insert(names::percona_cert_secret(&server.name_any()));
    referenced(&stored.object.data["spec"], &mut names);
    let pods = observed.pods.found().map(Vec::as_slice).unwrap_or_default();
    let pods = pods.iter().filter_map(|pod| serde_json::to_value(&pod.spec).ok());
    let set = observed.stateful_set.found();
    let template = set.and_then(|set| serde_json::to_value(&set.spec).ok());
    for spec in pods.chain(template) {
        referenced(&spec, &mut names);
    }
    names
}

/// Every Secret that a spec refers to: `secretKeyRef`, `passwordSecretRef`, `certSecretName`, `secret` (a volume),
/// `imagePullSecrets`.
fn referenced(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| referenced(item, names)),
        Value::Object(fields) => {
            for (key, value) in fields {
                let references: Vec<&Value> = match (key.as_str(), value) {
                    ("imagePullSecrets", Value::Array(items)) => {
                        items.iter().map(|item| &item["name"]).collect()
                    }
                    ("secretKeyRef", reference) => vec![&reference["name"]],
                    (key, name) if key.ends_with("ecretName") => vec![name],
                    (key, reference) if key.ends_with("ecretRef") || key.ends_with("ecret") => {
                        vec![&reference["name"]]
                    }
                    _ => Vec::new(),
                };
                let found = references.into_iter().filter_map(Value::as_str);
                names.extend(found.map(str::to_owned));
                referenced(value, names);
            }
        }
        _ => {}
    }
}

/// Only the reason of the error: its text could quote the Secret.
fn unread(what: &str, error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => format!(
            "{what}: {} (HTTP {}); its values are not redacted in the logs",
            status.reason, status.code
        ),
        _ => format!("{what}: the API server did not answer; its values are not redacted in the logs"),
    }
}

/// Redacts the confidential values. A key that is usually not secret may contain a password, if the spec refers to it.
pub(super) fn redactor(secrets: &[Secret], server: &DittoServer) -> Redactor {
    let mut uses = secrets::uses(server);
    uses.retain(|used| used.purpose.is_confidential());
    let is_public = |secret: &Secret, key: &str| {
        let is_used = uses
            .iter()
            .any(|used| used.secret == secret.name_any() && used.key == key);
        PUBLIC_KEYS.contains(&key) && !is_used
    };
    let confidential = secrets.iter().flat_map(|secret| {
        let data = secret.data.iter().flatten();
        data.filter(move |(key, _)| !is_public(secret, key))
    });
    Redactor::of(confidential.map(|(_, value)| value.0.as_slice()))
}

/// The Secrets, without their values.
pub(super) fn add(secrets: &[Secret], archive: &mut Archive) {
    let objects: Vec<Value> = secrets.iter().map(without_values).collect();
    archive.objects("secrets.yaml", &objects);
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
            // Only the keys: a value may contain a copy of the Secret.
            "annotationKeys": metadata.annotations.iter().flatten().map(|(key, _)| key).collect::<Vec<_>>(),
            "ownerReferences": metadata.owner_references,
            "finalizers": metadata.finalizers,
        },
        "keys": keys,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_refer_to_a_secret_is_found() {
        let spec = json!({
            "identity": {"jwt": {"secretRef": {"name": "a", "key": "k"}}, "ldap": {"bindPasswordSecretRef": {"name": "b"}}},
            "controlPlane": {"certSecretName": "c", "clientCASecretName": "d"},
            "metrics": {"bearerTokenSecret": {"name": "e"}},
            "containers": [{"env": [{"valueFrom": {"secretKeyRef": {"name": "f"}}}], "envFrom": [{"secretRef": {"name": "g"}}]}],
            "volumes": [{"secret": {"secretName": "h"}}, {"projected": {"sources": [{"secret": {"name": "i"}}]}}],
            "imagePullSecrets": [{"name": "j"}],
            "serviceAccountName": "none",
        });
        let mut names = BTreeSet::new();
        referenced(&spec, &mut names);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(names, ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]);
    }

    #[test]
    fn a_key_that_is_usually_not_secret_is_redacted_if_the_spec_takes_a_password_from_it() {
        let server = |spec: Value| -> DittoServer {
            let server = json!({"metadata": {"name": "files"}, "spec": spec});
            serde_json::from_value(server).unwrap()
        };
        let secret: Secret = serde_json::from_value(json!({
            "metadata": {"name": "tokens"},
            // "a-host-or-a-key"
            "data": {"host": "YS1ob3N0LW9yLWEta2V5"},
        }))
        .unwrap();
        let storage = json!({"metadataSize": "1Gi"});
        let plain = server(json!({"storage": storage}));
        let key = json!({"jwt": {"secretRef": {"name": "tokens", "key": "host"}}});
        let keyed = server(json!({"storage": storage, "identity": key}));
        let secrets = [secret];
        let text = "it is a-host-or-a-key";
        assert_eq!(redactor(&secrets, &plain).text(text), text);
        assert_eq!(redactor(&secrets, &keyed).text(text), "it is (redacted)");
    }
}
