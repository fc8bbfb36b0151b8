//! Which change in the cluster triggers the reconcile of which server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::channel::mpsc::{self, UnboundedReceiver, UnboundedSender};
use k8s_openapi::api::core::v1::Secret;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Client, Resource, ResourceExt};
use tokio_util::sync::CancellationToken;

use crate::api::percona::PerconaPGCluster;
use crate::api::{DittoServer, names};
use crate::base::metrics::Metrics;
use crate::cluster::cache::{Cache, Cached, Progress, StoredServer};
use crate::cluster::secret_reader::SecretReader;
use crate::cluster::watch::{self, Notice, Watch};
use crate::domain::{ownership, secrets};
use crate::reconcile::context::{Caches, Context};

type Key = ObjectRef<StoredServer>;

/// The queue of servers to reconcile. It stays empty on an operator that is not the leader, because nothing takes from it.
#[derive(Clone)]
pub(super) struct Queue {
    sender: UnboundedSender<Key>,
    is_open: Arc<AtomicBool>,
    metrics: Arc<Metrics>,
}

impl Queue {
    /// A closed queue, and its receiver.
    pub(super) fn new(metrics: Arc<Metrics>) -> (Self, UnboundedReceiver<Key>) {
        let (sender, receiver) = mpsc::unbounded();
        let queue = Self {
            sender,
            is_open: Arc::default(),
            metrics,
        };
        (queue, receiver)
    }

    /// Opens the queue and adds every server. In this order, so that no change is lost in between.
    pub(super) fn open(&self, servers: &Cache<StoredServer>) {
        self.is_open.store(true, Ordering::SeqCst);
        self.push_all(servers);
    }

    /// A send fails only when the operator stops.
    fn push(&self, key: Key) {
        if self.is_open.load(Ordering::SeqCst) {
            self.metrics
                .queued(key.namespace.as_deref().unwrap_or_default(), &key.name);
            let _ = self.sender.unbounded_send(key);
        }
    }

    fn push_all(&self, servers: &Cache<StoredServer>) {
        for server in servers.all() {
            self.push(ObjectRef::from_obj(server.as_ref()));
        }
    }
}

/// What all watches share.
struct Scope<'a> {
    client: &'a Client,
    namespaces: &'a [String],
    stop: &'a CancellationToken,
    metrics: Arc<Metrics>,
}

impl Scope<'_> {
    fn watch<K: Cached>(
        &self,
        labels: Option<String>,
        trim: fn(&mut K),
        listener: impl Fn(&Cache<K>, Notice<'_, K>) + Send + Sync + 'static,
    ) -> Cache<K> {
        let apis = if self.namespaces.is_empty() {
            vec![(None, Api::all(self.client.clone()))]
        } else {
            let scoped = |name: &String| (Some(name.clone()), Api::namespaced(self.client.clone(), name));
            self.namespaces.iter().map(scoped).collect()
        };
        let metrics = Arc::clone(&self.metrics);
        let watch = Watch {
            apis,
            labels,
            trim,
            metrics,
        };
        watch::start(watch, self.stop, listener)
    }

    /// Watches a kind of children: a change of a child adds its server to the queue.
    fn children<K: Cached>(&self, servers: &Cache<StoredServer>, queue: &Queue) -> Cache<K> {
        let (servers, queue) = (servers.clone(), queue.clone());
        let labels = format!("{}={}", names::APP_LABEL, names::APP);
        self.watch(Some(labels), drop_owned_fields, move |_, notice| match notice {
            Notice::Object(child) => server_of(child).into_iter().for_each(|key| queue.push(key)),
            Notice::All => queue.push_all(&servers),
        })
    }

    /// Database clusters have no owner reference, and one that the user created lacks our labels. So they are matched by name.
    fn databases(&self, servers: &Cache<StoredServer>, queue: &Queue) -> Cache<PerconaPGCluster> {
        let (servers, queue) = (servers.clone(), queue.clone());
        self.watch(
            None,
            drop_managed_fields,
            move |_, notice: Notice<'_, PerconaPGCluster>| match notice {
                Notice::Object(cluster) => push_users(&servers, &queue, cluster, |server| {
                    names::percona_cluster(&server.name_any()) == cluster.name_any()
                }),
                Notice::All => queue.push_all(&servers),
            },
        )
    }

    fn secrets(&self, servers: &Cache<StoredServer>, queue: &Queue) -> Cache<PartialObjectMeta<Secret>> {
        let (servers, queue) = (servers.clone(), queue.clone());
        self.watch(
            None,
            keep_identity,
            move |_, notice: Notice<'_, PartialObjectMeta<Secret>>| match notice {
                Notice::Object(secret) => push_users(&servers, &queue, secret, |server| {
                    secrets::names(server).any(|name| name == secret.name_any())
                }),
                Notice::All => queue.push_all(&servers),
            },
        )
    }
}

