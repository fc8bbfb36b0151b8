//! The validation rules, evaluated without a cluster.
//!
//! The API server has the last word. This evaluates the same CEL on the same schema, for `render` and for tests. It covers
//! the schema without CEL ([`structural`]), the rules (`x-kubernetes-validations`), and what Kubernetes does around them: null
//! means absent, defaults are set first, and an error about an unchanged value is dropped (ratcheting).

mod structural;

use std::collections::BTreeMap;
use std::fmt;

use kube::core::cel::{CompiledSchema, ErrorKind, Validator, apply_defaults, compile_schema};
use serde_json::Value;

use super::crd;

/// A field of a manifest that the schema or one of its rules refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaViolation {
    /// Path of the field, for example `spec.metrics.port`.
    pub field: String,
    /// What is required, and what to do.
    pub message: String,
}

impl fmt::Display for SchemaViolation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() {
            return formatter.write_str(&self.message);
        }
        write!(formatter, "{}: {}", self.field, self.message)
    }
}

/// The compiled rules of the `CustomResourceDefinition`.
pub struct Admission {
    schema: Value,
    /// `schema`, with the parts that Kubernetes adds to it.
    whole_schema: Value,
    compiled: CompiledSchema,
    /// `fieldPath` of each rule that has one.
    field_paths: BTreeMap<String, String>,
}

impl Default for Admission {
    fn default() -> Self {
        Self::new()
    }
}

impl Admission {
    /// Compiles the rules. This takes some milliseconds, so keep the value.
    #[must_use]
    pub fn new() -> Self {
        let schema = crd()
            .spec
            .versions
            .into_iter()
            .find_map(|version| version.schema?.open_api_v3_schema)
            .and_then(|schema| serde_json::to_value(schema).ok())
            .unwrap_or_default();
        let mut bridged = schema.clone();
        bridge_old_self(&mut bridged);
        let mut field_paths = BTreeMap::new();
        collect_field_paths(&bridged, &mut field_paths);
        Self {
            compiled: compile_schema(&bridged),
            whole_schema: structural::complete(&schema),
            schema,
            field_paths,
        }
    }

    /// What is wrong with `new`, as a new object or as an update of `old`.
    ///
    /// Both are whole objects, with `metadata`. The rules are evaluated only if the schema accepts the object. A rule that
    /// cannot be evaluated counts as violated.
    #[must_use]
    pub fn violations(&self, new: &Value, old: Option<&Value>) -> Vec<SchemaViolation> {
        let new = self.with_defaults(new);
        let old = old.map(|old| self.with_defaults(old));
        let found = structural::violations(&self.whole_schema, &new, old.as_ref());
        if found.is_empty() {
            self.violated_rules(&new, old.as_ref())
        } else {
            found
        }
    }

    fn violated_rules(&self, new: &Value, old: Option<&Value>) -> Vec<SchemaViolation> {
        let Err(errors) = Validator::new().validate_compiled(&self.compiled, new, old) else {
            return Vec::new();
        };
        errors
            .into_vec()
            .into_iter()
            .filter(|error| {
                let is_about_the_value = matches!(
                    error.kind,
                    ErrorKind::ValidationFailure | ErrorKind::EvaluationError
                );
                let is_ratcheting = is_about_the_value && !error.rule.contains("oldSelf");
                let node = self.node(&error.rule, &error.field_path);
                !(is_ratcheting && old.is_some_and(|old| unchanged(node, new, old)))
            })
            .map(|error| SchemaViolation {
                field: error.field_path.trim_start_matches('.').to_owned(),
                message: error.message,
            })
            .collect()
    }

    /// `object` with the defaults of the schema, as the API server stores it.
    #[must_use]
    pub fn with_defaults(&self, object: &Value) -> Value {
        apply_defaults(&self.schema, &without_nulls(object))
    }

    /// Path of the value that is `self` in `rule`.
    fn node<'p>(&self, rule: &str, path: &'p str) -> &'p str {
        let suffix = self.field_paths.get(rule).map_or("", String::as_str);
        path.strip_suffix(suffix).unwrap_or(path)
    }
}

