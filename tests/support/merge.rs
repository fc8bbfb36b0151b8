//! Merges JSON. The fuzz targets, which are a program of their own, use it too.

use serde_json::Value;

/// Merges `from` into `into`, as a merge patch without deletions.
pub fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, from) => from.clone_into(into),
    }
}
