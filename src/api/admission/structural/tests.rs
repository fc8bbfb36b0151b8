use serde_json::json;

use super::*;
use crate::api::Admission;
use crate::api::admission::children;

fn messages(object: &Value) -> Vec<String> {
    let found = Admission::new().violations(object, None);
    found.iter().map(ToString::to_string).collect()
}

fn server(spec: &str) -> Value {
    let spec: Value = serde_yaml::from_str(spec).unwrap();
    json!({"metadata": {"name": "files"}, "spec": spec})
}

#[test]
fn each_kind_of_error_names_its_field_and_the_remedy() {
    let table = [
        (
            "replicas: 5",
            "spec.replicas: 5 is out of range: write a number from 0 to 1",
        ),
        (
            "terminationGracePeriodSeconds: 9",
            "spec.terminationGracePeriodSeconds: 9 is out of range: write a number from 36 to 86400",
        ),
        (
            "replica: 1",
            "spec.replica: unknown field: did you mean replicas?",
        ),
        (
            "metrics: {nonsense: 1}",
            "spec.metrics.nonsense: unknown field: remove it, or correct its name or its indentation",
        ),
        (
            "snapshotPolicies: [{share: /a}]",
            "spec.snapshotPolicies[0].interval: is required: set it",
        ),
        (
            "logging: {level: TRACE}",
            "spec.logging.level: TRACE is not one of DEBUG, INFO, WARN, ERROR",
        ),
        (
            "replicas: '1'",
            "spec.replicas: must be an integer, but is a string: write it without quotes and without '|'",
        ),
        (
            "replicas: 0.5",
            "spec.replicas: must be an integer, but is a number: correct it",
        ),
        (
            "image: 5",
            "spec.image: must be a string, but is a number: put it in quotes",
        ),
        (
            "service: {annotations: {a.b: true}}",
            "spec.service.annotations.a.b: must be a string, but is a boolean: put it in quotes",
        ),
        (
            "resources: {claims: [{name: a}, {name: a}]}",
            "spec.resources.claims[1]: is a duplicate of another item: remove one of them",
        ),
    ];
    for (field, expected) in table {
        let found = messages(&server(&format!("{{storage: {{metadataSize: 1Gi}}, {field}}}")));
        assert_eq!(found, [expected], "{field}");
    }
}

#[test]
fn lengths_and_patterns_are_checked() {
    let long = "x".repeat(254);
    let found = messages(&server(&format!(
        "{{storage: {{metadataSize: 1Gi, storageClassName: {long}}}, resources: {{limits: {{cpu: much}}}}}}"
    )));
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0].starts_with("spec.resources.limits.cpu: much does not match ^"),
        "{found:?}"
    );
    assert_eq!(
        found[1],
        "spec.storage.storageClassName: has 254 characters, the maximum is 253: shorten it"
    );
}

#[test]
fn a_name_is_required_and_the_metadata_is_checked() {
    let mut unnamed = server("storage: {metadataSize: 1Gi}");
    unnamed["metadata"] = json!({"lables": {}, "labels": {"a": true}});
    let found = messages(&unnamed);
    assert_eq!(
        found,
        [
            "metadata.name: is required: set it",
            "metadata.labels.a: must be a string, but is a boolean: put it in quotes",
            "metadata.lables: unknown field: did you mean labels?",
        ]
    );
}

#[test]
fn an_object_read_from_a_cluster_is_accepted_with_its_status() {
    let mut stored = server("{storage: {metadataSize: 1Gi}, image: null}");
    stored["metadata"]["managedFields"] = json!([{"manager": "kubectl"}]);
    stored["status"] = json!({"phase": "of an older release"});
    assert_eq!(messages(&stored), [""; 0]);
}

#[test]
fn an_unchanged_value_is_not_checked_again() {
    let old = server("{storage: {metadataSize: 1Gi}, replicas: 3}");
    let mut new = old.clone();
    new["spec"]["storage"]["metadataSize"] = "2Gi".into();
    assert_eq!(Admission::new().violations(&new, Some(&old)), []);
    new["spec"]["replicas"] = 4.into();
    assert_eq!(Admission::new().violations(&new, Some(&old)).len(), 1);
}

#[test]
fn every_keyword_of_the_schema_is_checked_or_known_to_check_nothing() {
    const CHECKED: [&str; 16] = [
        "type",
        "properties",
        "additionalProperties",
        "items",
        "required",
        "enum",
        "minimum",
        "maximum",
        "minLength",
        "maxLength",
        "maxItems",
        "maxProperties",
        "pattern",
        "x-kubernetes-int-or-string",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-preserve-unknown-fields",
    ];
    // `anyOf` appears only with int-or-string; the API server checks no `format` of integers.
    const OTHER: [&str; 7] = [
        "description",
        "default",
        "format",
        "anyOf",
        "x-kubernetes-validations",
        "x-kubernetes-map-type",
        "x-kubernetes-list-type",
    ];
    fn walk(schema: &Value) {
        for keyword in schema.as_object().unwrap().keys() {
            let known = CHECKED.contains(&keyword.as_str()) || OTHER.contains(&keyword.as_str());
            assert!(known, "{keyword}");
        }
        if let Some(pattern) = schema["pattern"].as_str() {
            assert!(Regex::new(pattern).is_ok(), "{pattern}");
        }
        assert_ne!(schema["x-kubernetes-list-type"], "set");
        children(schema).for_each(walk);
    }
    walk(&Admission::new().schema["properties"]["spec"]);
}
