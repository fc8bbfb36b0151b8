//! The plain part of the schema: types, ranges, enumerations, lengths, required and unknown fields.
//!
//! As the API server judges, with the strict field validation that `kubectl` asks for. `status` is not judged: a write of
//! the object ignores it.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::{Map, Value};

use super::BrokenRule;

/// The fields of `ObjectMeta`. The schema of a custom resource does not list them.
const METADATA: [&str; 15] = [
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "name",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];
/// Longest text that a message repeats.
const SHOWN: usize = 64;

/// Everything in `object` that `schema` refuses. A value that is the same in `old` is not judged again.
pub(super) fn violations(schema: &Value, object: &Value, old: Option<&Value>) -> Vec<BrokenRule> {
    let mut found = Vec::new();
    metadata(object, &mut found);
    let known = ["apiVersion", "kind", "metadata", "spec", "status"];
    unknown_fields(
        object.as_object(),
        "",
        |name| known.contains(&name),
        &known,
        &mut found,
    );
    if let Some(spec) = object.get("spec") {
        let old = old.and_then(|old| old.get("spec"));
        check(&schema["properties"]["spec"], spec, old, "spec", &mut found);
    }
    found
}

fn metadata(object: &Value, found: &mut Vec<BrokenRule>) {
    let named = object["metadata"]["name"]
        .as_str()
        .is_some_and(|name| !name.is_empty());
    if !named {
        push(
            found,
            "metadata.name",
            "is required as text, because the children are named after it: set it, for example to files"
                .into(),
        );
    }
    let fields = object["metadata"].as_object();
    unknown_fields(
        fields,
        "metadata",
        |name| METADATA.contains(&name),
        &METADATA,
        found,
    );
}

fn check(schema: &Value, value: &Value, old: Option<&Value>, path: &str, found: &mut Vec<BrokenRule>) {
    if old == Some(value) {
        return;
    }
    if let Some(problem) = type_problem(schema, value) {
        return push(found, path, problem);
    }
    if let Some(problem) = enum_problem(schema, value) {
        push(found, path, problem);
    }
    match value {
        Value::Object(fields) => object(schema, fields, old, path, found),
        Value::Array(items) => array(schema, items, path, found),
        Value::String(text) => found.extend(text_problem(schema, text).map(|message| at(path, message))),
        Value::Number(number) => found.extend(
            range_problem(schema, number.as_f64().unwrap_or_default())
                .map(|bound| at(path, format!("{number} is {bound}"))),
        ),
        Value::Bool(_) | Value::Null => {}
    }
}

fn object(
    schema: &Value,
    fields: &Map<String, Value>,
    old: Option<&Value>,
    path: &str,
    found: &mut Vec<BrokenRule>,
) {
    for name in schema["required"].as_array().into_iter().flatten() {
        let name = name.as_str().unwrap_or_default();
        if !fields.contains_key(name) {
            push(found, &below(path, name), "is required: set it".into());
        }
    }
    let of_any_name = schema
        .get("additionalProperties")
        .filter(|values| values.is_object());
    let properties = schema["properties"].as_object();
    let schema_of = |name: &str| properties.and_then(|known| known.get(name)).or(of_any_name);
    for (name, value) in fields {
        if let Some(schema) = schema_of(name) {
            let old = old.and_then(|old| old.get(name));
            check(schema, value, old, &below(path, name), found);
        }
    }
    let is_open = of_any_name.is_some() || schema["x-kubernetes-preserve-unknown-fields"] == true;
    if !is_open {
        let known: Vec<&str> = properties
            .into_iter()
            .flatten()
            .map(|(name, _)| name.as_str())
            .collect();
        unknown_fields(Some(fields), path, |name| known.contains(&name), &known, found);
    }
}

fn unknown_fields(
    fields: Option<&Map<String, Value>>,
    path: &str,
    is_known: impl Fn(&str) -> bool,
    known: &[&str],
    found: &mut Vec<BrokenRule>,
) {
    for name in fields.into_iter().flatten().map(|(name, _)| name) {
        if is_known(name) {
            continue;
        }
        let remedy = similar(name, known).map_or_else(
            || "remove it, or correct its name or its indentation".to_owned(),
            |known| format!("did you mean {known}?"),
        );
        push(
            found,
            &below(path, name),
            format!("is no field that exists: {remedy}"),
        );
    }
}

fn array(schema: &Value, items: &[Value], path: &str, found: &mut Vec<BrokenRule>) {
    if let Some(most) = limit(schema, "maxItems").filter(|most| items.len() > *most) {
        let count = items.len();
        push(
            found,
            path,
            format!("has {count} entries, and at most {most} are allowed: remove some"),
        );
    }
    let mut seen = BTreeSet::new();
    for (index, item) in items.iter().enumerate() {
        let path = format!("{path}[{index}]");
        check(&schema["items"], item, None, &path, found);
        if list_key(schema, item).is_some_and(|key| !seen.insert(key)) {
            push(
                found,
                &path,
                "repeats an entry of the list: remove one of them".into(),
            );
        }
    }
}

