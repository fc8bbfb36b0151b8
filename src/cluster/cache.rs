//! Read-your-writes caches of watched kinds.
//!
//! A [`Cache`] is a store that the watches fill (`watch.rs`), with an overlay of objects that this process has written and that the
//! watch has not delivered yet. Without the overlay, a reconcile after a write would read the old version, write again, or
//! change a `lastTransitionTime` twice.
//!
//! A watch delivers versions in their order, so the cache knows whether the watch has passed a version already. History may go
//! backwards, when etcd is restored from a backup. An answer that does not fit to what the watch has delivered makes the watch
//! list again, and a new list replaces everything, also newer versions of an older history. An API server that is behind the others
//! answers with an older list, too. So an object that a list shows at an earlier version is doubted until somebody reads it.

mod doubts;
mod objects;
mod overlay;
mod packed;
mod state;
mod store;
mod stored_server;
mod unpacked;

use std::collections::HashSet;
use std::fmt::Debug;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::NamespaceResourceScope;
use kube::Resource;
use kube::runtime::reflector::ObjectRef;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{Notify, watch};

use self::objects::{Newest, Objects};
pub use self::overlay::Remembered;
use self::overlay::version;
use self::packed::Packed;
use self::state::WatchStates;
pub use self::state::{Progress, WatchState};
pub use self::store::Index;
use self::store::{identity, reference};
pub use self::stored_server::StoredServer;
use self::unpacked::Unpacked;

/// A kind of namespaced objects that can be watched and cached. An alias for a long bound.
pub trait Cached:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + Debug
    + Serialize
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
}

impl<K> Cached for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + Serialize
        + DeserializeOwned
        + Send
        + Sync
        + 'static
{
}

/// A cached read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup<K> {
    /// The object, as last delivered or last written.
    Found(Arc<K>),
    /// The cache is complete and does not contain the object.
    Missing,
    /// The cache is not complete. Ask the API server, or report `Unknown`.
    Unknown(WatchState),
}

/// A cache of one kind. Cheap to clone; all clones share the objects.
pub struct Cache<K: Cached>(Arc<Shared<K>>);

struct Shared<K: Cached> {
    objects: Mutex<Objects<K>>,
    unpacked: Unpacked<K>,
    states: Arc<watch::Sender<WatchStates>>,
    /// Wakes the watch of a scope, to list again.
    relists: Vec<(Option<String>, Arc<Notify>)>,
    /// Number of lists that replaced an earlier list.
    epoch: AtomicU64,
}

/// An object, or `None` if it cannot be parsed. This is logged: it is an error in the type of the kind.
fn logged<K: Cached>(parsed: io::Result<Arc<K>>) -> Option<Arc<K>> {
    let failed =
        |error: &io::Error| tracing::error!(kind = %K::kind(&()), %error, "a cached object cannot be parsed");
    parsed.inspect_err(failed).ok()
}

impl<K: Cached> Clone for Cache<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Cached> Cache<K> {
    /// A cache that is filled by one watch for each scope: a namespace, or `None` for all of them.
    #[must_use]
    pub fn new(scopes: &[Option<String>], index: Index<K>) -> Self {
        let starting = |scope: &Option<String>| (scope.clone(), WatchState::Starting);
        let states = scopes.iter().map(starting).collect();
        let relist = |scope: &Option<String>| (scope.clone(), Arc::default());
        Self(Arc::new(Shared {
            objects: Mutex::new(Objects::new(index)),
            unpacked: Unpacked::default(),
            states: Arc::new(watch::Sender::new(states)),
            relists: scopes.iter().map(relist).collect(),
            epoch: AtomicU64::new(0),
        }))
    }

    /// A poisoned lock means that another task panicked between two map operations; the maps themselves are valid.
    fn objects(&self) -> MutexGuard<'_, Objects<K>> {
        self.0.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads one object. Never calls the API server.
    #[must_use]
    pub fn get(&self, namespace: &str, name: &str) -> Lookup<K> {
        let newest = self.objects().newest(namespace, name);
        if let Some(newest) = newest {
            let parsed = self.unpack(newest);
            return parsed.map_or_else(
                |error| Lookup::Unknown(WatchState::Failing(error.to_string())),
                Lookup::Found,
            );
        }
        match self.watch_state(namespace) {
            WatchState::Synced => Lookup::Missing,
            state => Lookup::Unknown(state),
        }
    }

    /// The objects of a namespace that the watch has delivered with this key of the [`Index`]. If this process wrote a newer
    /// version of one, that version.
    #[must_use]
    pub fn with_key(&self, namespace: &str, key: &str) -> Vec<Arc<K>> {
        let objects = self.objects();
        let names = objects.store.with_key(namespace, key);
        let newest: Vec<_> = names.filter_map(|name| objects.newest(namespace, name)).collect();
        drop(objects);
        let unpacked = newest.into_iter().map(|newest| self.unpack(newest));
        unpacked.filter_map(logged).collect()
    }

