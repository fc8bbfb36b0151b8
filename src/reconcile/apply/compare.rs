//! Whether the cluster already holds what is desired. Pure.
//!
//! A child is compared before it is applied, so that nothing is written without a change. Every desired field must have the
//! same value in the live object. Fields that only the live object has belong to others (defaults, an autoscaler, a mesh) and
//! do not count. A field that *left* the desired object cannot be seen this way; the annotation `dittofs.io/applied-hash`
//! shows it.

use serde_json::{Map, Value};

use crate::api::quantity;

/// Whether `live` holds all of `desired`.
///
/// Lists whose items have a `name` (containers, ports, volumes, variables) are matched by name, as the API server
/// merges them; others are compared item by item.
#[must_use]
pub fn holds(live: &Value, desired: &Value) -> bool {
    holds_at(live, desired, "")
}

fn holds_at(live: &Value, desired: &Value, key: &str) -> bool {
    match (live, desired) {
        (Value::Object(live), Value::Object(desired)) => holds_object(live, desired, key),
        (Value::Array(live), Value::Array(desired)) => holds_list(live, desired, key),
        // The API server drops empty maps and lists.
        (Value::Null, desired) => is_empty(desired),
        (Value::String(live), Value::String(desired)) => live == desired || same_quantity(live, desired, key),
        _ => live == desired,
    }
}

/// `parent` is the name of the map itself: the values in `requests` and `limits` are quantities.
fn holds_object(live: &Map<String, Value>, desired: &Map<String, Value>, parent: &str) -> bool {
    desired.iter().all(|(key, wanted)| {
        let context = if is_quantity_map(parent) {
            parent
        } else {
            key.as_str()
        };
        holds_at(live.get(key).unwrap_or(&Value::Null), wanted, context)
    })
}

fn holds_list(live: &[Value], desired: &[Value], key: &str) -> bool {
    // A set: others may add items.
    if key == "finalizers" {
        return desired.iter().all(|finalizer| live.contains(finalizer));
    }
    if let Some(names) = names(desired) {
        return names.iter().zip(desired).all(|(name, wanted)| {
            let found = live
                .iter()
                .find(|item| item.get("name").and_then(Value::as_str) == Some(name));
            found.is_some_and(|found| holds_at(found, wanted, key))
        });
    }
    live.len() == desired.len()
        && live
            .iter()
            .zip(desired)
            .all(|(live, desired)| holds_at(live, desired, key))
}

/// The names of the items, if every item has one.
fn names(items: &[Value]) -> Option<Vec<&str>> {
    let names: Option<Vec<&str>> = items
        .iter()
        .map(|item| item.get("name").and_then(Value::as_str))
        .collect();
    names.filter(|names| !names.is_empty())
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.values().all(is_empty),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

fn is_quantity_map(key: &str) -> bool {
    matches!(key, "requests" | "limits")
}

/// The API server rewrites a quantity to its canonical form: `1024Mi` comes back as `1Gi`.
fn same_quantity(live: &str, desired: &str, key: &str) -> bool {
    is_quantity_map(key)
        && quantity::nanos(live).is_some()
        && quantity::nanos(live) == quantity::nanos(desired)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    // invariant: 12
    #[test]
    fn fields_of_others_do_not_count() {
        let live = json!({"spec": {"replicas": 1, "clusterIP": "10.0.0.1"}, "metadata": {"annotations": {"mesh": "on"}}});
        assert!(holds(&live, &json!({"spec": {"replicas": 1}})));
    }

    #[test]
    fn finalizers_of_others_do_not_count() {
        let live = json!({"metadata": {"finalizers": ["theirs", "ours"]}});
        assert!(holds(&live, &json!({"metadata": {"finalizers": ["ours"]}})));
        assert!(!holds(
            &live,
            &json!({"metadata": {"finalizers": ["ours", "new"]}})
        ));
    }

    #[test]
    fn a_changed_field_counts() {
        assert!(!holds(
            &json!({"spec": {"replicas": 2}}),
            &json!({"spec": {"replicas": 1}})
        ));
    }

    #[test]
    fn a_missing_field_counts_unless_it_is_empty() {
        assert!(!holds(&json!({}), &json!({"spec": {"replicas": 1}})));
        assert!(holds(
            &json!({}),
            &json!({"resources": {"limits": {}}, "args": []})
        ));
    }

    #[test]
    fn a_sidecar_that_a_mesh_injected_is_left_alone() {
        let live = json!([{"name": "mesh"}, {"name": "dittofs", "image": "a", "pullPolicy": "Always"}]);
        assert!(holds(&live, &json!([{"name": "dittofs", "image": "a"}])));
        assert!(!holds(&live, &json!([{"name": "dittofs", "image": "b"}])));
        assert!(!holds(&live, &json!([{"name": "other"}])));
    }

    #[test]
    fn a_list_without_names_is_compared_whole() {
        assert!(!holds(&json!(["a", "b"]), &json!(["a"])));
        assert!(holds(&json!(["a"]), &json!(["a"])));
    }

    #[test]
    fn a_quantity_in_another_form_is_the_same_quantity() {
        let live = json!({"resources": {"requests": {"storage": "1Gi", "cpu": "500m"}}});
        assert!(holds(
            &live,
            &json!({"resources": {"requests": {"storage": "1024Mi", "cpu": "0.5"}}})
        ));
        assert!(!holds(
            &live,
            &json!({"resources": {"requests": {"storage": "2Gi"}}})
        ));
    }

    #[test]
    fn text_that_looks_like_a_quantity_is_text() {
        assert!(!holds(
            &json!({"data": {"a": "1Gi"}}),
            &json!({"data": {"a": "1024Mi"}})
        ));
    }
}
