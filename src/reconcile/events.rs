//! The I/O half of events: hands them to the API server.

use std::hash::{DefaultHasher, Hash, Hasher};

use kube::runtime::events::{Event, Recorder, Reporter};
use kube::{Client, Resource};

use crate::api::DittoServer;
use crate::cluster::client::errors::is_namespace_terminating;
use crate::reconcile::context::Context;

/// Source component of every event; the Go operator's name, so that filters on it go on working.
const COMPONENT: &str = "dittoserver-controller";

/// A recorder that writes through `client`. It folds repeats into a series.
#[must_use]
pub fn recorder(client: &Client) -> Recorder {
    Recorder::new(
        client.clone(),
        Reporter {
            controller: COMPONENT.into(),
            instance: instance(),
        },
    )
}

/// The pod's name, which Kubernetes gives it as host name.
fn instance() -> Option<String> {
    std::env::var("HOSTNAME").ok().filter(|name| !name.is_empty())
}

/// Publishes events about one server. An event that cannot be written is logged and dropped: it must not hold up the
/// reconcile, and the status tells the same.
#[tracing::instrument(name = "events", level = "debug", skip_all)]
pub async fn publish(context: &Context, server: &DittoServer, story: &[Event]) {
    let reference = server.object_ref(&());
    for event in story {
        tracing::info!(reason = %event.reason, note = event.note.as_deref().unwrap_or_default(), "event");
        if let Err(error) = context.recorder.publish(&foldable(event), &reference).await {
            // In a namespace that is being deleted nothing can be told any more.
            if is_namespace_terminating(&error) {
                return;
            }
            tracing::warn!(%error, reason = %event.reason, "an event could not be written");
        }
    }
}

/// The recorder folds events of one reason and action, whatever their notes say, and keeps the first note. So the action,
/// which no tool shows, also tells the notes apart: only true repeats are folded.
fn foldable(event: &Event) -> Event {
    let mut hasher = DefaultHasher::new();
    event.note.hash(&mut hasher);
    Event {
        type_: event.type_,
        reason: event.reason.clone(),
        action: format!("{}-{:08x}", event.action, hasher.finish() & 0xffff_ffff),
        note: event.note.clone(),
        secondary: event.secondary.clone(),
    }
}

#[cfg(test)]
mod tests {
    use kube::runtime::events::EventType;

    use super::*;

    fn event(note: &str) -> Event {
        Event {
            type_: EventType::Normal,
            reason: "Created".into(),
            action: "Create".into(),
            note: Some(note.into()),
            secondary: None,
        }
    }

    #[test]
    fn only_true_repeats_are_folded() {
        assert_eq!(foldable(&event("a")).action, foldable(&event("a")).action);
        assert_ne!(foldable(&event("a")).action, foldable(&event("b")).action);
    }
}
