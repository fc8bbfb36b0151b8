//! The calls of the operator, read from the API server's audit log.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::PathBuf;

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

/// The part of an API server's audit log that concerns one namespace, from a point in time on.
#[derive(Clone, Debug)]
pub struct AuditLog {
    path: PathBuf,
    namespace: String,
    /// Bytes of the log at the start. All tests share the log, and it becomes long.
    from: u64,
}

impl AuditLog {
    /// From now on.
    pub fn of(control_plane: &ControlPlane, namespace: &str) -> Self {
        let path = control_plane.audit_log().to_path_buf();
        let from = path.metadata().map_or(0, |metadata| metadata.len());
        Self {
            path,
            namespace: namespace.to_owned(),
            from,
        }
    }

    /// Every finished call that the operator made, in the order of the log.
    pub fn calls(&self) -> Vec<Call> {
        let events = self.events();
        events
            .iter()
            .filter_map(|event| call(event, &self.namespace))
            .collect()
    }

    /// The writes among them, except events, which change no desired state.
    pub fn writes(&self) -> Vec<Call> {
        let mut calls = self.calls();
        calls.retain(|call| call.is_write() && call.resource != "events");
        calls
    }

    /// The writes of the operator with this identity that the API server carried out, in the order of receipt. Leases are
    /// left out: they are the election itself.
    pub fn landed(&self, identity: &str) -> Vec<Landed> {
        let events = self.events();
        let of_identity = events.iter().filter(|event| {
            event["userAgent"]
                .as_str()
                .is_some_and(|agent| agent.contains(identity))
        });
        let mut landed: Vec<Landed> = of_identity
            .filter_map(|event| landed(event, &self.namespace))
            .collect();
        landed.sort_by_key(|write| write.received);
        landed
    }

    /// Who wrote the StatefulSets and pods, and when. A failed test of restarts prints this.
    pub fn write_history(&self) -> String {
        let events = self.events();
        let mut lines: Vec<String> = events
            .iter()
            .filter_map(|event| write_line(event, &self.namespace))
            .collect();
        lines.sort();
        lines.join("\n")
    }

    /// Only lines that may concern this namespace are parsed as JSON.
    pub fn events(&self) -> Vec<Value> {
        let mut file = File::open(&self.path).expect("an audit log");
        file.seek(SeekFrom::Start(self.from)).expect("a position in it");
        let lines = BufReader::new(file).split(b'\n');
        lines
            .map(|line| String::from_utf8_lossy(&line.expect("a line of it")).into_owned())
            .filter(|line| line.contains(&self.namespace))
            .filter_map(|line| serde_json::from_str(&line).ok())
            .collect()
    }
}

fn call(event: &Value, namespace: &str) -> Option<Call> {
    let text = |value: &Value| value.as_str().map(str::to_owned).unwrap_or_default();
    // A dry run changes nothing.
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
    pub what: String,
    /// When the API server received it.
    pub received: Timestamp,
    /// When it was answered.
    pub answered: Timestamp,
}

fn landed(event: &Value, namespace: &str) -> Option<Landed> {
    let call = call(event, namespace)?;
    let is_landed = call.is_write() && call.code < 400 && call.resource != "leases";
    let time = |value: &Value| value.as_str().and_then(|text| text.parse().ok());
    is_landed.then_some(Landed {
        what: format!("{} {}/{}", call.verb, call.resource, call.name),
        received: time(&event["requestReceivedTimestamp"])?,
        answered: time(&event["stageTimestamp"])?,
    })
}

fn write_line(event: &Value, namespace: &str) -> Option<String> {
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