    fn unpack(&self, newest: Newest<K>) -> io::Result<Arc<K>> {
        match newest {
            Newest::Written(object) => Ok(object),
            Newest::Delivered(packed) => self.0.unpacked.object(&packed),
        }
    }

    /// The names of the objects of a namespace that the watch has delivered with this key of the [`Index`].
    #[must_use]
    pub fn names_with_key(&self, namespace: &str, key: &str) -> Vec<String> {
        let objects = self.objects();
        let names = objects.store.with_key(namespace, key);
        names.map(str::to_owned).collect()
    }

    /// Whether the watch has delivered an object with this key of the [`Index`].
    #[must_use]
    pub fn has_key(&self, namespace: &str, key: &str) -> bool {
        self.objects().store.with_key(namespace, key).next().is_some()
    }

    /// Whether the watch has delivered this object.
    #[must_use]
    pub fn is_delivered(&self, namespace: &str, name: &str) -> bool {
        self.objects().store.get(namespace, name).is_some()
    }

    /// The version of an object that the watch has delivered.
    #[must_use]
    pub fn delivered_version(&self, namespace: &str, name: &str) -> Option<u64> {
        self.objects().delivered_version(namespace, name)
    }

    /// All objects that the watch has delivered, without the overlay.
    pub fn all(&self) -> impl Iterator<Item = Arc<K>> + use<K> {
        let packed: Vec<_> = self.objects().store.all().cloned().collect();
        packed
            .into_iter()
            .map(|packed| packed.object())
            .filter_map(logged)
    }

    /// References to all objects of a scope that the watch has delivered.
    #[must_use]
    pub fn of_scope(&self, scope: Option<&str>) -> HashSet<ObjectRef<K>> {
        self.objects().store.of_scope(scope).collect()
    }

    /// Remembers an object that this process has just written, until the watch delivers it or a newer version.
    ///
    /// If the watch has passed this version already, the store is right, also if the object is gone again. If the store has another
    /// version than that, another client was faster, or history has gone backwards: a new list shows which.
    pub fn wrote(&self, object: K) {
        let key = ObjectRef::from_obj(&object);
        let scope = self.scope_of(key.namespace.as_deref());
        let mut objects = self.objects();
        // The answer to a write from before the doubt does not end it.
        objects.doubts.delivered(&key, version(&object));
        if !objects.overlay.is_delivered(scope, &object) {
            objects.overlay.insert(&key, object);
            return;
        }
        let (namespace, name) = identity(&object);
        let stored = objects.delivered_version(namespace, name);
        let written = version(&object);
        if stored != written {
            self.request_relist(scope);
        }
        if stored < written && stored.is_some() {
            objects.overlay.insert(&key, object);
        }
    }

    /// As [`Self::wrote`], for a version of which this process knows everything.
    pub fn wrote_own(&self, object: K) {
        let key = ObjectRef::from_obj(&object);
        self.objects().overlay.note_own(&key, &object);
        self.wrote(object);
    }

    /// Remembers an object that was read because it was doubted. If the store has this version, nothing is to be remembered. A write that
    /// is remembered does not count: the list that is being received may drop it.
    pub fn confirmed(&self, object: K) {
        let (namespace, name) = identity(&object);
        let mut objects = self.objects();
        objects.doubts.settled(&reference(namespace, name));
        if objects.delivered_version(namespace, name) == version(&object) {
            return;
        }
        drop(objects);
        self.wrote(object);
    }

    /// Whether a list has shown an earlier version of an object than was known before, and nobody has read the object since.
    #[must_use]
    pub fn is_doubted(&self, namespace: &str, name: &str) -> bool {
        self.objects().doubts.has(&reference(namespace, name))
    }

    /// The names of the doubted objects of a namespace with this key of the [`Index`].
    #[must_use]
    pub fn doubted_with_key(&self, namespace: &str, key: &str) -> Vec<String> {
        let objects = self.objects();
        if objects.doubts.is_empty() {
            return Vec::new();
        }
        let names = objects.store.with_key(namespace, key);
        names
            .filter(|name| objects.doubts.has(&reference(namespace, name)))
            .map(str::to_owned)
            .collect()
    }

    /// Removes an object that was read because it was doubted, and does not exist.
    pub fn gone(&self, namespace: &str, name: &str) {
        let mut objects = self.objects();
        objects.doubts.settled(&reference(namespace, name));
        objects.store.remove(namespace, name);
    }

    /// Whether this process wrote this version of the object, and knows everything in it.
    #[must_use]
    pub fn is_own_version(&self, key: &ObjectRef<K>, version: &str) -> bool {
        self.objects().overlay.is_own_version(key, version)
    }

    /// Stores an object that the watch of a scope has delivered, and drops the remembered write of it if the object is not older.
    pub fn applied(&self, scope: Option<&str>, object: &K) {
        let mut objects = self.objects();
        objects.delivered(scope, object);
        objects.store.insert(object);
    }

    /// Removes an object whose deletion the watch of a scope has delivered, and the remembered write of it if that is not newer.
    pub fn deleted(&self, scope: Option<&str>, object: &K) {
        let mut objects = self.objects();
        objects.delivered(scope, object);
        let (namespace, name) = identity(object);
        objects.store.remove(namespace, name);
    }

