//! The part of the schema that is not CEL: types, ranges, enumerations, lengths, patterns, required and unknown fields.
//!
//! The answers are those of the API server with strict field validation, which `kubectl` asks for. No crate does this: JSON
//! Schema validators know neither list maps nor ratcheting, and refuse no unknown fields.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use regex::Regex;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::SchemaViolation;

/// A longer string is cut in a message.
const MAX_QUOTED_CHARS: usize = 64;
/// Edits by which a field name may differ from the one that a message proposes.
const MAX_TYPOS: usize = 2;

/// The schema of a whole object: `root` with the parts that a definition leaves to Kubernetes. `status` is open, because a
/// write of the object ignores it.
pub(super) fn complete(root: &Value) -> Value {
    let settings = SchemaSettings::openapi3().with(|settings| settings.inline_subschemas = true);
    let metadata = settings.into_generator().into_root_schema_for::<ObjectMeta>();
    let mut metadata = metadata.to_value();
    metadata["required"] = json!(["name"]);
    let mut whole = root.clone();
    whole["properties"]["apiVersion"] = json!({"type": "string"});
    whole["properties"]["kind"] = json!({"type": "string"});
    whole["properties"]["metadata"] = metadata;
    whole["properties"]["status"] = json!({});
    whole
}

/// Everything in `object` that `schema` refuses. A value that is unchanged since `old` is not checked again.
pub(super) fn violations(schema: &Value, object: &Value, old: Option<&Value>) -> Vec<SchemaViolation> {
    let mut found = Findings(Vec::new());
    found.check(schema, object, old, "");
    found.0
}

/// What is wrong so far.
struct Findings(Vec<SchemaViolation>);

impl Findings {
    fn add(&mut self, path: &str, message: impl Into<String>) {
        self.0.push(SchemaViolation {
            field: path.to_owned(),
            message: message.into(),
        });
    }

    fn check(&mut self, schema: &Value, value: &Value, old: Option<&Value>, path: &str) {
        if old == Some(value) {
            return;
        }
        if let Some(problem) = type_problem(schema, value) {
            return self.add(path, problem);
        }
        let problem = match value {
            Value::String(text) => text_problem(schema, text),
            Value::Number(number) => range_problem(schema, number.as_f64().unwrap_or_default()),
            _ => None,
        };
        if let Some(problem) = enum_problem(schema, value).or(problem) {
            self.add(path, problem);
        }
        match value {
            Value::Object(fields) => self.check_object(schema, fields, old, path),
            Value::Array(items) => self.check_list(schema, items, path),
            _ => {}
        }
    }

    fn check_object(&mut self, schema: &Value, fields: &Map<String, Value>, old: Option<&Value>, path: &str) {
        let required = schema["required"].as_array().into_iter().flatten();
        for name in required.filter_map(Value::as_str) {
            if !fields.contains_key(name) {
                self.add(&below(path, name), "is required: set it");
            }
        }
        let values = schema
            .get("additionalProperties")
            .filter(|values| values.is_object());
        let count = fields.len();
        if let Some(most) = limit(schema, "maxProperties").filter(|most| count > *most) {
            self.add(
                path,
                format!("has {count} entries, the maximum is {most}: remove some"),
            );
        }
        let properties = schema["properties"].as_object();
        for (name, value) in fields {
            let path = below(path, name);
            match (
                properties.and_then(|properties| properties.get(name)).or(values),
                properties,
            ) {
                (Some(schema), _) => self.check(schema, value, old.and_then(|old| old.get(name)), &path),
                (None, Some(_)) if schema["x-kubernetes-preserve-unknown-fields"] == true => {}
                (None, Some(known)) => self.add(&path, unknown_field(name, known)),
                (None, None) => {}
            }
        }
    }

    fn check_list(&mut self, schema: &Value, items: &[Value], path: &str) {
        let count = items.len();
        if let Some(most) = limit(schema, "maxItems").filter(|most| count > *most) {
            self.add(
                path,
                format!("has {count} items, the maximum is {most}: remove some"),
            );
        }
        let mut keys = BTreeSet::new();
        for (index, item) in items.iter().enumerate() {
            let path = format!("{path}[{index}]");
            self.check(&schema["items"], item, None, &path);
            if list_map_key(schema, item).is_some_and(|key| !keys.insert(key)) {
                self.add(&path, "is a duplicate of another item: remove one of them");
            }
        }
    }
}