/// `object` without fields that are null. The API server reads it so, because no field of the schema is nullable.
#[must_use]
pub fn without_nulls(object: &Value) -> Value {
    match object {
        Value::Object(fields) => fields
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key.clone(), without_nulls(value)))
            .collect(),
        Value::Array(items) => items.iter().map(without_nulls).collect(),
        other => other.clone(),
    }
}

fn unchanged(path: &str, new: &Value, old: &Value) -> bool {
    // `a.b[0].c` in JSON pointer notation. No property with rules has a dot or a slash in its name.
    let pointer = format!("/{}", path.replace('[', ".").replace(']', "").replace('.', "/"));
    old.pointer(&pointer)
        .is_some_and(|value| new.pointer(&pointer) == Some(value))
}

fn collect_field_paths(schema: &Value, into: &mut BTreeMap<String, String>) {
    for rule in rules_of(schema) {
        if let (Some(text), Some(path)) = (rule["rule"].as_str(), rule["fieldPath"].as_str()) {
            into.insert(text.to_owned(), path.to_owned());
        }
    }
    for child in children(schema) {
        collect_field_paths(child, into);
    }
}

fn rules_of(schema: &Value) -> impl Iterator<Item = &Value> {
    schema["x-kubernetes-validations"]
        .as_array()
        .into_iter()
        .flatten()
}

fn children(schema: &Value) -> impl Iterator<Item = &Value> {
    let properties = schema["properties"]
        .as_object()
        .into_iter()
        .flat_map(|properties| properties.values());
    properties
        .chain(schema.get("items"))
        .chain(schema.get("additionalProperties"))
}

/// Rewrites rules with `optionalOldSelf` for kube's evaluator. There `oldSelf` is a plain value or null; the API server binds an
/// optional.
fn bridge_old_self(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if map.get("optionalOldSelf") == Some(&Value::Bool(true))
                && let Some(Value::String(rule)) = map.get_mut("rule")
            {
                *rule = rule
                    .replace("oldSelf.hasValue()", "(oldSelf != null)")
                    .replace("oldSelf.value()", "oldSelf");
            }
            map.values_mut().for_each(bridge_old_self);
        }
        Value::Array(items) => items.iter_mut().for_each(bridge_old_self),
        _ => {}
    }
}