/// Starts all watches.
pub(super) fn start(
    watches: &Client,
    calls: &Client,
    namespaces: &[String],
    queue: &Queue,
    stop: &CancellationToken,
) -> (Caches, SecretReader) {
    let scope = Scope {
        client: watches,
        namespaces,
        stop,
        metrics: Arc::clone(&queue.metrics),
    };
    let servers = servers(&scope, queue);
    let caches = Caches {
        stateful_sets: scope.children(&servers, queue),
        config_maps: scope.children(&servers, queue),
        services: scope.children(&servers, queue),
        network_policies: scope.children(&servers, queue),
        pods: scope.children(&servers, queue),
        claims: scope.children(&servers, queue),
        databases: scope.databases(&servers, queue),
        servers: servers.clone(),
    };
    let secrets = SecretReader::new(calls.clone(), scope.secrets(&servers, queue));
    (caches, secrets)
}

/// Watches the servers themselves. No change is filtered out, because metadata matters, too (deletion, annotations).
fn servers(scope: &Scope<'_>, queue: &Queue) -> Cache<StoredServer> {
    let queue = queue.clone();
    scope.watch(
        None,
        |_: &mut StoredServer| (),
        move |servers, notice| match notice {
            Notice::Object(server) => queue.push(ObjectRef::from_obj(server)),
            Notice::All => queue.push_all(servers),
        },
    )
}

/// Waits until every watch has answered, or `longest` is over.
pub(super) async fn first_answers(context: &Context, longest: Duration) {
    let servers = &context.caches.servers;
    // Without a list of servers there is nothing to reconcile.
    servers.progress().answered().await;
    if servers.is_absent() {
        tracing::warn!(
            "the CRD of DittoServers is not installed in this cluster: run `dittofs-operator crd | kubectl apply --server-side -f -`; \
             waiting for it"
        );
    }
    servers.progress().synced().await;
    if tokio::time::timeout(longest, children_answered(context))
        .await
        .is_err()
    {
        tracing::warn!(
            "some kinds could not be listed yet; their objects are read from the API server until then"
        );
    }
}

/// Waits until every watch except that of the servers has answered, with a list or with an error.
pub(super) async fn children_answered(context: &Context) {
    for kind in children(context) {
        kind.answered().await;
    }
    context.caches.databases.progress().answered().await;
}

/// Waits until every watch has synced. The kind of the database is optional.
pub(super) async fn synced(context: Arc<Context>) {
    context.caches.servers.progress().synced().await;
    for kind in children(&context) {
        kind.synced().await;
    }
    context.caches.databases.progress().answered().await;
}

/// The kinds of children that are always installed.
fn children(context: &Context) -> [Progress; 7] {
    let Caches {
        servers: _,
        stateful_sets,
        config_maps,
        services,
        network_policies,
        pods,
        claims,
        databases: _,
    } = &context.caches;
    [
        stateful_sets.progress(),
        config_maps.progress(),
        services.progress(),
        network_policies.progress(),
        pods.progress(),
        claims.progress(),
        context.secrets.metadata().progress(),
    ]
}

/// The server of a child: its controller, or the server in its label.
fn server_of<K: Resource>(child: &K) -> Option<Key> {
    let metadata = child.meta();
    let owner = ownership::controller(metadata).filter(|owner| ownership::is_server(owner));
    let labelled = || metadata.labels.as_ref()?.get(names::INSTANCE_LABEL);
    let name = owner.map(|owner| &owner.name).or_else(labelled)?;
    Some(ObjectRef::new(name).within(metadata.namespace.as_deref().unwrap_or_default()))
}

fn push_users<K: Resource>(
    servers: &Cache<StoredServer>,
    queue: &Queue,
    object: &K,
    uses: impl Fn(&DittoServer) -> bool,
) {
    for stored in servers.all() {
        let Ok(server) = &stored.0 else { continue };
        if server.namespace() == object.meta().namespace && uses(server) {
            queue.push(ObjectRef::from_obj(stored.as_ref()));
        }
    }
}

/// Of `managedFields`, only the manager and the time are read from a cache; the fields themselves are half of an object.
fn drop_owned_fields<K: Resource>(object: &mut K) {
    for entry in object.meta_mut().managed_fields.iter_mut().flatten() {
        entry.fields_v1 = None;
    }
}

/// `managedFields` are not read from this cache, and they are half of an object.
fn drop_managed_fields<K: Resource>(object: &mut K) {
    object.meta_mut().managed_fields = None;
}

/// The watch delivers all Secrets of a namespace. Only their identity and version are kept.
fn keep_identity(secret: &mut PartialObjectMeta<Secret>) {
    let metadata = std::mem::take(&mut secret.metadata);
    secret.metadata.name = metadata.name;
    secret.metadata.namespace = metadata.namespace;
    secret.metadata.uid = metadata.uid;
    secret.metadata.resource_version = metadata.resource_version;
}
