//! Whether the pod restarts, and why. Pure.

use serde_json::Value;

use super::previews::{Change, Preview};
use crate::api::names;
use crate::domain::observed::Observed;
use crate::domain::volumes;
use crate::reconcile::apply::dry_run;

/// Reasons beyond this many are counted only.
const MOST_REASONS: usize = 6;
/// Longest value that is quoted.
const LONGEST_VALUE: usize = 80;

/// What becomes of the pod.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It keeps running.
    RunsOn,
    /// There is none, and none is started.
    StaysAway,
    /// It is started.
    Starts,
    /// It is stopped.
    Stops,
    /// It is replaced, for these reasons.
    Restarts(Vec<String>),
    /// It is unknown. The texts say what could not be read, and which permission that needs.
    Unknown(Vec<String>),
}

impl Effect {
    pub(super) fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown(_))
    }
}

/// Judges by the pod templates before and after. All that matters must have been read.
pub(super) fn effect(observed: &Observed, previews: &[Preview]) -> Effect {
    let mut stateful_sets = previews.iter().filter(|preview| preview.kind == "StatefulSet");
    let Some(stateful_set) = stateful_sets.next() else {
        return Effect::RunsOn;
    };
    let is_deleted = previews
        .iter()
        .any(|preview| preview.kind == "Pod" && preview.change.is_delete());
    let pod_deleted = is_deleted.then(|| why_deleted(observed));
    let has_pod = observed.pods.found().is_some_and(|pods| !pods.is_empty());
    match &stateful_set.change {
        Change::Write(dry_run::Change::Create(created)) if replicas(created) == 0 => Effect::StaysAway,
        Change::Write(dry_run::Change::Create(_)) => Effect::Starts,
        Change::Write(dry_run::Change::Update { before, after, .. }) => {
            match (replicas(before), replicas(after)) {
                (0, 0) => Effect::StaysAway,
                (0, _) => Effect::Starts,
                (_, 0) => Effect::Stops,
                _ => running(before, after, pod_deleted, previews),
            }
        }
        Change::Failed(_) => Effect::Unknown(Vec::new()),
        _ => match pod_deleted {
            Some(why) => Effect::Restarts(vec![why.into()]),
            None if has_pod => Effect::RunsOn,
            None => Effect::StaysAway,
        },
    }
}

/// Why the operator would delete the pod itself.
fn why_deleted(observed: &Observed) -> &'static str {
    let live = observed.stateful_set.found();
    if live.is_some_and(|live| volumes::pod_without_volume(observed, live).is_some()) {
        "a volume was added that the running pod lacks"
    } else {
        "the pod is not ready, and it blocks the rollout of a new revision"
    }
}

/// Of a server that runs before and after.
fn running(before: &Value, after: &Value, pod_deleted: Option<&str>, previews: &[Preview]) -> Effect {
    let template = "/spec/template";
    let empty = Value::Null;
    let one = before.pointer(template).unwrap_or(&empty);
    let other = after.pointer(template).unwrap_or(&empty);
    let mut reasons = Vec::new();
    differences(one, other, "", &mut reasons);
    if reasons.is_empty() && pod_deleted.is_none() {
        return Effect::RunsOn;
    }
    let mut reasons: Vec<String> = reasons
        .into_iter()
        .map(|difference| difference.text(previews))
        .collect();
    if reasons.is_empty() {
        reasons.extend(pod_deleted.map(str::to_owned));
    }
    if reasons.len() > MOST_REASONS {
        let more = reasons.split_off(MOST_REASONS).len();
        reasons.push(format!("and {more} more in the pod template"));
    }
    Effect::Restarts(reasons)
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
    fn text(&self, previews: &[Preview]) -> String {
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
    fn differences_are_shown_by_path_and_items_by_name() {
        let before = json!({"spec": {"containers": [{"name": "a", "image": "x:1", "env": [{"name": "E", "value": "1"}]}]}});
        let after = json!({"spec": {"containers": [{"name": "sidecar", "image": "s"}, {"name": "a", "image": "x:2", "env": []}]}});
        let mut found = Vec::new();
        differences(&before, &after, "", &mut found);
        let texts: Vec<String> = found.iter().map(|difference| difference.text(&[])).collect();
        assert_eq!(
            texts,
            [
                r#"spec.containers[a].env[E]: {"name":"E","value":"1"} is removed"#,
                "spec.containers[a].image: x:1 → x:2",
                r#"spec.containers[sidecar]: {"image":"s","name":"sidecar"} is added"#,
            ]
        );
    }
}
