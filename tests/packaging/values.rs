//! `values.yaml`, read with its comments: what each value is for, and what it is by default.

use serde_json::{Map, Value, json};

use super::read;

/// One documented value.
pub struct Documented {
    /// Path, with dots.
    pub path: String,
    /// What `# --` says above it.
    pub text: String,
    /// Its default.
    pub default: Value,
}

/// The documented values of the chart, in the order of the file.
pub fn documented() -> Vec<Documented> {
    let text = read("charts/dittofs-operator/values.yaml");
    let values: Value = serde_yaml::from_str(&text).expect("YAML");
    let (mut open, mut comment, mut found) = (Vec::<(usize, String)>::new(), None, Vec::new());
    for line in text.lines() {
        let trimmed = line.trim_start();
        if let Some(said) = trimmed.strip_prefix("# -- ") {
            comment = Some(said.to_owned());
            continue;
        }
        let Some((key, _)) = trimmed.split_once(':').filter(|(key, _)| is_key(key)) else {
            continue;
        };
        let indent = line.len() - trimmed.len();
        open.retain(|(outer, _)| *outer < indent);
        open.push((indent, key.to_owned()));
        let Some(text) = comment.take() else { continue };
        let keys: Vec<&str> = open.iter().map(|(_, key)| key.as_str()).collect();
        let default = keys.iter().fold(&values, |value, key| &value[*key]).clone();
        found.push(Documented {
            path: keys.join("."),
            text,
            default,
        });
    }
    found
}

fn is_key(text: &str) -> bool {
    !text.is_empty() && text.chars().all(char::is_alphanumeric)
}

/// The table of the chart's README.
pub fn table() -> String {
    let mut table = String::from("| value | default | what it is |\n|---|---|---|\n");
    for Documented { path, text, default } in documented() {
        let text = text.replace('|', "\\|");
        table.extend([format!("| `{path}` | `{default}` | {text} |\n")]);
    }
    table
}

/// The schema with the comments as descriptions.
pub fn schema() -> String {
    let mut schema: Value =
        serde_json::from_str(&read("charts/dittofs-operator/values.schema.json")).expect("JSON");
    for Documented { path, text, .. } in documented() {
        let place = path
            .split('.')
            .fold(&mut schema, |schema, key| &mut schema["properties"][key]);
        // The test below reports a value without a schema.
        if place.is_object() {
            place["description"] = json!(text);
        }
    }
    serde_json::to_string_pretty(&schema).expect("JSON") + "\n"
}

/// Paths of the leaves of the defaults, or of what is documented as a whole.
fn leaves(values: &Map<String, Value>, prefix: &str, documented: &[String], found: &mut Vec<String>) {
    for (key, value) in values {
        let path = format!("{prefix}{key}");
        match value.as_object().filter(|_| !documented.contains(&path)) {
            Some(inner) if !inner.is_empty() => leaves(inner, &format!("{path}."), documented, found),
            _ => found.push(path),
        }
    }
}

/// Paths that a schema knows, down to where it stops to name properties; and those of open objects that name some.
fn known(schema: &Value, prefix: &str, found: &mut Vec<String>, open: &mut Vec<String>) {
    let Some(properties) = schema["properties"].as_object() else {
        found.push(prefix.trim_end_matches('.').to_owned());
        return;
    };
    if schema["additionalProperties"] != false {
        open.push(prefix.to_owned());
    }
    for (key, inner) in properties {
        known(inner, &format!("{prefix}{key}."), found, open);
    }
}

#[test]
fn every_value_is_documented_and_has_a_schema_and_nothing_else_does() {
    let mut documented: Vec<String> = documented().into_iter().map(|value| value.path).collect();
    let values: Value = serde_yaml::from_str(&read("charts/dittofs-operator/values.yaml")).expect("YAML");
    let mut leaves_found = Vec::new();
    leaves(
        values.as_object().expect("values"),
        "",
        &documented,
        &mut leaves_found,
    );
    leaves_found.sort();
    documented.sort();
    assert_eq!(
        leaves_found, documented,
        "values.yaml: a `# -- ` line above each value"
    );

    let schema: Value =
        serde_json::from_str(&read("charts/dittofs-operator/values.schema.json")).expect("JSON");
    let (mut in_schema, mut open) = (Vec::new(), Vec::new());
    known(&schema, "", &mut in_schema, &mut open);
    in_schema.retain(|path| path != "global");
    in_schema.sort();
    assert_eq!(in_schema, documented, "values.schema.json");
    assert_eq!(
        open,
        Vec::<String>::new(),
        "each object with named properties takes no others"
    );
}
