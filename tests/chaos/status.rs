//! Whether the conditions of a server are consistent in each status that was written.

use std::collections::BTreeMap;

use serde_json::Value;

const ALWAYS: [&str; 4] = ["Ready", "Available", "ConfigReady", "Progressing"];

/// The rules that the statuses break, in the order in which they were written.
pub fn inconsistent(servers: &[Value]) -> Vec<String> {
    let mut last: BTreeMap<&str, &Value> = BTreeMap::new();
    let mut broken = Vec::new();
    for server in servers {
        let uid = server["metadata"]["uid"].as_str().unwrap_or_default();
        let status = &server["status"];
        let rules = alone(status)
            .into_iter()
            .chain(after(last.get(uid).copied(), status));
        broken.extend(rules.map(|rule| format!("{rule} in {status}")));
        last.insert(uid, status);
    }
    broken
}

fn conditions(status: &Value) -> BTreeMap<&str, &Value> {
    let conditions = status["conditions"].as_array().into_iter().flatten();
    conditions
        .filter_map(|condition| Some((condition["type"].as_str()?, condition)))
        .collect()
}

/// Rules of one status.
fn alone(status: &Value) -> Vec<String> {
    let conditions = conditions(status);
    let mut broken = Vec::new();
    for type_ in ALWAYS.iter().filter(|type_| !conditions.contains_key(**type_)) {
        broken.push(format!("{type_} is missing"));
    }
    for (type_, condition) in &conditions {
        if condition["observedGeneration"] != status["observedGeneration"] {
            broken.push(format!("{type_} is about another generation than the status"));
        }
        if condition["reason"].as_str().is_none_or(str::is_empty) {
            broken.push(format!("{type_} has no reason"));
        }
    }
    let is = |type_: &str, wanted: &str| conditions.get(type_).is_some_and(|is| is["status"] == wanted);
    let is_overdue = conditions
        .get("Progressing")
        .is_some_and(|is| is["reason"] == "ProgressDeadlineExceeded");
    let is_met = is("ConfigReady", "True")
        && is("Available", "True")
        && is("Progressing", "False")
        && !is_overdue
        && (is("DatabaseReady", "True") || !conditions.contains_key("DatabaseReady"));
    if is_met != is("Ready", "True") {
        broken.push("Ready does not follow from the other conditions".to_owned());
    }
    broken.extend(phase(status));
    broken
}

fn phase(status: &Value) -> Option<String> {
    let (ready, wanted) = (status["readyReplicas"].as_i64(), status["replicas"].as_i64());
    let is_running = ready == wanted && wanted > Some(0);
    let is_consistent = match status["phase"].as_str()? {
        "Running" => is_running,
        "Stopped" => wanted == Some(0),
        "Pending" | "Failed" => !is_running,
        _ => true,
    };
    (!is_consistent).then(|| "the phase does not follow from the replicas".to_owned())
}

/// Rules of a status and the one before it.
fn after(before: Option<&Value>, status: &Value) -> Vec<String> {
    let Some(before) = before else {
        return Vec::new();
    };
    let mut broken = Vec::new();
    if before["observedGeneration"].as_i64() > status["observedGeneration"].as_i64() {
        broken.push("the generation goes back".to_owned());
    }
    let old = conditions(before);
    for (type_, condition) in conditions(status) {
        let Some(old) = old.get(type_) else { continue };
        let is_same_time = old["lastTransitionTime"] == condition["lastTransitionTime"];
        if old["status"] == condition["status"] && !is_same_time {
            broken.push(format!("{type_} has a new time, and not a new status"));
        }
        if old["lastTransitionTime"].as_str() > condition["lastTransitionTime"].as_str() {
            broken.push(format!("the time of {type_} goes back"));
        }
    }
    broken
}

#[test]
fn a_ready_server_that_is_not_available_is_inconsistent() {
    let condition = |type_: &str, status: &str| {
        serde_json::json!({"type": type_, "status": status, "reason": "R", "observedGeneration": 1,
            "lastTransitionTime": "2026-01-01T00:00:00Z"})
    };
    let server = |available: &str| {
        serde_json::json!({"metadata": {"uid": "u"}, "status": {"observedGeneration": 1, "conditions": [
            condition("Ready", "True"), condition("Available", available), condition("ConfigReady", "True"),
            condition("Progressing", "False")]}})
    };
    assert!(inconsistent(&[server("True"), server("True")]).is_empty());
    assert_eq!(inconsistent(&[server("False")]).len(), 1);
}
