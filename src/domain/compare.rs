//! Whether the cluster already holds what is desired. Pure.
//!
//! A child is compared before it is applied, so that nothing is written without a change. Every desired field must have the
//! same value in the live object. Fields that only the live object has belong to others (defaults, an autoscaler, a mesh) and
//! do not count. A field that *left* the desired object cannot be seen this way; the annotation `dittofs.io/applied-hash`
//! shows it.

use std::fmt;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::api::quantity;

/// Quantities are compared in thousandths.
const NANOS_PER_MILLI: u128 = 1_000_000;

/// Whether `live` holds all of `desired`.
#[must_use]
pub fn holds(live: &Value, desired: &Value) -> bool {
    differences(live, desired).is_empty()
}

/// The value of the annotation `dittofs.io/applied-hash`: 16 hex digits over a desired object as JSON, without that annotation.
///
/// # Errors
/// When the object cannot be serialized.
pub fn applied_hash(desired: &Value) -> serde_json::Result<String> {
    const BYTES: usize = 8;
    let digest = Sha256::digest(serde_json::to_vec(desired)?);
    let number = digest
        .iter()
        .take(BYTES)
        .fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    Ok(format!("{number:016x}"))
}

/// A desired field that the live object does not have, or has with another value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where: `spec.template.spec.containers[dittofs].image`.
    pub path: String,
    /// The live value; `null` if there is none.
    pub live: Value,
    /// The desired value.
    pub desired: Value,
}

/// Longest value that is quoted.
const LONGEST_VALUE: usize = 80;

/// The field, with both values if they are short.
impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (live, desired) = (self.live.to_string(), self.desired.to_string());
        if live.len().max(desired.len()) > LONGEST_VALUE {
            formatter.write_str(&self.path)
        } else {
            write!(formatter, "{} is {live} instead of {desired}", self.path)
        }
    }
}

/// Every field that is desired and not live.
///
/// Lists whose items have a `name` (containers, ports, volumes, variables) are matched by name, as the API server
/// merges them; others are compared item by item.
#[must_use]
pub fn differences(live: &Value, desired: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare(live, desired, &Place::WHOLE, &mut found);
    found
}

/// Whether the data of a ConfigMap differs.
#[must_use]
pub fn has_other_data(differences: &[Difference]) -> bool {
    let is_data = |difference: &Difference| difference.path.split(['.', '[']).next() == Some("data");
    differences.iter().any(is_data)
}

/// Where a value is. Its path is written only for a difference.
#[derive(Clone, Copy)]
struct Place<'a> {
    /// The place of the map or list that has the value, and the step from there; none for the whole object.
    step: Option<(&'a Place<'a>, Step<'a>)>,
    /// The field's name; within quantities, the name of their map (`requests`, `limits`).
    key: &'a str,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Field(&'a str),
    Named(&'a str),
    Numbered(usize),
}

impl<'a> Place<'a> {
    const WHOLE: Place<'static> = Place { step: None, key: "" };

    fn field(&'a self, name: &'a str) -> Self {
        let key = if is_quantity_map(self.key) { self.key } else { name };
        let step = Some((self, Step::Field(name)));
        Self { step, key }
    }

    fn item(&'a self, step: Step<'a>) -> Self {
        Self {
            step: Some((self, step)),
            key: self.key,
        }
    }

    fn path(&self) -> String {
        let Some((parent, step)) = self.step else {
            return String::new();
        };
        let path = parent.path();
        match step {
            Step::Field(name) if name.contains(['.', '/']) => format!("{path}[{name}]"),
            Step::Field(name) if path.is_empty() => name.to_owned(),
            Step::Field(name) => format!("{path}.{name}"),
            Step::Named(name) => format!("{path}[{name}]"),
            Step::Numbered(number) => format!("{path}[{number}]"),
        }
    }
}

fn compare(live: &Value, desired: &Value, place: &Place<'_>, found: &mut Vec<Difference>) {
    let is_same = match (live, desired) {
        (Value::Object(live), Value::Object(desired)) => {
            for (name, wanted) in desired {
                let live = live.get(name).unwrap_or(&Value::Null);
                compare(live, wanted, &place.field(name), found);
            }
            return;
        }
        (Value::Array(live), Value::Array(desired)) => match compare_lists(live, desired, place, found) {
            Some(is_same) => is_same,
            None => return,
        },
        // The API server drops empty maps and lists.
        (Value::Null, desired) => is_empty(desired),
        (Value::String(live), Value::String(desired)) => {
            live == desired || same_quantity(live, desired, place.key)
        }
        _ => live == desired,
    };
    if !is_same {
        found.push(Difference {
            path: place.path(),
            live: live.clone(),
            desired: desired.clone(),
        });
    }
}

/// Whether two lists are the same; `None` if the items were compared one by one.
fn compare_lists(
    live: &[Value],
    desired: &[Value],
    place: &Place<'_>,
    found: &mut Vec<Difference>,
) -> Option<bool> {
    // A set: others may add items.
    if place.key == "finalizers" {
        return Some(desired.iter().all(|finalizer| live.contains(finalizer)));
    }
    if let Some(names) = names(desired) {
        for (name, wanted) in names.into_iter().zip(desired) {
            let item = live
                .iter()
                .find(|item| item.get("name").and_then(Value::as_str) == Some(name));
            let place = place.item(Step::Named(name));
            compare(item.unwrap_or(&Value::Null), wanted, &place, found);
        }
        return None;
    }
    if live.len() != desired.len() {
        return Some(false);
    }
    for (index, (live, desired)) in live.iter().zip(desired).enumerate() {
        compare(live, desired, &place.item(Step::Numbered(index)), found);
    }
    None
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

/// The API server rounds a quantity up to thousandths, and rewrites it to its canonical form: `62.5m` comes back as `63m`,
/// `1024Mi` as `1Gi`.
fn same_quantity(live: &str, desired: &str, key: &str) -> bool {
    let stored = |text: &str| {
        let nanos = u128::try_from(quantity::nanos(text)?).ok()?;
        Some(nanos.div_ceil(NANOS_PER_MILLI))
    };
    is_quantity_map(key) && stored(live).is_some() && stored(live) == stored(desired)
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
    fn a_difference_names_the_field_and_both_values() {
        let live = json!({"spec": {"containers": [{"name": "dittofs", "image": "b"}], "args": ["x", "z"]}, "metadata": {"annotations": {}}});
        let desired = json!({
            "spec": {"containers": [{"name": "dittofs", "image": "a"}], "args": ["x", "y"]},
            "metadata": {"annotations": {"dittofs.io/hash": "1"}},
        });
        let paths: Vec<String> = differences(&live, &desired)
            .into_iter()
            .map(|found| found.path)
            .collect();
        assert_eq!(
            paths,
            [
                "metadata.annotations[dittofs.io/hash]",
                "spec.args[1]",
                "spec.containers[dittofs].image",
            ]
        );
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
    fn a_quantity_is_compared_as_the_api_server_rounds_it() {
        let holds = |live: &str, desired: &str| {
            holds(
                &json!({"resources": {"limits": {"cpu": live}}}),
                &json!({"resources": {"limits": {"cpu": desired}}}),
            )
        };
        assert!(holds("63m", "0.0625"));
        assert!(holds("1m", "100u"));
        assert!(holds("1501m", "1.5001"));
        assert!(!holds("62m", "0.0625"));
    }

    #[test]
    fn text_that_looks_like_a_quantity_is_text() {
        assert!(!holds(
            &json!({"data": {"a": "1Gi"}}),
            &json!({"data": {"a": "1024Mi"}})
        ));
    }
}
