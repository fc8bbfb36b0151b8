//! The events of a cleanup. The reasons are the Go operator's where the same is meant (contract, section 5).

use std::time::Duration;

use kube::runtime::events::{Event, EventType};

use super::plan::{Cleanup, TaskState};
use crate::api::percona::PerconaPGCluster;
use crate::domain::events::{database_kept, event};

/// Volumes and Secrets are deleted, as the policy says.
pub const DATA_DELETED: &str = "DataDeleted";
/// The database is deleted, as the policy says.
pub const PERCONA_DELETED: &str = "PerconaDeleted";
/// The finalizer was removed although the cleanup is not complete.
pub const CLEANUP_TIMEOUT: &str = "CleanupTimeout";

/// Nothing that holds data is deleted, because the user asked to keep the children.
pub const DATA_KEPT: &str = "DataKept";

/// The server is deleted with `--cascade=orphan`, and its policy does not apply.
#[must_use]
pub fn orphaned() -> Event {
    let note = "The DittoServer is deleted with --cascade=orphan, so its children are kept, and so are volumes, Secrets and database, although spec.storage.retention or spec.percona.deleteWithServer asks to delete them";
    event(EventType::Normal, DATA_KEPT, "Delete", note.into())
}

/// The events of one pass.
#[must_use]
pub fn of_pass(cleanup: &Cleanup) -> Vec<Event> {
    let of = |type_, reason, names: Vec<String>, why: &str| {
        (!names.is_empty()).then(|| event(type_, reason, "Delete", format!("{}: {why}", names.join(", "))))
    };
    let mut data = cleanup.in_state("PersistentVolumeClaim", &TaskState::Requested);
    data.extend(cleanup.in_state("Secret", &TaskState::Requested));
    let kept = cleanup.in_state(PerconaPGCluster::KIND, &TaskState::Kept);
    let events = [
        of(
            EventType::Warning,
            PERCONA_DELETED,
            cleanup.in_state(PerconaPGCluster::KIND, &TaskState::Requested),
            "deleted with its data, as spec.percona.deleteWithServer asks",
        ),
        kept.first().map(|cluster| database_kept(cluster)),
        of(
            EventType::Warning,
            DATA_DELETED,
            data,
            "deleted, as spec.storage.retention: Delete asks",
        ),
    ];
    events.into_iter().flatten().collect()
}

/// The finalizer is removed, and this is not done.
#[must_use]
pub fn timed_out(pending: &str, age: Duration) -> Event {
    let note = format!(
        "The finalizer was removed after {} s, although this is not done: {pending}. Delete it manually",
        age.as_secs()
    );
    event(EventType::Warning, CLEANUP_TIMEOUT, "Delete", note)
}
