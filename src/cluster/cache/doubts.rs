//! Objects that a list shows at an earlier version than the one that was known.
//!
//! An API server that is behind the others answers with such a list, and so does one whose etcd was restored from a backup. In the first
//! case the earlier version is wrong, in the second it counts. A read of the object shows which.

use std::collections::HashMap;

use kube::runtime::reflector::ObjectRef;

use super::Cached;

pub(super) struct Doubts<K: Cached> {
    /// The version of each that was known.
    objects: HashMap<ObjectRef<K>, u64>,
    /// The highest version that the watch of each scope had delivered when its last list was requested.
    passed: HashMap<Option<String>, u64>,
}

impl<K: Cached> Default for Doubts<K> {
    fn default() -> Self {
        Self {
            objects: HashMap::new(),
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
        let passed = self.passed.get(&scope.map(str::to_owned)).copied();
        let known = known.or(passed.map(|passed| passed + 1));
        if let (Some(listed), Some(known)) = (listed, known)
            && listed < known
        {
            self.doubt(key, known);
        } else {
            self.delivered(&key, listed);
        }
    }

    /// A list does not have an object that was known. It may be from before the object was created.
    pub(super) fn vanished(&mut self, key: ObjectRef<K>, known: Option<u64>) {
        if let Some(known) = known {
            self.doubt(key, known);
        }
    }

    /// This version of an object was known, and a list has an earlier one, or none.
    pub(super) fn doubt(&mut self, key: ObjectRef<K>, known: u64) {
        let newest = self.objects.entry(key).or_default();
        *newest = known.max(*newest);
    }

    /// The watch has delivered a version of this object. After an older list it delivers again what it has delivered before.
    pub(super) fn delivered(&mut self, key: &ObjectRef<K>, version: Option<u64>) {
        if self.objects.get(key).is_some_and(|known| version >= Some(*known)) {
            self.objects.remove(key);
        }
    }

    /// The watch of a scope has delivered a version of any object. It delivers versions in their order, so what is known of objects of which
    /// no later version was known is right now, also of those that are gone.
    pub(super) fn reached(&mut self, scope: Option<&str>, version: Option<u64>) {
        let is_over = |key: &ObjectRef<K>, known: u64| {
            (scope.is_none() || key.namespace.as_deref() == scope) && Some(known) <= version
        };
        self.objects.retain(|key, known| !is_over(key, *known));
    }

    /// This object was read, or it is gone.
    pub(super) fn settled(&mut self, key: &ObjectRef<K>) {
        self.objects.remove(key);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    pub(super) fn has(&self, key: &ObjectRef<K>) -> bool {
        self.objects.contains_key(key)
    }
}
