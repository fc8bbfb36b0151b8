//! The parts of a child that only this operator makes. Pure.
//!
//! They are known by name: the server's container with its probes and its known ports, variables and mounts, the known volumes of
//! the pod, the ports of a Service, labels and annotations of ours. Annotations that a user asks for in the spec are listed in an
//! annotation of the child. Everything else (sidecars, other variables and annotations) belongs to whoever set it.

use serde_json::{Map, Value};

use super::Share;
use crate::api::names;
use crate::domain::compare::Difference;
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
    Items(List, &'static Rule),
}

/// A list of which some items are ours.
#[derive(Clone, Copy)]
enum List {
    Containers,
    Mounts,
    Ports,
    ServicePorts,
    Variables,
    Volumes,
}

impl List {
    fn is_ours(self, item: &Value) -> bool {
        let name = name(item);
        match self {
            Self::Containers => name == names::CONTAINER,
            // A mount of a volume of ours, or at a path of ours.
            Self::Mounts => made_here::is_volume(name) || self.is_leftover(item),
            Self::Ports => made_here::is_port(name),
            Self::ServicePorts => made_here::is_service_port(name),
            Self::Variables => made_here::is_variable(name),
            Self::Volumes => made_here::is_volume(name),
        }
    }

    /// Whether an item of ours that is not desired has to go. A user may mount a volume of ours at another path.
    fn is_leftover(self, item: &Value) -> bool {
        match self {
            Self::Mounts => made_here::is_mount(item["mountPath"].as_str().unwrap_or_default()),
            _ => true,
        }
    }

    /// The item of another list that has the same key.
    fn same<'v>(self, items: &'v Value, item: &Value) -> Option<&'v Value> {
        let key = if matches!(self, Self::Mounts) {
            "mountPath"
        } else {
            "name"
        };
        items.as_array()?.iter().find(|other| other[key] == item[key])
    }
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
    ("env", Items(List::Variables, &Whole)),
    ("lifecycle", Whole),
    ("livenessProbe", Whole),
    ("ports", Items(List::Ports, &Whole)),
    ("readinessProbe", Whole),
    ("resources", Whole),
    ("securityContext", Whole),
    ("startupProbe", Whole),
    ("volumeMounts", Items(List::Mounts, &Whole)),
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
                    ("containers", Items(List::Containers, &CONTAINER)),
                    ("securityContext", Whole),
                    ("volumes", Items(List::Volumes, &Whole)),
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
            ("ports", Items(List::ServicePorts, &Whole)),
            ("selector", Whole),
        ]),
    ),
]);
const CONFIG_MAP: Rule = Fields(&[
    METADATA,
    ("binaryData", Fields(&[(names::CONFIG_KEY, Whole)])),
    ("data", Fields(&[(names::CONFIG_KEY, Whole)])),
]);
/// A kind whose spec is ours as a whole.
const WHOLE_SPEC: Rule = Fields(&[METADATA, ("spec", Whole)]);

fn rule(kind: &str) -> &'static Rule {
    match kind {
        "StatefulSet" => &STATEFUL_SET,
        "Service" => &SERVICE,
        "ConfigMap" => &CONFIG_MAP,
        "NetworkPolicy" | "PodDisruptionBudget" | "ServiceMonitor" => &WHOLE_SPEC,
        _ => &Fields(&[]),
    }
}

/// Splits the fields of another manager.
pub(super) fn share(kind: &str, fields: &Value, live: &Value) -> Share {
    let mut remaining = fields.clone();
    let moved = take(&mut remaining, live, rule(kind));
    Share { moved, remaining }
}

/// Splits the fields of another manager: only those of [`leftovers`] are ours.
pub(super) fn share_of_leftovers(kind: &str, fields: &Value, live: &Value, desired: &Value) -> Share {
    let mut remaining = fields.clone();
    let moved = take_leftovers(&mut remaining, live, desired, rule(kind));
    Share { moved, remaining }
}

/// The live list items that have a name of ours and are not desired, each as a difference without a desired value. Another program
/// put them there, or put them back.
pub(in super::super) fn leftovers(kind: &str, live: &Value, desired: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    find_leftovers(live, desired, rule(kind), "", &mut found);
    found
}

fn find_leftovers(live: &Value, desired: &Value, rule: &Rule, path: &str, found: &mut Vec<Difference>) {
    match rule {
        Whole | Keys(_) => {}
        Fields(fields) => {
            for (field, rule) in *fields {
                let path = format!("{path}.{field}");
                find_leftovers(&live[field], &desired[field], rule, &path, found);
            }
        }
        Items(list, rule) => {
            let ours = live.as_array().into_iter().flatten();
            for item in ours.filter(|item| list.is_ours(item)) {
                let path = format!("{path}[{}]", name(item))
                    .trim_start_matches('.')
                    .to_owned();
                match list.same(desired, item) {
                    Some(desired) => find_leftovers(item, desired, rule, &path, found),
                    None if list.is_leftover(item) => found.push(Difference {
                        path,
                        live: item.clone(),
                        desired: Value::Null,
                    }),
                    None => {}
                }
            }
        }
    }
}

