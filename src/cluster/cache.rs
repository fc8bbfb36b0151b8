//! Read-your-writes caches of watched kinds.
//!
//! A [`Cache`] is a reflector store that the watches fill (`watch.rs`), with an overlay of objects that this process has written and
//! that the watch has not delivered yet. Without the overlay, a reconcile after a write would read the old version, write again, or
//! change a `lastTransitionTime` twice.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::NamespaceResourceScope;
use kube::Resource;
use kube::core::DeserializeGuard;
use kube::runtime::reflector::{ObjectRef, Store};
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use crate::api::DittoServer;

/// A kind of namespaced objects that can be watched and cached. An alias for a long bound.
pub trait Cached:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + Debug
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
        + DeserializeOwned
        + Send
        + Sync
        + 'static
{
}

/// A stored DittoServer. One that cannot be parsed is an `Err`, and does not stop the watch of the others.
pub type StoredServer = DeserializeGuard<DittoServer>;

/// The state of the watch of one kind in one namespace, or in all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchState {
    /// No answer yet.
    Starting,
    /// The store holds what the API server holds.
    Synced,
    /// The API server does not serve the kind: its CRD is not installed.
    NotServed,
    /// The watch fails. The text is that of the API server; it contains no object.
    Failing(String),
}

impl WatchState {
    /// Why the cache cannot tell whether an object exists.
    #[must_use]
    pub fn why(&self) -> &str {
        match self {
            Self::Failing(error) => error,
            Self::NotServed => "the API server does not serve the kind",
            Self::Starting | Self::Synced => "not read yet",
        }
    }
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

type Overlay<K> = HashMap<ObjectRef<K>, Arc<K>>;

/// The writes of this process that a cache remembered at one time.
pub struct Remembered<K: Cached>(Overlay<K>);

/// The state of each watch. A scope is a namespace, or `None` for all of them.
type WatchStates = BTreeMap<Option<String>, WatchState>;

/// The progress of the watches of one kind. Independent of the type, so that several kinds can be awaited together.
#[derive(Clone, Debug)]
pub struct Progress(Arc<watch::Sender<WatchStates>>);

impl Progress {
    /// Waits until every watch has answered, with a list or with an error.
    pub async fn answered(&self) {
        self.until(|state| *state != WatchState::Starting).await;
    }

    /// Waits until every watch is synced.
    pub async fn synced(&self) {
        self.until(|state| *state == WatchState::Synced).await;
    }

    async fn until(&self, holds: impl Fn(&WatchState) -> bool) {
        // An error means that the sender is gone, but `self` keeps it.
        let _ = self
            .0
            .subscribe()
            .wait_for(|states| states.values().all(&holds))
            .await;
    }
}

/// A cache of one kind. Cheap to clone; all clones share the store.
pub struct Cache<K: Cached> {
    store: Store<K>,
    overlay: Arc<Mutex<Overlay<K>>>,
    states: Arc<watch::Sender<WatchStates>>,
}

impl<K: Cached> Clone for Cache<K> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            overlay: Arc::clone(&self.overlay),
            states: Arc::clone(&self.states),
        }
    }
}

/// A poisoned lock means that another task panicked between two map operations; the map itself is valid.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<K: Cached> Cache<K> {
    /// Wraps a store that is filled by one watch for each scope: a namespace, or `None` for all of them.
    #[must_use]
    pub fn new(store: Store<K>, scopes: &[Option<String>]) -> Self {
        let states = scopes
            .iter()
            .map(|scope| (scope.clone(), WatchState::Starting))
            .collect();
        Self {
            store,
            overlay: Arc::default(),
            states: Arc::new(watch::Sender::new(states)),
        }
    }

    /// The store below, for the controller's queue.
    #[must_use]
    pub fn store(&self) -> Store<K> {
        self.store.clone()
    }

    /// Reads one object. Never calls the API server.
    #[must_use]
    pub fn get(&self, namespace: &str, name: &str) -> Lookup<K> {
        let key = ObjectRef::new(name).within(namespace);
        let stored = self.store.get(&key);
        if let Some(object) = newer(stored, lock(&self.overlay).get(&key).cloned()) {
            return Lookup::Found(object);
        }
        match self.watch_state(namespace) {
            WatchState::Synced => Lookup::Missing,
            state => Lookup::Unknown(state),
        }
    }

    /// All objects that the watch has delivered, without the overlay.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<K>> {
        self.store.state()
    }

    /// Remembers an object that this process has just written, until the watch delivers it or a newer one.
    pub fn wrote(&self, object: K) {
        lock(&self.overlay).insert(ObjectRef::from_obj(&object), Arc::new(object));
    }

    /// Drops a remembered write once the watch has delivered this version or a newer one.
    pub fn delivered(&self, object: &K) {
        let key = ObjectRef::from_obj(object);
        let mut overlay = lock(&self.overlay);
        if overlay
            .get(&key)
            .is_some_and(|held| version(object) >= version(held.as_ref()))
        {
            overlay.remove(&key);
        }
    }

    /// The writes that are remembered for a scope now. Call it before a list is requested, and pass the result to
    /// [`Self::relisted`] afterwards.
    #[must_use]
    pub fn remembered(&self, scope: Option<&str>) -> Remembered<K> {
        let overlay = lock(&self.overlay);
        let in_scope = overlay
            .iter()
            .filter(|(key, _)| scope.is_none() || key.namespace.as_deref() == scope);
        Remembered(
            in_scope
                .map(|(key, object)| (key.clone(), Arc::clone(object)))
                .collect(),
        )
    }

    /// Drops the writes that were remembered before a new list: the list contains them, or the objects are gone. Later writes are
    /// kept, because the list may be older; so are those of other scopes.
    pub fn relisted(&self, before: &Remembered<K>) {
        lock(&self.overlay)
            .retain(|key, object| before.0.get(key).is_none_or(|held| !Arc::ptr_eq(held, object)));
    }

    /// The state of the watch that covers `namespace`.
    #[must_use]
    pub fn watch_state(&self, namespace: &str) -> WatchState {
        let states = self.states.borrow();
        let scoped = states.get(&Some(namespace.to_owned()));
        scoped
            .or_else(|| states.get(&None))
            .cloned()
            .unwrap_or(WatchState::Starting)
    }

    /// Records the state of one watch. Returns whether that changed anything.
    pub fn set_watch_state(&self, scope: Option<&str>, state: WatchState) -> bool {
        let key = scope.map(str::to_owned);
        self.states.send_if_modified(|states| {
            let changed = states.get(&key) != Some(&state);
            states.insert(key, state);
            changed
        })
    }

    /// The progress of its watches.
    #[must_use]
    pub fn progress(&self) -> Progress {
        Progress(Arc::clone(&self.states))
    }

    /// Whether a watch found that the kind is not installed.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        self.states
            .borrow()
            .values()
            .any(|state| *state == WatchState::NotServed)
    }
}

