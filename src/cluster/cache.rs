//! Read-your-writes caches of watched kinds.
//!
//! A [`Cache`] is a reflector store that a watch task fills (`watch.rs`), with an overlay of objects that this
//! process has just written and that the watch has not delivered yet. Without the overlay, a reconcile that follows
//! its own write would see the past, write again, or move a `lastTransitionTime` twice.

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

/// A kind of namespaced objects that can be watched and kept. An alias for a long bound.
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

/// A stored DittoServer. One that does not parse is an `Err` here, and does not stop the watch of the others.
pub type StoredServer = DeserializeGuard<DittoServer>;

/// What the watch of one kind in one namespace (or in all) last said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Feed {
    /// No answer yet.
    Starting,
    /// The store holds what the API server holds.
    Synced,
    /// The API server does not serve the kind: its CRD is not installed.
    NotServed,
    /// The watch fails. The text is the API server's, without object contents.
    Failing(String),
}

impl Feed {
    /// Why it tells nothing of an object.
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
pub enum Lookedup<K> {
    /// The object, as last seen or last written.
    Found(Arc<K>),
    /// The cache is complete and does not hold it.
    Missing,
    /// The cache cannot tell; ask the API server, or say `Unknown`.
    Unknown(Feed),
}

type Overlay<K> = HashMap<ObjectRef<K>, Arc<K>>;

/// What a cache remembered of its process's writes at one moment.
pub struct Remembered<K: Cached>(Overlay<K>);

/// The state of each watch. A scope is a namespace, or `None` for all of them.
type Feeds = BTreeMap<Option<String>, Feed>;

/// How far the watches of one kind are. Knows nothing of the kind itself, so that many can be waited for alike.
#[derive(Clone, Debug)]
pub struct Progress(Arc<watch::Sender<Feeds>>);

impl Progress {
    /// Waits until every watch has answered, be it with a list or with an error.
    pub async fn answered(&self) {
        self.until(|feed| *feed != Feed::Starting).await;
    }

    /// Waits until every watch has listed its objects.
    pub async fn synced(&self) {
        self.until(|feed| *feed == Feed::Synced).await;
    }

    async fn until(&self, holds: impl Fn(&Feed) -> bool) {
        // An error means that the sender is gone, and `self` holds it.
        let _ = self
            .0
            .subscribe()
            .wait_for(|feeds| feeds.values().all(&holds))
            .await;
    }
}

/// A cache of one kind. Cheap to clone; all clones share the store.
pub struct Cache<K: Cached> {
    store: Store<K>,
    overlay: Arc<Mutex<Overlay<K>>>,
    feeds: Arc<watch::Sender<Feeds>>,
}

impl<K: Cached> Clone for Cache<K> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            overlay: Arc::clone(&self.overlay),
            feeds: Arc::clone(&self.feeds),
        }
    }
}

