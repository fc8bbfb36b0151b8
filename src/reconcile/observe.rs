//! Step 1, observe: reads what one reconcile needs to know. Caches first.
//!
//! Nothing here fails: what could not be read is `Read::Unreadable`, so that every later step sees it and the status reports it.

mod volumes;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim};
use kube::{Api, Client, ResourceExt};

use crate::api::percona::PerconaPGCluster;
use crate::api::{DittoServer, names};
use crate::cluster::cache::{Cache, Cached, Feed, Lookedup};
use crate::cluster::client::errors;
use crate::domain::observed::{Database, FreshSecrets, KindState, Observed, Read};
use crate::domain::secrets::{self, SecretData};
use crate::domain::{data_home, volumes as domain_volumes};
use crate::reconcile::context::Context;

pub(crate) use self::volumes::request as claim_request;

/// Bytes in a generated JWT key and admin password (contract, section 2.1).
const JWT_KEY_BYTES: usize = 32;
const ADMIN_PASSWORD_BYTES: usize = 18;

/// Observes one server. Never fails; what could not be read says so itself.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn observe(context: &Context, server: Arc<DittoServer>) -> Observed {
    let (namespace, name) = (server.namespace().unwrap_or_default(), server.name_any());
    let caches = &context.caches;
    let client = &context.client;
    let stateful_set = confirmed(
        client,
        &caches.stateful_sets,
        &namespace,
        &names::stateful_set(&name),
    )
    .await;
    let claims = read_claims(context, &server, &stateful_set).await;
    Observed {
        at: Timestamp::now(),
        expansion_answers: self::volumes::answers(client, &server, &claims).await,
        config_map: read_config_map(context, &stateful_set, &namespace, &name).await,
        stateful_set,
        pods: labelled(&caches.pods, &namespace, &name),
        claims,
        secrets: read_secrets(context, &server, &namespace).await,
        database: read_database(&caches.databases, &namespace, &name),
        fresh: draw(),
        server,
    }
}

/// Reads from the cache, and from the API server only while the cache cannot tell.
async fn cached<K: Cached>(client: &Client, cache: &Cache<K>, namespace: &str, name: &str) -> Read<Arc<K>> {
    match cache.get(namespace, name) {
        Lookedup::Found(object) => Read::Found(object),
        Lookedup::Missing => Read::Missing,
        Lookedup::Unknown(_) => live(client, namespace, name).await,
    }
}

/// As [`cached`], but a miss is confirmed by the API server: the cache holds labelled objects only, and whether a server
/// exists decides whether its Secrets may be generated.
async fn confirmed<K: Cached>(
    client: &Client,
    cache: &Cache<K>,
    namespace: &str,
    name: &str,
) -> Read<Arc<K>> {
    match cache.get(namespace, name) {
        Lookedup::Found(object) => Read::Found(object),
        Lookedup::Missing | Lookedup::Unknown(_) => live(client, namespace, name).await,
    }
}

/// The ConfigMap. That of a server which the Go operator made has no label, so where there is a server, a miss is confirmed.
async fn read_config_map(
    context: &Context,
    stateful_set: &Read<Arc<StatefulSet>>,
    namespace: &str,
    server: &str,
) -> Read<Arc<ConfigMap>> {
    let (client, cache) = (&context.client, &context.caches.config_maps);
    let name = names::config_map(server);
    match stateful_set {
        Read::Found(_) => confirmed(client, cache, namespace, &name).await,
        Read::Missing | Read::Unreadable(_) => cached(client, cache, namespace, &name).await,
    }
}

/// The volume claims. A StatefulSet takes them by name, and one that was restored from a backup may have no label: so where
/// it matters whether there is one, a miss is confirmed.
async fn read_claims(
    context: &Context,
    server: &DittoServer,
    stateful_set: &Read<Arc<StatefulSet>>,
) -> Read<Vec<Arc<PersistentVolumeClaim>>> {
    let (namespace, name) = (server.namespace().unwrap_or_default(), server.name_any());
    let mut claims = match labelled(&context.caches.claims, &namespace, &name) {
        Read::Found(claims) => claims,
        unread => return unread,
    };
    for name in hidden(server, stateful_set) {
        if claims.iter().any(|claim| claim.name_any() == name) {
            continue;
        }
        match live(&context.client, &namespace, &name).await {
            Read::Found(claim) => claims.push(claim),
            Read::Missing => {}
            Read::Unreadable(error) => return Read::Unreadable(error),
        }
    }
    Read::Found(claims)
}

