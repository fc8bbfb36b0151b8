//! Removes the fields of an object that are ours and no longer desired. Pure.
//!
//! Field sets have the form of `managedFields`: `f:<name>` is a field, `k:<keys>` an item of a list with keys, `v:<value>`
//! one of a set, `.` the node itself. See the Kubernetes documentation of server-side apply.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use serde_json::Value;

use super::super::managed_fields::is_item as is;

/// Takes out of `object` what the entry of `manager` owns, no other entry owns, and `desired` lacks.
pub(super) fn prune(object: &mut Value, entries: &[ManagedFieldsEntry], desired: &Value, manager: &str) {
    let fields = |entry: &ManagedFieldsEntry| entry.fields_v1.as_ref().map(|fields| fields.0.clone());
    let is_ours = |entry: &&ManagedFieldsEntry| {
        entry.manager.as_deref() == Some(manager) && entry.subresource.is_none()
    };
    let ours: Vec<Value> = entries.iter().filter(is_ours).filter_map(fields).collect();
    let others = entries.iter().filter(|entry| !is_ours(entry));
    let others: Vec<Value> = others.filter_map(fields).collect();
    let others: Vec<&Value> = others.iter().collect();
    for owned in &ours {
        prune_at(object, owned, &others, desired);
    }
}

fn prune_at(object: &mut Value, owned: &Value, others: &[&Value], desired: &Value) {
    for (key, below) in owned.as_object().into_iter().flatten() {
        let theirs: Vec<&Value> = others.iter().filter_map(|other| other.get(key)).collect();
        let wanted = child(desired, key);
        match wanted {
            None if theirs.is_empty() => remove(object, key),
            wanted => {
                if let Some(object) = child_mut(object, key) {
                    prune_at(object, below, &theirs, wanted.unwrap_or(&Value::Null));
                }
            }
        }
    }
}

fn child<'v>(object: &'v Value, key: &str) -> Option<&'v Value> {
    if let Some(name) = key.strip_prefix("f:") {
        return object.get(name);
    }
    object.as_array()?.iter().find(|item| is(item, key))
}

fn child_mut<'v>(object: &'v mut Value, key: &str) -> Option<&'v mut Value> {
    if let Some(name) = key.strip_prefix("f:") {
        return object.get_mut(name);
    }
    object.as_array_mut()?.iter_mut().find(|item| is(item, key))
}

fn remove(object: &mut Value, key: &str) {
    match (object, key.strip_prefix("f:")) {
        (Value::Object(object), Some(name)) => {
            object.remove(name);
        }
        (Value::Array(items), None) if key != "." => items.retain(|item| !is(item, key)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(manager: &str, fields: &Value) -> ManagedFieldsEntry {
        serde_json::from_value(
            json!({"manager": manager, "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": fields}),
        )
        .unwrap()
    }

    #[test]
    fn what_is_ours_and_no_longer_desired_goes_and_what_is_of_others_stays() {
        let mut object = json!({
            "metadata": {"annotations": {"gone": "1", "kept": "2", "mesh": "on", "shared": "3"}},
            "spec": {"ports": [{"port": 1, "protocol": "TCP"}, {"port": 2, "protocol": "TCP"}], "sessionAffinity": "None"},
        });
        let ours = json!({
            "f:metadata": {"f:annotations": {".": {}, "f:gone": {}, "f:kept": {}, "f:shared": {}}},
            "f:spec": {
                "f:ports": {".": {}, "k:{\"port\":1,\"protocol\":\"TCP\"}": {".": {}}, "k:{\"port\":2,\"protocol\":\"TCP\"}": {".": {}}},
                "f:sessionAffinity": {},
            },
        });
        let theirs = json!({"f:metadata": {"f:annotations": {"f:mesh": {}, "f:shared": {}}}});
        let desired = json!({"metadata": {"annotations": {"kept": "2"}}, "spec": {"ports": [{"port": 2}]}});
        let entries = [entry("us", &ours), entry("mesh", &theirs)];
        prune(&mut object, &entries, &desired, "us");
        assert_eq!(
            object,
            json!({
                "metadata": {"annotations": {"kept": "2", "mesh": "on", "shared": "3"}},
                "spec": {"ports": [{"port": 2, "protocol": "TCP"}]},
            })
        );
    }
}
