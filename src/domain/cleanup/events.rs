//! The events of a cleanup. The reasons are the Go operator's where the same is meant (contract, section 5).

use std::time::Duration;

use kube::runtime::events::{Event, EventType};

use super::plan::{Cleanup, Fate};
use crate::api::percona::PerconaPGCluster;
use crate::domain::events::{database_kept, event};

/// Data was asked to go, as the policy says.
pub const DATA_DELETED: &str = "DataDeleted";
/// The database was asked to go, as the policy says.
pub const PERCONA_DELETED: &str = "PerconaDeleted";
/// The server goes although not everything is done.
pub const CLEANUP_TIMEOUT: &str = "CleanupTimeout";

/// What one pass did.
#[must_use]
pub fn of_pass(cleanup: &Cleanup) -> Vec<Event> {
    let tell = |type_, reason, names: Vec<String>, why: &str| {
        (!names.is_empty()).then(|| event(type_, reason, "Delete", format!("{}: {why}", names.join(", "))))
    };
    let mut data = cleanup.named("PersistentVolumeClaim", &Fate::Asked);
    data.extend(cleanup.named("Secret", &Fate::Asked));
    let kept = cleanup.named(PerconaPGCluster::KIND, &Fate::Released);
    let events = [
        tell(
            EventType::Warning,
            PERCONA_DELETED,
            cleanup.named(PerconaPGCluster::KIND, &Fate::Asked),
            "deleted with its data, as spec.percona.deleteWithServer asks",
        ),
        kept.first().map(|cluster| database_kept(cluster)),
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
#[must_use]
pub fn timed_out(left: &str, age: Duration) -> Event {
    let note = format!(
        "The DittoServer goes after {} s although this is not done: {left}. Look after it by hand",
        age.as_secs()
    );
    event(EventType::Warning, CLEANUP_TIMEOUT, "Delete", note)
}
