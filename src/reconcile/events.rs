//! Events: they are handed to the [`Publisher`], which writes them in the background.

mod publisher;

use std::hash::{DefaultHasher, Hash, Hasher};

use kube::runtime::events::{Event, Recorder, Reporter};
use kube::{Client, Resource};
use tracing::Span;

use self::publisher::Batch;
pub use self::publisher::{Lanes, Publisher};

/// Source component of every event; the Go operator's name, so that filters on it still work.
const COMPONENT: &str = "dittoserver-controller";

/// A recorder that writes through `client`. It merges repeated events into a series.
fn recorder(client: &Client) -> Recorder {
    Recorder::new(
        client.clone(),
        Reporter {
            controller: COMPONENT.into(),
            instance: instance(),
        },
    )
}

/// The pod's name, which is its host name in Kubernetes.
fn instance() -> Option<String> {
    std::env::var("HOSTNAME").ok().filter(|name| !name.is_empty())
}

/// Publishes events about one server. They are written in the background, in this order.
#[tracing::instrument(name = "events", level = "debug", skip_all)]
pub fn publish<K: Resource<DynamicType = ()>>(publisher: &Publisher, server: &K, events: &[Event]) {
    if events.is_empty() {
        return;
    }
    for event in events {
        tracing::info!(reason = %event.reason, note = event.note.as_deref().unwrap_or_default(), "event");
    }
    publisher.send(Batch {
        server: server.object_ref(&()),
        events: events.iter().map(mergeable).collect(),
        span: Span::current(),
    });
}

/// The recorder merges events of one reason and action, whatever their notes say, and keeps the first note. So a hash of the
/// note is part of the action, which no tool shows: only identical events are merged.
fn mergeable(event: &Event) -> Event {
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
    fn only_identical_events_are_merged() {
        assert_eq!(mergeable(&event("a")).action, mergeable(&event("a")).action);
        assert_ne!(mergeable(&event("a")).action, mergeable(&event("b")).action);
    }
}
