//! Writes the events of all scopes of one kind to its cache, and calls the listener.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use kube::runtime::reflector::ObjectRef;
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher::{self, Event};

use super::failure::classify;
use super::{Notice, kind};
use crate::base::metrics::Metrics;
use crate::cluster::cache::{Cache, Cached, Remembered, WatchState};

type Listener<K> = dyn Fn(&Cache<K>, Notice<'_, K>) + Send + Sync;

/// Several scopes share one store.
pub(super) struct CacheWriter<K: Cached> {
    writer: Mutex<Writer<K>>,
    pub(super) cache: Cache<K>,
    listener: Box<Listener<K>>,
    metrics: Arc<Metrics>,
}

/// A list that is being received.
pub(super) struct List<K: Cached> {
    /// The objects in it so far.
    pub(super) seen: HashSet<ObjectRef<K>>,
    /// The writes that the cache remembered when the list was requested. `None` before the first list.
    pub(super) remembered: Option<Remembered<K>>,
}

impl<K: Cached> List<K> {
    pub(super) fn empty() -> Self {
        Self {
            seen: HashSet::new(),
            remembered: None,
        }
    }
}

/// How a watch continues after a failure that makes it start again with a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relist {
    /// The list is enough to trust the cache again.
    Trusted,
    /// The watch was refused. The cache is trusted only once a watch after the list is not refused.
    OnProbation,
}

impl<K: Cached> CacheWriter<K> {
    pub(super) fn new(
        writer: Writer<K>,
        cache: Cache<K>,
        listener: Box<Listener<K>>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            writer: Mutex::new(writer),
            cache,
            listener,
            metrics,
        }
    }

    pub(super) fn store(&self, event: &Event<K>) {
        self.writer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .apply_watcher_event(event);
    }

    /// Stores one `Apply` or `Delete`, then calls the listener: it must find the cache up to date.
    pub(super) fn object_changed(&self, event: &Event<K>) {
        self.store(event);
        if let Event::Apply(object) | Event::Delete(object) = event {
            self.cache.delivered(object);
            (self.listener)(&self.cache, Notice::Object(object));
        }
    }

    /// Drops the objects of a scope that its new list does not contain.
    pub(super) fn list_done(&self, scope: Option<&str>, list: &List<K>) {
        if let Some(remembered) = &list.remembered {
            self.cache.relisted(remembered);
        }
        for object in self.cache.all() {
            let key = ObjectRef::from_obj(object.as_ref());
            let in_scope = scope.is_none() || key.namespace.as_deref() == scope;
            if in_scope && !list.seen.contains(&key) {
                self.store(&Event::Delete(object.as_ref().clone()));
            }
        }
    }

    /// Marks a scope as synced, unless its watch is on probation. In both cases there is a new list.
    pub(super) fn synced(&self, scope: Option<&str>, is_on_probation: bool) {
        if !is_on_probation {
            self.cache.set_watch_state(scope, WatchState::Synced);
        }
        (self.listener)(&self.cache, Notice::All);
    }

    /// Records a failure. Returns how to list again, if the watch must start again with a list.
    pub(super) fn failed(&self, scope: Option<&str>, error: &watcher::Error) -> Option<Relist> {
        let failure = classify(error);
        if !matches!(failure, Some((WatchState::NotServed, _))) {
            self.metrics.watch_restarted(&kind::<K>());
        }
        let Some((state, must_relist)) = failure else {
            tracing::debug!(kind = %kind::<K>(), ?scope, %error, "watch ended; continuing");
            return None;
        };
        // A kind without a CRD is served as soon as it can be listed.
        let relist = match state {
            WatchState::Failing(_) => Relist::OnProbation,
            WatchState::Starting | WatchState::Synced | WatchState::NotServed => Relist::Trusted,
        };
        if state == WatchState::NotServed {
            self.drop_scope(scope);
        }
        if self.cache.set_watch_state(scope, state.clone()) {
            if state == WatchState::NotServed {
                tracing::info!(kind = %kind::<K>(), ?scope, "the kind is not installed; will check again");
            } else {
                tracing::warn!(kind = %kind::<K>(), ?scope, %error, "watch failed; will retry");
            }
            (self.listener)(&self.cache, Notice::All);
        }
        must_relist.then_some(relist)
    }

    /// Without its CRD, the kind has no objects.
    fn drop_scope(&self, scope: Option<&str>) {
        for object in self.cache.all() {
            if scope.is_none() || object.meta().namespace.as_deref() == scope {
                self.store(&Event::Delete(object.as_ref().clone()));
            }
        }
        self.cache.relisted(&self.cache.remembered(scope));
    }
}