/// A poisoned lock means that another task panicked between two map operations; the map itself is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<K: Cached> Cache<K> {
    /// Wraps a store that is filled by one watch a scope; a scope is a namespace, or `None` for all of them.
    #[must_use]
    pub fn new(store: Store<K>, scopes: &[Option<String>]) -> Self {
        let feeds = scopes
            .iter()
            .map(|scope| (scope.clone(), Feed::Starting))
            .collect();
        Self {
            store,
            overlay: Arc::default(),
            feeds: Arc::new(watch::Sender::new(feeds)),
        }
    }

    /// The store below, for the controller's queue.
    #[must_use]
    pub fn store(&self) -> Store<K> {
        self.store.clone()
    }

    /// Reads one object. Never calls the API server.
    #[must_use]
    pub fn get(&self, namespace: &str, name: &str) -> Lookedup<K> {
        let key = ObjectRef::new(name).within(namespace);
        let stored = self.store.get(&key);
        if let Some(object) = newer(stored, lock(&self.overlay).get(&key).cloned()) {
            return Lookedup::Found(object);
        }
        match self.feed(namespace) {
            Feed::Synced => Lookedup::Missing,
            feed => Lookedup::Unknown(feed),
        }
    }

    /// Every object that the watch has delivered. The overlay is not in it.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<K>> {
        self.store.state()
    }

    /// Remembers an object that this process has just written, until the watch delivers it or a newer one.
    pub fn wrote(&self, object: K) {
        lock(&self.overlay).insert(ObjectRef::from_obj(&object), Arc::new(object));
    }

    /// Forgets what was remembered of an object, once the watch has delivered this version or a newer one.
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

    /// What is remembered of a scope now. To be taken before a list is asked for, and given to [`Self::relisted`] after.
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

    /// Forgets what was remembered before a fresh list: the list holds it, or it is gone. What was written since then
    /// stays, because the list may be older; so does what lies in other scopes, which the list does not cover.
    pub fn relisted(&self, before: &Remembered<K>) {
        lock(&self.overlay)
            .retain(|key, object| before.0.get(key).is_none_or(|held| !Arc::ptr_eq(held, object)));
    }

    /// The state of the watch that covers `namespace`.
    #[must_use]
    pub fn feed(&self, namespace: &str) -> Feed {
        let feeds = self.feeds.borrow();
        let scoped = feeds.get(&Some(namespace.to_owned()));
        scoped
            .or_else(|| feeds.get(&None))
            .cloned()
            .unwrap_or(Feed::Starting)
    }

    /// Records the state of one watch. Returns whether that changed anything.
    pub fn set_feed(&self, scope: Option<&str>, feed: Feed) -> bool {
        let key = scope.map(str::to_owned);
        self.feeds.send_if_modified(|feeds| {
            let changed = feeds.get(&key) != Some(&feed);
            feeds.insert(key, feed);
            changed
        })
    }

    /// How far its watches are.
    #[must_use]
    pub fn progress(&self) -> Progress {
        Progress(Arc::clone(&self.feeds))
    }

    /// Whether some watch said that the kind is not installed.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        self.feeds.borrow().values().any(|feed| *feed == Feed::NotServed)
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

/// Resource versions of one kind are comparable as decimal numbers (KEP-5504, Kubernetes 1.35; true of etcd before).
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
            Lookedup::Found(object) => object.metadata.resource_version.clone(),
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
    fn a_deletion_seen_by_the_watch_ends_the_memory_of_the_write() {
        let (store, _writer) = reflector::store();
        let cache = Cache::new(store, &[None]);
        cache.set_feed(None, Feed::Synced);
        cache.wrote(config_map("10"));
        cache.delivered(&config_map("12"));
        assert_eq!(cache.get("ns", "a"), Lookedup::Missing);
    }

    #[test]
    fn a_list_ends_the_memory_of_what_was_written_before_it_was_asked_for() {
        let (store, _writer) = reflector::store();
        let cache = Cache::new(store, &[None]);
        cache.set_feed(None, Feed::Synced);
        cache.wrote(config_map("10"));
        cache.relisted(&cache.remembered(None));
        assert_eq!(cache.get("ns", "a"), Lookedup::Missing);
    }

    #[test]
    fn a_list_that_was_under_way_does_not_undo_a_write() {
        let (store, _writer) = reflector::store();
        let cache = Cache::new(store, &[None]);
        cache.wrote(config_map("10"));
        let before = cache.remembered(None);
        cache.wrote(config_map("11"));
        cache.relisted(&before);
        assert_eq!(found(&cache), Some("11".into()));
    }

    #[test]
    fn a_list_of_one_namespace_does_not_undo_a_write_in_another() {
        let (store, _writer) = reflector::store();
        let cache = Cache::new(store, &[Some("ns".into()), Some("other".into())]);
        cache.wrote(config_map("10"));
        cache.relisted(&cache.remembered(Some("other")));
        assert_eq!(found(&cache), Some("10".into()));
    }

    #[test]
    fn a_cache_that_has_not_synced_does_not_claim_that_an_object_is_missing() {
        let (store, _writer) = reflector::store();
        let cache: Cache<ConfigMap> = Cache::new(store, &[Some("ns".into())]);
        assert_eq!(cache.get("ns", "a"), Lookedup::Unknown(Feed::Starting));
        cache.set_feed(Some("ns"), Feed::NotServed);
        assert_eq!(cache.get("ns", "a"), Lookedup::Unknown(Feed::NotServed));
    }
}
