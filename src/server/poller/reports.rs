//! What is known of each server, shared between the poller and other tasks.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Entry;
use crate::domain::adapters::ServerReport;

/// What other tasks read of one server.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// UID of the DittoServer.
    server: String,
    /// What a reconcile has read since the last call.
    read: Option<Arc<ServerReport>>,
    /// What its API says.
    pub report: Arc<ServerReport>,
    /// Number of calls since the start of the operator.
    pub polls: u64,
    /// Number of calls that failed.
    pub failures: u64,
}

/// What is known of all servers. A clone shares it.
pub(super) struct Reports<Key>(Arc<Mutex<HashMap<Key, Known>>>);

impl<Key> Clone for Reports<Key> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<Key> Default for Reports<Key> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<Key: Clone + Eq + Hash> Reports<Key> {
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows other tasks what is known of a server. `count` adds to its numbers.
    pub(super) fn publish(&self, server: &Key, entry: &Entry, count: impl FnOnce(&mut Known)) {
        let mut reports = self.lock();
        let known = reports.entry(server.clone()).or_default();
        known.server.clone_from(&entry.target.server);
        known.report = Arc::clone(&entry.report);
        count(known);
    }

    /// What is known of a server with this UID, for a reconcile.
    pub(super) fn read(&self, server: &Key, uid: &str) -> Arc<ServerReport> {
        let mut reports = self.lock();
        let Some(known) = reports.get_mut(server).filter(|known| known.server == uid) else {
            return Arc::default();
        };
        known.read = Some(Arc::clone(&known.report));
        Arc::clone(&known.report)
    }

    /// What a reconcile has read since this was asked last.
    pub(super) fn take_read(&self, server: &Key) -> Option<Arc<ServerReport>> {
        self.lock().get_mut(server)?.read.take()
    }

    pub(super) fn forget(&self, server: &Key) {
        self.lock().remove(server);
    }

    pub(super) fn all(&self) -> Vec<(Key, Known)> {
        let reports = self.lock();
        let all = reports.iter();
        all.map(|(server, known)| (server.clone(), known.clone()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_a_deleted_server_does_not_count_for_a_new_one_of_its_name() {
        let reports = Reports::default();
        let known = Known {
            server: "deleted".into(),
            report: Arc::new(ServerReport::of_a_new_server()),
            ..Known::default()
        };
        reports.lock().insert(0, known);
        assert!(reports.read(&0, "deleted").has_answer());
        assert!(!reports.read(&0, "new").has_answer());
    }
}
