//! The cache against a naive model: a map that is looked through for each question.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::ObjectMeta;
use proptest::prelude::*;

use super::*;
use crate::cluster::cache::Lookup;

const NAMESPACES: [&str; 2] = ["a", "b"];
const NAMES: [&str; 4] = ["w", "x", "y", "z"];
const KEYS: [&str; 3] = ["k", "k2", "other"];
const KEYS_LABEL: &str = "keys";

type Name = (&'static str, &'static str);

#[derive(Clone, Debug, PartialEq)]
struct Stored {
    version: u64,
    keys: BTreeSet<&'static str>,
}

#[derive(Clone, Debug)]
enum Step {
    Apply(Name, BTreeSet<&'static str>),
    Delete(Name),
    /// A list of a scope. An object that is unchanged keeps its version, and a changed one has other keys.
    List(Option<&'static str>, Vec<(Name, Option<BTreeSet<&'static str>>)>),
}

fn a_name() -> impl Strategy<Value = Name> {
    (
        prop::sample::select(&NAMESPACES[..]),
        prop::sample::select(&NAMES[..]),
    )
}

fn some_keys() -> impl Strategy<Value = BTreeSet<&'static str>> {
    prop::collection::btree_set(prop::sample::select(&KEYS[..]), 0..=3)
}

/// `is_split`: each namespace has a watch of its own.
fn a_step(is_split: bool) -> impl Strategy<Value = Step> {
    let scope =
        prop::sample::select(&NAMESPACES[..]).prop_map(move |namespace| is_split.then_some(namespace));
    let list = prop::collection::vec((a_name(), prop::option::of(some_keys())), 0..6);
    prop_oneof![
        4 => (a_name(), some_keys()).prop_map(|(name, keys)| Step::Apply(name, keys)),
        2 => a_name().prop_map(Step::Delete),
        1 => (scope, list).prop_map(|(scope, list)| Step::List(scope, list)),
    ]
}

fn config_map((namespace, name): Name, stored: &Stored) -> ConfigMap {
    let keys: Vec<&str> = stored.keys.iter().copied().collect();
    ConfigMap {
        metadata: ObjectMeta {
            namespace: Some(namespace.into()),
            name: Some(name.into()),
            resource_version: Some(stored.version.to_string()),
            labels: Some([(KEYS_LABEL.to_owned(), keys.join(","))].into()),
            ..ObjectMeta::default()
        },
        ..ConfigMap::default()
    }
}

fn index(object: &ConfigMap) -> Vec<String> {
    let keys = object
        .metadata
        .labels
        .as_ref()
        .and_then(|labels| labels.get(KEYS_LABEL));
    keys.map(|keys| keys.split(',').map(str::to_owned).collect())
        .unwrap_or_default()
}

/// The cache, the model, and the names that the listener and the model's listener heard of.
struct World {
    writer: CacheWriter<ConfigMap>,
    heard: Arc<Mutex<BTreeSet<(String, String)>>>,
    is_split: bool,
    model: BTreeMap<Name, Stored>,
    expected: BTreeSet<(String, String)>,
    version: u64,
}

