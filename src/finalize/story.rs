//! The events of a cleanup. The reasons are the Go operator's where the same is meant (contract, section 5).

use std::time::Duration;

use kube::runtime::events::{Event, EventType};

use super::plan::{Cleanup, Fate};
use crate::api::percona::PerconaPGCluster;
use crate::events::event;

/// Data was asked to go, as the policy says.
pub const DATA_DELETED: &str = "DataDeleted";
/// The database was asked to go, as the policy says.
pub const PERCONA_DELETED: &str = "PerconaDeleted";
/// The database stays and no longer follows the server.
pub const PERCONA_ORPHANED: &str = "PerconaOrphaned";
/// The server goes although not everything is done.
pub const CLEANUP_TIMEOUT: &str = "CleanupTimeout";

/// What one pass did.
pub(super) fn of_pass(cleanup: &Cleanup) -> Vec<Event> {
    let tell = |type_, reason, names: Vec<String>, why: &str| {
        (!names.is_empty()).then(|| event(type_, reason, "Delete", format!("{}: {why}", names.join(", "))))
    };
    let mut data = cleanup.named("PersistentVolumeClaim", &Fate::Asked);
    data.extend(cleanup.named("Secret", &Fate::Asked));
    let events = [
        tell(
            EventType::Warning,
            PERCONA_DELETED,
            cleanup.named(PerconaPGCluster::KIND, &Fate::Asked),
            "deleted with its data, as spec.percona.deleteWithServer asks",
        ),
        tell(
            EventType::Normal,
            PERCONA_ORPHANED,
            cleanup.named(PerconaPGCluster::KIND, &Fate::Released),
            "stays, with its data and Secrets; a DittoServer of the same name takes it up again",
        ),
        tell(
            EventType::Warning,
            DATA_DELETED,
            data,
            "deleted, as spec.storage.retention: Delete asks",
        ),
    ];
    events.into_iter().flatten().collect()
}

/// The server goes, and this is left.
pub(super) fn timed_out(left: &str, age: Duration) -> Event {
    let note = format!(
        "The DittoServer goes after {} s although this is not done: {left}. Look after it by hand",
        age.as_secs()
    );
    event(EventType::Warning, CLEANUP_TIMEOUT, "Delete", note)
}
