//! The reference of the API in Markdown, made from the `CustomResourceDefinition`: `docs/reference.md`.

#[cfg(test)]
mod tests;

use std::fmt::Write;

use serde_json::Value;

use super::inert::INERT;
use super::{crd, names};

/// First line of the generated text.
const HEADER: &str = "<!-- Generated from src/api by `make generate`. Do not edit. -->\n";

/// Above the fields without effect.
const WITHOUT_EFFECT: &str = "
## Fields without effect

Every other field of `spec` has an effect. A test shows it for each field. The fields of `securityContext`, `podSecurityContext`, `resources`, `networkPolicy` and `podTemplate` are types of Kubernetes that
the operator passes on as they are: there the test shows it for one leaf of each field.

| field of `spec` | reason |
|---|---|
";

/// Annotations that a user writes: on which kind, key, value, meaning.
const FOR_USERS: [[&str; 4]; 8] = [
    [
        "DittoServer",
        names::PAUSED_ANNOTATION,
        "`true`",
        "The operator only writes the status, and lists there what it would change. Every value but `false` does this. See [upgrades](upgrades.md).",
    ],
    [
        "DittoServer",
        names::DELETION_PROTECTION_ANNOTATION,
        "`enabled`",
        "The API server refuses to delete the server. Every value but `false` does this. It needs the policy in `config/admission`. See [lifecycle](lifecycle.md).",
    ],
    [
        "DittoServer",
        names::DELETE_WITHOUT_UPLOAD_ANNOTATION,
        "`true`",
        "A deletion with `storage.retention: Delete` deletes the volumes with blocks that are not in their remote store yet. See [shares](shares.md#uploads-before-a-server-stops).",
    ],
    [
        "DittoServer",
        names::ROTATE_SECRETS_ANNOTATION,
        "any new value",
        "The operator generates a new signing key, once for each value. The pod restarts.",
    ],
    [
        "DittoServer",
        names::RESTART_NFS_ANNOTATION,
        "any new value",
        "The operator restarts the NFS adapter of the server, once for each value. Its clients are disconnected for a moment. See [files](files.md#restart-an-adapter).",
    ],
    [
        "DittoServer",
        names::RESTART_SMB_ANNOTATION,
        "any new value",
        "The same for the SMB adapter.",
    ],
    [
        "DittoServer",
        names::DATABASE_MIGRATED_ANNOTATION,
        "`true`",
        "Confirms that the control-plane data has been moved from SQLite to the Percona database, or that there is no data to move. See [migrate](migrate.md).",
    ],
    [
        "PerconaPGCluster",
        names::ADOPT_ANNOTATION,
        "name of a DittoServer",
        "That server may use the cluster, if its `percona.adoptExisting` is `true`. The cluster is then never deleted with the server.",
    ],
];
/// Annotations of the operator, or of the Go operator.
const FOR_THE_OPERATOR: [[&str; 4]; 10] = [
    [
        "DittoServer",
        names::SHARD_ANNOTATION,
        "`namespace/name` of a Lease",
        "The operator with `--shard-selector` that reconciles the server. Do not change it while that operator runs. See [sharding](sharding.md).",
    ],
    [
        "pod template",
        names::CONFIG_HASH_ANNOTATION,
        "SHA-256",
        "Hash of everything that the server reads when it starts. The pod restarts when the hash changes.",
    ],
    [
        "every child",
        names::APPLIED_HASH_ANNOTATION,
        "hash",
        "Hash of what was last applied. It shows when a field was removed from the spec.",
    ],
    [
        "ConfigMap",
        names::RECREATE_ANNOTATION,
        "StatefulSet as JSON",
        "The StatefulSet that is created next, while it is re-created for other claim templates.",
    ],
    [
        "StatefulSet",
        names::RECREATED_FOR_ANNOTATION,
        "sizes",
        "The sizes of the volumes for which the StatefulSet was re-created. It is not re-created again for the same sizes. To have it tried again, remove the annotation.",
    ],
    [
        "generated Secret",
        names::ROTATED_FOR_ANNOTATION,
        "value",
        "The request for which it was last generated.",
    ],
    [
        "generated Secret",
        names::KEPT_FOR_ANNOTATION,
        "UID",
        "The deleted server for which it is kept despite `retention: Delete`, because your own PostgreSQL, which that server used, depends on it.",
    ],
    [
        "claim `controlplane`",
        names::CONTROL_PLANE_DATABASE_ANNOTATION,
        "`percona`, `postgres`, `postgres-again`, `sqlite`",
        "Where the control-plane data of the server is: in its PerconaPGCluster, in your own PostgreSQL, or, after a move back, on this volume (`sqlite`) or in your own PostgreSQL (`postgres-again`). The last two mean that `database-migrated` was set for an earlier move and does not confirm another one. Absent: probably on this volume.",
    ],
    [
        "DittoServer",
        names::AUTH_RETRY_COUNT_ANNOTATION,
        "number",
        "Belongs to the Go operator. Not used.",
    ],
    [
        "API Service",
        names::MANAGED_ANNOTATIONS_ANNOTATION,
        "keys",
        "The keys in `spec.service.annotations`. In a restored Service, these annotations are removed when they leave the spec. The Go operator wrote it on adapter Services.",
    ],
];
/// Keywords of the schema that limit a value, and their words.
const BOUNDS: [(&str, &str); 10] = [
    ("minimum", "at least "),
    ("maximum", "at most "),
    ("minLength", "minimum length "),
    ("maxLength", "maximum length "),
    ("pattern", "pattern "),
    ("format", "format "),
    ("minItems", "minimum items "),
    ("maxItems", "maximum items "),
    ("minProperties", "minimum entries "),
    ("maxProperties", "maximum entries "),
];

