//! Stores: the remote ones of the spec, and the two that the operator makes on the volumes of the server.

use futures::future::join_all;
use http::{Method, StatusCode};

use super::{Fault, Log, conclude, known, left_behind, list, list_with_health, unlisted};
use crate::api::RemoteStoreStatus;
use crate::domain::content::later::settle;
use crate::domain::content::shares::LiveShare;
use crate::domain::content::stores::{LiveStore, OwnStore, RemoteStore, Sent};
use crate::domain::content::{CONFLICT, Content, SECRET_NOT_USABLE, UNHEALTHY};
use crate::server::administrator::Server;
use crate::server::client::Error;
use crate::server::fingerprint::fingerprint;
use crate::server::url::segment;

const REMOTE: &str = "store/block/remote";

/// Makes the remote stores. Also returns those of the server. `shares` are its shares, if they are known.
pub(super) async fn remote(
    server: &Server<'_>,
    content: &Content,
    shares: Option<&[LiveShare]>,
    log: &mut Log,
) -> (Vec<RemoteStoreStatus>, Vec<LiveStore>) {
    let known_stores = &content.known.remote_stores;
    if content.remote_stores.is_empty() && known_stores.is_empty() {
        return (Vec::new(), Vec::new());
    }
    let mut live: Vec<LiveStore> = match list_with_health(server, REMOTE).await {
        Ok(live) => live,
        Err(error) => {
            let names = content.remote_stores.iter().map(|store| store.name.clone());
            return (unlisted(known_stores, names, error, log), Vec::new());
        }
    };
    look_again(server, &mut live).await;
    let mut states = Vec::new();
    for store in &content.remote_stores {
        let mut state: RemoteStoreStatus = known(known_stores, &store.name);
        let outcome = write(server, store, shares, &mut live, &mut state, log).await;
        if conclude(&mut state, outcome, log) {
            state.applied = Some(store.digest.clone());
            settle(&mut state, server.target().started);
        }
        states.push(state);
    }
    let present = live
        .iter()
        .map(|live| (live.name.as_str(), live.status.is_good()));
    left_behind(known_stores, present, &mut states);
    (states, live)
}

/// The server spends five seconds on all stores of a list together: behind one that does not answer, it reports each as unhealthy
/// without a look. So each store behind the first one is asked for itself.
async fn look_again(server: &Server<'_>, live: &mut [LiveStore]) {
    let unwell = live.iter_mut().skip(1).filter(|store| !store.status.is_good());
    let looks = unwell.map(|store| async move {
        let path = format!("{REMOTE}/{}/status", segment(&store.name));
        // Without an answer, what the list said stays.
        if let Ok(status) = server.read_slowly(Method::GET, &path, None).await {
            store.status = status;
        }
    });
    join_all(looks).await;
}

/// Whether the server has loaded the store for a share. Then it uses other settings of the store after its next start only.
fn is_loaded(store: &LiveStore, shares: Option<&[LiveShare]>) -> bool {
    let is_over = |share: &LiveShare| share.remote_block_store_id.as_ref() == Some(&store.id);
    shares.is_none_or(|shares| shares.iter().any(is_over))
}

async fn write(
    server: &Server<'_>,
    store: &RemoteStore,
    shares: Option<&[LiveShare]>,
    live: &mut Vec<LiveStore>,
    state: &mut RemoteStoreStatus,
    log: &mut Log,
) -> Result<(), Fault> {
    let position = live.iter().position(|live| live.name == store.name);
    let present = position.map(|position| &live[position]);
    if let Some(moved) = present.and_then(|present| store.moved(present)) {
        return Err(Fault::new(CONFLICT, moved));
    }
    let keys = store.keys.as_ref();
    let keys = keys.map_err(|why| Fault::new(SECRET_NOT_USABLE, why))?;
    let fingerprint = fingerprint(&server.target().key, &[&keys.value.id, &keys.value.secret]);
    let sent = Sent::of(state, &keys.version, &fingerprint);
    let change = match present {
        Some(present) => store
            .update(present, sent)
            .map(|body| (Method::PUT, format!("{REMOTE}/{}", segment(&store.name)), body)),
        None => Some((Method::POST, REMOTE.to_owned(), store.creation())),
    };
    if let Some((method, path, body)) = change {
        if present.is_some_and(|present| is_loaded(present, shares) && store.is_changed(present, sent)) {
            log.announce_later(server, state)?;
        }
        let now = server.read_slowly(method, &path, Some(&body)).await;
        let now: LiveStore = now.map_err(not_accepted)?;
        log.written.push(format!("remote store {}", store.name));
        match position {
            Some(position) => live[position] = now,
            None => live.push(now),
        }
    }
    state.credentials_version = Some(keys.version.clone());
    state.credentials_fingerprint = Some(fingerprint);
    let health = live
        .iter()
        .find(|live| live.name == store.name)
        .map(|live| &live.status);
    match health {
        Some(health) if !health.is_good() => {
            let message = format!(
                "the server does not reach the bucket: {}. Check endpoint, bucket and credentials; shares over this store are made when it answers",
                health.text()
            );
            Err(Fault::new(UNHEALTHY, message))
        }
        _ => Ok(()),
    }
}

/// What the server says of a configuration names its own fields.
fn not_accepted(error: Error) -> Fault {
    Fault::explained(error, |text| {
        let remedy = if text.contains("allow_private_endpoint") {
            "If you trust the service at this address, set spec.remoteStores[].s3.allowPrivateEndpoint to true: each service inside the cluster needs it"
        } else {
            "Correct spec.remoteStores[].s3"
        };
        format!("{text}. {remedy}")
    })
}

/// The store for new shares: finds one, or makes it. Returns its identity.
pub(super) async fn own(server: &Server<'_>, store: OwnStore) -> Result<String, Fault> {
    let live: Vec<LiveStore> = list(server, store.path()).await?;
    if let Some(found) = OwnStore::choose(&live) {
        return Ok(found.id.clone());
    }
    let made: Result<LiveStore, _> = server
        .read(Method::POST, store.path(), Some(&store.creation()))
        .await;
    match made {
        Ok(made) => Ok(made.id),
        Err(error) => {
            let hint = if error.status() == Some(StatusCode::CONFLICT) {
                ". A store of this name keeps its data in memory: remove it"
            } else {
                ""
            };
            let fault = Fault::from(error);
            let message = format!("the {} cannot be made: {}{hint}", store.label(), fault.message);
            Err(Fault { message, ..fault })
        }
    }
}
