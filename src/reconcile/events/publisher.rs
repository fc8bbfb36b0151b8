//! Writes events in the background, so that no reconcile waits for them.
//!
//! Each server has one lane, in which its events are written in their order. The lanes work at the same time.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, Recorder};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};

use super::recorder;
use crate::cluster::client::errors::is_namespace_terminating;

const LANES: usize = 4;
/// Reconciles whose events may wait in one lane. When it is full, events are dropped: the log and the status say the same.
const LONGEST_QUEUE: usize = 1024;

/// The events of one reconcile.
pub(super) struct Batch {
    pub(super) server: ObjectReference,
    pub(super) events: Vec<Event>,
    /// The span of the reconcile, for log lines and traces. It ends once the events are written.
    pub(super) span: Span,
}

/// Takes events.
pub struct Publisher(Vec<Sender<Batch>>);

/// The tasks that write events.
pub struct Lanes {
    tasks: Vec<JoinHandle<()>>,
    stop: CancellationToken,
}

impl Publisher {
    /// Starts the tasks, which write through `client`. They end with [`Lanes::flush`], or when the publisher is dropped.
    #[must_use]
    pub fn start(client: &Client) -> (Self, Lanes) {
        let stop = CancellationToken::new();
        let (mut senders, mut tasks) = (Vec::new(), Vec::new());
        for _ in 0..LANES {
            let (sender, queue) = mpsc::channel(LONGEST_QUEUE);
            senders.push(sender);
            // A recorder merges only events of the same server, so each lane has its own.
            tasks.push(tokio::spawn(write_all(recorder(client), queue, stop.clone())));
        }
        (Self(senders), Lanes { tasks, stop })
    }

    /// One that drops all events, for commands.
    #[must_use]
    pub fn idle() -> Self {
        Self(Vec::new())
    }

    /// Hands over the events of one reconcile. Never waits.
    pub(super) fn send(&self, batch: Batch) {
        let Some(lane) = self.lane(&batch.server) else {
            return;
        };
        if let Err(error) = lane.try_send(batch) {
            tracing::warn!(%error, "events are dropped: the API server does not accept them fast enough");
        }
    }

    fn lane(&self, server: &ObjectReference) -> Option<&Sender<Batch>> {
        let mut hasher = DefaultHasher::new();
        (&server.namespace, &server.name).hash(&mut hasher);
        let lanes = u64::try_from(self.0.len()).unwrap_or_default();
        let lane = hasher.finish().checked_rem(lanes)?;
        self.0.get(usize::try_from(lane).ok()?)
    }
}

impl Lanes {
    /// Writes the events that wait, for this time at most. Later ones are dropped.
    pub async fn flush(self, longest: Duration) {
        self.stop.cancel();
        if tokio::time::timeout(longest, join_all(self.tasks)).await.is_err() {
            tracing::warn!("the last events could not be written in time");
        }
    }
}

/// One lane. After `stop` it writes what waits, and ends.
async fn write_all(recorder: Recorder, mut queue: Receiver<Batch>, stop: CancellationToken) {
    loop {
        let batch = tokio::select! {
            biased;
            batch = queue.recv() => batch,
            () = stop.cancelled() => {
                queue.close();
                queue.recv().await
            }
        };
        let Some(Batch { server, events, span }) = batch else {
            return;
        };
        write(&recorder, &server, &events).instrument(span).await;
    }
}

/// An event that cannot be written is logged and dropped: the status reports the same.
async fn write(recorder: &Recorder, server: &ObjectReference, events: &[Event]) {
    for event in events {
        if let Err(error) = recorder.publish(event, server).await {
            // In a namespace that is being deleted no event can be created.
            if is_namespace_terminating(&error) {
                return;
            }
            tracing::warn!(%error, reason = %event.reason, "an event could not be written");
        }
    }
}

#[cfg(test)]
mod tests;
