//! Every leaf of the spec has an effect: setting it changes a child, a call to the server or a decision, or is refused. Or it stands
//! on the list of fields without effect, with the reason. Parts that are types of Kubernetes are passed on as they are: there, one leaf
//! with an effect stands for the field that it is in.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetSpec};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use serde_json::{Value, json};

use super::manifests::{EVERYTHING, PERCONA_WITH_BACKUPS};
use crate::api::inert::{INERT, why};
use crate::api::{DittoServerSpec, crd};
use crate::domain::adapters::ServerReport;
use crate::domain::cleanup::plan::deletes_data;
use crate::domain::desired::desired;
use crate::domain::observed::Read;
use crate::domain::settings::Settings;
use crate::domain::validate::{PodGate, validate};
use crate::domain::{secrets, server_api, testing, uploads};

/// Specs that together have every block.
fn bases() -> Vec<Value> {
    let adapters = "adapterServices: {type: LoadBalancer, nfs: {type: NodePort}, smb: {type: NodePort}}";
    let texts = [
        format!("{EVERYTHING}{adapters}"),
        format!("{EVERYTHING}adapterServices: {{type: LoadBalancer}}"),
        PERCONA_WITH_BACKUPS.to_owned(),
        "database: {type: postgres, postgresSecretRef: {name: pg, key: host}}".to_owned(),
        "controlPlane: {port: 8443, certSecretName: c, clientCASecretName: d, operatorCertSecretName: e}".to_owned(),
        "identity: {kerberos: {enabled: true, servicePrincipal: nfs/f@X, keytabSecretRef: {name: k, key: k}}}".to_owned(),
        "{}".to_owned(),
    ];
    let base = |text: &String| {
        let mut spec: Value = serde_yaml::from_str(text).unwrap();
        if spec.get("storage").is_none() {
            spec["storage"] = json!({"metadataSize": "10Gi"});
        }
        spec
    };
    texts.iter().map(base).collect()
}

/// Everything that follows from a spec, as text. `None` if it does not parse.
fn effect(spec: &Value) -> Option<String> {
    let parsed: DittoServerSpec = serde_json::from_value(spec.clone()).ok()?;
    let mut observed = testing::ready(&spec.to_string());
    observed.report = Arc::new(ServerReport::of_a_new_server());
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": "files-0", "uid": "u"},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }))
    .unwrap();
    observed.pods = Read::Found(vec![Arc::new(pod)]);
    observed.at = Timestamp::UNIX_EPOCH;
    let verdict = validate(&observed);
    let target = server_api::target(&verdict, &observed, &Settings::default());
    let violations = &verdict.violations;
    let children = desired(&testing::valid(&observed, PodGate::Open), &Settings::default()).ok()?;
    let names: Vec<String> = secrets::names(&observed.server).collect();
    let decisions = (
        parsed.progress_deadline_seconds(),
        deletes_data(&parsed),
        parsed.percona.as_ref().map(|percona| percona.adopt_existing),
    );
    assert_eq!(observed.server.name_any(), "files");
    // A pod runs, and is to be stopped, or replaced.
    observed.stateful_set = Read::Found(Arc::default());
    let ends = [(0, None), (1, Some(&other_template()))]
        .map(|(replicas, template)| uploads::end(&observed, replicas, template));
    let waits = ends.map(|end| uploads::plan(&observed, end.as_ref()));
    let manifests = children.into_manifests();
    Some(format!(
        "{}{violations:?}{target:?}{names:?}{decisions:?}{waits:?}",
        serde_json::to_string(&manifests).unwrap()
    ))
}

fn other_template() -> StatefulSet {
    StatefulSet {
        spec: Some(StatefulSetSpec::default()),
        ..StatefulSet::default()
    }
}

/// Every leaf of a schema: the steps to it, and its schema.
fn leaves(schema: &Value, path: &str, found: &mut Vec<(String, Value)>) {
    let properties = schema["properties"].as_object();
    for (name, property) in properties.into_iter().flatten() {
        leaves(property, &format!("{path}.{name}"), found);
    }
    for (key, suffix) in [("items", "[]"), ("additionalProperties", ".*")] {
        if let Some(child) = schema.get(key) {
            leaves(child, &format!("{path}{suffix}"), found);
        }
    }
    let has_children = ["properties", "items", "additionalProperties"];
    if has_children.iter().all(|key| schema.get(key).is_none()) {
        found.push((path.trim_start_matches('.').to_owned(), schema.clone()));
    }
}

/// The value at a path, which is made where it is absent.
fn place<'a>(spec: &'a mut Value, path: &str) -> &'a mut Value {
    let mut place = spec;
    for step in path.split('.') {
        let (name, lists) = (step.trim_end_matches("[]"), step.matches("[]").count());
        let name = if name == "*" { "key" } else { name };
        if !place.is_object() {
            *place = json!({});
        }
        place = &mut place[name];
        for _ in 0..lists {
            if !place.is_array() {
                *place = json!([]);
            }
            let items = place.as_array_mut().unwrap();
            if items.is_empty() {
                items.push(Value::Null);
            }
            place = &mut items[0];
        }
    }
    place
}

