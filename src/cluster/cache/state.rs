//! The states of the watches of one kind, one for each scope.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

/// The state of the watch of one kind in one namespace, or in all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchState {
    /// No answer yet.
    Starting,
    /// The store holds what the API server holds.
    Synced,
    /// The API server does not serve the kind: its CRD is not installed.
    NotServed,
    /// The watch fails. The text is that of the API server; it contains no object.
    Failing(String),
}

impl WatchState {
    /// Why the cache cannot tell whether an object exists.
    #[must_use]
    pub fn why(&self) -> &str {
        match self {
            Self::Failing(error) => error,
            Self::NotServed => "the API server does not serve the kind",
            Self::Starting | Self::Synced => "not read yet",
        }
    }
}

/// The state of each watch. A scope is a namespace, or `None` for all of them.
pub(super) type WatchStates = BTreeMap<Option<String>, WatchState>;

/// The progress of the watches of one kind. Independent of the type, so that several kinds can be awaited together.
#[derive(Clone, Debug)]
pub struct Progress(Arc<watch::Sender<WatchStates>>);

impl Progress {
    pub(super) fn new(states: Arc<watch::Sender<WatchStates>>) -> Self {
        Self(states)
    }

    /// Waits until every watch has answered, with a list or with an error.
    pub async fn answered(&self) {
        self.until(is_answered).await;
    }

    /// Waits until every watch is synced.
    pub async fn synced(&self) {
        self.until(|states| states.values().all(|state| *state == WatchState::Synced))
            .await;
    }

    /// Waits until the watch of one scope is synced at least.
    pub async fn partly_synced(&self) {
        self.until(is_partly_synced).await;
    }

    /// Waits until every watch has answered, and one of them is synced. A namespace that the operator may not read does not block
    /// the others; an operator that can read none is not ready.
    pub async fn ready(&self) {
        self.until(|states| is_answered(states) && is_partly_synced(states))
            .await;
    }

    async fn until(&self, holds: impl Fn(&WatchStates) -> bool) {
        // An error means that the sender is gone, but `self` keeps it.
        let _ = self.0.subscribe().wait_for(|states| holds(states)).await;
    }
}

fn is_answered(states: &WatchStates) -> bool {
    states.values().all(|state| *state != WatchState::Starting)
}

fn is_partly_synced(states: &WatchStates) -> bool {
    states.values().any(|state| *state == WatchState::Synced)
}
