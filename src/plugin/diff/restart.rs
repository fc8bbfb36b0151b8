//! Whether the pod restarts, and why. Pure.

use serde_json::Value;

use crate::api::names;
use crate::domain::observed::Observed;
use crate::reconcile::apply::preview::{Change, Preview};

/// Reasons beyond this many are counted only.
const MOST_REASONS: usize = 6;
/// Longest value that is quoted.
const LONGEST_VALUE: usize = 80;

/// What becomes of the pod.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It runs on.
    RunsOn,
    /// There is none, and none comes.
    StaysAway,
    /// It is started.
    Starts,
    /// It is stopped.
    Stops,
    /// It is replaced, for these reasons.
    Restarts(Vec<String>),
    /// The API server did not say. The texts say what could not be read, and what that takes.
    Unknown(Vec<String>),
}

impl Fate {
    pub(super) fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown(_))
    }
}

/// Judges by the pod templates before and after. All that matters must have been read.
pub(super) fn fate(observed: &Observed, previews: &[Preview]) -> Fate {
    let mut stateful_sets = previews.iter().filter(|preview| preview.kind == "StatefulSet");
    let Some(stateful_set) = stateful_sets.next() else {
        return Fate::RunsOn;
    };
    let pod_goes = previews
        .iter()
        .any(|preview| preview.kind == "Pod" && matches!(preview.change, Change::Delete));
    let has_pod = observed.pods.found().is_some_and(|pods| !pods.is_empty());
    match &stateful_set.change {
        Change::Create(created) if replicas(created) == 0 => Fate::StaysAway,
        Change::Create(_) => Fate::Starts,
        Change::Update { before, after, .. } => match (replicas(before), replicas(after)) {
            (0, 0) => Fate::StaysAway,
            (0, _) => Fate::Starts,
            (_, 0) => Fate::Stops,
            _ => running(before, after, pod_goes, previews),
        },
        Change::Failed(_) => Fate::Unknown(Vec::new()),
        _ if pod_goes => Fate::Restarts(vec!["a volume was added that the running pod lacks".into()]),
        _ if has_pod => Fate::RunsOn,
        _ => Fate::StaysAway,
    }
}

/// Of a server that runs before and after.
fn running(before: &Value, after: &Value, pod_goes: bool, previews: &[Preview]) -> Fate {
    let template = "/spec/template";
    let empty = Value::Null;
    let one = before.pointer(template).unwrap_or(&empty);
    let other = after.pointer(template).unwrap_or(&empty);
    let mut reasons = Vec::new();
    differences(one, other, "", &mut reasons);
    if reasons.is_empty() && !pod_goes {
        return Fate::RunsOn;
    }
    let mut reasons: Vec<String> = reasons
        .into_iter()
        .map(|difference| difference.told(previews))
        .collect();
    if reasons.is_empty() {
        reasons.push("a volume was added that the running pod lacks".into());
    }
    if reasons.len() > MOST_REASONS {
        let more = reasons.split_off(MOST_REASONS).len();
        reasons.push(format!("and {more} more in the pod template"));
    }
    Fate::Restarts(reasons)
}

fn replicas(stateful_set: &Value) -> i64 {
    stateful_set["spec"]["replicas"].as_i64().unwrap_or(1)
}

/// One value that differs.
struct Difference {
    path: String,
    before: Value,
    after: Value,
}

impl Difference {
    fn told(&self, previews: &[Preview]) -> String {
        if self.path.ends_with(names::CONFIG_HASH_ANNOTATION) {
            return hash(previews);
        }
        match (quoted(&self.before), quoted(&self.after)) {
            (None, None) => self.path.clone(),
            (None, Some(after)) => format!("{}: {after} is added", self.path),
            (Some(before), None) => format!("{}: {before} is removed", self.path),
            (Some(before), Some(after)) => format!("{}: {before} → {after}", self.path),
        }
    }
}

/// What a changed hash means: it is over the configuration and the Secrets that the server reads at start.
fn hash(previews: &[Preview]) -> String {
    let writes = |kind: &str| {
        previews
            .iter()
            .any(|preview| preview.kind == kind && preview.change.is_write())
    };
    match (writes("ConfigMap"), writes("Secret")) {
        (true, _) => "the server reads its configuration at start, and config.yaml changes".into(),
        (false, true) => "the server reads a Secret at start that changes".into(),
        (false, false) => {
            "a Secret that the server reads at start is not the one that the pod was started with".into()
        }
    }
}

fn quoted(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) if text.chars().count() <= LONGEST_VALUE => Some(text.clone()),
        other => {
            let text = other.to_string();
            Some(if text.chars().count() <= LONGEST_VALUE {
                text
            } else {
                text.chars().take(LONGEST_VALUE).chain(['…']).collect()
            })
        }
    }
}

/// Every value that differs, by its path. Items with a name are matched by it.
fn differences(before: &Value, after: &Value, path: &str, found: &mut Vec<Difference>) {
    if before == after {
        return;
    }
    match (before, after) {
        (Value::Object(one), Value::Object(other)) => {
            let mut keys: Vec<&String> = one.keys().chain(other.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                let path = format!("{path}.{key}");
                differences(
                    &before[key.as_str()],
                    &after[key.as_str()],
                    path.trim_start_matches('.'),
                    found,
                );
            }
        }
        (Value::Array(one), Value::Array(other)) if named(one) && named(other) => {
            let mut names: Vec<&str> = one.iter().chain(other).filter_map(name).collect();
            names.sort_unstable();
            names.dedup();
            for wanted in names {
                let item = |items: &[Value]| {
                    let found = items.iter().find(|item| name(item) == Some(wanted));
                    found.cloned().unwrap_or(Value::Null)
                };
                differences(&item(one), &item(other), &format!("{path}[{wanted}]"), found);
            }
        }
        _ => found.push(Difference {
            path: path.to_owned(),
            before: before.clone(),
            after: after.clone(),
        }),
    }
}

fn name(item: &Value) -> Option<&str> {
    item["name"].as_str()
}

fn named(items: &[Value]) -> bool {
    items.iter().all(|item| name(item).is_some())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn differences_are_told_by_path_and_items_by_name() {
        let before = json!({"spec": {"containers": [{"name": "a", "image": "x:1", "env": [{"name": "E", "value": "1"}]}]}});
        let after = json!({"spec": {"containers": [{"name": "sidecar", "image": "s"}, {"name": "a", "image": "x:2", "env": []}]}});
        let mut found = Vec::new();
        differences(&before, &after, "", &mut found);
        let told: Vec<String> = found.iter().map(|difference| difference.told(&[])).collect();
        assert_eq!(
            told,
            [
                r#"spec.containers[a].env[E]: {"name":"E","value":"1"} is removed"#,
                "spec.containers[a].image: x:1 → x:2",
                r#"spec.containers[sidecar]: {"image":"s","name":"sidecar"} is added"#,
            ]
        );
    }
}
