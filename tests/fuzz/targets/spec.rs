//! What admission accepts, the operator can build: over specs of all fields of the CRD.
//!
//! A spec is a spec that admission accepts (the table of `tests/admission/cases`), merged with parts of others, then changed in a few
//! fields. The fields come from the schema, so that a new field of the API is covered without a change here. Their values come from the
//! table, from the schema, or are hostile.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use dittofs_operator::api::{Admission, DittoServer, crd, reasons};
use dittofs_operator::domain::settings::Settings;
use dittofs_operator::domain::validate::{Severity, validate};
use dittofs_operator::plugin::render;
use serde_json::{Map, Value, json};

use super::cases::{self, Expect};
use super::input::Input;
use super::merge::merge;
use super::mutate::any_value;
use super::{checks, world};

/// Fields of a spec whose contents the schema leaves open: validation checks them, and admission cannot.
const OPEN: [&str; 2] = ["spec.podTemplate", "spec.resources"];

/// Longest name of an object, in characters.
const LONGEST_NAME: usize = 253;

struct Corpus {
    schema: Value,
    /// Specs that admission accepts.
    accepted: Vec<Value>,
    /// The values of each field in all specs of the table, by the name of the field.
    values: BTreeMap<String, Vec<Value>>,
}

static CORPUS: LazyLock<Corpus> = LazyLock::new(|| {
    let mut versions = crd().spec.versions.into_iter();
    let schema = versions.find_map(|version| version.schema?.open_api_v3_schema);
    let schema = serde_json::to_value(schema).expect("a schema")["properties"]["spec"].take();
    let mut corpus = Corpus {
        schema,
        accepted: Vec::new(),
        values: BTreeMap::new(),
    };
    for case in cases::all().iter().filter(|case| !case.spec.is_empty()) {
        let spec: Value = serde_yaml::from_str(case.spec).expect("YAML");
        collect(&spec, &mut corpus.values);
        if matches!(case.expect, Expect::Accepted) && case.before.is_none() && case.name.is_none() {
            corpus.accepted.push(spec);
        }
    }
    corpus
});

thread_local! {
    // Its rules take some milliseconds to compile.
    static ADMISSION: Admission = Admission::new();
}

fn collect(value: &Value, into: &mut BTreeMap<String, Vec<Value>>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                into.entry(name.clone()).or_default().push(value.clone());
                collect(value, into);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, into)),
        _ => {}
    }
}

/// A value for a field of this schema.
fn value(schema: &Value, name: &str, input: &mut Input<'_>, depth: usize) -> Value {
    if let Some(known) = CORPUS.values.get(name).filter(|_| !input.one_in(3)) {
        return input.pick(known).clone();
    }
    if input.one_in(16) {
        return any_value(input, 2);
    }
    if let Some(allowed) = schema["enum"].as_array() {
        return input.pick(allowed).clone();
    }
    match schema["type"].as_str() {
        Some("object") if depth > 0 => object(schema, input, depth - 1),
        Some("array") if depth > 0 => (0..input.below(3))
            .map(|_| value(&schema["items"], name, input, depth - 1))
            .collect(),
        Some("integer" | "number") => {
            let (least, most) = (schema["minimum"].as_i64(), schema["maximum"].as_i64());
            let edges = [
                least,
                most,
                least.map(|least| least - 1),
                most.map(|most| most + 1),
            ];
            input.pick(&edges).unwrap_or_else(|| input.number()).into()
        }
        Some("boolean") => input.one_in(2).into(),
        Some("string") => input.text().into(),
        Some("object") => json!({}),
        Some("array") => json!([]),
        _ => any_value(input, 2),
    }
}

fn object(schema: &Value, input: &mut Input<'_>, depth: usize) -> Value {
    let mut fields = Map::new();
    let required: Vec<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        if required.contains(&name.as_str()) || input.one_in(4) {
            fields.insert(name.clone(), value(schema, name, input, depth));
        }
    }
    if let Some(values) = schema
        .get("additionalProperties")
        .filter(|values| values.is_object())
    {
        for _ in 0..input.below(3) {
            fields.insert(input.text(), value(values, "", input, depth));
        }
    }
    Value::Object(fields)
}

/// Changes one field of the schema somewhere in `spec`.
fn change(spec: &mut Value, schema: &Value, name: &str, input: &mut Input<'_>) {
    let properties = schema["properties"]
        .as_object()
        .filter(|fields| !fields.is_empty());
    if let (Some(properties), Value::Object(fields), false) = (properties, &mut *spec, input.one_in(8)) {
        let names: Vec<&String> = properties.keys().collect();
        let name = input.pick(&names).as_str();
        if input.one_in(8) {
            fields.remove(name);
            return;
        }
        let field = fields
            .entry(name)
            .or_insert_with(|| match properties[name]["type"].as_str() {
                Some("object") => json!({}),
                _ => Value::Null,
            });
        return change(field, &properties[name], name, input);
    }
    *spec = value(schema, name, input, 3);
}

