//! Merges what is desired into an object, as server-side apply does, where the API server cannot be asked. Pure.

use serde_json::Value;

/// The object, with all that is desired. What others added stays.
pub(in super::super) fn overlaid(object: &Value, desired: &Value) -> Value {
    let mut overlaid = object.clone();
    overlay(&mut overlaid, desired);
    overlaid
}

fn overlay(object: &mut Value, desired: &Value) {
    match (object, desired) {
        (Value::Object(object), Value::Object(desired)) => {
            for (key, value) in desired {
                overlay(object.entry(key).or_insert(Value::Null), value);
            }
        }
        (Value::Array(items), Value::Array(desired)) if desired.iter().all(|item| key(item).is_some()) => {
            for wanted in desired {
                match items.iter_mut().find(|item| key(item) == key(wanted)) {
                    Some(item) => overlay(item, wanted),
                    None => items.push(wanted.clone()),
                }
            }
        }
        (object, desired) => object.clone_from(desired),
    }
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
        assert_eq!(overlaid(&live, &desired), expected);
    }
}
