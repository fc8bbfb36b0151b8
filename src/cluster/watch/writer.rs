//! Writes the events of all scopes of one kind to its cache, and calls the listener.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use kube::runtime::reflector::ObjectRef;
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher::{self, Event};

use super::failure::{Failure, classify};
use super::{Notice, kind};
use crate::base::metrics::Metrics;
use crate::cluster::cache::{Cache, Cached, Remembered, WatchState};
use crate::cluster::watch_health::WatchHealth;

type Listener<K> = dyn Fn(&Cache<K>, Notice<'_, K>) + Send + Sync;

/// Several scopes share one store.
pub(super) struct CacheWriter<K: Cached> {
    pub(super) writer: Mutex<Writer<K>>,
    pub(super) cache: Cache<K>,
    pub(super) listener: Box<Listener<K>>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) health: WatchHealth,
}

/// A list that is being received.
pub(super) struct List<K: Cached> {
    /// The objects in it so far.
    seen: HashSet<ObjectRef<K>>,
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
    /// It was refused, and lists again. The cache is trusted only once a watch after the list is not refused.
    ListOnProbation,
}

impl<K: Cached> CacheWriter<K> {
    fn store(&self, event: &Event<K>) {
        self.writer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .apply_watcher_event(event);
    }

    /// Stores one `Apply` or `Delete`, then calls the listener: it must find the cache up to date.
    pub(super) fn object_changed(&self, scope: Option<&str>, event: &Event<K>) {
        let (Event::Apply(object) | Event::Delete(object)) = event else {
            return;
        };
        self.cache.deliver(scope, object, || self.store(event));
        (self.listener)(&self.cache, Notice::Object(object));
        if let Event::Delete(_) = event {
            self.cache.forget(object);
        }
    }

    /// A new list is requested.
    pub(super) fn list_requested(&self, scope: Option<&str>) -> List<K> {
        List {
            seen: HashSet::new(),
            remembered: self.cache.list_requested(scope),
        }
    }

    /// Stores an object of a list. Its listener learns of it if it has changed since the last list; in the first one,
    /// [`Self::synced`] announces all objects.
    pub(super) fn listed(&self, scope: Option<&str>, list: &mut List<K>, object: K) {
        let key = ObjectRef::from_obj(&object);
        let before = self.cache.store().get(&key);
        let version = |object: &K| object.meta().resource_version.clone();
        let is_unchanged = before.is_some_and(|before| version(&before) == version(&object));
        list.seen.insert(key);
        let event = Event::Apply(object);
        self.store(&event);
        if let (Event::Apply(object), false) = (&event, is_unchanged)
            && self.cache.scope_state(scope) == WatchState::Synced
        {
            (self.listener)(&self.cache, Notice::Object(object));
        }
    }

    /// Drops the objects of a scope that its new list does not contain.
    pub(super) fn list_done(&self, scope: Option<&str>, list: &List<K>) {
        for object in self.of_scope(scope) {
            if !list.seen.contains(&ObjectRef::from_obj(object.as_ref())) {
                self.drop_object(&object);
            }
        }
        self.cache.relisted(scope, &list.remembered);
        self.health.working(kind::<K>(), scope);
    }

    fn of_scope(&self, scope: Option<&str>) -> impl Iterator<Item = Arc<K>> {
        let mut objects = self.cache.all();
        objects.retain(|object| scope.is_none() || object.meta().namespace.as_deref() == scope);
        objects.into_iter()
    }

    /// The listener learns of an object that vanished while nothing was watched, as if its deletion had been delivered.
    fn drop_object(&self, object: &Arc<K>) {
        self.store(&Event::Delete(object.as_ref().clone()));
        (self.listener)(&self.cache, Notice::Object(object.as_ref()));
        self.cache.forget(object);
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
            Failure::Expired => Next::Continue,
            Failure::Interrupted(text) => {
                self.interrupted(scope, text);
                if is_list { Next::Continue } else { Next::List }
            }
            Failure::Unknown(state) => {
                let is_refused = matches!(state, WatchState::Failing(_));
                self.unknown(scope, &state);
                match (is_list, is_refused) {
                    (true, _) => Next::Continue,
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
                tracing::info!(kind = %kind::<K>(), ?scope, "the kind is not installed; will check again");
                self.drop_scope(scope);
            }
        }
        (self.listener)(&self.cache, Notice::Scope(scope));
    }

    /// Without its CRD, the kind has no objects.
    fn drop_scope(&self, scope: Option<&str>) {
        for object in self.of_scope(scope) {
            self.drop_object(&object);
        }
        let remembered = self.cache.list_requested(scope);
        self.cache.relisted(scope, &remembered);
    }
}
