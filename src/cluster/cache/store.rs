//! The objects of one kind that the watches have delivered, in indexes: no read looks at all of them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use kube::Resource;
use kube::runtime::reflector::ObjectRef;

/// The keys by which an object is found in its namespace, next to its name. They must depend on nothing but the object.
pub type Index<K> = fn(&K) -> Vec<String>;

/// The objects by namespace and name, and by the keys of their [`Index`].
pub(super) struct Store<K> {
    index: Index<K>,
    namespaces: HashMap<String, Namespace<K>>,
}

struct Namespace<K> {
    objects: HashMap<Arc<str>, Arc<K>>,
    /// Pairs of a key and the name of an object that has it.
    keys: BTreeSet<(Arc<str>, Arc<str>)>,
}

impl<K> Default for Namespace<K> {
    fn default() -> Self {
        Self {
            objects: HashMap::new(),
            keys: BTreeSet::new(),
        }
    }
}

impl<K: Resource<DynamicType = ()>> Store<K> {
    pub(super) fn new(index: Index<K>) -> Self {
        Self {
            index,
            namespaces: HashMap::new(),
        }
    }

    pub(super) fn get(&self, namespace: &str, name: &str) -> Option<&Arc<K>> {
        self.namespaces.get(namespace)?.objects.get(name)
    }

    /// Adds an object, or replaces its earlier version, which is returned.
    pub(super) fn insert(&mut self, object: Arc<K>) -> Option<Arc<K>> {
        let (namespace, name) = identity(object.as_ref());
        let earlier = self.remove(namespace, name);
        let name: Arc<str> = name.into();
        let keys = (self.index)(&object);
        let namespace = self.namespaces.entry(namespace.to_owned()).or_default();
        let keys = keys.into_iter().map(|key| (key.into(), Arc::clone(&name)));
        namespace.keys.extend(keys);
        namespace.objects.insert(name, object);
        earlier
    }

    pub(super) fn remove(&mut self, namespace: &str, name: &str) -> Option<Arc<K>> {
        let objects = self.namespaces.get_mut(namespace)?;
        let (name, removed) = objects.objects.remove_entry(name)?;
        for key in (self.index)(&removed) {
            objects.keys.remove(&(key.into(), Arc::clone(&name)));
        }
        if objects.objects.is_empty() {
            self.namespaces.remove(namespace);
        }
        Some(removed)
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

    /// All objects of a scope: a namespace, or `None` for all of them.
    pub(super) fn of_scope<'a>(&'a self, scope: Option<&'a str>) -> impl Iterator<Item = &'a Arc<K>> {
        let one = scope.map(|namespace| self.namespaces.get(namespace));
        let all = scope.is_none().then(|| self.namespaces.values());
        let namespaces = one.flatten().into_iter().chain(all.into_iter().flatten());
        namespaces.flat_map(|namespace| namespace.objects.values())
    }
}

/// The namespace and the name of an object. Objects of the API server have both.
pub(super) fn identity<K: Resource>(object: &K) -> (&str, &str) {
    let metadata = object.meta();
    let (namespace, name) = (metadata.namespace.as_deref(), metadata.name.as_deref());
    (namespace.unwrap_or_default(), name.unwrap_or_default())
}

/// The reference to an object, without its version: it is a key of maps.
pub(super) fn reference<K: Resource<DynamicType = ()>>(namespace: &str, name: &str) -> ObjectRef<K> {
    ObjectRef::new(name).within(namespace)
}
