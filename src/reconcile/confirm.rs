//! Reads objects that a list has shown at an earlier version than was known: from an API server that is behind the others, or from an
//! etcd that was restored from a backup. Without the read, an operator would undo an edit until its watches have caught up.

use kube::{Api, Client};

use crate::api::names;
use crate::cluster::cache::{Cache, Cached};
use crate::cluster::client::errors;
use crate::reconcile::context::{Caches, Context};

/// Reads a server that is doubted.
///
/// # Errors
/// When the API server refuses, or does not answer in time.
pub(super) async fn server(context: &Context, namespace: &str, name: &str) -> kube::Result<()> {
    object(&context.client, &context.caches.servers, namespace, name).await
}

/// Reads the children of a server that are doubted. One that cannot be read counts as it was listed: every write to it names its UID,
/// and the watch delivers it soon.
pub(super) async fn children(context: &Context, namespace: &str, server: &str) {
    let Caches {
        servers: _,
        stateful_sets,
        config_maps,
        services,
        network_policies,
        pod_disruption_budgets,
        pods,
        claims,
        databases,
        service_monitors,
    } = &context.caches;
    let of = Server {
        client: &context.client,
        namespace,
        name: server,
    };
    of.confirm(stateful_sets).await;
    of.confirm(config_maps).await;
    of.confirm(services).await;
    of.confirm(network_policies).await;
    of.confirm(pod_disruption_budgets).await;
    of.confirm(pods).await;
    of.confirm(claims).await;
    of.confirm(service_monitors).await;
    of.confirm_one(databases, &names::percona_cluster(server)).await;
}

struct Server<'a> {
    client: &'a Client,
    namespace: &'a str,
    name: &'a str,
}

impl Server<'_> {
    async fn confirm<K: Cached>(&self, cache: &Cache<K>) {
        for name in cache.doubted_with_key(self.namespace, self.name) {
            self.confirm_one(cache, &name).await;
        }
    }

    async fn confirm_one<K: Cached>(&self, cache: &Cache<K>, name: &str) {
        if let Err(error) = object(self.client, cache, self.namespace, name).await {
            let error = errors::explain(&error);
            tracing::warn!(kind = %K::kind(&()), name, %error, "an object that was listed at an earlier version could not be read");
        }
    }
}

async fn object<K: Cached>(
    client: &Client,
    cache: &Cache<K>,
    namespace: &str,
    name: &str,
) -> kube::Result<()> {
    if !cache.is_doubted(namespace, name) {
        return Ok(());
    }
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    match api.get_opt(name).await? {
        Some(object) => cache.confirmed(object),
        None => cache.gone(namespace, name),
    }
    Ok(())
}
