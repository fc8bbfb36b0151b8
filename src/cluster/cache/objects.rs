//! What a cache knows of the objects of its kind: what the watches have delivered, what this process has written since, and what is doubted.
//! All of it is under one lock: a read between a delivery and the end of a remembered write would find neither version.

use std::sync::Arc;

use kube::runtime::reflector::ObjectRef;

use super::Cached;
use super::doubts::Doubts;
use super::overlay::{Overlay, version};
use super::packed::Packed;
use super::store::{Index, Store, identity, reference};

pub(super) struct Objects<K: Cached> {
    /// What the watches have delivered.
    pub(super) store: Store<K>,
    pub(super) overlay: Overlay<K>,
    pub(super) doubts: Doubts<K>,
}

/// The newest version of an object.
pub(super) enum Newest<K> {
    /// This process wrote it, and the watch has not delivered it yet.
    Written(Arc<K>),
    Delivered(Packed<K>),
}

impl<K: Cached> Newest<K> {
    fn version(&self) -> Option<u64> {
        match self {
            Self::Written(object) => version(object.as_ref()),
            Self::Delivered(packed) => packed.version(),
        }
    }
}

impl<K: Cached> Objects<K> {
    pub(super) fn new(index: Index<K>) -> Self {
        Self {
            store: Store::new(index),
            overlay: Overlay::default(),
            doubts: Doubts::default(),
        }
    }

    pub(super) fn newest(&self, namespace: &str, name: &str) -> Option<Newest<K>> {
        let delivered = self.store.get(namespace, name);
        let written = self.overlay.written(&reference(namespace, name));
        match (delivered, written) {
            (Some(delivered), Some(written)) if delivered.version() < version(written.as_ref()) => {
                Some(Newest::Written(written))
            }
            (Some(delivered), _) => Some(Newest::Delivered(delivered.clone())),
            (None, written) => written.map(Newest::Written),
        }
    }

    fn newest_version(&self, namespace: &str, name: &str) -> Option<u64> {
        self.newest(namespace, name).as_ref().and_then(Newest::version)
    }

    /// The version that the watch has delivered.
    pub(super) fn delivered_version(&self, namespace: &str, name: &str) -> Option<u64> {
        self.store.get(namespace, name).and_then(Packed::version)
    }

    /// The watch of a scope has delivered a version of an object, or its deletion.
    pub(super) fn delivered(&mut self, scope: Option<&str>, object: &K) {
        let key = ObjectRef::from_obj(object);
        self.overlay.delivered(scope, &key, object);
        self.doubts.reached(scope, version(object));
    }

    /// A list of a scope has an object. Returns whether it is new or has changed.
    pub(super) fn listed(&mut self, scope: Option<&str>, object: &K) -> bool {
        let (namespace, name) = identity(object);
        let listed = version(object);
        let known = self.newest_version(namespace, name);
        self.doubts
            .listed(scope, reference(namespace, name), listed, known);
        let is_changed = listed.is_none() || self.delivered_version(namespace, name) != listed;
        self.store.insert(object);
        is_changed
    }

    /// A list does not have an object. Returns what was known of it.
    pub(super) fn vanished(&mut self, object: &ObjectRef<K>) -> Option<Packed<K>> {
        let namespace = object.namespace.as_deref().unwrap_or_default();
        let known = self.newest_version(namespace, &object.name);
        self.doubts.vanished(object.clone(), known);
        self.store.remove(namespace, &object.name)
    }
}