fn unknown_field(name: &str, known: &Map<String, Value>) -> String {
    let distance = |known: &str| strsim::levenshtein(&name.to_ascii_lowercase(), &known.to_ascii_lowercase());
    let nearest = known.keys().map(|known| (distance(known), known)).min();
    match nearest.filter(|(distance, _)| *distance <= MAX_TYPOS && *distance < name.len()) {
        Some((_, known)) => format!("unknown field: did you mean {known}?"),
        None => "unknown field: remove it, or correct its name or its indentation".to_owned(),
    }
}

/// The key of an item of a list map, which must be unique in the list. `None` in any other list.
fn list_map_key(schema: &Value, item: &Value) -> Option<String> {
    let keys = schema["x-kubernetes-list-map-keys"].as_array()?;
    let values: Vec<&Value> = keys
        .iter()
        .map(|key| &item[key.as_str().unwrap_or_default()])
        .collect();
    serde_json::to_string(&values).ok()
}

fn type_problem(schema: &Value, value: &Value) -> Option<String> {
    let is_integer = value.is_i64() || value.is_u64();
    let (fits, wanted) = match schema["type"].as_str() {
        _ if schema["x-kubernetes-int-or-string"] == true => {
            (is_integer || value.is_string(), "a string or an integer")
        }
        Some("object") => (value.is_object(), "an object"),
        Some("array") => (value.is_array(), "a list"),
        Some("string") => (value.is_string(), "a string"),
        Some("integer") => (is_integer, "an integer"),
        Some("number") => (value.is_number(), "a number"),
        Some("boolean") => (value.is_boolean(), "true or false"),
        _ => return None,
    };
    let (found, remedy) = match value {
        Value::Bool(_) if wanted == "a string" => ("a boolean", "put it in quotes"),
        Value::Number(_) if wanted == "a string" => ("a number", "put it in quotes"),
        Value::Null => ("empty", "write a value, or remove the field"),
        Value::Bool(_) => ("a boolean", "correct it"),
        Value::Number(_) => ("a number", "correct it"),
        Value::String(_) => ("a string", "write it without quotes and without '|'"),
        Value::Array(_) => ("a list", "write it without '-'"),
        Value::Object(_) => ("an object", "correct it"),
    };
    (!fits).then(|| format!("must be {wanted}, but is {found}: {remedy}"))
}

fn enum_problem(schema: &Value, value: &Value) -> Option<String> {
    let allowed = schema["enum"]
        .as_array()
        .filter(|allowed| !allowed.contains(value))?;
    let allowed: Vec<String> = allowed.iter().map(quoted).collect();
    Some(format!("{} is not one of {}", quoted(value), allowed.join(", ")))
}

fn range_problem(schema: &Value, number: f64) -> Option<String> {
    let (least, most) = (schema["minimum"].as_f64(), schema["maximum"].as_f64());
    let is_below = least.is_some_and(|least| number < least);
    let is_above = most.is_some_and(|most| number > most);
    let wanted = match (least, most) {
        (Some(least), Some(most)) => format!("from {least} to {most}"),
        (Some(least), None) => format!("of {least} or more"),
        (None, Some(most)) => format!("of {most} or less"),
        (None, None) => return None,
    };
    (is_below || is_above).then(|| format!("{number} is out of range: write a number {wanted}"))
}

fn text_problem(schema: &Value, text: &str) -> Option<String> {
    let length = text.chars().count();
    if let Some(most) = limit(schema, "maxLength").filter(|most| length > *most) {
        return Some(format!(
            "has {length} characters, the maximum is {most}: shorten it"
        ));
    }
    if let Some(least) = limit(schema, "minLength").filter(|least| length < *least) {
        return Some(format!(
            "has {length} characters, the minimum is {least}: lengthen it"
        ));
    }
    let pattern = schema["pattern"].as_str()?;
    // A test of the schema checks that every pattern compiles.
    let matches = Regex::new(pattern).is_ok_and(|regex| regex.is_match(text));
    (!matches).then(|| format!("{} does not match {pattern}: correct it", quoted(&text.into())))
}

fn limit(schema: &Value, keyword: &str) -> Option<usize> {
    schema[keyword]
        .as_u64()
        .and_then(|limit| usize::try_from(limit).ok())
}

fn quoted(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() => "the empty string".to_owned(),
        Value::String(text) if text.chars().count() > MAX_QUOTED_CHARS => {
            text.chars().take(MAX_QUOTED_CHARS).chain(['…']).collect()
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn below(path: &str, name: &str) -> String {
    format!("{path}.{name}").trim_start_matches('.').to_owned()
}

#[cfg(test)]
mod tests;
