//! The parts of a child that only this operator makes. Pure.
//!
//! They are known by name: the server's container with its probes and its known ports, variables and mounts, the known volumes of
//! the pod, the ports of a Service, labels and annotations of ours. Annotations that a user asks for in the spec are listed in an
//! annotation of the child. Everything else (sidecars, other variables and annotations) belongs to whoever set it.

use serde_json::{Map, Value};

use super::Share;
use crate::api::names;
use crate::domain::desired::made_here;

/// Which fields below a field are ours.
enum Rule {
    /// All of them.
    Whole,
    /// Some fields of an object.
    Fields(&'static [(&'static str, Rule)]),
    /// Some keys of a map, by the key and the live map.
    Keys(fn(&str, &Value) -> bool),
    /// Some items of a list, by the live item.
    Items(fn(&Value) -> bool, &'static Rule),
}

use Rule::{Fields, Items, Keys, Whole};

const METADATA: (&str, Rule) = (
    "metadata",
    Fields(&[
        ("annotations", Keys(made_here::is_annotation)),
        ("labels", Keys(|key, _| made_here::is_label(key))),
    ]),
);

const CONTAINER: Rule = Fields(&[
    ("args", Whole),
    ("command", Whole),
    ("env", Items(is_our_variable, &Whole)),
    ("lifecycle", Whole),
    ("livenessProbe", Whole),
    ("ports", Items(is_our_port, &Whole)),
    ("readinessProbe", Whole),
    ("resources", Whole),
    ("securityContext", Whole),
    ("startupProbe", Whole),
    ("volumeMounts", Items(is_our_mount, &Whole)),
]);
const STATEFUL_SET: Rule = Fields(&[
    METADATA,
    (
        "spec",
        Fields(&[(
            "template",
            Fields(&[(
                "spec",
                Fields(&[
                    ("containers", Items(is_our_container, &CONTAINER)),
                    ("securityContext", Whole),
                    ("volumes", Items(is_our_volume, &Whole)),
                ]),
            )]),
        )]),
    ),
]);
const SERVICE: Rule = Fields(&[
    METADATA,
    (
        "spec",
        Fields(&[
            ("externalName", Whole),
            ("ports", Items(is_our_port, &Whole)),
            ("selector", Whole),
        ]),
    ),
]);
const CONFIG_MAP: Rule = Fields(&[
    METADATA,
    ("binaryData", Fields(&[(names::CONFIG_KEY, Whole)])),
    ("data", Fields(&[(names::CONFIG_KEY, Whole)])),
]);
const NETWORK_POLICY: Rule = Fields(&[METADATA, ("spec", Whole)]);

/// Splits the fields of another manager.
pub(super) fn share(kind: &str, fields: &Value, live: &Value) -> Share {
    let mut remaining = fields.clone();
    let rule = match kind {
        "StatefulSet" => &STATEFUL_SET,
        "Service" => &SERVICE,
        "ConfigMap" => &CONFIG_MAP,
        "NetworkPolicy" => &NETWORK_POLICY,
        _ => &Fields(&[]),
    };
    let moved = take(&mut remaining, live, rule);
    Share { moved, remaining }
}

/// Takes what a rule names out of a field set. A field that is left without content is removed.
fn take(fields: &mut Value, live: &Value, rule: &Rule) -> Value {
    let Some(set) = fields.as_object_mut() else {
        return Value::Null;
    };
    if matches!(rule, Whole) {
        return Value::Object(std::mem::take(set));
    }
    let mut moved = Map::new();
    let keys: Vec<String> = set.keys().cloned().collect();
    for key in keys {
        let Some((rule, live)) = below(rule, live, &key) else {
            continue;
        };
        let Some(inner) = set.get_mut(&key) else {
            continue;
        };
        let is_leaf = super::is_empty(inner);
        let taken = take(inner, live, rule);
        if is_leaf || !super::is_empty(&taken) {
            moved.insert(key.clone(), taken);
        }
        if super::is_empty(inner) {
            set.remove(&key);
        }
    }
    Value::Object(moved)
}

/// The rule for a key of a field set, and the live field that it means.
fn below<'r, 'v>(rule: &'r Rule, live: &'v Value, key: &str) -> Option<(&'r Rule, &'v Value)> {
    match rule {
        Whole => None,
        Fields(fields) => {
            let name = key.strip_prefix("f:")?;
            let (_, rule) = fields.iter().find(|(field, _)| *field == name)?;
            Some((rule, live.get(name).unwrap_or(&Value::Null)))
        }
        Keys(is_ours) => {
            let name = key.strip_prefix("f:")?;
            is_ours(name, live).then_some((&Whole, live.get(name).unwrap_or(&Value::Null)))
        }
        Items(is_ours, rule) => {
            let items = live.as_array()?;
            let item = items.iter().find(|item| is_item(item, key))?;
            is_ours(item).then_some((*rule, item))
        }
    }
}

