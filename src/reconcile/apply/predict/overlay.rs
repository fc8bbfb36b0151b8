//! Merges what is desired into an object, as server-side apply does, where the API server cannot be asked. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use serde_json::{Map, Value};

use super::super::managed_fields::is_item;

/// The object, with all that is desired. What others added stays. A map or list that is owned as a whole in `entries` is replaced as
/// a whole (`nodeSelector`).
pub(in super::super) fn overlaid(object: &Value, desired: &Value, entries: &[ManagedFieldsEntry]) -> Value {
    let owned = entries
        .iter()
        .filter_map(|entry| Some(&entry.fields_v1.as_ref()?.0));
    let mut overlaid = object.clone();
    overlay(&mut overlaid, desired, &owned.collect::<Vec<_>>());
    overlaid
}

fn overlay(object: &mut Value, desired: &Value, owned: &[&Value]) {
    match (object, desired) {
        (object, desired) if is_atomic(owned) => object.clone_from(desired),
        (Value::Object(object), Value::Object(desired)) => {
            for (name, value) in desired {
                let owned = below(owned, |key| key.strip_prefix("f:") == Some(name));
                overlay(object.entry(name).or_insert(Value::Null), value, &owned);
            }
        }
        (Value::Array(items), Value::Array(desired)) if desired.iter().all(|item| key(item).is_some()) => {
            for wanted in desired {
                match items.iter_mut().find(|item| key(item) == key(wanted)) {
                    Some(item) => {
                        let owned = below(owned, |key| key.starts_with("k:") && is_item(wanted, key));
                        overlay(item, wanted, &owned);
                    }
                    None => items.push(wanted.clone()),
                }
            }
        }
        (object, desired) => object.clone_from(desired),
    }
}

/// Whether field managers own a value as a whole, and nobody owns a part of it.
fn is_atomic(owned: &[&Value]) -> bool {
    let is_leaf = |fields: &&Value| fields.as_object().is_some_and(Map::is_empty);
    !owned.is_empty() && owned.iter().all(is_leaf)
}

fn below<'v>(owned: &[&'v Value], is_it: impl Fn(&str) -> bool) -> Vec<&'v Value> {
    let fields = owned.iter().filter_map(|fields| fields.as_object()).flatten();
    fields
        .filter(|(key, _)| is_it(key))
        .map(|(_, below)| below)
        .collect()
}

/// The key of a list item: the path of a mount, otherwise a name. A list with an item that has no key is replaced.
fn key(item: &Value) -> Option<&str> {
    item.get("mountPath").or_else(|| item.get("name"))?.as_str()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_desired_is_there_and_what_others_added_stays() {
        let live = json!({
            "containers": [{"name": "mesh"}, {
                "name": "dittofs", "image": "a", "args": ["x", "y"],
                "volumeMounts": [{"name": "data", "mountPath": "/a"}, {"name": "data", "mountPath": "/b"}],
            }],
            "nodeName": "n",
        });
        let desired = json!({
            "containers": [{
                "name": "dittofs", "image": "b", "args": ["z"],
                "volumeMounts": [{"name": "other", "mountPath": "/b"}, {"name": "data", "mountPath": "/c"}],
            }],
            "replicas": 1,
        });
        let expected = json!({
            "containers": [{"name": "mesh"}, {
                "name": "dittofs", "image": "b", "args": ["z"],
                "volumeMounts": [
                    {"name": "data", "mountPath": "/a"},
                    {"name": "other", "mountPath": "/b"},
                    {"name": "data", "mountPath": "/c"},
                ],
            }],
            "nodeName": "n",
            "replicas": 1,
        });
        assert_eq!(overlaid(&live, &desired, &[]), expected);
    }

    #[test]
    fn a_map_that_is_owned_as_a_whole_is_replaced() {
        let fields = json!({"f:nodeSelector": {}, "f:labels": {"f:ours": {}}, "f:items": {"k:{\"name\":\"a\"}": {"f:whole": {}}}});
        let entry = json!({"manager": "us", "operation": "Apply", "fieldsV1": fields});
        let live = json!({
            "nodeSelector": {"old": "1"}, "labels": {"ours": "1", "mesh": "on"},
            "items": [{"name": "a", "whole": {"old": "1"}, "other": {"kept": "1"}}],
        });
        let desired = json!({
            "nodeSelector": {"new": "1"}, "labels": {"ours": "2"},
            "items": [{"name": "a", "whole": {"new": "1"}, "other": {"new": "1"}}],
        });
        let expected = json!({
            "nodeSelector": {"new": "1"}, "labels": {"ours": "2", "mesh": "on"},
            "items": [{"name": "a", "whole": {"new": "1"}, "other": {"kept": "1", "new": "1"}}],
        });
        let entries = [serde_json::from_value(entry).unwrap()];
        assert_eq!(overlaid(&live, &desired, &entries), expected);
    }
}
