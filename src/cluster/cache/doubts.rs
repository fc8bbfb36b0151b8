//! Objects that a list shows at an earlier version than the one that was known.
//!
//! An API server that is behind the others answers with such a list, and so does one whose etcd was restored from a backup. In the first
//! case the earlier version is wrong, in the second it counts. A read of the object shows which.

use std::collections::{HashMap, HashSet};

use kube::runtime::reflector::ObjectRef;

use super::Cached;

pub(super) struct Doubts<K: Cached> {
    objects: HashSet<ObjectRef<K>>,
    /// The highest version that the watch of each scope had delivered when its last list was requested.
    passed: HashMap<Option<String>, u64>,
}

impl<K: Cached> Default for Doubts<K> {
    fn default() -> Self {
        Self {
            objects: HashSet::new(),
            passed: HashMap::new(),
        }
    }
}

impl<K: Cached> Doubts<K> {
    /// A list of a scope is requested, whose watch has delivered this version.
    pub(super) fn list_requested(&mut self, scope: Option<&str>, delivered: u64) {
        let passed = self.passed.entry(scope.map(str::to_owned)).or_default();
        *passed = delivered.max(*passed);
    }

    /// A list has this version of an object, and `known` was known before. An object that was not known is new, unless the watch has
    /// passed its version: then it had been deleted.
    pub(super) fn listed(
        &mut self,
        scope: Option<&str>,
        key: ObjectRef<K>,
        listed: Option<u64>,
        known: Option<u64>,
    ) {
        let passed = || self.passed.get(&scope.map(str::to_owned)).copied();
        let is_earlier = match known {
            Some(known) => listed.is_some_and(|listed| listed < known),
            None => listed <= passed() && listed.is_some(),
        };
        if is_earlier {
            self.objects.insert(key);
        }
    }

    /// Something newer is known of this object, or it is gone.
    pub(super) fn settled(&mut self, key: &ObjectRef<K>) {
        self.objects.remove(key);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    pub(super) fn has(&self, key: &ObjectRef<K>) -> bool {
        self.objects.contains(key)
    }
}
