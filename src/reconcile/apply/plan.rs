//! The writes of a dry run, as data: what `kubectl dittofs diff` shows.

use std::sync::{Mutex, PoisonError};

use serde_json::Value;

/// One write, and what it would do.
#[derive(Debug)]
pub struct Planned {
    /// Kind, as in `kubectl get <kind>`.
    pub kind: &'static str,
    /// Name, in the server's namespace.
    pub name: String,
    /// What would become of the object.
    pub change: Change,
}

/// What a write would do. Objects are JSON; no Secret is among them.
#[derive(Clone, Debug)]
pub enum Change {
    /// The object would be created.
    Create(Value),
    /// It would be changed.
    Update {
        /// The object as it is.
        before: Value,
        /// The object as the API server says it would be.
        after: Value,
        /// What the operator would send.
        desired: Value,
    },
    /// It would be deleted.
    Delete,
    /// It would be changed in this way. There is no text to compare, or it must not be shown.
    Other(String),
}

/// The writes of one dry run.
#[derive(Default)]
pub(super) struct Plan(Mutex<Vec<Planned>>);

impl Plan {
    pub(super) fn push(&self, planned: Planned) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(planned);
    }

    pub(super) fn into_planned(self) -> Vec<Planned> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}