/// The reference.
#[must_use]
pub fn reference() -> String {
    let definition = serde_json::to_value(crd()).unwrap_or_default();
    let version = &definition["spec"]["versions"][0];
    let root = &version["schema"]["openAPIV3Schema"];
    let group = text(&definition["spec"]["group"]);
    let name = text(&version["name"]);
    let short = &definition["spec"]["names"];
    let mut page = format!("{HEADER}\n# Reference of DittoServer\n\n");
    let _ = writeln!(
        page,
        "`apiVersion: {group}/{name}`, `kind: {}`; namespaced; short names: {}.\n",
        text(&short["kind"]),
        list(&short["shortNames"])
    );
    page.push_str("If the default of a field is empty, it has none. A default applies even if the parent object is absent, unless the description says otherwise.\n");
    rules(&root["x-kubernetes-validations"], &mut page);
    for part in ["spec", "status"] {
        object(&root["properties"][part], part, &mut page);
    }
    without_effect(&mut page);
    annotations(&mut page);
    page
}

fn without_effect(page: &mut String) {
    page.push_str(WITHOUT_EFFECT);
    for (field, why) in INERT {
        let _ = writeln!(page, "| `{field}` | {why} |");
    }
}

/// One object: its description, fields and rules, and then the objects in it.
fn object(schema: &Value, path: &str, page: &mut String) {
    let _ = writeln!(page, "\n## `{path}`\n");
    if let Some(description) = schema["description"].as_str() {
        let _ = writeln!(page, "{description}\n");
    }
    page.push_str("| field | type | default | constraints | description |\n|---|---|---|---|---|\n");
    let required = schema["required"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    for (name, field) in properties(schema) {
        let is_required = required.iter().any(|required| required == name);
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} | {} |",
            label(name, &format!("{path}.{name}"), field),
            kind(field),
            default(field),
            constraints(field, is_required),
            cell(text(&field["description"]))
        );
    }
    rules(&schema["x-kubernetes-validations"], page);
    for (name, field) in properties(schema) {
        if let Some((nested, suffix)) = nested(field) {
            object(nested, &format!("{path}.{name}{suffix}"), page);
        }
    }
}

fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema["properties"].as_object().into_iter().flatten()
}

