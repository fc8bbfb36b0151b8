//! What the operator called, read from the API server's audit log.

use std::collections::BTreeMap;

use jiff::Timestamp;
use local_control_plane::ControlPlane;
use serde_json::Value;

/// One finished call.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// create, patch, get, list, watch, …
    pub verb: String,
    /// Resource and subresource: `dittoservers/status`.
    pub resource: String,
    /// Name of the object, if the call has one.
    pub name: String,
    /// HTTP status code of the answer.
    pub code: i64,
}

impl Call {
    /// Whether the call could change something.
    pub fn is_write(&self) -> bool {
        !matches!(self.verb.as_str(), "get" | "list" | "watch")
    }
}

/// Every finished call that the operator made in a namespace, in the order of the log.
pub fn calls(control_plane: &ControlPlane, namespace: &str) -> Vec<Call> {
    let events = events(control_plane, namespace);
    events.iter().filter_map(|event| call(event, namespace)).collect()
}

/// The log is that of all tests: only the lines that may be of this namespace are worth reading as JSON.
fn events(control_plane: &ControlPlane, namespace: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(control_plane.audit_log()).expect("an audit log");
    text.lines()
        .filter(|line| line.contains(namespace))
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

fn call(event: &Value, namespace: &str) -> Option<Call> {
    let text = |value: &Value| value.as_str().map(str::to_owned).unwrap_or_default();
    // A dry run asks and changes nothing.
    let asks_only = text(&event["requestURI"]).contains("dryRun=All");
    let by_operator = text(&event["userAgent"]).starts_with("dittofs-operator/");
    let object = &event["objectRef"];
    if !by_operator || event["stage"] != "ResponseComplete" || object["namespace"] != namespace {
        return None;
    }
    let subresource = object["subresource"]
        .as_str()
        .map(|name| format!("/{name}"))
        .unwrap_or_default();
    Some(Call {
        verb: if asks_only {
            "get".into()
        } else {
            text(&event["verb"])
        },
        resource: format!("{}{subresource}", text(&object["resource"])),
        name: text(&object["name"]),
        code: event["responseStatus"]["code"].as_i64().unwrap_or_default(),
    })
}

/// A write that the API server carried out.
#[derive(Clone, Debug)]
pub struct Landed {
    /// Verb, resource and name.
    #[expect(dead_code, reason = "a failed test prints it")]
    pub what: String,
    /// When the API server received it.
    pub received: Timestamp,
    /// When it was answered.
    pub answered: Timestamp,
}

/// The writes of the operator with this identity that the API server carried out in a namespace, in the order of receipt.
/// Those about Leases are left out: they are the election itself.
pub fn landed(control_plane: &ControlPlane, namespace: &str, identity: &str) -> Vec<Landed> {
    let text = std::fs::read_to_string(control_plane.audit_log()).expect("an audit log");
    let events = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let of_identity = events.filter(|event| {
        event["userAgent"]
            .as_str()
            .is_some_and(|agent| agent.contains(identity))
    });
    let time = |value: &Value| value.as_str().and_then(|text| text.parse().ok());
    let mut landed: Vec<Landed> = of_identity
        .filter_map(|event| {
            let call = call(&event, namespace)?;
            let is_landed = call.is_write() && call.code < 400 && call.resource != "leases";
            is_landed.then_some(Landed {
                what: format!("{} {}/{}", call.verb, call.resource, call.name),
                received: time(&event["requestReceivedTimestamp"])?,
                answered: time(&event["stageTimestamp"])?,
            })
        })
        .collect();
    landed.sort_by_key(|write| write.received);
    landed
}

/// The writes among them, events left out: they tell of writes and change no desired state.
pub fn writes(control_plane: &ControlPlane, namespace: &str) -> Vec<Call> {
    let mut calls = calls(control_plane, namespace);
    calls.retain(|call| call.is_write() && call.resource != "events");
    calls
}

/// Who wrote the StatefulSets and pods of a namespace, and when: what a failed test of restarts prints.
pub fn story(control_plane: &ControlPlane, namespace: &str) -> String {
    let events = events(control_plane, namespace);
    let mut lines: Vec<String> = events.iter().filter_map(|event| told(event, namespace)).collect();
    lines.sort();
    lines.join("\n")
}

fn told(event: &Value, namespace: &str) -> Option<String> {
    let object = &event["objectRef"];
    let is_write = !matches!(event["verb"].as_str(), Some("get" | "list" | "watch"));
    let is_part = matches!(object["resource"].as_str(), Some("pods" | "statefulsets"));
    let is_told =
        is_write && is_part && object["namespace"] == namespace && event["stage"] == "ResponseComplete";
    let part = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let answer = &event["responseObject"]["metadata"];
    is_told.then(|| {
        format!(
            "{} {} {} {}/{} {}: {} (uid {}, revision {})",
            part(&event["requestReceivedTimestamp"]),
            part(&event["user"]["username"]),
            part(&event["verb"]),
            part(&object["resource"]),
            part(&object["subresource"]),
            part(&object["name"]),
            event["responseStatus"]["code"],
            part(&answer["uid"]),
            part(&answer["labels"]["controller-revision-hash"]),
        )
    })
}

/// How many calls of each verb and resource.
pub fn count(calls: &[Call]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for call in calls {
        *counts
            .entry(format!("{} {}", call.verb, call.resource))
            .or_insert(0) += 1;
    }
    counts
}
