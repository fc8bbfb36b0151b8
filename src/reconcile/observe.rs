//! Step 1, observe: reads everything that one reconcile needs, from the caches first.
//!
//! It never fails: an object that cannot be read is `Read::Unreadable`. Later steps handle it, and the status reports it.

mod volumes;

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::{Api, Client, ResourceExt};

use crate::api::percona::PerconaPGCluster;
use crate::api::{DittoServer, names};
use crate::cluster::cache::{Cache, Cached, Lookup, WatchState};
use crate::cluster::client::errors;
use crate::domain::observed::{Database, ExpansionAnswer, FreshSecrets, KindState, Observed, Read};
use crate::domain::volumes as domain_volumes;
use crate::reconcile::confirm;
use crate::reconcile::context::{self, Context};

pub(crate) use self::volumes::request as claim_request;

/// Bytes in a generated JWT key and admin password (contract, section 2.1).
const JWT_KEY_BYTES: usize = 32;
const ADMIN_PASSWORD_BYTES: usize = 18;

/// Observes one server. Never fails: an object that cannot be read is `Unreadable`.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn observe(context: &Context, server: Arc<DittoServer>) -> Observed {
    let (namespace, name) = (server.namespace().unwrap_or_default(), server.name_any());
    let caches = &context.caches;
    let client = &context.client;
    confirm::children(context, &namespace, &name).await;
    let stateful_set = confirmed(
        client,
        &caches.stateful_sets,
        &namespace,
        &names::stateful_set(&name),
    )
    .await;
    let config_map = read_config_map(context, &server, &stateful_set).await;
    let stateful_set = or_saved(&server, stateful_set, &config_map);
    let claims = of_server(&caches.claims, &namespace, &name);
    Observed {
        at: Timestamp::now(),
        expansion_answers: self::volumes::answers(client, &server, &claims).await,
        config_map,
        stateful_set,
        services: of_server(&caches.services, &namespace, &name),
        pods: of_server(&caches.pods, &namespace, &name),
        adapter_policies: adapter_policies(&caches.network_policies, &server),
        report: context
            .servers
            .report(&context::key(&server), &server.uid().unwrap_or_default()),
        uploads: context
            .drains
            .report(&context::key(&server), &server.uid().unwrap_or_default()),
        claims,
        secrets: context.secrets.of_server(&server).await,
        database: read_database(&caches.databases, &namespace, &name),
        service_monitors: kind_state(&caches.service_monitors, &namespace),
        fresh: generate_secrets(),
        server,
    }
}

/// Checks that everything was read for which no watch reports that it can be read again.
///
/// # Errors
/// With the first thing that was not read. It must be read again, with a backoff.
pub(super) fn complete(observed: &Observed) -> Result<(), String> {
    let name = observed.server.name_any();
    let unread = |is_unread, what: String| if is_unread { Err(what) } else { Ok(()) };
    unread(is_unread(&observed.stateful_set), format!("StatefulSet {name}"))?;
    unread(
        is_unread(&observed.config_map),
        format!("ConfigMap {}", names::config_map(&name)),
    )?;
    unread(is_unread(&observed.claims), "PersistentVolumeClaims".into())?;
    for (name, secret) in &observed.secrets {
        unread(is_unread(secret), format!("Secret {name}"))?;
    }
    for (name, answer) in &observed.expansion_answers {
        let is_unread = *answer == ExpansionAnswer::Unread;
        unread(
            is_unread,
            format!("the possible expansion of PersistentVolumeClaim {name}"),
        )?;
    }
    Ok(())
}

fn is_unread<T>(read: &Read<T>) -> bool {
    matches!(read, Read::Unreadable(_))
}

/// Reads from the cache, and from the API server only while the cache is incomplete.
async fn cached<K: Cached>(client: &Client, cache: &Cache<K>, namespace: &str, name: &str) -> Read<Arc<K>> {
    match cache.get(namespace, name) {
        Lookup::Found(object) => Read::Found(object),
        Lookup::Missing => Read::Missing,
        Lookup::Unknown(_) => live(client, namespace, name).await,
    }
}

/// Like [`cached`], but a miss is confirmed by a read from the API server: the cache contains labelled objects only, and Secrets may
/// be generated only if the StatefulSet does not exist.
async fn confirmed<K: Cached>(
    client: &Client,
    cache: &Cache<K>,
    namespace: &str,
    name: &str,
) -> Read<Arc<K>> {
    match cache.get(namespace, name) {
        Lookup::Found(object) => Read::Found(object),
        Lookup::Missing | Lookup::Unknown(_) => live(client, namespace, name).await,
    }
}