/// What only one entry may have: the values of the keys of a list-map. `None` in any other list.
fn list_key(schema: &Value, item: &Value) -> Option<String> {
    let keys = schema["x-kubernetes-list-map-keys"].as_array()?;
    let values: Vec<&Value> = keys
        .iter()
        .map(|key| &item[key.as_str().unwrap_or_default()])
        .collect();
    serde_json::to_string(&values).ok()
}

fn type_problem(schema: &Value, value: &Value) -> Option<String> {
    let is_whole = value.is_i64() || value.is_u64();
    let (fits, wanted) = match schema["type"].as_str() {
        _ if schema["x-kubernetes-int-or-string"] == true => {
            (is_whole || value.is_string(), "text or a whole number")
        }
        Some("object") => (value.is_object(), "fields of its own"),
        Some("array") => (value.is_array(), "a list"),
        Some("string") => (value.is_string(), "text"),
        Some("integer") => (is_whole, "a whole number"),
        Some("number") => (value.is_number(), "a number"),
        Some("boolean") => (value.is_boolean(), "true or false"),
        _ => return None,
    };
    let (is, remedy) = match value {
        Value::Null => ("nothing", "write a value, or remove it"),
        Value::Bool(_) if wanted == "text" => ("true or false", "put it in quotes"),
        Value::Number(_) if wanted == "text" => ("a number", "put it in quotes"),
        Value::Bool(_) => ("true or false", "correct it"),
        Value::Number(_) => ("a number", "correct it"),
        Value::String(_) => ("text", "write it without quotes and without '|'"),
        Value::Array(_) => ("a list", "write it without '-'"),
        Value::Object(_) => ("a set of fields", "correct it"),
    };
    (!fits).then(|| format!("is {is}, and must be {wanted}: {remedy}"))
}

fn enum_problem(schema: &Value, value: &Value) -> Option<String> {
    let allowed = schema["enum"].as_array()?;
    if allowed.contains(value) {
        return None;
    }
    let allowed: Vec<String> = allowed.iter().map(shown).collect();
    Some(format!(
        "{} is not known: choose {}",
        shown(value),
        allowed.join(" or ")
    ))
}

fn range_problem(schema: &Value, number: f64) -> Option<String> {
    let (least, most) = (schema["minimum"].as_f64(), schema["maximum"].as_f64());
    let remedy = match (least, most) {
        (Some(least), Some(most)) => format!("write a number from {least} to {most}"),
        (Some(least), None) => format!("write {least} or more"),
        (None, Some(most)) => format!("write {most} or less"),
        (None, None) => return None,
    };
    if let Some(least) = least.filter(|least| number < *least) {
        return Some(format!("less than {least}: {remedy}"));
    }
    let most = most.filter(|most| number > *most)?;
    Some(format!("more than {most}: {remedy}"))
}

fn text_problem(schema: &Value, text: &str) -> Option<String> {
    let length = text.chars().count();
    if let Some(most) = limit(schema, "maxLength").filter(|most| length > *most) {
        return Some(format!(
            "has {length} characters, and at most {most} are allowed: shorten it"
        ));
    }
    if let Some(least) = limit(schema, "minLength").filter(|least| length < *least) {
        return Some(format!(
            "has {length} characters, and at least {least} are needed: lengthen it"
        ));
    }
    let pattern = schema["pattern"].as_str()?;
    // A pattern that does not compile is caught by a test of the schema, not by the user.
    let matches = Regex::new(pattern).is_ok_and(|regex| regex.is_match(text));
    let text = shown(&Value::from(text));
    (!matches).then(|| format!("{text} does not have the form {pattern}: correct it"))
}

fn limit(schema: &Value, keyword: &str) -> Option<usize> {
    schema[keyword]
        .as_u64()
        .and_then(|limit| usize::try_from(limit).ok())
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) if text.chars().count() > SHOWN => {
            let start: String = text.chars().take(SHOWN).collect();
            format!("{start}…")
        }
        Value::String(text) if text.is_empty() => "the empty text".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The known name that a misspelt one was most likely meant to be.
fn similar<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let nearest = known.iter().map(|known| (distance(name, known), *known)).min()?;
    (nearest.0 <= 2 && nearest.0 < name.len()).then_some(nearest.1)
}

