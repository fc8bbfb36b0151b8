//! Schemas of Kubernetes types, with the markers and validations that k8s-openapi does not have.

use k8s_openapi::api::core::v1::{EnvFromSource, EnvVar, HostAlias, TopologySpreadConstraint, VolumeMount};
use kube::core::Rule;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::rules;

/// Removes the description of an enum. It would replace the description of every optional field of that type.
pub fn without_description(schema: &mut Schema) {
    schema.remove("description");
}

/// `SecretKeySelector` whose name may be empty. Then it refers to nothing.
pub fn secret_key_selector(_generator: &mut SchemaGenerator) -> Schema {
    selector("Key in the Secret.", &[rules::secret_key()])
}

/// `SecretKeySelector` that must have a name.
pub fn named_secret_key_selector(_generator: &mut SchemaGenerator) -> Schema {
    selector(
        "Key in the Secret.",
        &[rules::secret_named(), rules::secret_key()],
    )
}

/// `SecretKeySelector` of a Secret with several fixed keys. `key` is not used.
pub fn postgres_secret_ref(_generator: &mut SchemaGenerator) -> Schema {
    selector("Not used, but required: write `host`.", &[rules::secret_named()])
}

/// The schema that Kubernetes gives a `SecretKeySelector`, with `rules`.
fn selector(key_description: &str, rules: &[Rule]) -> Schema {
    json_schema!({
        "type": "object",
        "required": ["key"],
        "properties": {
            "name": secret_name(),
            "key": {"type": "string", "maxLength": 253, "description": key_description},
            "optional": {"type": "boolean", "description": "No effect: the Secret and its key must exist."},
        },
        "x-kubernetes-map-type": "atomic",
        "x-kubernetes-validations": rules,
    })
}

fn secret_name() -> Schema {
    json_schema!({
        "type": "string",
        "default": "",
        "maxLength": 253,
        "description": "Name of the Secret, in the namespace of the DittoServer.",
        "x-kubernetes-validations": [rules::secret_name()],
    })
}

/// `LocalObjectReference` to a Secret.
pub fn local_object_reference(_generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "properties": {
            "name": secret_name(),
        },
        "x-kubernetes-map-type": "atomic",
    })
}

/// `ResourceRequirements`, with a pattern for quantities.
pub fn resource_requirements(_generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "properties": {
            "limits": {
                "type": "object",
                "additionalProperties": quantity(),
                "maxProperties": 64,
                "description": "Maximum amount of each resource, for example `memory: 1Gi`.",
            },
            "requests": {
                "type": "object",
                "additionalProperties": quantity(),
                "maxProperties": 64,
                "description": "Amount of each resource that the scheduler reserves. Absent: equal to `limits`.",
            },
            "claims": {
                "type": "array",
                "description": "Dynamic resource claims of the pod that the container uses.",
                "items": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {
                        "name": {"type": "string", "description": "Name of the claim."},
                        "request": {"type": "string", "description": "One request of the claim. Absent: all."},
                    },
                },
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
            },
        },
    })
}

/// A quantity. Other than in the generators of Kubernetes, digits and exponent are limited: the API server parses the quantity
/// again in the StatefulSet, and for `1e2147483647` it would compute for half a minute.
fn quantity() -> Schema {
    json_schema!({
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        "maxLength": 40,
        "pattern": QUANTITY_PATTERN,
        "x-kubernetes-int-or-string": true,
    })
}

/// The pattern of controller-gen for quantities, with at most two digits in the exponent.
const QUANTITY_PATTERN: &str =
    r"^[-+]?([0-9]{1,20}(\.[0-9]{0,12})?|\.[0-9]{1,12})([KMGTPE]i|[numkMGTPE]|[eE][-+]?[0-9]{1,2})?$";

/// Most containers, volumes, mounts or sources of variables that a user adds to the pod.
const MAX_PARTS: u32 = 64;
/// Most variables that a user adds to the server's container.
const MAX_VARIABLES: u32 = 256;

/// An object whose fields the schema does not list.
pub fn open_object(_generator: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

/// Containers that a user adds to the pod. Only the name is in the schema.
pub fn containers(_generator: &mut SchemaGenerator) -> Schema {
    open_parts("Name of the container.", &rules::pod_template::container())
}

/// Volumes that a user adds to the pod. Only the name is in the schema.
pub fn volumes(_generator: &mut SchemaGenerator) -> Schema {
    open_parts("Name of the volume.", &rules::pod_template::volume())
}

fn open_parts(name: &str, rule: &Rule) -> Schema {
    list_by_name(&json!({
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 63, "description": name, "x-kubernetes-validations": [rule]},
        },
        "x-kubernetes-preserve-unknown-fields": true,
    }))
}

