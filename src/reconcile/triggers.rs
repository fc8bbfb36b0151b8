//! Which change in the cluster triggers the reconcile of which server.

mod queue;

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Secret};
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Client, Resource, ResourceExt};
use tokio_util::sync::CancellationToken;

pub(super) use self::queue::Queue;
use crate::api::names;
use crate::api::percona::PerconaPGCluster;
use crate::base::metrics::Metrics;
use crate::cluster::cache::{Cache, Cached, Index, Progress, StoredServer};
use crate::cluster::client::WatchClients;
use crate::cluster::secret_reader::SecretReader;
use crate::cluster::watch::{self, Notice, Watch};
use crate::cluster::watch_health::WatchHealth;
use crate::domain::shard::ShardSelector;
use crate::domain::{ownership, secrets};
use crate::reconcile::context::{Caches, Context};

type Key = ObjectRef<StoredServer>;

/// Kinds that are watched in each namespace.
const KINDS: usize = 11;

/// What all watches share.
struct Scope<'a> {
    clients: WatchClients,
    namespaces: &'a [String],
    selector: Option<&'a ShardSelector>,
    stop: &'a CancellationToken,
    metrics: Arc<Metrics>,
    health: WatchHealth,
}

impl Scope<'_> {
    fn watch<K: Cached>(
        &self,
        (labels, keep): (Option<String>, fn(&K) -> bool),
        trim: fn(&mut K),
        index: Index<K>,
        listener: impl Fn(&Cache<K>, Notice<'_, K>) + Send + Sync + 'static,
    ) -> Cache<K> {
        let apis = if self.namespaces.is_empty() {
            vec![(None, Api::all(self.clients.next()))]
        } else {
            let scoped = |name: &String| (Some(name.clone()), Api::namespaced(self.clients.next(), name));
            self.namespaces.iter().map(scoped).collect()
        };
        let watch = Watch {
            apis,
            definitions: Api::all(self.clients.next()),
            labels,
            keep,
            trim,
            index,
            metrics: Arc::clone(&self.metrics),
            health: self.health.clone(),
        };
        watch::start(watch, self.stop, listener)
    }

    /// Watches a kind of children: a change of a child adds its server to the queue. In a shard, children of servers of other shards are
    /// delivered, too. A server that is delivered after its children is queued by its own delivery.
    fn children<K: Cached>(&self, servers: &Cache<StoredServer>, queue: &Queue) -> Cache<K> {
        let (servers, queue) = (servers.clone(), queue.clone());
        let is_sharded = self.selector.is_some();
        let labels = format!("{}={}", names::APP_LABEL, names::APP);
        self.watch(
            (Some(labels), |_| true),
            drop_owned_fields,
            instance,
            move |_, notice| match notice {
                Notice::Object(child) => server_of(child)
                    .filter(|key| !is_sharded || is_known(&servers, key))
                    .into_iter()
                    .for_each(|key| queue.push(key)),
                Notice::Scope(scope) => queue.push_scope(&servers, scope),
                Notice::Recovered => {}
            },
        )
    }

    /// A StatefulSet finds its claims by name, and a claim that was restored from a backup may have no labels. So all claims with such
    /// names are watched, and no others are stored.
    fn claims(&self, servers: &Cache<StoredServer>, queue: &Queue) -> Cache<PersistentVolumeClaim> {
        let (servers, queue) = (servers.clone(), queue.clone());
        self.watch(
            (None, |claim| !server_of_claim(claim).is_empty()),
            drop_owned_fields,
            server_of_claim,
            move |_, notice: Notice<'_, PersistentVolumeClaim>| match notice {
                Notice::Object(claim) => server_of_claim(claim)
                    .iter()
                    .map(|server| ObjectRef::new(server).within(&claim.namespace().unwrap_or_default()))
                    .filter(|key| is_known(&servers, key))
                    .for_each(|key| queue.push(key)),
                Notice::Scope(scope) => queue.push_scope(&servers, scope),
                Notice::Recovered => {}
            },
        )
    }

    /// Database clusters have no owner reference, and one that the user created lacks our labels. So they are matched by name.
    fn databases(&self, servers: &Cache<StoredServer>, queue: &Queue) -> Cache<PerconaPGCluster> {
        let (servers, queue) = (servers.clone(), queue.clone());
        self.watch(
            (None, |_| true),
            drop_managed_fields,
            |_| Vec::new(),
            move |_, notice: Notice<'_, PerconaPGCluster>| match notice {
                Notice::Object(cluster) => server_of_database(&servers, cluster)
                    .into_iter()
                    .for_each(|key| queue.push(key)),
                Notice::Scope(scope) => queue.push_scope(&servers, scope),
                Notice::Recovered => {}
            },
        )
    }

    fn secrets(&self, servers: &Cache<StoredServer>, queue: &Queue) -> Cache<PartialObjectMeta<Secret>> {
        let (servers, queue) = (servers.clone(), queue.clone());
        self.watch(
            (None, |_| true),
            keep_identity,
            |_| Vec::new(),
            move |_, notice: Notice<'_, PartialObjectMeta<Secret>>| match notice {
                Notice::Object(secret) => users(&servers, secret).for_each(|key| queue.push(key)),
                Notice::Scope(scope) => queue.push_scope(&servers, scope),
                Notice::Recovered => {}
            },
        )
    }
}

/// What the watches of an operator need.
pub(super) struct Watches<'a> {
    /// The configuration of their clients.
    pub(super) config: &'a kube::Config,
    /// The namespaces; empty for all of them.
    pub(super) namespaces: &'a [String],
    /// The labels of the servers of this shard; none for all servers.
    pub(super) selector: Option<&'a ShardSelector>,
    pub(super) health: &'a WatchHealth,
    pub(super) stop: &'a CancellationToken,
}

