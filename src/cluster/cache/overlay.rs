//! What a cache remembers of the writes of its process, and how far the watches have come.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use kube::Resource;
use kube::runtime::reflector::ObjectRef;

use super::Cached;

/// Versions of own writes that are kept for each object: more than one reconcile writes.
const OWN_VERSIONS: usize = 8;

type Writes<K> = HashMap<ObjectRef<K>, Arc<K>>;

/// The writes of this process that a cache remembered at one time.
pub struct Remembered<K: Cached>(Writes<K>);

pub(super) struct Overlay<K: Cached> {
    /// Written, and not delivered yet.
    writes: Writes<K>,
    /// The resourceVersions of the last writes to each object that are noted as own, delivered or not.
    own_versions: HashMap<ObjectRef<K>, VecDeque<String>>,
    /// The highest version that the watch of each scope has delivered since its last list.
    progress: HashMap<Option<String>, u64>,
}

impl<K: Cached> Default for Overlay<K> {
    fn default() -> Self {
        Self {
            writes: HashMap::new(),
            own_versions: HashMap::new(),
            progress: HashMap::new(),
        }
    }
}

impl<K: Cached> Overlay<K> {
    pub(super) fn written(&self, key: &ObjectRef<K>) -> Option<Arc<K>> {
        self.writes.get(key).cloned()
    }

    pub(super) fn insert(&mut self, key: &ObjectRef<K>, object: K) {
        self.writes.insert(key.clone(), Arc::new(object));
    }

    pub(super) fn note_own(&mut self, key: &ObjectRef<K>, object: &K) {
        if let Some(version) = &object.meta().resource_version {
            let versions = self.own_versions.entry(key.clone()).or_default();
            versions.push_back(version.clone());
            if versions.len() > OWN_VERSIONS {
                versions.pop_front();
            }
        }
    }

    pub(super) fn is_own_version(&self, key: &ObjectRef<K>, version: &str) -> bool {
        let own = self.own_versions.get(key);
        own.is_some_and(|own| own.iter().any(|own| own == version))
    }

    /// Whether the watch of the scope has passed the version of this object.
    pub(super) fn is_delivered(&self, scope: Option<&str>, object: &K) -> bool {
        let progress = self.progress.get(&scope.map(str::to_owned));
        progress.is_some_and(|progress| version(object).is_some_and(|version| version <= *progress))
    }

    pub(super) fn delivered(&mut self, scope: Option<&str>, key: &ObjectRef<K>, object: &K) {
        let delivered = version(object);
        let is_passed = |held: &Arc<K>| delivered >= version(held.as_ref());
        if self.writes.get(key).is_some_and(is_passed) {
            self.writes.remove(key);
        }
        if let Some(delivered) = delivered {
            let progress = self.progress.entry(scope.map(str::to_owned)).or_default();
            *progress = delivered.max(*progress);
        }
    }

    pub(super) fn forget(&mut self, key: &ObjectRef<K>) {
        self.own_versions.remove(key);
    }

    /// Returns how far the watch had come since an earlier list, if there was one.
    pub(super) fn reset_progress(&mut self, scope: Option<&str>) -> Option<u64> {
        self.progress.insert(scope.map(str::to_owned), 0)
    }

    pub(super) fn remembered(&self, scope: Option<&str>) -> Remembered<K> {
        let keys = self.keys(scope);
        let held = keys.filter_map(|key| Some((key.clone(), self.written(key)?)));
        Remembered(held.collect())
    }

    /// Drops the writes that were remembered then. Returns their objects and versions.
    pub(super) fn drop_remembered(&mut self, before: &Remembered<K>) -> Vec<(ObjectRef<K>, Option<u64>)> {
        let is_same = |key: &ObjectRef<K>, object: &mut Arc<K>| {
            before.0.get(key).is_some_and(|held| Arc::ptr_eq(held, object))
        };
        let dropped = self.writes.extract_if(is_same);
        dropped
            .map(|(key, object)| (key, version(object.as_ref())))
            .collect()
    }

    /// The objects of a scope that were written and not delivered yet.
    pub(super) fn keys<'a>(&'a self, scope: Option<&'a str>) -> impl Iterator<Item = &'a ObjectRef<K>> {
        let is_in_scope = move |key: &&ObjectRef<K>| scope.is_none() || key.namespace.as_deref() == scope;
        self.writes.keys().filter(is_in_scope)
    }
}

/// The resourceVersions of one kind can be compared as decimal numbers (KEP-5504, Kubernetes 1.35; true with etcd before), as long
/// as they belong to one history.
pub(super) fn version<K: Resource>(object: &K) -> Option<u64> {
    let version = object.meta().resource_version.as_deref();
    version.and_then(|version| version.parse().ok())
}
