//! The cleanup of a deleted server: which objects its policy deletes and keeps, and the events about it.

pub mod events;
pub mod plan;

/// What the status reports about a server's finalizer and cleanup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Why the finalizer is not as the server's policy needs it.
    pub finalizer_error: Option<String>,
    /// What a deleted server waits for.
    pub pending: Option<String>,
}