/// Edits (insert, remove, replace one character) from one word to the other, capitals aside.
fn distance(one: &str, other: &str) -> usize {
    let other = other.to_ascii_lowercase();
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (index, a) in one.to_ascii_lowercase().chars().enumerate() {
        let mut diagonal = index;
        row[0] = index + 1;
        for (column, b) in other.chars().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

fn below(path: &str, name: &str) -> String {
    format!("{path}.{name}").trim_start_matches('.').to_owned()
}

fn at(path: &str, message: String) -> BrokenRule {
    BrokenRule {
        field: path.to_owned(),
        message,
    }
}

fn push(found: &mut Vec<BrokenRule>, path: &str, message: String) {
    found.push(at(path, message));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::Admission;

    fn told(object: &Value) -> Vec<String> {
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
                "spec.replicas: 5 is more than 1: write a number from 0 to 1",
            ),
            (
                "terminationGracePeriodSeconds: 9",
                "spec.terminationGracePeriodSeconds: 9 is less than 36: write 36 or more",
            ),
            (
                "replica: 1",
                "spec.replica: is no field that exists: did you mean replicas?",
            ),
            (
                "metrics: {nonsense: 1}",
                "spec.metrics.nonsense: is no field that exists: remove it, or correct its name or its indentation",
            ),
            (
                "snapshotPolicies: [{share: /a}]",
                "spec.snapshotPolicies[0].interval: is required: set it",
            ),
            (
                "logging: {level: TRACE}",
                "spec.logging.level: TRACE is not known: choose DEBUG or INFO or WARN or ERROR",
            ),
            (
                "replicas: '1'",
                "spec.replicas: is text, and must be a whole number: write it without quotes and without '|'",
            ),
            (
                "replicas: 0.5",
                "spec.replicas: is a number, and must be a whole number: correct it",
            ),
            (
                "image: 5",
                "spec.image: is a number, and must be text: put it in quotes",
            ),
            (
                "service: {annotations: {a.b: true}}",
                "spec.service.annotations.a.b: is true or false, and must be text: put it in quotes",
            ),
            (
                "resources: {claims: [{name: a}, {name: a}]}",
                "spec.resources.claims[1]: repeats an entry of the list: remove one of them",
            ),
        ];
        for (field, expected) in table {
            let found = told(&server(&format!("{{storage: {{metadataSize: 1Gi}}, {field}}}")));
            assert_eq!(found, [expected], "{field}");
        }
    }

    #[test]
    fn lengths_and_patterns_are_judged() {
        let long = "x".repeat(254);
        let found = told(&server(&format!(
            "{{storage: {{metadataSize: 1Gi, storageClassName: {long}}}, resources: {{limits: {{cpu: much}}}}}}"
        )));
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(
            found[0].starts_with("spec.resources.limits.cpu: much does not have the form ^"),
            "{found:?}"
        );
        assert_eq!(
            found[1],
            "spec.storage.storageClassName: has 254 characters, and at most 253 are allowed: shorten it"
        );
    }

    #[test]
    fn a_name_is_required_and_the_metadata_is_judged() {
        let mut unnamed = server("storage: {metadataSize: 1Gi}");
        unnamed["metadata"] = json!({"lables": {}, "labels": {"a": "b"}});
        let found = told(&unnamed);
        assert_eq!(
            found,
            [
                "metadata.name: is required as text, because the children are named after it: set it, for example to files",
                "metadata.lables: is no field that exists: did you mean labels?",
            ]
        );
    }

    #[test]
    fn what_a_cluster_gives_out_is_accepted_with_its_status() {
        let mut stored = server("{storage: {metadataSize: 1Gi}, image: null}");
        stored["metadata"]["managedFields"] = json!([{"manager": "kubectl"}]);
        stored["status"] = json!({"phase": "of an older release"});
        assert_eq!(told(&stored), [""; 0]);
    }

    #[test]
    fn an_unchanged_value_is_not_judged_again() {
        let old = server("{storage: {metadataSize: 1Gi}, replicas: 3}");
        let mut new = old.clone();
        new["spec"]["storage"]["metadataSize"] = "2Gi".into();
        assert_eq!(Admission::new().violations(&new, Some(&old)), []);
        new["spec"]["replicas"] = 4.into();
        assert_eq!(Admission::new().violations(&new, Some(&old)).len(), 1);
    }

    #[test]
    fn every_keyword_of_the_schema_is_judged_or_known_to_judge_nothing() {
        const JUDGED: [&str; 14] = [
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
            "pattern",
            "x-kubernetes-int-or-string",
            "x-kubernetes-list-map-keys",
        ];
        // `anyOf` stands only beside int-or-string; `format` bounds nothing that the API server checks on integers.
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
                let known = JUDGED.contains(&keyword.as_str()) || OTHER.contains(&keyword.as_str());
                assert!(known, "{keyword}");
            }
            if let Some(pattern) = schema["pattern"].as_str() {
                assert!(Regex::new(pattern).is_ok(), "{pattern}");
            }
            assert_ne!(schema["x-kubernetes-list-type"], "set");
            super::super::children(schema).for_each(walk);
        }
        walk(&Admission::new().schema["properties"]["spec"]);
    }
}