/// Takes what a rule names out of a field set. A field that is left without content is removed.
fn take(fields: &mut Value, live: &Value, rule: &Rule) -> Value {
    if matches!(rule, Whole) {
        return fields
            .as_object_mut()
            .map_or(Value::Null, |set| Value::Object(std::mem::take(set)));
    }
    take_each(fields, |key, inner| {
        let (rule, live) = below(rule, live, key)?;
        let is_leaf = super::is_empty(inner);
        let taken = take(inner, live, rule);
        (is_leaf || !super::is_empty(&taken)).then_some(taken)
    })
}

/// As [`take`], for list items that are not desired.
fn take_leftovers(fields: &mut Value, live: &Value, desired: &Value, rule: &Rule) -> Value {
    take_each(fields, |key, inner| {
        let (below_rule, live) = below(rule, live, key)?;
        let desired = match rule {
            Items(list, _) => list.same(desired, live),
            _ => Some(&desired[key.strip_prefix("f:")?]),
        };
        let taken = match (desired, rule) {
            (Some(desired), _) => take_leftovers(inner, live, desired, below_rule),
            (None, Items(list, _)) if list.is_leftover(live) => return Some(std::mem::take(inner)),
            (None, _) => return None,
        };
        (!super::is_empty(&taken)).then_some(taken)
    })
}

/// Moves what `take` takes of each key of a field set into another one.
fn take_each(fields: &mut Value, take: impl Fn(&str, &mut Value) -> Option<Value>) -> Value {
    let mut moved = Map::new();
    let Some(set) = fields.as_object_mut() else {
        return Value::Null;
    };
    set.retain(|key, inner| {
        let taken = take(key, inner);
        let is_emptied = taken.is_some() && inner.as_object().is_none_or(Map::is_empty);
        moved.extend(taken.map(|taken| (key.clone(), taken)));
        !is_emptied
    });
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
        Items(list, rule) => {
            let items = live.as_array()?;
            let item = items.iter().find(|item| is_item(item, key))?;
            list.is_ours(item).then_some((*rule, item))
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
        for kind in [
            "StatefulSet",
            "Service",
            "ConfigMap",
            "NetworkPolicy",
            "ServiceMonitor",
        ] {
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

    #[test]
    fn only_items_with_a_name_of_ours_that_are_not_desired_are_left_over() {
        let live = json!({"spec": {
            "ports": [{"name": "nfs", "port": 2049}, {"name": "portmap", "port": 111}, {"name": "mine", "port": 5}],
            "selector": {"app": "x"},
        }});
        let desired = json!({"spec": {"ports": [{"name": "nfs", "port": 12049}]}});
        let found = leftovers("Service", &live, &desired);
        let paths: Vec<&str> = found.iter().map(|difference| difference.path.as_str()).collect();
        assert_eq!(paths, ["spec.ports[portmap]"]);
        let of = |ports: Value| json!({"f:spec": {"f:ports": ports}});
        let (nfs, portmap) = (
            "k:{\"port\":2049,\"protocol\":\"TCP\"}",
            "k:{\"port\":111,\"protocol\":\"TCP\"}",
        );
        let mut fields = of(json!({nfs: {"f:name": {}}, portmap: {".": {}, "f:name": {}}}));
        fields["f:spec"]["f:selector"] = json!({});
        let share = share_of_leftovers("Service", &fields, &live, &desired);
        assert_eq!(share.moved, of(json!({portmap: {".": {}, "f:name": {}}})));
        let mut remaining = of(json!({nfs: {"f:name": {}}}));
        remaining["f:spec"]["f:selector"] = json!({});
        assert_eq!(share.remaining, remaining);
    }

    #[test]
    fn a_mount_of_a_volume_of_ours_at_a_path_of_the_user_is_not_left_over() {
        let pod = |mounts: Value| json!({"spec": {"template": {"spec": {"containers": [{"name": "dittofs", "volumeMounts": mounts}, {"name": "mesh"}]}}}});
        let live = pod(
            json!([{"name": "metadata", "mountPath": "/mine"}, {"name": "metrics-token", "mountPath": "/metrics-token"}]),
        );
        let found = leftovers("StatefulSet", &live, &pod(json!([])));
        let paths: Vec<&str> = found.iter().map(|difference| difference.path.as_str()).collect();
        assert_eq!(
            paths,
            ["spec.template.spec.containers[dittofs].volumeMounts[metrics-token]"]
        );
    }
}
