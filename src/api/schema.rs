//! Schemas of Kubernetes types, with the markers and validations that k8s-openapi does not have.

use kube::core::Rule;
use schemars::{Schema, SchemaGenerator, json_schema};

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
