//! The objects that somebody holds unpacked. A reconcile looks at the same object several times, and to unpack it takes longer than
//! most of what is done with it.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::Cached;
use super::packed::Packed;

/// Entries from which on those that nobody holds any more are dropped.
const SWEEP_AT: usize = 64;

pub(super) struct Unpacked<K: Cached>(Mutex<Entries<K>>);

struct Entries<K> {
    /// By the address of the packed object.
    entries: HashMap<usize, Entry<K>>,
    sweep_at: usize,
}

struct Entry<K> {
    object: Weak<K>,
    /// As long as this exists, no other packed object has its address.
    _block: Weak<[u8]>,
}

impl<K: Cached> Default for Unpacked<K> {
    fn default() -> Self {
        Self(Mutex::new(Entries {
            entries: HashMap::new(),
            sweep_at: SWEEP_AT,
        }))
    }
}

impl<K: Cached> Unpacked<K> {
    /// The object: the one that somebody holds, or a new one.
    ///
    /// # Errors
    /// As [`Packed::object`].
    pub(super) fn object(&self, packed: &Packed<K>) -> io::Result<Arc<K>> {
        let address = packed.block().as_ptr().addr();
        let held = self
            .lock()
            .entries
            .get(&address)
            .and_then(|entry| entry.object.upgrade());
        if let Some(held) = held {
            return Ok(held);
        }
        let object = packed.object()?;
        self.lock().insert(address, packed, &object);
        Ok(object)
    }

    /// A poisoned lock means that another task panicked between two map operations; the map itself is valid.
    fn lock(&self) -> MutexGuard<'_, Entries<K>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Cached> Entries<K> {
    fn insert(&mut self, address: usize, packed: &Packed<K>, object: &Arc<K>) {
        let entry = Entry {
            object: Arc::downgrade(object),
            _block: Arc::downgrade(packed.block()),
        };
        self.entries.insert(address, entry);
        if self.entries.len() >= self.sweep_at {
            self.entries.retain(|_, entry| entry.object.strong_count() > 0);
            self.sweep_at = SWEEP_AT.max(2 * self.entries.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::api::ObjectMeta;

    use super::super::packed::Dictionary;
    use super::*;

    fn packed(name: &str, dictionary: &Dictionary) -> Packed<ConfigMap> {
        let metadata = ObjectMeta {
            name: Some(name.into()),
            ..ObjectMeta::default()
        };
        let object = ConfigMap {
            metadata,
            ..ConfigMap::default()
        };
        Packed::new(&object, dictionary)
    }

    #[test]
    fn an_object_that_somebody_holds_is_not_unpacked_again() {
        let (unpacked, packed) = (Unpacked::default(), packed("a", &Dictionary::default()));
        let first = unpacked.object(&packed).unwrap();
        assert!(Arc::ptr_eq(&first, &unpacked.object(&packed).unwrap()));
    }

    #[test]
    fn objects_are_not_confused_and_those_that_nobody_holds_are_dropped() {
        let (unpacked, dictionary) = (Unpacked::default(), Dictionary::default());
        let held = unpacked.object(&packed("held", &dictionary)).unwrap();
        for number in 0..10 * SWEEP_AT {
            let name = number.to_string();
            let object = unpacked.object(&packed(&name, &dictionary)).unwrap();
            assert_eq!(object.metadata.name, Some(name));
        }
        let entries = unpacked.lock().entries.len();
        assert!(entries <= SWEEP_AT, "{entries}");
        assert_eq!(held.metadata.name.as_deref(), Some("held"));
    }
}
