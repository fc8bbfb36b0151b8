//! JSON merge patches (RFC 7386). Pure.

use serde_json::{Map, Value};

/// A merge patch that turns `before` into `after`: a field that is missing in `after` is `null` in the patch.
#[must_use]
pub fn between(before: &Value, after: &Value) -> Value {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            let removed = before.keys().filter(|key| !after.contains_key(*key));
            let mut patch: Map<String, Value> = removed.map(|key| (key.clone(), Value::Null)).collect();
            for (key, value) in after {
                patch.insert(
                    key.clone(),
                    between(before.get(key).unwrap_or(&Value::Null), value),
                );
            }
            Value::Object(patch)
        }
        (_, after) => after.clone(),
    }
}

/// Applies a merge patch.
pub fn merge(object: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        object.clone_from(patch);
        return;
    };
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    let Some(fields) = object.as_object_mut() else {
        return;
    };
    for (key, value) in patch {
        if value.is_null() {
            fields.remove(key);
        } else {
            merge(fields.entry(key).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_patch_between_two_objects_turns_one_into_the_other() {
        let before = json!({"a": 1, "b": {"c": 2, "d": 3}, "list": [1, 2], "same": {"x": 1}});
        let after = json!({"b": {"c": 4}, "list": [2], "same": {"x": 1}, "new": {"y": 1}});
        let mut patched = before.clone();
        merge(&mut patched, &between(&before, &after));
        assert_eq!(patched, after);
        assert_eq!(between(&before, &after)["a"], Value::Null);
    }
}