/// The object in a field, possibly in a list or a map, and the suffix of its path.
fn nested(field: &Value) -> Option<(&Value, &'static str)> {
    let places = [
        (field, ""),
        (&field["items"], "[]"),
        (&field["additionalProperties"], ".*"),
    ];
    places
        .into_iter()
        .find(|(schema, _)| schema["properties"].is_object())
}

/// The name of a field, with a link to the object in it.
fn label(name: &str, path: &str, field: &Value) -> String {
    let Some((_, suffix)) = nested(field) else {
        return format!("`{name}`");
    };
    format!("[`{name}`](#{})", anchor(&format!("{path}{suffix}")))
}

/// The anchor of a heading in Markdown.
fn anchor(heading: &str) -> String {
    heading
        .chars()
        .filter(|letter| letter.is_alphanumeric() || matches!(letter, '-' | '_'))
        .flat_map(char::to_lowercase)
        .collect()
}

fn kind(field: &Value) -> String {
    if field["x-kubernetes-int-or-string"] == true {
        return "integer or string".into();
    }
    match text(&field["type"]) {
        "array" => format!("list of {}", kind(&field["items"])),
        "object" if field["additionalProperties"].is_object() => {
            format!("map of {}", kind(&field["additionalProperties"]))
        }
        other => other.to_owned(),
    }
}

fn default(field: &Value) -> String {
    match &field["default"] {
        Value::Null => String::new(),
        Value::String(text) => format!("`{}`", cell(text)),
        other => format!("`{}`", cell(&other.to_string())),
    }
}

fn constraints(field: &Value, is_required: bool) -> String {
    let mut all = Vec::new();
    if is_required {
        all.push("required".to_owned());
    }
    if field["enum"].is_array() {
        all.push(format!("one of {}", list(&field["enum"])));
    }
    for (key, words) in BOUNDS {
        match &field[key] {
            Value::Null => {}
            Value::String(text) => all.push(format!("{words}`{}`", cell(text))),
            number => all.push(format!("{words}{}", whole(number))),
        }
    }
    if field["x-kubernetes-list-type"] == "map" {
        all.push(format!(
            "unique by {}",
            list(&field["x-kubernetes-list-map-keys"])
        ));
    }
    if field["x-kubernetes-list-type"] == "set" {
        all.push("unique".into());
    }
    // The rules of an object are below its own table.
    if nested(field).is_none() {
        let rules = field["x-kubernetes-validations"].as_array().into_iter().flatten();
        all.extend(rules.map(|rule| cell(rule_text(rule))));
    }
    all.join("; ")
}

/// Limits in schemas are floating point numbers.
fn whole(number: &Value) -> String {
    let text = number.to_string();
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

fn rules(rules: &Value, page: &mut String) {
    let Some(rules) = rules.as_array().filter(|rules| !rules.is_empty()) else {
        return;
    };
    page.push_str("\nRules:\n\n");
    for rule in rules {
        let _ = writeln!(page, "- {}", rule_text(rule).replace('\n', " "));
    }
}

/// The message of a rule, or the rule itself if it has no fixed message.
fn rule_text(rule: &Value) -> &str {
    rule["message"].as_str().unwrap_or_else(|| text(&rule["rule"]))
}

fn annotations(page: &mut String) {
    page.push_str("\n## Annotations that you write\n");
    table(&FOR_USERS, page);
    page.push_str("\n## Annotations that the operator writes\n");
    table(&FOR_THE_OPERATOR, page);
}

fn table(rows: &[[&str; 4]], page: &mut String) {
    page.push_str("\n| on | annotation | value | meaning |\n|---|---|---|---|\n");
    for [on, key, value, meaning] in rows {
        let _ = writeln!(page, "| {on} | `{key}` | {value} | {meaning} |");
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(values: &Value) -> String {
    let values = values.as_array().into_iter().flatten();
    let values: Vec<String> = values
        .map(|value| match value {
            Value::String(text) => format!("`{}`", cell(text)),
            other => format!("`{other}`"),
        })
        .collect();
    values.join(", ")
}

/// A text for a cell of a table.
fn cell(text: &str) -> String {
    text.replace("\n\n", " ").replace('\n', " ").replace('|', "\\|")
}