    /// Stores an object of a list. Returns whether it is new or has changed. A list counts as a whole: see [`Self::relisted`].
    pub fn listed(&self, object: &K) -> bool {
        let scope = self.scope_of(object.meta().namespace.as_deref());
        self.objects().listed(scope, object)
    }

    /// Removes an object that a list does not contain.
    #[must_use]
    pub fn vanished(&self, object: &ObjectRef<K>) -> Option<Arc<K>> {
        let removed = self.objects().vanished(object)?;
        logged(removed.object())
    }

    /// Drops what is remembered of an object that no longer exists.
    pub fn forget(&self, object: &K) {
        self.objects().overlay.forget(&ObjectRef::from_obj(object));
    }

    /// The writes that are remembered for a scope now. Call it before a list is requested, and pass the result to
    /// [`Self::relisted`] afterwards. The list may belong to another history, so the versions of earlier deliveries no longer count.
    #[must_use]
    pub fn list_requested(&self, scope: Option<&str>) -> Remembered<K> {
        let mut objects = self.objects();
        let before = objects.overlay.reset_progress(scope);
        objects.doubts.list_requested(scope, before.unwrap_or_default());
        if before.is_some() {
            self.0.epoch.fetch_add(1, Ordering::SeqCst);
        }
        objects.overlay.remembered(scope)
    }

    /// Drops the writes that were remembered before a new list: the list contains them, or the objects are gone. Later writes are
    /// kept, because the list may be older; so are those of other scopes. If such a write is not in the list, the list is repeated:
    /// otherwise an object that was deleted in the meantime would stay.
    pub fn relisted(&self, scope: Option<&str>, before: &Remembered<K>) {
        let mut objects = self.objects();
        let Objects {
            store,
            overlay,
            doubts,
        } = &mut *objects;
        for (key, written) in overlay.drop_remembered(before) {
            let namespace = key.namespace.as_deref().unwrap_or_default();
            let stored = store.get(namespace, &key.name).and_then(Packed::version);
            if let Some(written) = written.filter(|written| stored < Some(*written)) {
                doubts.doubt(key, written);
            }
        }
        let is_missing = |key: &ObjectRef<K>| {
            let namespace = key.namespace.as_deref().unwrap_or_default();
            store.get(namespace, &key.name).is_none()
        };
        let is_unconfirmed = overlay.keys(scope).any(is_missing);
        drop(objects);
        if is_unconfirmed {
            self.request_relist(scope);
        }
    }

    /// Number of lists that replaced an earlier list. Objects that were read in an earlier epoch may be of another history.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.0.epoch.load(Ordering::SeqCst)
    }

    /// The signal that makes the watch of a scope list again.
    #[must_use]
    pub fn relist_signal(&self, scope: Option<&str>) -> Arc<Notify> {
        let relists = &mut self.0.relists.iter();
        let found = relists.find(|(of, _)| of.as_deref() == scope);
        found.map_or_else(Arc::default, |(_, signal)| Arc::clone(signal))
    }

    fn request_relist(&self, scope: Option<&str>) {
        tracing::debug!(kind = %K::kind(&()), ?scope, "an answer does not fit to the watch; listing again");
        self.relist_signal(scope).notify_one();
    }

    /// The scope of the watch that covers a namespace.
    fn scope_of<'a>(&self, namespace: Option<&'a str>) -> Option<&'a str> {
        let is_watched = |scope: &Option<String>| scope.is_some() && scope.as_deref() == namespace;
        let has_own_watch = self.0.relists.iter().any(|(scope, _)| is_watched(scope));
        namespace.filter(|_| has_own_watch)
    }

    /// The state of the watch that covers `namespace`.
    #[must_use]
    pub fn watch_state(&self, namespace: &str) -> WatchState {
        let states = self.0.states.borrow();
        let scoped = states.get(&Some(namespace.to_owned()));
        scoped
            .or_else(|| states.get(&None))
            .cloned()
            .unwrap_or(WatchState::Starting)
    }

    /// The state of the watch of a scope.
    #[must_use]
    pub fn scope_state(&self, scope: Option<&str>) -> WatchState {
        let states = self.0.states.borrow();
        let found = states.get(&scope.map(str::to_owned));
        found.cloned().unwrap_or(WatchState::Starting)
    }

    /// Records the state of one watch. Returns whether that changed anything.
    pub fn set_watch_state(&self, scope: Option<&str>, state: WatchState) -> bool {
        let key = scope.map(str::to_owned);
        self.0.states.send_if_modified(|states| {
            let changed = states.get(&key) != Some(&state);
            states.insert(key, state);
            changed
        })
    }

    /// The progress of its watches.
    #[must_use]
    pub fn progress(&self) -> Progress {
        Progress::new(Arc::clone(&self.0.states))
    }

    /// Whether a watch found that the kind is not installed.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        let states = self.0.states.borrow();
        states.values().any(|state| *state == WatchState::NotServed)
    }
}

#[cfg(test)]
mod tests;
