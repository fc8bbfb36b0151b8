//! One DittoServer as a line of the table. Pure.

use jiff::{SpanRound, Timestamp, Unit};
use kube::ResourceExt;
use kube::api::DynamicObject;
use serde_json::Value;

/// Stands for a value that is not there.
const NOTHING: &str = "-";

/// What the table shows of one DittoServer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub namespace: String,
    pub name: String,
    pub replicas: i64,
    pub ready_replicas: i64,
    pub phase: String,
    pub ready: String,
    pub database: String,
    pub endpoint: String,
    pub message: String,
    created: Option<Timestamp>,
    /// Whether the status is about the present specification.
    current: bool,
    deleting: bool,
}

impl Row {
    pub(super) fn of(server: &DynamicObject) -> Self {
        let status = &server.data["status"];
        let ready = condition(status, "Ready");
        let text = |value: &Value| value.as_str().unwrap_or(NOTHING).to_owned();
        let is_ready = ready["status"] == "True";
        Self {
            namespace: server.namespace().unwrap_or_default(),
            name: server.name_any(),
            replicas: server.data["spec"]["replicas"].as_i64().unwrap_or(1),
            ready_replicas: status["readyReplicas"].as_i64().unwrap_or(0),
            phase: text(&status["phase"]),
            ready: text(&ready["status"]),
            database: text(&condition(status, "DatabaseReady")["status"]),
            endpoint: endpoint(status),
            message: if is_ready {
                String::new()
            } else {
                ready["message"].as_str().unwrap_or("").to_owned()
            },
            created: server.metadata.creation_timestamp.as_ref().map(|time| time.0),
            current: status["observedGeneration"].as_i64() == server.metadata.generation,
            deleting: server.metadata.deletion_timestamp.is_some(),
        }
    }

    pub(super) fn key(&self) -> (&str, &str) {
        (&self.namespace, &self.name)
    }

    /// Whether there is nothing left to wait for: it is Ready, or it is stopped on purpose and says so.
    pub(super) fn is_settled(&self) -> bool {
        let stopped = self.replicas == 0 && self.ready_replicas == 0;
        self.current && !self.deleting && (self.ready == "True" || stopped)
    }

    /// Whether clients have an address.
    pub(super) fn has_endpoint(&self) -> bool {
        self.endpoint != NOTHING
    }

    /// Time since the creation, as kubectl shortens it.
    pub(super) fn age(&self, now: Timestamp) -> String {
        let Some(created) = self.created else {
            return NOTHING.to_owned();
        };
        let round = SpanRound::new().largest(Unit::Hour).smallest(Unit::Second);
        now.since(created).and_then(|span| span.round(round)).map_or_else(
            |_| NOTHING.to_owned(),
            |span| match (span.get_hours(), span.get_minutes()) {
                (0, 0) => format!("{}s", span.get_seconds()),
                (0, minutes) => format!("{minutes}m{}s", span.get_seconds()),
                (hours, minutes) => format!("{hours}h{minutes}m"),
            },
        )
    }
}

/// Where clients reach the first adapter.
fn endpoint(status: &Value) -> String {
    let endpoint = &status["endpoints"][0];
    match (endpoint["host"].as_str(), endpoint["port"].as_u64()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        _ => NOTHING.to_owned(),
    }
}

/// The condition of a type, or null.
pub(super) fn condition<'a>(status: &'a Value, kind: &str) -> &'a Value {
    let conditions = status["conditions"].as_array();
    conditions
        .and_then(|conditions| conditions.iter().find(|condition| condition["type"] == kind))
        .unwrap_or(&Value::Null)
}

#[cfg(test)]
mod tests {
    use kube::api::DynamicObject;
    use serde_json::{Value, json};

    use super::Row;

    fn row(spec: &Value, status: &Value) -> Row {
        let server: DynamicObject = serde_json::from_value(json!({
            "metadata": {"name": "one", "namespace": "ns", "generation": 2},
            "spec": spec, "status": status,
        }))
        .unwrap();
        Row::of(&server)
    }

    #[test]
    fn a_status_about_an_older_generation_is_not_settled() {
        let ready = json!([{"type": "Ready", "status": "True"}]);
        assert!(!row(&json!({}), &json!({"observedGeneration": 1, "conditions": ready})).is_settled());
        assert!(row(&json!({}), &json!({"observedGeneration": 2, "conditions": ready})).is_settled());
    }

    #[test]
    fn a_server_stopped_on_purpose_is_settled_once_its_pods_are_gone() {
        let spec = json!({"replicas": 0});
        assert!(row(&spec, &json!({"observedGeneration": 2})).is_settled());
        assert!(!row(&spec, &json!({"observedGeneration": 2, "readyReplicas": 1})).is_settled());
    }

    #[test]
    fn a_new_server_without_status_is_shown_and_not_settled() {
        let row = row(&json!({}), &json!({}));
        assert_eq!(
            (row.phase.as_str(), row.ready.as_str(), row.database.as_str()),
            ("-", "-", "-")
        );
        assert!(!row.is_settled() && !row.has_endpoint());
    }

    #[test]
    fn a_server_has_an_endpoint_once_its_status_has_an_address() {
        let endpoints = json!([{"protocol": "nfs", "host": "files.example", "port": 2049}]);
        assert!(row(&json!({}), &json!({"endpoints": endpoints})).has_endpoint());
    }
}