/// Starts all watches. `calls` is the client that reads Secrets.
///
/// # Errors
/// When the client configuration is invalid.
pub(super) fn start(
    watches: &Watches<'_>,
    calls: &Client,
    queue: &Queue,
) -> kube::Result<(Caches, SecretReader)> {
    let metrics = queue.metrics();
    let count = KINDS * watches.namespaces.len().max(1);
    let scope = Scope {
        clients: WatchClients::new(watches.config, count, metrics, watches.health)?,
        namespaces: watches.namespaces,
        selector: watches.selector,
        stop: watches.stop,
        metrics: Arc::clone(metrics),
        health: watches.health.clone(),
    };
    let servers = servers(&scope, queue);
    let caches = Caches {
        stateful_sets: scope.children(&servers, queue),
        config_maps: scope.children(&servers, queue),
        services: scope.children(&servers, queue),
        network_policies: scope.children(&servers, queue),
        pod_disruption_budgets: scope.children(&servers, queue),
        pods: scope.children(&servers, queue),
        claims: scope.claims(&servers, queue),
        databases: scope.databases(&servers, queue),
        service_monitors: scope.children(&servers, queue),
        servers: servers.clone(),
    };
    let secrets = SecretReader::new(calls.clone(), scope.secrets(&servers, queue));
    Ok((caches, secrets))
}

/// Watches the servers themselves. Metadata matters, too (deletion, annotations); only the operator's own writes are filtered out.
fn servers(scope: &Scope<'_>, queue: &Queue) -> Cache<StoredServer> {
    let queue = queue.clone();
    scope.watch(
        (scope.selector.map(ToString::to_string), |_| true),
        drop_owned_fields,
        secrets_of,
        move |servers, notice| match notice {
            Notice::Object(server) => queue.server_changed(servers, server),
            Notice::Scope(scope) => queue.push_scope(servers, scope),
            Notice::Recovered => queue.push_failing(),
        },
    )
}

/// Waits until reconciles can start: the servers of one namespace are known, and the other watches have answered or `longest` is
/// over. A namespace that cannot be read does not block the others.
pub(super) async fn first_answers(context: &Context, longest: Duration) {
    let servers = &context.caches.servers;
    let progress = servers.progress();
    let all_answered = async {
        progress.answered().await;
        if servers.is_absent() {
            tracing::warn!(
                "the CRD of DittoServers is not installed in this cluster: run `dittofs-operator crd | kubectl apply \
                 --server-side -f -`; waiting for it"
            );
        }
        std::future::pending::<()>().await;
    };
    // Without a list of servers there is nothing to reconcile.
    tokio::select! {
        () = progress.partly_synced() => {}
        () = all_answered => {}
    }
    let others = async {
        progress.answered().await;
        children_answered(context).await;
    };
    if tokio::time::timeout(longest, others).await.is_err() {
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
    optional_answered(context).await;
}

/// The kinds that few servers need: those of other operators, which may not be installed, and the PodDisruptionBudget, which roles of
/// an earlier version of the chart do not allow.
async fn optional_answered(context: &Context) {
    context.caches.pod_disruption_budgets.progress().answered().await;
    context.caches.databases.progress().answered().await;
    context.caches.service_monitors.progress().answered().await;
}

/// Waits until the operator is ready: every watch has answered, and each kind that is not optional can be read in one namespace at
/// least.
pub(super) async fn ready(context: Arc<Context>) {
    context.caches.servers.progress().ready().await;
    for kind in children(&context) {
        kind.ready().await;
    }
    optional_answered(&context).await;
}

/// The kinds of children that are always installed.
fn children(context: &Context) -> [Progress; 7] {
    let Caches {
        servers: _,
        stateful_sets,
        config_maps,
        services,
        network_policies,
        pod_disruption_budgets: _,
        pods,
        claims,
        databases: _,
        service_monitors: _,
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

fn is_known(servers: &Cache<StoredServer>, key: &Key) -> bool {
    servers.is_delivered(key.namespace.as_deref().unwrap_or_default(), &key.name)
}

/// Children are found by the server in their label.
fn instance<K: Resource>(child: &K) -> Vec<String> {
    let labels = child.meta().labels.as_ref();
    let instance = labels.and_then(|labels| labels.get(names::INSTANCE_LABEL));
    instance.cloned().into_iter().collect()
}

fn server_of_claim(claim: &PersistentVolumeClaim) -> Vec<String> {
    let server = claim.metadata.name.as_deref().and_then(names::server_of_claim);
    server.map(str::to_owned).into_iter().collect()
}

/// Servers are found by the Secrets that they use.
fn secrets_of(stored: &StoredServer) -> Vec<String> {
    let server = stored.0.as_ref();
    server
        .map(|server| secrets::names(server).collect())
        .unwrap_or_default()
}

fn users(servers: &Cache<StoredServer>, secret: &PartialObjectMeta<Secret>) -> impl Iterator<Item = Key> {
    let namespace = secret.namespace().unwrap_or_default();
    let users = servers.names_with_key(&namespace, &secret.name_any());
    users
        .into_iter()
        .map(move |name| ObjectRef::new(&name).within(&namespace))
}

fn server_of_database(servers: &Cache<StoredServer>, cluster: &PerconaPGCluster) -> Option<Key> {
    let (namespace, cluster) = (cluster.namespace().unwrap_or_default(), cluster.name_any());
    let name = names::server_of_percona_cluster(&cluster)?;
    let is_server = servers.is_delivered(&namespace, name);
    is_server.then(|| ObjectRef::new(name).within(&namespace))
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