fn newer<K: Resource>(stored: Option<Arc<K>>, written: Option<Arc<K>>) -> Option<Arc<K>> {
    match (stored, written) {
        (Some(stored), Some(written)) if version(stored.as_ref()) >= version(written.as_ref()) => {
            Some(stored)
        }
        (stored, None) => stored,
        (_, written) => written,
    }
}

/// The resourceVersions of one kind can be compared as decimal numbers (KEP-5504, Kubernetes 1.35; true with etcd before).
fn version<K: Resource>(object: &K) -> Option<u64> {
    object
        .meta()
        .resource_version
        .as_deref()
        .and_then(|version| version.parse().ok())
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::api::ObjectMeta;
    use kube::runtime::{reflector, watcher};

    use super::*;

    fn config_map(version: &str) -> ConfigMap {
        ConfigMap {
            metadata: ObjectMeta {
                name: Some("a".into()),
                namespace: Some("ns".into()),
                resource_version: Some(version.into()),
                ..ObjectMeta::default()
            },
            ..ConfigMap::default()
        }
    }

    fn found(cache: &Cache<ConfigMap>) -> Option<String> {
        match cache.get("ns", "a") {
            Lookup::Found(object) => object.metadata.resource_version.clone(),
            _ => None,
        }
    }

    #[test]
    fn a_write_is_read_back_before_the_watch_delivers_it() {
        let (store, mut writer) = reflector::store();
        let cache = Cache::new(store, &[None]);
        writer.apply_watcher_event(&watcher::Event::Apply(config_map("9")));
        cache.wrote(config_map("10"));
        assert_eq!(found(&cache), Some("10".into()));
        cache.delivered(&config_map("9"));
        assert_eq!(
            found(&cache),
            Some("10".into()),
            "an older event does not undo the write"
        );
        writer.apply_watcher_event(&watcher::Event::Apply(config_map("11")));
        assert_eq!(found(&cache), Some("11".into()));
    }

    #[test]
    fn a_deletion_that_the_watch_delivers_drops_the_remembered_write() {
        let (store, _writer) = reflector::store();
        let cache = Cache::new(store, &[None]);
        cache.set_watch_state(None, WatchState::Synced);
        cache.wrote(config_map("10"));
        cache.delivered(&config_map("12"));
        assert_eq!(cache.get("ns", "a"), Lookup::Missing);
    }

    #[test]
    fn a_list_drops_writes_from_before_its_request() {
        let (store, _writer) = reflector::store();
        let cache = Cache::new(store, &[None]);
        cache.set_watch_state(None, WatchState::Synced);
        cache.wrote(config_map("10"));
        cache.relisted(&cache.remembered(None));
        assert_eq!(cache.get("ns", "a"), Lookup::Missing);
    }

    #[test]
    fn a_list_does_not_drop_a_write_from_after_its_request() {
        let (store, _writer) = reflector::store();
        let cache = Cache::new(store, &[None]);
        cache.wrote(config_map("10"));
        let before = cache.remembered(None);
        cache.wrote(config_map("11"));
        cache.relisted(&before);
        assert_eq!(found(&cache), Some("11".into()));
    }

    #[test]
    fn a_list_of_one_namespace_does_not_drop_a_write_in_another() {
        let (store, _writer) = reflector::store();
        let cache = Cache::new(store, &[Some("ns".into()), Some("other".into())]);
        cache.wrote(config_map("10"));
        cache.relisted(&cache.remembered(Some("other")));
        assert_eq!(found(&cache), Some("10".into()));
    }

    #[test]
    fn a_cache_that_has_not_synced_does_not_report_an_object_as_missing() {
        let (store, _writer) = reflector::store();
        let cache: Cache<ConfigMap> = Cache::new(store, &[Some("ns".into())]);
        assert_eq!(cache.get("ns", "a"), Lookup::Unknown(WatchState::Starting));
        cache.set_watch_state(Some("ns"), WatchState::NotServed);
        assert_eq!(cache.get("ns", "a"), Lookup::Unknown(WatchState::NotServed));
    }
}
