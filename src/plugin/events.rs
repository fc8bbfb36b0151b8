//! The events about a server and its children.

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use kube::api::ListParams;
use kube::{Api, Client};
use serde::Serialize;

/// One event, as `kubectl describe` shows it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EventView {
    /// When it happened last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) time: Option<Timestamp>,
    /// `Normal` or `Warning`.
    pub(super) r#type: String,
    pub(super) reason: String,
    /// Kind and name of the object.
    pub(super) object: String,
    pub(super) message: String,
    pub(super) count: i32,
}

/// All events of a namespace about these objects (`Kind/name`), oldest first.
pub(super) async fn about(
    client: &Client,
    namespace: &str,
    objects: &BTreeSet<String>,
) -> kube::Result<Vec<Event>> {
    let api: Api<Event> = Api::namespaced(client.clone(), namespace);
    let mut events = api.list(&ListParams::default()).await?.items;
    events.retain(|event| objects.contains(&object(event)));
    events.sort_by_key(time);
    Ok(events)
}

/// The last `count` of them.
pub(super) fn last(events: &[Event], count: usize) -> Vec<EventView> {
    let first = events.len().saturating_sub(count);
    events[first..].iter().map(view).collect()
}

fn view(event: &Event) -> EventView {
    let series = event.series.as_ref().and_then(|series| series.count);
    EventView {
        time: time(event),
        r#type: event.type_.clone().unwrap_or_default(),
        reason: event.reason.clone().unwrap_or_default(),
        object: object(event),
        message: event.message.clone().unwrap_or_default(),
        count: series.or(event.count).unwrap_or(1).max(1),
    }
}

fn object(event: &Event) -> String {
    let about = &event.involved_object;
    format!(
        "{}/{}",
        about.kind.as_deref().unwrap_or_default(),
        about.name.as_deref().unwrap_or_default()
    )
}

/// The time of an event. Different event recorders write it to different fields.
fn time(event: &Event) -> Option<Timestamp> {
    let series = event
        .series
        .as_ref()
        .and_then(|series| series.last_observed_time.as_ref());
    series
        .map(|time| time.0)
        .or_else(|| event.last_timestamp.as_ref().map(|time| time.0))
        .or_else(|| event.event_time.as_ref().map(|time| time.0))
        .or_else(|| event.metadata.creation_timestamp.as_ref().map(|time| time.0))
}