/// The ConfigMap. The Go operator created it without labels, so a miss is confirmed if there is a StatefulSet.
///
/// If a StatefulSet is missing that the server once had, an operator may have saved it in the ConfigMap. The watch of the ConfigMaps
/// may be behind that of the StatefulSets, so the API server is asked unless the cache has the saved one.
async fn read_config_map(
    context: &Context,
    server: &DittoServer,
    stateful_set: &Read<Arc<StatefulSet>>,
) -> Read<Arc<ConfigMap>> {
    let (client, cache) = (&context.client, &context.caches.config_maps);
    let namespace = server.namespace().unwrap_or_default();
    let name = names::config_map(&server.name_any());
    let had_one = server
        .status
        .as_ref()
        .is_some_and(|status| status.config_hash.is_some());
    match stateful_set {
        Read::Found(_) => confirmed(client, cache, &namespace, &name).await,
        Read::Missing if had_one => match cache.get(&namespace, &name) {
            Lookup::Found(cached) if domain_volumes::saved(&cached, server).is_some() => Read::Found(cached),
            _ => live(client, &namespace, &name).await,
        },
        Read::Missing | Read::Unreadable(_) => cached(client, cache, &namespace, &name).await,
    }
}

/// The StatefulSet, or the one that was saved while it is re-created. A deletion needs to know what is there.
fn or_saved(
    server: &DittoServer,
    stateful_set: Read<Arc<StatefulSet>>,
    config_map: &Read<Arc<ConfigMap>>,
) -> Read<Arc<StatefulSet>> {
    let is_deleting = server.metadata.deletion_timestamp.is_some();
    match (&stateful_set, config_map) {
        (Read::Missing, Read::Found(config_map)) if !is_deleting => domain_volumes::saved(config_map, server)
            .map_or(stateful_set, |saved| Read::Found(Arc::new(saved))),
        _ => stateful_set,
    }
}

/// The objects that carry the server's selector labels, or, for claims, its name.
fn of_server<K: Cached>(cache: &Cache<K>, namespace: &str, server: &str) -> Read<Vec<Arc<K>>> {
    match cache.watch_state(namespace) {
        WatchState::Synced => {}
        WatchState::Failing(error) => return Read::Unreadable(error),
        // The list may be incomplete.
        WatchState::Starting | WatchState::NotServed => return Read::Unreadable("not read yet".into()),
    }
    Read::Found(cache.with_key(namespace, server))
}

/// The NetworkPolicies of adapters. None while they cannot be read: what exists is then not changed.
fn adapter_policies(cache: &Cache<NetworkPolicy>, server: &DittoServer) -> Vec<Arc<NetworkPolicy>> {
    let name = server.name_any();
    let prefix = names::adapter(&name, "");
    let found = of_server(cache, &server.namespace().unwrap_or_default(), &name);
    let policies = found.found().into_iter().flatten();
    policies
        .filter(|policy| policy.name_any().starts_with(&prefix))
        .cloned()
        .collect()
}

async fn live<K: Cached>(client: &Client, namespace: &str, name: &str) -> Read<Arc<K>> {
    match Api::<K>::namespaced(client.clone(), namespace)
        .get_opt(name)
        .await
    {
        Ok(Some(object)) => Read::Found(Arc::new(object)),
        Ok(None) => Read::Missing,
        Err(error) => Read::Unreadable(errors::explain(&error)),
    }
}

fn read_database(cache: &Cache<PerconaPGCluster>, namespace: &str, server: &str) -> Database {
    let cluster = match cache.get(namespace, &names::percona_cluster(server)) {
        Lookup::Found(cluster) => Read::Found(cluster),
        Lookup::Missing | Lookup::Unknown(WatchState::NotServed) => Read::Missing,
        Lookup::Unknown(WatchState::Failing(error)) => Read::Unreadable(error),
        Lookup::Unknown(WatchState::Starting | WatchState::Synced) => Read::Unreadable("not read yet".into()),
    };
    Database {
        kind: kind_state(cache, namespace),
        cluster,
    }
}

/// Whether the API server serves an optional kind.
fn kind_state<K: Cached>(cache: &Cache<K>, namespace: &str) -> KindState {
    match cache.watch_state(namespace) {
        WatchState::Synced => KindState::Served,
        WatchState::NotServed => KindState::NotServed,
        WatchState::Starting => KindState::Unknown("not read yet".into()),
        WatchState::Failing(error) => KindState::Unknown(error),
    }
}

/// Values for managed Secrets that do not exist yet. Empty if the operating system returns no random bytes; then no Secret is created.
fn generate_secrets() -> FreshSecrets {
    FreshSecrets {
        jwt_key: random_text::<JWT_KEY_BYTES>(),
        admin_password: random_text::<ADMIN_PASSWORD_BYTES>(),
    }
}

fn random_text<const BYTES: usize>() -> String {
    let mut bytes = [0; BYTES];
    match getrandom::fill(&mut bytes) {
        Ok(()) => URL_SAFE_NO_PAD.encode(bytes),
        Err(error) => {
            tracing::error!(%error, "the operating system returned no random bytes; no Secret is generated");
            String::new()
        }
    }
}
