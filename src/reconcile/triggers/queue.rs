//! The queue of servers to reconcile.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::channel::mpsc::{self, UnboundedReceiver, UnboundedSender};
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;

use super::Key;
use crate::base::backoff::PerObject;
use crate::base::metrics::Metrics;
use crate::cluster::cache::{Cache, StoredServer};

/// It stays empty on an operator that is not the leader, because nothing takes from it.
///
/// A write of this operator to a server does not queue the server again: the reconcile that wrote it knows what it wrote. Otherwise
/// a status whose text changes each time would be written in a loop, without a backoff. The watch may deliver a write before its
/// answer arrives. So a change that is delivered during a reconcile of the server is compared with what was written at its end.
#[derive(Clone)]
pub(in crate::reconcile) struct Queue {
    sender: UnboundedSender<Key>,
    is_open: Arc<AtomicBool>,
    metrics: Arc<Metrics>,
    running: Arc<Mutex<Running>>,
    backoff: PerObject<Key>,
}

/// The servers that are being reconciled, and the versions of them that were delivered since the start.
type Running = HashMap<Key, Vec<String>>;

impl Queue {
    /// A closed queue, and its receiver.
    pub(in crate::reconcile) fn new(
        metrics: Arc<Metrics>,
        backoff: PerObject<Key>,
    ) -> (Self, UnboundedReceiver<Key>) {
        let (sender, receiver) = mpsc::unbounded();
        let queue = Self {
            sender,
            is_open: Arc::default(),
            metrics,
            running: Arc::default(),
            backoff,
        };
        (queue, receiver)
    }

    pub(super) fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Opens the queue and adds every server. In this order, so that no change is lost in between.
    pub(in crate::reconcile) fn open(&self, servers: &Cache<StoredServer>) {
        self.is_open.store(true, Ordering::SeqCst);
        self.push_scope(servers, None);
    }

    /// A send fails only when the operator stops.
    pub(in crate::reconcile) fn push(&self, key: Key) {
        if self.is_open.load(Ordering::SeqCst) {
            self.metrics
                .queued(key.namespace.as_deref().unwrap_or_default(), &key.name);
            let _ = self.sender.unbounded_send(key);
        }
    }

    /// Adds the servers of a namespace, or of all of them.
    pub(super) fn push_scope(&self, servers: &Cache<StoredServer>, namespace: Option<&str>) {
        for server in servers.of_scope(namespace) {
            self.push(server);
        }
    }

    /// Adds the servers whose last reconcile failed, without the rest of their pauses: the API server answers again.
    pub(super) fn push_failing(&self) {
        for server in self.backoff.failing() {
            self.push(server);
        }
    }

    /// Adds a server that the watch has delivered, unless this operator wrote this version.
    pub(super) fn server_changed(&self, servers: &Cache<StoredServer>, server: &StoredServer) {
        let key = ObjectRef::from_obj(server);
        let version = server.resource_version().unwrap_or_default();
        if let Some(delivered) = self.running().get_mut(&key) {
            delivered.push(version);
            return;
        }
        if !servers.is_own_version(&key, &version) {
            self.push(key);
        }
    }

    /// The reconcile of a server starts.
    pub(in crate::reconcile) fn started(&self, key: &Key) {
        self.running().insert(key.clone(), Vec::new());
    }

    /// The reconcile of a server has ended. Adds the server again if it has changed in the meantime.
    pub(in crate::reconcile) fn ended(&self, key: &Key, servers: &Cache<StoredServer>) {
        let delivered = self.running().remove(key).unwrap_or_default();
        if delivered
            .iter()
            .any(|version| !servers.is_own_version(key, version))
        {
            self.push(key.clone());
        }
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn server(namespace: &str, version: &str) -> StoredServer {
        serde_json::from_value(json!({
            "apiVersion": "dittofs.dittofs.com/v1alpha1",
            "kind": "DittoServer",
            "metadata": {"name": "files", "namespace": namespace, "resourceVersion": version},
            "spec": {"storage": {"metadataSize": "1Gi"}},
        }))
        .unwrap()
    }

    struct World {
        queue: Queue,
        queued: UnboundedReceiver<Key>,
        servers: Cache<StoredServer>,
    }

    impl World {
        /// An open queue, and servers in namespaces `a` and `b`.
        fn new() -> Self {
            let backoff = PerObject::new(Duration::ZERO, Duration::ZERO);
            let (queue, queued) = Queue::new(Arc::default(), backoff);
            let servers = Cache::new(&[None], |_| Vec::new());
            queue.open(&servers);
            for namespace in ["a", "b"] {
                servers.applied(None, &server(namespace, "1"));
            }
            Self {
                queue,
                queued,
                servers,
            }
        }

        fn queued(&mut self) -> Vec<String> {
            let mut keys = Vec::new();
            while let Ok(key) = self.queued.try_recv() {
                keys.push(key.namespace.unwrap_or_default());
            }
            keys.sort();
            keys
        }
    }

    #[test]
    fn a_scope_queues_only_its_own_servers() {
        let mut world = World::new();
        world.queue.push_scope(&world.servers, Some("a"));
        assert_eq!(world.queued(), ["a"]);
        world.queue.push_scope(&world.servers, None);
        assert_eq!(world.queued(), ["a", "b"]);
    }

    #[test]
    fn the_servers_whose_last_reconcile_failed_are_queued_when_the_api_server_answers_again() {
        let mut world = World::new();
        world.queue.push_failing();
        assert!(world.queued().is_empty());
        world.queue.backoff.failed(ObjectRef::from_obj(&server("b", "1")));
        world.queue.push_failing();
        assert_eq!(world.queued(), ["b"]);
    }

    #[test]
    fn the_echo_of_an_own_write_does_not_queue_the_server() {
        let mut world = World::new();
        world.servers.wrote_own(server("a", "2"));
        world.queue.server_changed(&world.servers, &server("a", "2"));
        assert!(world.queued().is_empty());
        world.queue.server_changed(&world.servers, &server("a", "3"));
        assert_eq!(world.queued(), ["a"], "a change by another client");
    }

    #[test]
    fn an_echo_that_arrives_before_the_answer_to_the_write_does_not_queue_the_server() {
        let mut world = World::new();
        let key = ObjectRef::from_obj(&server("a", "1"));
        for (delivered, expected) in [
            (&["2"][..], &[][..]),
            (&["2", "3"][..], &["a"][..]),
            (&[][..], &[][..]),
        ] {
            world.queue.started(&key);
            for version in delivered {
                world.queue.server_changed(&world.servers, &server("a", version));
            }
            world.servers.wrote_own(server("a", "2"));
            world.queue.ended(&key, &world.servers);
            assert_eq!(world.queued(), expected, "{delivered:?}");
        }
    }
}
