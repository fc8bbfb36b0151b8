//! What to report when not everything is Ready in time.

use k8s_openapi::api::core::v1::Event;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt};

use super::operator::Operator;
use super::row::Row;
use crate::percona::PerconaPGCluster;

/// How many Warning events are quoted, the last ones.
const EVENTS: usize = 10;

/// Lines about what is not ready: the servers, their databases, Warning events, the operator's log.
/// What cannot be read is left out: this is already the report of a failure.
pub(super) async fn of(client: &Client, rows: &[Row], operator: Option<&Operator>) -> String {
    let mut lines = Vec::new();
    if rows.is_empty() {
        lines.push("there is no DittoServer".to_owned());
    }
    for row in rows.iter().filter(|row| !row.is_settled()) {
        lines.push(format!(
            "DittoServer {}/{}: phase {}, Ready {}, DatabaseReady {}: {}",
            row.namespace, row.name, row.phase, row.ready, row.database, row.message
        ));
    }
    let databases = Api::<PerconaPGCluster>::all(client.clone())
        .list(&ListParams::default())
        .await;
    for database in databases.into_iter().flatten() {
        let state = database
            .status
            .as_ref()
            .map_or("unknown", |status| status.state.as_str());
        lines.push(format!("PerconaPGCluster {}: {state}", database.name_any()));
    }
    let warnings = ListParams::default().fields("type=Warning");
    let events = Api::<Event>::all(client.clone()).list(&warnings).await;
    let events: Vec<_> = events.into_iter().flatten().collect();
    for event in &events[events.len().saturating_sub(EVENTS)..] {
        let object = &event.involved_object;
        lines.push(format!(
            "Warning {} on {} {}: {}",
            event.reason.as_deref().unwrap_or("-"),
            object.kind.as_deref().unwrap_or("-"),
            object.name.as_deref().unwrap_or("-"),
            event.message.as_deref().unwrap_or("-")
        ));
    }
    if let Some(operator) = operator {
        lines.push(format!("the end of the operator's log:\n{}", operator.log_tail()));
    }
    lines.join("\n")
}