/// The claims without which something would go wrong, should they have no label: a server that an earlier one left volumes to
/// would start as a new one, one on its SQLite file would be moved to an empty database, one would not grow.
fn hidden(server: &DittoServer, stateful_set: &Read<Arc<StatefulSet>>) -> Vec<String> {
    let name = server.name_any();
    match stateful_set {
        Read::Missing => names::claims(&name).into(),
        Read::Found(live) if domain_volumes::differs(server, live) => {
            domain_volumes::volumes(&server.spec.storage)
                .map(|(volume, _)| names::claim(volume, &name))
                .collect()
        }
        Read::Found(_) if data_home::asks_for_percona(server) => {
            vec![names::claim(names::CONTROL_PLANE_VOLUME, &name)]
        }
        Read::Found(_) | Read::Unreadable(_) => Vec::new(),
    }
}

/// The objects that carry the server's selector labels.
fn labelled<K: Cached>(cache: &Cache<K>, namespace: &str, server: &str) -> Read<Vec<Arc<K>>> {
    match cache.feed(namespace) {
        Feed::Synced => {}
        Feed::Failing(error) => return Read::Unreadable(error),
        // An incomplete list must not be taken for a complete one.
        Feed::Starting | Feed::NotServed => return Read::Unreadable("not read yet".into()),
    }
    let is_of_server = |object: &Arc<K>| {
        let metadata = object.meta();
        let instance = metadata
            .labels
            .as_ref()
            .and_then(|labels| labels.get(names::INSTANCE_LABEL));
        metadata.namespace.as_deref() == Some(namespace)
            && instance.is_some_and(|instance| instance == server)
    };
    // What this process has written may be newer than what the watch has delivered.
    let newest = |object: Arc<K>| {
        let name = object.meta().name.as_deref().unwrap_or_default();
        match cache.get(namespace, name) {
            Lookedup::Found(newer) => newer,
            Lookedup::Missing | Lookedup::Unknown(_) => object,
        }
    };
    let delivered = cache.all().into_iter().filter(is_of_server);
    Read::Found(delivered.map(newest).collect())
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

async fn read_secrets(
    context: &Context,
    server: &DittoServer,
    namespace: &str,
) -> BTreeMap<String, Read<SecretData>> {
    let used: BTreeSet<String> = secrets::uses(server)
        .into_iter()
        .map(|used| used.secret)
        .chain(secrets::kept(server))
        .collect();
    let mut read = BTreeMap::new();
    for name in used {
        let data = context.secrets.read(namespace, &name).await;
        read.insert(name, data);
    }
    read
}

fn read_database(cache: &Cache<PerconaPGCluster>, namespace: &str, server: &str) -> Database {
    let kind = match cache.feed(namespace) {
        Feed::Synced => KindState::Served,
        Feed::NotServed => KindState::NotServed,
        Feed::Starting => KindState::Unknown("not read yet".into()),
        Feed::Failing(error) => KindState::Unknown(error),
    };
    let cluster = match cache.get(namespace, &names::percona_cluster(server)) {
        Lookedup::Found(cluster) => Read::Found(cluster),
        Lookedup::Missing | Lookedup::Unknown(Feed::NotServed) => Read::Missing,
        Lookedup::Unknown(Feed::Failing(error)) => Read::Unreadable(error),
        Lookedup::Unknown(Feed::Starting | Feed::Synced) => Read::Unreadable("not read yet".into()),
    };
    Database { kind, cluster }
}

/// Candidates for managed Secrets. Empty if the operating system gives no random bytes; then none is created.
fn draw() -> FreshSecrets {
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
            tracing::error!(%error, "the operating system gives no random bytes; no Secret is generated");
            String::new()
        }
    }
}
