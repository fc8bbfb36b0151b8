//! Which field managers own a field of a live object. Pure.

use serde_json::Value;

use super::managed_fields::is_item;

/// The field managers that own a field of a live object, by its path: the others, or ours if only that one owns it. Another program
/// may use our name.
pub(super) fn managers(live: &Value, path: &str, ours: &str) -> Vec<String> {
    let entries = live["metadata"]["managedFields"].as_array();
    let entries = entries.into_iter().flatten();
    let mut managers: Vec<String> = entries
        .filter(|entry| owns(&entry["fieldsV1"], live, path))
        .filter_map(|entry| entry["manager"].as_str().map(str::to_owned))
        .collect();
    managers.sort_unstable();
    managers.dedup();
    if managers.len() > 1 {
        managers.retain(|manager| manager != ours);
    }
    managers
}

/// Whether a field set contains a path of the live object.
fn owns(fields: &Value, live: &Value, path: &str) -> bool {
    let (mut node, mut live) = (fields, live);
    for segment in segments(path) {
        let below = below(node, live, segment);
        live = part(live, segment);
        match below {
            Some(below) => node = below,
            // A list without names, or an atomic field: whoever owns the field above owns it.
            None => {
                return node
                    .as_object()
                    .is_some_and(|node| node.is_empty() || node.keys().all(|key| key == "."));
            }
        }
    }
    true
}

/// The field set below a segment: of a field, or of a list item by its key.
fn below<'v>(node: &'v Value, live: &Value, segment: &str) -> Option<&'v Value> {
    if !live.is_array() {
        return node.get(format!("f:{segment}"));
    }
    let item = part(live, segment);
    let mut keys = node.as_object()?.iter();
    keys.find(|(key, _)| is_item(item, key)).map(|(_, below)| below)
}

/// The part of a live object that a segment means: a field, or a list item by its name or index.
fn part<'v>(live: &'v Value, segment: &str) -> &'v Value {
    let Value::Array(items) = live else {
        return live.get(segment).unwrap_or(&Value::Null);
    };
    let named = items.iter().find(|item| item["name"] == segment);
    let indexed = || items.get(segment.parse::<usize>().ok()?);
    named.or_else(indexed).unwrap_or(&Value::Null)
}

fn segments(path: &str) -> Vec<&str> {
    let mut segments = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let (segment, after) = inner.split_once(']').unwrap_or((inner, ""));
            segments.push(segment);
            rest = after;
        } else {
            rest = rest.trim_start_matches('.');
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            segments.push(&rest[..end]);
            rest = &rest[end..];
        }
    }
    segments
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_other_field_manager_is_found_by_the_path() {
        let entries = json!([
            {"manager": "ports", "fieldsV1": {"f:spec": {"f:ports": {"k:{\"port\":9090,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}}}}}},
            {"manager": "policies", "fieldsV1": {"f:spec": {"f:ingress": {}}}},
            {"manager": "us", "fieldsV1": {"f:metadata": {"f:annotations": {"f:dittofs.io/applied-hash": {}}}, "f:spec": {"f:template": {"f:spec": {"f:terminationGracePeriodSeconds": {}}}}}},
            {"manager": "tuner", "fieldsV1": {"f:spec": {"f:template": {"f:spec": {"f:terminationGracePeriodSeconds": {}}}}}},
            {"manager": "mirror", "fieldsV1": {"f:spec": {"f:template": {"f:spec": {"f:containers": {
                "k:{\"name\":\"dittofs\"}": {"f:image": {}},
            }}}}}},
        ]);
        let live = json!({
            "metadata": {"managedFields": entries, "annotations": {"dittofs.io/applied-hash": "x"}},
            "spec": {
                "ports": [{"name": "api", "port": 9090, "protocol": "TCP"}],
                "ingress": [{"ports": [{"port": 1}]}],
                "template": {"spec": {"terminationGracePeriodSeconds": 7, "containers": [{"name": "mesh"}, {"name": "dittofs", "image": "x"}]}},
            },
        });
        for (path, expected) in [
            ("spec.template.spec.terminationGracePeriodSeconds", &["tuner"][..]),
            ("spec.template.spec.containers[dittofs].image", &["mirror"]),
            ("spec.ports[api].port", &["ports"]),
            ("spec.ingress[0].ports[0].port", &["policies"]),
            ("metadata.annotations[dittofs.io/applied-hash]", &["us"]),
            ("spec.replicas", &[]),
        ] {
            assert_eq!(managers(&live, path, "us"), expected, "{path}");
        }
    }
}