/// Values that may make a difference.
fn values(schema: &Value, path: &str) -> Vec<Value> {
    if let Some(values) = schema["enum"].as_array() {
        return values.clone();
    }
    match schema["type"].as_str() {
        Some("boolean") => vec![json!(true), json!(false)],
        Some("object") => vec![json!({"name": "other"}), json!({"nodeAffinity": {}})],
        Some("integer" | "number") => [0, 1, 2, 40, 31000].map(|number| json!(number)).into(),
        _ if path.ends_with("protocol") => vec![json!("UDP")],
        _ => [
            "other",
            "7Gi",
            "5s",
            "/data/controlplane/other.db",
            "@weekly",
            "192.0.2.0/24",
        ]
        .map(|text| json!(text))
        .into(),
    }
}

/// What a list item or an object needs besides the leaf.
fn required_siblings(spec: &mut Value, path: &str) {
    for (part, siblings) in [
        ("snapshotPolicies[]", json!({"share": "/a", "interval": "1h"})),
        ("resources.claims[]", json!({"name": "c"})),
        ("groups[]", json!({"name": "g"})),
        (
            "users[]",
            json!({"name": "u", "passwordSecretRef": {"name": "s", "key": "k"}}),
        ),
        (
            "remoteStores[]",
            json!({"name": "r", "s3": {"bucket": "b", "credentialsSecretRef": {"name": "s"}}}),
        ),
        ("shares[]", json!({"name": "s"})),
        ("shares[].snapshots", json!({"interval": "1h"})),
    ] {
        if path.starts_with(part) {
            let place = place(spec, part);
            if place.is_null() {
                *place = siblings;
            }
        }
    }
    for (part, key) in [("Ref.", "key"), ("bearerTokenSecret.", "key")] {
        if let Some((parent, _)) = path.split_once(part) {
            let reference = place(spec, &format!("{parent}{}", part.trim_end_matches('.')));
            if reference.get(key).is_none() && reference.get("name").is_none() {
                *reference = json!({"name": "s", "key": "k"});
            }
        }
    }
}

/// The field whose effect a leaf shows: the leaf itself, or in a part with types of Kubernetes the field of that part.
fn field_of(path: &str) -> &str {
    const PASSED_ON: [&str; 5] = [
        "securityContext.",
        "podSecurityContext.",
        "networkPolicy.",
        "resources.",
        "podTemplate.",
    ];
    let part = PASSED_ON.iter().find(|part| path.starts_with(**part));
    let end = part.and_then(|part| {
        let end = path[part.len()..].find(['.', '['])?;
        Some(part.len() + end)
    });
    &path[..end.unwrap_or(path.len())]
}

/// Whether a value of a leaf changes what follows from a spec.
fn has_effect(base: &Value, path: &str, schema: &Value) -> bool {
    let before = effect(base);
    let mut spec = base.clone();
    required_siblings(&mut spec, path);
    let sibling = effect(&spec);
    values(schema, path).into_iter().any(|value| {
        let mut spec = spec.clone();
        *place(&mut spec, path) = value;
        let after = effect(&spec);
        after.is_some() && after != sibling && after != before
    })
}

#[test]
fn a_leaf_of_a_kubernetes_type_stands_for_its_field() {
    for (path, field) in [
        (
            "podTemplate.env[].valueFrom.fieldRef.fieldPath",
            "podTemplate.env",
        ),
        ("podTemplate.affinity", "podTemplate.affinity"),
        ("networkPolicy.from[].ipBlock.except[]", "networkPolicy.from"),
        ("resources.limits.*", "resources.limits"),
        ("identity.ldap.url", "identity.ldap.url"),
    ] {
        assert_eq!(field_of(path), field);
    }
}

#[test]
fn every_field_of_the_spec_has_an_effect_or_a_reason_to_have_none() {
    let found = spec_leaves();
    assert!(found.len() > 100, "the walk finds the leaves: {}", found.len());
    let mut fields: BTreeMap<&str, Vec<&(String, Value)>> = BTreeMap::new();
    for leaf in &found {
        fields.entry(field_of(&leaf.0)).or_default().push(leaf);
    }
    let bases = bases();
    let without_effect: Vec<&str> = fields
        .into_iter()
        .filter(|(field, leaves)| {
            let shows =
                |(path, schema): &(String, Value)| bases.iter().any(|base| has_effect(base, path, schema));
            why(field).is_none() && !leaves.iter().any(|leaf| shows(leaf))
        })
        .map(|(field, _)| field)
        .collect();
    assert!(without_effect.is_empty(), "{without_effect:#?}");
}

/// The leaves of the spec.
fn spec_leaves() -> Vec<(String, Value)> {
    let versions = serde_json::to_value(crd().spec.versions).unwrap();
    let schema = &versions[0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let mut found = Vec::new();
    leaves(schema, "", &mut found);
    found
}

#[test]
fn every_field_without_effect_exists() {
    let found = spec_leaves();
    for (inert, _) in INERT {
        let exists = found.iter().any(|(path, _)| path.contains(inert));
        assert!(exists, "{inert}");
    }
}
