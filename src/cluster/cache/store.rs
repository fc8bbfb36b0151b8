//! The objects of one kind that the watches have delivered, in indexes: no read looks at all of them.
//!
//! They are kept packed (`packed.rs`), and unpacked when somebody asks for one.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use kube::runtime::reflector::ObjectRef;

use super::Cached;
use super::packed::{Dictionary, Packed};

/// The keys by which an object is found in its namespace, next to its name. They must depend on nothing but the object.
pub type Index<K> = fn(&K) -> Vec<String>;

/// The objects by namespace and name, and by the keys of their [`Index`].
pub(super) struct Store<K> {
    index: Index<K>,
    dictionary: Dictionary,
    namespaces: HashMap<String, Namespace<K>>,
}

struct Namespace<K> {
    objects: HashMap<Arc<str>, Stored<K>>,
    /// Pairs of a key and the name of an object that has it.
    keys: BTreeSet<(Arc<str>, Arc<str>)>,
}

struct Stored<K> {
    object: Packed<K>,
    keys: Box<[Arc<str>]>,
}

impl<K> Default for Namespace<K> {
    fn default() -> Self {
        Self {
            objects: HashMap::new(),
            keys: BTreeSet::new(),
        }
    }
}

impl<K: Cached> Store<K> {
    pub(super) fn new(index: Index<K>) -> Self {
        Self {
            index,
            dictionary: Dictionary::default(),
            namespaces: HashMap::new(),
        }
    }

    pub(super) fn get(&self, namespace: &str, name: &str) -> Option<&Packed<K>> {
        let stored = self.namespaces.get(namespace)?.objects.get(name)?;
        Some(&stored.object)
    }

    /// Adds an object, or replaces its earlier version.
    pub(super) fn insert(&mut self, object: &K) {
        let (namespace, name) = identity(object);
        self.remove(namespace, name);
        let name: Arc<str> = name.into();
        let keys: Box<[Arc<str>]> = (self.index)(object).into_iter().map(Arc::from).collect();
        let namespace = self.namespaces.entry(namespace.to_owned()).or_default();
        let pairs = keys.iter().map(|key| (Arc::clone(key), Arc::clone(&name)));
        namespace.keys.extend(pairs);
        let object = Packed::new(object, &self.dictionary);
        namespace.objects.insert(name, Stored { object, keys });
    }

    pub(super) fn remove(&mut self, namespace: &str, name: &str) -> Option<Packed<K>> {
        let objects = self.namespaces.get_mut(namespace)?;
        let (name, Stored { object, keys }) = objects.objects.remove_entry(name)?;
        for key in keys {
            objects.keys.remove(&(key, Arc::clone(&name)));
        }
        if objects.objects.is_empty() {
            self.namespaces.remove(namespace);
        }
        Some(object)
    }

    /// The names of the objects of a namespace that have this key.
    pub(super) fn with_key<'a>(&'a self, namespace: &str, key: &str) -> impl Iterator<Item = &'a str> {
        let first: (Arc<str>, Arc<str>) = (key.into(), "".into());
        let key = Arc::clone(&first.0);
        let keys = self.namespaces.get(namespace).map(|objects| &objects.keys);
        keys.into_iter()
            .flat_map(move |keys| keys.range(first.clone()..))
            .take_while(move |(found, _)| *found == key)
            .map(|(_, name)| name.as_ref())
    }

    /// All objects.
    pub(super) fn all(&self) -> impl Iterator<Item = &Packed<K>> {
        let namespaces = self.namespaces.values();
        namespaces.flat_map(|namespace| namespace.objects.values().map(|stored| &stored.object))
    }

    /// References to all objects of a scope: a namespace, or `None` for all of them.
    pub(super) fn of_scope<'a>(&'a self, scope: Option<&'a str>) -> impl Iterator<Item = ObjectRef<K>> {
        let in_scope =
            move |(namespace, _): &(&String, &Namespace<K>)| scope.is_none_or(|scope| scope == *namespace);
        let namespaces = self.namespaces.iter().filter(in_scope);
        namespaces
            .flat_map(|(namespace, stored)| stored.objects.keys().map(|name| reference(namespace, name)))
    }
}

/// The namespace and the name of an object. Objects of the API server have both.
pub(super) fn identity<K: Cached>(object: &K) -> (&str, &str) {
    let metadata = object.meta();
    let (namespace, name) = (metadata.namespace.as_deref(), metadata.name.as_deref());
    (namespace.unwrap_or_default(), name.unwrap_or_default())
}

/// The reference to an object, without its version: it is a key of maps.
pub(super) fn reference<K: Cached>(namespace: &str, name: &str) -> ObjectRef<K> {
    ObjectRef::new(name).within(namespace)
}
