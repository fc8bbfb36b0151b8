//! Writes the events of all scopes of one kind to its cache, and calls the listener.

use std::collections::HashSet;
use std::sync::Arc;

use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher;

use super::failure::{Failure, classify};
use super::{Notice, kind};
use crate::base::metrics::Metrics;
use crate::cluster::cache::{Cache, Cached, Remembered, WatchState};
use crate::cluster::client::errors;
use crate::cluster::watch_health::WatchHealth;

type Listener<K> = dyn Fn(&Cache<K>, Notice<'_, K>) + Send + Sync;

/// Several scopes share one cache.
pub(super) struct CacheWriter<K: Cached> {
    pub(super) cache: Cache<K>,
    pub(super) listener: Box<Listener<K>>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) health: WatchHealth,
}

/// A list that is being received.
pub(super) struct List<K: Cached> {
    /// The objects that the cache had when the list was requested, without those in the list so far.
    unseen: HashSet<ObjectRef<K>>,
    /// The writes that the cache remembered when the list was requested.
    remembered: Remembered<K>,
}

/// What a watch does after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It continues.
    Continue,
    /// It lists again, and the list is enough to trust the cache.
    List,
    /// The API server cannot be reached. It lists again after a short pause.
    Reconnect,
    /// It was refused, and lists again. The cache is trusted only once a watch after the list is not refused.
    ListOnProbation,
    /// The kind is not installed. It lists again when that may have changed.
    AwaitDefinition,
}

impl<K: Cached> CacheWriter<K> {
    /// Stores an object that was added or changed, then calls the listener: it must find the cache up to date.
    pub(super) fn applied(&self, scope: Option<&str>, object: &K) {
        self.cache.applied(scope, object);
        (self.listener)(&self.cache, Notice::Object(object));
    }

    /// As [`Self::applied`], for a deleted object.
    pub(super) fn deleted(&self, scope: Option<&str>, object: &K) {
        self.cache.deleted(scope, object);
        (self.listener)(&self.cache, Notice::Object(object));
        self.cache.forget(object);
    }

    /// A new list is requested.
    pub(super) fn list_requested(&self, scope: Option<&str>) -> List<K> {
        List {
            unseen: self.cache.of_scope(scope),
            remembered: self.cache.list_requested(scope),
        }
    }

    /// Stores an object of a list. Its listener learns of it if it has changed since the last list; in the first one,
    /// [`Self::synced`] announces all objects.
    pub(super) fn listed(&self, scope: Option<&str>, list: &mut List<K>, object: &K) {
        list.unseen.remove(&ObjectRef::from_obj(object));
        let is_changed = self.cache.listed(object);
        if is_changed && self.cache.scope_state(scope) == WatchState::Synced {
            (self.listener)(&self.cache, Notice::Object(object));
        }
    }

    /// Drops the objects of a scope that its new list does not contain.
    pub(super) fn list_done(&self, scope: Option<&str>, list: &List<K>) {
        for object in &list.unseen {
            self.vanished(object);
        }
        self.cache.relisted(scope, &list.remembered);
        // After a refusal, the scope is not synced yet.
        let was_interrupted =
            self.health.is_failing(kind::<K>(), scope) && self.cache.scope_state(scope) == WatchState::Synced;
        self.health.working(kind::<K>(), scope);
        if was_interrupted {
            (self.listener)(&self.cache, Notice::Recovered);
        }
    }

    /// The listener learns of an object that vanished while nothing was watched, as if its deletion had been delivered.
    fn vanished(&self, object: &ObjectRef<K>) {
        if let Some(object) = self.cache.vanished(object) {
            // The version that is known may be an own one. Its deletion is news all the same.
            self.cache.forget(&object);
            (self.listener)(&self.cache, Notice::Object(object.as_ref()));
        }
    }

    /// Marks a scope as synced. If it was not, everything that is known of its objects may have changed.
    pub(super) fn synced(&self, scope: Option<&str>) {
        if self.cache.set_watch_state(scope, WatchState::Synced) {
            (self.listener)(&self.cache, Notice::Scope(scope));
        }
    }

    /// Records a failure.
    pub(super) fn failed(&self, scope: Option<&str>, error: &watcher::Error) -> Next {
        let failure = classify(error);
        let is_list = matches!(error, watcher::Error::InitialListFailed(_));
        if failure != Failure::Unknown(WatchState::NotServed) {
            self.metrics.watch_restarted(&kind::<K>());
        }
        match failure {
            // The watcher lists again after an event that says so, and repeats a request that was answered so.
            Failure::Expired if matches!(error, watcher::Error::WatchStartFailed(_)) => Next::List,
            Failure::Expired => Next::Continue,
            Failure::Interrupted(text) => {
                self.interrupted(scope, text);
                match error {
                    watcher::Error::InitialListFailed(source) | watcher::Error::WatchStartFailed(source)
                        if errors::is_unanswered(source) =>
                    {
                        Next::Reconnect
                    }
                    watcher::Error::InitialListFailed(_) => Next::Continue,
                    _ => Next::List,
                }
            }
            Failure::Unknown(state) => {
                let is_refused = matches!(state, WatchState::Failing(_));
                self.unknown(scope, &state);
                match (is_list, is_refused) {
                    (true, true) => Next::Continue,
                    (true, false) => Next::AwaitDefinition,
                    (false, true) => Next::ListOnProbation,
                    // A kind without a CRD is served as soon as it can be listed.
                    (false, false) => Next::List,
                }
            }
        }
    }

    fn interrupted(&self, scope: Option<&str>, text: String) {
        if !self.health.is_failing(kind::<K>(), scope) {
            tracing::info!(kind = %kind::<K>(), ?scope, error = %text, "watch interrupted; listing again");
        }
        self.health.failing(kind::<K>(), scope, &text);
        if self.cache.scope_state(scope) == WatchState::Starting
            && self.cache.set_watch_state(scope, WatchState::Failing(text))
        {
            (self.listener)(&self.cache, Notice::Scope(scope));
        }
    }

    fn unknown(&self, scope: Option<&str>, state: &WatchState) {
        if let WatchState::Failing(text) = state {
            self.health.failing(kind::<K>(), scope, text);
        } else {
            self.health.working(kind::<K>(), scope);
        }
        if !self.cache.set_watch_state(scope, state.clone()) {
            return;
        }
        match state {
            WatchState::Failing(error) => {
                tracing::warn!(kind = %kind::<K>(), ?scope, %error, "watch failed; will retry");
            }
            WatchState::NotServed | WatchState::Starting | WatchState::Synced => {
                tracing::info!(kind = %kind::<K>(), ?scope, "the kind is not installed; waiting for its CRD");
                self.drop_scope(scope);
            }
        }
        (self.listener)(&self.cache, Notice::Scope(scope));
    }

    /// Without its CRD, the kind has no objects.
    fn drop_scope(&self, scope: Option<&str>) {
        for object in self.cache.of_scope(scope) {
            self.vanished(&object);
        }
        let remembered = self.cache.list_requested(scope);
        self.cache.relisted(scope, &remembered);
    }
}

#[cfg(test)]
mod tests;