impl World {
    fn new(is_split: bool) -> Self {
        let scopes: Vec<_> = if is_split {
            NAMESPACES.map(|namespace| Some(namespace.to_owned())).into()
        } else {
            vec![None]
        };
        let cache = Cache::new(&scopes, index);
        for scope in &scopes {
            cache.set_watch_state(scope.as_deref(), WatchState::Synced);
        }
        let heard: Arc<Mutex<BTreeSet<_>>> = Arc::default();
        let notices = Arc::clone(&heard);
        let listener = move |_: &Cache<ConfigMap>, notice: Notice<'_, ConfigMap>| {
            if let Notice::Object(object) = notice {
                let metadata = object.metadata.clone();
                let name = (metadata.namespace.unwrap(), metadata.name.unwrap());
                notices.lock().unwrap().insert(name);
            }
        };
        let writer = CacheWriter {
            cache,
            listener: Box::new(listener),
            metrics: Arc::default(),
            health: WatchHealth::default(),
        };
        Self {
            writer,
            heard,
            is_split,
            model: BTreeMap::new(),
            expected: BTreeSet::new(),
            version: 0,
        }
    }

    fn expect(&mut self, (namespace, name): Name) {
        self.expected.insert((namespace.to_owned(), name.to_owned()));
    }

    fn next(&mut self, keys: BTreeSet<&'static str>) -> Stored {
        self.version += 1;
        Stored {
            version: self.version,
            keys,
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Apply(name, keys) => {
                let stored = self.next(keys);
                self.writer
                    .applied(self.is_split.then_some(name.0), &config_map(name, &stored));
                self.model.insert(name, stored);
                self.expect(name);
            }
            Step::Delete(name) => {
                let deleted = self.next(BTreeSet::new());
                self.writer
                    .deleted(self.is_split.then_some(name.0), &config_map(name, &deleted));
                self.model.remove(&name);
                self.expect(name);
            }
            Step::List(scope, objects) => self.list(scope, objects),
        }
    }

    fn list(&mut self, scope: Option<&'static str>, objects: Vec<(Name, Option<BTreeSet<&'static str>>)>) {
        let is_in_scope = |name: &Name| scope.is_none_or(|scope| scope == name.0);
        let mut listed = BTreeMap::new();
        for (name, changed) in objects.into_iter().filter(|(name, _)| is_in_scope(name)) {
            let stored = match (changed, self.model.get(&name)) {
                (None, Some(same)) => same.clone(),
                (changed, _) => self.next(changed.unwrap_or_default()),
            };
            listed.insert(name, stored);
        }
        let mut list = self.writer.list_requested(scope);
        for (name, stored) in &listed {
            self.writer.listed(scope, &mut list, &config_map(*name, stored));
        }
        self.writer.list_done(scope, &list);
        for name in NAMESPACES
            .into_iter()
            .flat_map(|namespace| NAMES.map(|name| (namespace, name)))
        {
            if is_in_scope(&name) && self.model.get(&name) != listed.get(&name) {
                self.expect(name);
            }
        }
        self.model.retain(|name, _| !is_in_scope(name));
        self.model.extend(listed);
    }

    /// Asks the cache and the model the same questions.
    fn check(&self) {
        let cache = &self.writer.cache;
        for namespace in NAMESPACES {
            for name in NAMES {
                let expected = self.model.get(&(namespace, name));
                let expected = expected.map(|stored| config_map((namespace, name), stored));
                assert_eq!(cache.is_delivered(namespace, name), expected.is_some());
                let expected = expected.map_or(Lookup::Missing, |object| Lookup::Found(Arc::new(object)));
                assert_eq!(cache.get(namespace, name), expected);
            }
            for key in KEYS {
                let with_key = self
                    .model
                    .iter()
                    .filter(|((of, _), stored)| *of == namespace && stored.keys.contains(key));
                let expected: Vec<&str> = with_key.map(|((_, name), _)| *name).collect();
                assert_eq!(cache.names_with_key(namespace, key), expected);
                assert_eq!(cache.has_key(namespace, key), !expected.is_empty());
                let objects = cache.with_key(namespace, key);
                let names: Vec<_> = objects
                    .iter()
                    .map(|object| object.metadata.name.as_deref().unwrap())
                    .collect();
                assert_eq!(names, expected);
            }
        }
        for scope in [None, Some("a"), Some("b"), Some("unknown")] {
            let in_scope = self
                .model
                .keys()
                .filter(|name| scope.is_none_or(|scope| scope == name.0));
            let expected = in_scope
                .map(|(namespace, name)| ObjectRef::new(name).within(namespace))
                .collect();
            assert_eq!(cache.of_scope(scope), expected);
        }
        assert_eq!(cache.all().count(), self.model.len());
        assert_eq!(*self.heard.lock().unwrap(), self.expected);
    }
}

proptest! {
    #[test]
    fn the_cache_answers_as_a_map_that_is_looked_through(
        (is_split, steps) in any::<bool>().prop_flat_map(|is_split| (Just(is_split), prop::collection::vec(a_step(is_split), 0..40)))
    ) {
        let mut world = World::new(is_split);
        for step in steps {
            world.heard.lock().unwrap().clear();
            world.expected.clear();
            world.step(step);
            world.check();
        }
    }
}