/// A spec of a DittoServer.
pub fn spec(input: &mut Input<'_>) -> Value {
    let corpus = &*CORPUS;
    let mut spec = input.pick(&corpus.accepted).clone();
    if input.one_in(2) {
        let other = input.pick(&corpus.accepted);
        merge(&mut spec, other);
    }
    for _ in 0..input.below(4) {
        change(&mut spec, &corpus.schema, "", input);
    }
    spec
}

/// A manifest of a DittoServer.
pub fn manifest(input: &mut Input<'_>) -> Value {
    let spec = spec(input);
    let names = [
        "files",
        "a",
        "f-2",
        &"x".repeat(51),
        &"x".repeat(52),
        "-",
        "A",
        "1a",
        "",
    ];
    // The API server stores no longer name.
    let hostile: String = input.text().chars().take(LONGEST_NAME).collect();
    let is_good = !input.one_in(4);
    let known = &names[..if is_good { 4 } else { names.len() }];
    let name = if input.one_in(8) {
        hostile.as_str()
    } else {
        *input.pick(known)
    };
    let mut manifest = json!({
        "apiVersion": "dittofs.dittofs.com/v1alpha1",
        "kind": "DittoServer",
        "metadata": {"name": name, "namespace": "storage", "uid": "8e1c2f4a-0000-4000-8000-000000000001", "generation": 1},
        "spec": spec,
    });
    for _ in 0..input.below(3) {
        let kind = *input.pick(&["labels", "annotations"]);
        let keys = [
            "dittofs.dittofs.com/paused",
            "dittofs.dittofs.com/rotate-secrets",
            "dittofs.dittofs.com/restart-nfs",
            "a/b",
            "x",
        ];
        let key = *input.pick(&keys);
        manifest["metadata"][kind][key] = input.text().into();
    }
    manifest
}

/// How many of so many generated specs admission accepts. A figure for the test of the generator.
pub fn accepted_of(count: u32) -> usize {
    let inputs = (0..count).map(|seed| {
        let bytes = (0..400_u32).map(|index| {
            (seed + 1)
                .wrapping_mul(2_654_435_761)
                .wrapping_add(index.wrapping_mul(40_503))
                .to_be_bytes()[1]
        });
        bytes.collect::<Vec<u8>>()
    });
    inputs
        .filter(|bytes| violations(&manifest(&mut Input::new(bytes)), None).is_empty())
        .count()
}

fn violations(new: &Value, old: Option<&Value>) -> Vec<String> {
    ADMISSION.with(|admission| {
        admission
            .violations(new, old)
            .iter()
            .map(ToString::to_string)
            .collect()
    })
}

/// What validation refuses in the spec, and admission should have refused.
fn refusals(server: DittoServer, input: &mut Input<'_>) -> Vec<String> {
    let observed = world::new_server(server, input);
    let about_the_spec = [
        reasons::INVALID_NAME,
        reasons::INVALID_SPEC,
        reasons::CONFLICTING_DATABASES,
    ];
    let refused = validate(&observed).violations.into_iter().filter(|violation| {
        violation.severity == Severity::Terminal && about_the_spec.contains(&violation.reason)
    });
    refused.map(|violation| violation.message).collect()
}

/// The target.
pub fn specs(data: &[u8]) {
    let mut input = Input::new(data);
    let manifest = manifest(&mut input);
    let refused = violations(&manifest, None);
    let parsed =
        serde_json::from_value::<DittoServer>(dittofs_operator::api::admission::without_nulls(&manifest));
    // The API server stores no value of another type.
    if parsed.is_ok() {
        assert_eq!(
            violations(&manifest, Some(&manifest)),
            [""; 0],
            "an edit that changes nothing is accepted: {manifest}"
        );
    }
    let text = serde_yaml::to_string(&manifest).expect("YAML");
    let read: Value = serde_yaml::from_str(&text)
        .unwrap_or_else(|error| panic!("what was written as YAML can be read: {error}\n{text}"));
    assert_eq!(read, manifest, "YAML keeps every text");
    let rendered = render::manifests(&text, &Settings::default());
    if refused.is_empty() {
        let server =
            parsed.unwrap_or_else(|error| panic!("what admission accepts, parses: {error}\n{manifest}"));
        let mut refusals = refusals(server, &mut input);
        refusals.retain(|message| !OPEN.iter().any(|field| message.starts_with(field)));
        assert_eq!(
            refusals, [""; 0],
            "what admission accepts, validation accepts: {manifest}"
        );
        let rendered = rendered
            .unwrap_or_else(|error| panic!("what admission accepts, can be rendered: {error}\n{manifest}"));
        checks::children(&serde_yaml::from_multiple(&rendered).expect("YAML"));
    } else {
        assert!(rendered.is_err(), "{refused:?}");
        // It may be stored all the same, from before today's rules.
        if let Ok(server) = parsed {
            refusals(server, &mut input);
        }
    }
}
