//! Fields of the API of a server: those that a spec declares, and those of them that the server does not have.

use serde_json::{Map, Value};

/// The fields that have a value.
pub(crate) fn present<const COUNT: usize>(fields: [(&str, Option<Value>); COUNT]) -> Map<String, Value> {
    let present = fields
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    present.collect()
}

/// The declared fields that the server does not have.
pub(crate) fn differing(mut declared: Map<String, Value>, live: &Value) -> Map<String, Value> {
    declared.retain(|name, value| live.get(name) != Some(value));
    declared
}