#[cfg(test)]
#[path = "../../tests/admission/cases/mod.rs"]
mod cases;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::cases::{Case, Expect};
    use super::*;

    fn manifest(case: &Case, spec: &str) -> Value {
        let mut manifest = json!({
            "apiVersion": "dittofs.dittofs.com/v1alpha1",
            "kind": "DittoServer",
            "metadata": {"name": case.name.unwrap_or("files"), "namespace": "default"},
        });
        if !spec.is_empty() {
            manifest["spec"] = serde_yaml::from_str(spec).unwrap();
        }
        manifest
    }

    thread_local! {
        static ADMISSION: Admission = Admission::new();
    }

    fn violations(new: &Value, old: Option<&Value>) -> Vec<SchemaViolation> {
        ADMISSION.with(|admission| admission.violations(new, old))
    }

    fn mismatch(case: &Case) -> Option<String> {
        let new = manifest(case, case.spec);
        let old = case.before.map(|spec| manifest(case, spec));
        let found = violations(&new, old.as_ref());
        let is_expected = match case.expect {
            // The API server words it differently.
            Expect::RefusedBySchema(field, _) => matches!(found.as_slice(), [one] if one.field == field),
            Expect::Accepted => found.is_empty(),
            Expect::Refused(field, message) => {
                matches!(found.as_slice(), [one] if one.field == field && one.message.contains(message))
            }
        };
        (!is_expected).then(|| format!("{}: expected {:?}, found {found:?}", case.sentence, case.expect))
    }

    #[test]
    fn every_case_of_the_table_has_the_expected_result() {
        let mismatches: Vec<String> = cases::all().iter().filter_map(mismatch).collect();
        assert!(mismatches.is_empty(), "{}", mismatches.join("\n"));
    }

    #[test]
    fn the_table_is_large_and_has_no_duplicate() {
        let all = cases::all();
        for case in &all {
            if let Expect::RefusedBySchema(field, message) = case.expect {
                assert!(!field.is_empty() && !message.is_empty(), "{}", case.sentence);
            }
        }
        let sentences: std::collections::BTreeSet<_> = all.iter().map(|case| case.sentence).collect();
        assert!(all.len() >= 100, "{}", all.len());
        assert_eq!(sentences.len(), all.len());
    }

    #[test]
    fn every_rule_compiles_and_has_a_message() {
        fn check(schema: &Value) {
            for rule in rules_of(schema) {
                assert!(
                    rule["message"].is_string() || rule["messageExpression"].is_string(),
                    "{rule}"
                );
            }
            children(schema).for_each(check);
        }
        let admission = Admission::new();
        check(&admission.schema);
        let full = json!({"metadata": {"name": "files"}, "spec": {"storage": {"metadataSize": "1Gi"}}});
        assert_eq!(admission.violations(&full, Some(&full)), []);
    }

    #[test]
    fn a_reference_without_its_key_that_was_stored_before_does_not_block_other_edits() {
        let stored = json!({"metadata": {"name": "files"}, "spec": {"storage": {"metadataSize": "1Gi"}, "identity": {"jwt": {"secretRef": {"name": "jwt"}}}}});
        let mut edited = stored.clone();
        edited["spec"]["replicas"] = json!(0);
        assert_eq!(violations(&edited, Some(&stored)), []);
        assert_ne!(violations(&edited, None), []);
    }

    fn with_interval(interval: &str) -> Value {
        json!({
            "metadata": {"name": "files"},
            "spec": {"storage": {"metadataSize": "1Gi"}, "adapterDiscovery": {"pollingInterval": interval}},
        })
    }

    /// One to three numbers with units, at least one of them above zero, within Go's range.
    fn positive_go_duration() -> impl Strategy<Value = String> {
        let term = |number: &'static str| {
            (
                number,
                prop::sample::select(vec!["ns", "us", "\u{b5}s", "ms", "s", "m", "h"]),
            )
        };
        let any = term("[0-9]{1,4}(\\.[0-9]{0,3})?");
        (
            "\\+?",
            term("[1-9][0-9]{0,3}(\\.[0-9]{0,3})?"),
            prop::collection::vec(any, 0..3),
        )
            .prop_map(|(sign, (number, unit), rest)| {
                let rest: Vec<String> = rest.into_iter().map(|(number, unit)| number + unit).collect();
                let rest = rest.concat();
                format!("{sign}{number}{unit}{rest}")
            })
    }

    fn volume_size() -> impl Strategy<Value = (u64, String)> {
        (
            1_u64..5000,
            prop::sample::select(vec![("Mi", 1_u64), ("Gi", 1 << 10), ("Ti", 1 << 20)]),
        )
            .prop_map(|(number, (unit, mebibytes))| (number * mebibytes, format!("{number}{unit}")))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_positive_go_duration_is_accepted_and_parsed(text in positive_go_duration()) {
            let found = violations(&with_interval(&text), None);
            prop_assert!(found.is_empty(), "{text}: {found:?}");
            prop_assert!(crate::api::duration::parse_go(&text).is_some_and(|parsed| !parsed.is_zero()), "{text}");
        }

        #[test]
        fn the_rule_accepts_a_duration_exactly_if_the_parser_reads_it(text in "[-+]?[0-9.]{0,3}[smhdnu]{0,2}[0-9]{0,2}[smh]?") {
            let accepted = violations(&with_interval(&text), None).is_empty();
            let parsed = crate::api::duration::parse_go(&text).is_some_and(|parsed| !parsed.is_zero());
            prop_assert!(text.is_empty() || accepted == parsed, "{text}: accepted {accepted}, parsed {parsed}");
        }

        #[test]
        fn a_volume_size_may_change_exactly_if_it_does_not_shrink(old in volume_size(), new in volume_size()) {
            let object = |size: &str| json!({"metadata": {"name": "files"}, "spec": {"storage": {"metadataSize": size}}});
            let found = violations(&object(&new.1), Some(&object(&old.1)));
            prop_assert_eq!(found.is_empty(), new.0 >= old.0, "{} -> {}: {:?}", old.1, new.1, found);
        }
    }
}