/// Whether a key of a field set means this list item: `k:<keys>` or `v:<value>`. A key that the item lacks has its default
/// (`protocol: TCP`).
pub(in super::super) fn is_item(item: &Value, key: &str) -> bool {
    if let Some(value) = key.strip_prefix("v:") {
        return serde_json::from_str::<Value>(value).is_ok_and(|value| value == *item);
    }
    let keys = key.strip_prefix("k:").map(serde_json::from_str::<Value>);
    let Some(Ok(Value::Object(keys))) = keys else {
        return false;
    };
    keys.iter()
        .all(|(name, value)| item.get(name).is_none_or(|found| found == value))
}

fn name(item: &Value) -> &str {
    item["name"].as_str().unwrap_or_default()
}

fn is_our_container(item: &Value) -> bool {
    name(item) == names::CONTAINER
}

fn is_our_variable(item: &Value) -> bool {
    made_here::is_variable(name(item))
}

fn is_our_port(item: &Value) -> bool {
    made_here::is_port(name(item))
}

fn is_our_volume(item: &Value) -> bool {
    made_here::is_volume(name(item))
}

/// A mount of a volume of ours, or at a path of ours.
fn is_our_mount(item: &Value) -> bool {
    made_here::is_volume(name(item)) || made_here::is_mount(item["mountPath"].as_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn labels_and_annotations_of_ours_move_and_those_of_others_stay() {
        let live = json!({"metadata": {
            "annotations": {"dittofs.io/applied-hash": "1", "dittofs.io/managed-annotations": "a,lb.example.org/kind", "a": "1", "lb.example.org/kind": "x", "mesh": "on"},
            "labels": {"app": "dittofs-server", "team": "x"},
        }});
        let of = |annotations: Value, labels: Value| json!({"f:metadata": {"f:annotations": annotations, "f:labels": labels}});
        let ours = of(
            json!({"f:a": {}, "f:dittofs.io/applied-hash": {}, "f:dittofs.io/managed-annotations": {}, "f:lb.example.org/kind": {}}),
            json!({"f:app": {}}),
        );
        let theirs = of(json!({".": {}, "f:mesh": {}}), json!({".": {}, "f:team": {}}));
        for kind in ["StatefulSet", "Service", "ConfigMap", "NetworkPolicy"] {
            let mut both = ours.clone();
            super::super::unite(&mut both, &theirs);
            let share = share(kind, &both, &live);
            assert_eq!(
                (share.moved, share.remaining),
                (ours.clone(), theirs.clone()),
                "{kind}"
            );
        }
    }

    #[test]
    fn known_parts_of_our_container_move_and_everything_else_stays() {
        let live = json!({"spec": {"template": {"spec": {
            "containers": [{"name": "mesh"}, {
                "name": "dittofs",
                "env": [{"name": "DITTOFS_CONTROLPLANE_SECRET"}, {"name": "MINE"}],
                "ports": [{"name": "api", "containerPort": 8080, "protocol": "TCP"}, {"name": "debug", "containerPort": 6060}],
                "volumeMounts": [{"name": "metrics-token", "mountPath": "/metrics-token"}, {"name": "mine", "mountPath": "/mine"}],
            }],
            "volumes": [{"name": "metrics-token"}, {"name": "mine"}],
        }}}});
        let of = |container: Value, volumes: Value, others: Value| {
            let mut fields = json!({"f:spec": {"f:template": {"f:spec": {
                "f:containers": {"k:{\"name\":\"dittofs\"}": container},
                "f:volumes": volumes,
            }}}});
            if !others.is_null() {
                fields["f:spec"]["f:template"]["f:spec"]["f:containers"]["k:{\"name\":\"mesh\"}"] = others;
            }
            fields
        };
        let ours = of(
            json!({
                "f:env": {"k:{\"name\":\"DITTOFS_CONTROLPLANE_SECRET\"}": {".": {}, "f:value": {}}},
                "f:ports": {"k:{\"containerPort\":8080,\"protocol\":\"TCP\"}": {".": {}, "f:name": {}}},
                "f:volumeMounts": {"k:{\"mountPath\":\"/metrics-token\"}": {".": {}}},
            }),
            json!({"k:{\"name\":\"metrics-token\"}": {".": {}, "f:secret": {}}}),
            Value::Null,
        );
        let theirs = of(
            json!({
                "f:env": {"k:{\"name\":\"MINE\"}": {".": {}, "f:value": {}}},
                "f:ports": {"k:{\"containerPort\":6060,\"protocol\":\"TCP\"}": {".": {}, "f:name": {}}},
                "f:volumeMounts": {"k:{\"mountPath\":\"/mine\"}": {".": {}}},
            }),
            json!({"k:{\"name\":\"mine\"}": {".": {}}}),
            json!({".": {}, "f:image": {}}),
        );
        let mut both = ours.clone();
        super::super::unite(&mut both, &theirs);
        let share = share("StatefulSet", &both, &live);
        assert_eq!(share.moved, ours);
        assert_eq!(share.remaining, theirs);
    }
}