/// Secrets with which images are pulled.
pub fn pull_secrets(_generator: &mut SchemaGenerator) -> Schema {
    list_by_name(&json!({
        "type": "object",
        "required": ["name"],
        "properties": {"name": {"type": "string", "minLength": 1, "maxLength": 253, "description": "Name of the Secret."}},
    }))
}

/// A list of parts of the pod, which the API server merges by name.
fn list_by_name(items: &Value) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": MAX_PARTS,
        "items": items,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
    })
}

/// Variables that a user adds to the server's container.
pub fn environment(generator: &mut SchemaGenerator) -> Schema {
    let mut list = list_of::<EnvVar>(generator, MAX_VARIABLES, &["name"]);
    restrict(&mut list, "name", 253, &rules::pod_template::variable());
    list
}

/// Sources of variables that a user adds to the server's container.
pub fn environment_sources(generator: &mut SchemaGenerator) -> Schema {
    list_of::<EnvFromSource>(generator, MAX_PARTS, &[])
}

/// Mounts that a user adds to the server's container.
pub fn volume_mounts(generator: &mut SchemaGenerator) -> Schema {
    let mut list = list_of::<VolumeMount>(generator, MAX_PARTS, &["mountPath"]);
    restrict(&mut list, "mountPath", 1024, &rules::pod_template::mount());
    list
}

/// How pods are spread.
pub fn topology_spread_constraints(generator: &mut SchemaGenerator) -> Schema {
    list_of::<TopologySpreadConstraint>(generator, MAX_PARTS, &["topologyKey", "whenUnsatisfiable"])
}

/// Lines for `/etc/hosts`.
pub fn host_aliases(generator: &mut SchemaGenerator) -> Schema {
    list_of::<HostAlias>(generator, MAX_PARTS, &["ip"])
}

/// A list of a Kubernetes type, with the keys by which Kubernetes merges it.
fn list_of<T: JsonSchema>(generator: &mut SchemaGenerator, max_items: u32, keys: &[&str]) -> Schema {
    let mut items = generator.subschema_for::<T>().to_value();
    set_atomic_references(&mut items);
    let mut list = json_schema!({"type": "array", "maxItems": max_items, "items": items});
    if !keys.is_empty() {
        list.insert("x-kubernetes-list-type".to_owned(), json!("map"));
        list.insert("x-kubernetes-list-map-keys".to_owned(), json!(keys));
    }
    list
}

/// Limits a field of the items of a list.
fn restrict(list: &mut Schema, field: &str, max_length: u32, rule: &Rule) {
    if let Some(field) = list.pointer_mut(&format!("/items/properties/{field}")) {
        field["maxLength"] = json!(max_length);
        field["x-kubernetes-validations"] = json!([rule]);
    }
}

/// References to other objects are atomic in Kubernetes.
fn set_atomic_references(schema: &mut Value) {
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    for (name, property) in properties.into_iter().flatten() {
        if name.ends_with("Ref") {
            property["x-kubernetes-map-type"] = json!("atomic");
        }
        set_atomic_references(property);
    }
}

/// Conditions: a list-map by `type`, with the validations of `metav1.Condition`.
pub fn conditions(_generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": {
            "type": "object",
            "required": ["lastTransitionTime", "message", "reason", "status", "type"],
            "properties": {
                "type": {
                    "type": "string",
                    "maxLength": 316,
                    "pattern": r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$",
                    "description": "Name of the condition.",
                },
                "status": {
                    "type": "string",
                    "enum": ["True", "False", "Unknown"],
                    "description": "`True`, `False`, or `Unknown` if the operator cannot determine it.",
                },
                "reason": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 1024,
                    "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
                    "description": "Reason for the status, in one word for programs.",
                },
                "message": {
                    "type": "string",
                    "maxLength": 32768,
                    "description": "What is wrong, why, and what to do.",
                },
                "observedGeneration": {
                    "type": "integer",
                    "format": "int64",
                    "minimum": 0,
                    "description": "Generation of the spec for which the condition was computed.",
                },
                "lastTransitionTime": {
                    "type": "string",
                    "format": "date-time",
                    "description": "When `status` last changed.",
                },
            },
        },
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
    })
}
