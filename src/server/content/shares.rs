//! Shares.

use std::time::Duration;

use futures::future::join_all;
use http::Method;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::{Fault, LOOKS, Log, conclude, exports, grants, left_behind, list_with_health, stores, unlisted};
use crate::api::{PermissionLevel, RemoteStoreStatus, ShareSpec, ShareStatus};
use crate::domain::content::later::settle;
use crate::domain::content::shares::{LiveShare, creation, limits_clients, path, update};
use crate::domain::content::stores::{Health, LiveStore, OwnStore};
use crate::domain::content::users::{LiveUser, User};
use crate::domain::content::{
    CONFLICT, Content, DEPENDENCY_NOT_READY, DISABLED, NOT_LOADED, WAITING, digest,
};
use crate::server::administrator::Server;
use crate::server::client::Error;
use crate::server::url::share_path;

/// After this time, the server has begun to look at a share.
const BEGUN: Duration = Duration::from_secs(1);
/// Looks that are begun at the same time.
const LOOKS_AT_ONCE: usize = 32;

/// What shares need.
pub(super) struct Known<'a> {
    pub(super) users: &'a [LiveUser],
    pub(super) declared_users: &'a [User],
    pub(super) stores: &'a [LiveStore],
    pub(super) store_states: &'a [RemoteStoreStatus],
}

/// The two stores below new shares, looked for once.
#[derive(Default)]
struct OwnStores {
    metadata: OnceCell<String>,
    blocks: OnceCell<String>,
}

/// The shares of the server, if what is declared has to do with them.
pub(super) async fn live(server: &Server<'_>, content: &Content) -> Result<Vec<LiveShare>, Error> {
    if content.shares.is_empty() && content.known.shares.is_empty() && content.remote_stores.is_empty() {
        return Ok(Vec::new());
    }
    let states = content.known.shares.iter().map(|state| &state.name);
    let names = content.shares.iter().map(|share| &share.name).chain(states);
    list(server, names).await
}

/// The shares of the server. `names` are those that are known.
///
/// The server looks at each whether it answers. It has five seconds for all looks together, but waits up to 30 seconds for a look that it begins
/// itself (`CachedChecker` of DittoFS 0.29.0), and gives up its answer after ten (`write_timeout`). It does not wait so long for a look that
/// another call has begun. So if it does not answer, each look is begun by a call of its own, and the list is asked for again.
pub(in crate::server) async fn list<'a>(
    server: &Server<'_>,
    names: impl Iterator<Item = &'a String>,
) -> Result<Vec<LiveShare>, Error> {
    let names: Vec<&String> = names.collect();
    match list_with_health(server, "shares").await {
        Err(Error::Timeout(..) | Error::Truncated { .. }) => {
            for names in names.chunks(LOOKS_AT_ONCE) {
                join_all(names.iter().map(|name| begin_look(server, name))).await;
            }
            list_with_health(server, "shares").await
        }
        listed => listed,
    }
}

/// Has the server begin to look at a share. It goes on when the call is given up.
async fn begin_look(server: &Server<'_>, name: &str) {
    let path = format!("{}/status", share_path(name));
    let _: Result<Value, Error> = server.read_within(BEGUN, Method::GET, &path, None).await;
}

/// Makes the shares.
pub(super) async fn apply(
    server: &Server<'_>,
    content: &Content,
    known: &Known<'_>,
    live: Result<Vec<LiveShare>, Error>,
    log: &mut Log,
) -> Vec<ShareStatus> {
    let known_shares = &content.known.shares;
    let live = match live {
        Ok(live) => live,
        Err(error) => {
            let names = content.shares.iter().map(|share| share.name.clone());
            return unlisted(known_shares, names, error, log);
        }
    };
    let own = OwnStores::default();
    let mut states = Vec::new();
    for share in &content.shares {
        let mut state: ShareStatus = super::known(known_shares, &share.name);
        let name = path(&share.name);
        let live = live.iter().find(|live| live.name == name);
        let call = Call {
            server,
            share,
            known,
            own: &own,
        };
        let outcome = call.write(live, &mut state, log).await;
        if conclude(&mut state, outcome, log) {
            state.applied = Some(digest(share));
            settle(&mut state, server.target().started);
        }
        states.push(state);
    }
    let live = live.iter().filter_map(|live| {
        let name = live.name.strip_prefix('/')?;
        Some((name, live.enabled && live.status.is_good()))
    });
    left_behind(known_shares, live, &mut states);
    states
}

/// A share that was made a moment ago, with its permission withheld.
fn closed() -> LiveShare {
    LiveShare {
        default_permission: PermissionLevel::None.as_str().to_owned(),
        ..LiveShare::default()
    }
}

struct Call<'a> {
    server: &'a Server<'a>,
    share: &'a ShareSpec,
    known: &'a Known<'a>,
    own: &'a OwnStores,
}

impl Call<'_> {
    /// Each part is written although another one cannot be: what is to be taken back must not wait for a store that does not answer.
    async fn write(
        &self,
        live: Option<&LiveShare>,
        state: &mut ShareStatus,
        log: &mut Log,
    ) -> Result<(), Fault> {
        let prepared = exports::prepare(self.server, self.share, live.is_none(), state, log).await;
        if live.is_none() {
            prepared.clone()?.map_or(Ok(()), Err)?;
            self.create(log).await?;
        }
        let exported = match &prepared {
            Ok(_) => exports::apply(self.server, self.share, state, log).await,
            Err(fault) => Err(fault.clone()),
        };
        let clients = prepared.ok().flatten().map_or(Ok(()), Err);
        let fields = match live {
            Some(live) => self.update(live, exported.is_ok(), state, log).await,
            None if limits_clients(self.share) => self.update(&closed(), exported.is_ok(), state, log).await,
            None => Ok(()),
        };
        let granted = grants::apply(self.server, self.share, live.is_none(), state, log).await;
        exported.and(clients).and(fields).and(granted)?;
        live.map_or(Ok(()), |live| self.check_owner(live))?;
        self.unbound(state)?;
        self.is_loaded(live, state.ready).await
    }

    /// The fault of a share whose remote store was added while this process runs, unless the server said that it uses the store. The server
    /// shows such a share as any other.
    fn unbound(&self, state: &mut ShareStatus) -> Result<(), Fault> {
        let started = self.server.target().started.map(Time);
        if started.is_some() && state.store_added_to != started {
            state.store_added_to = None;
        }
        if state.store_added_to.is_none() {
            return Ok(());
        }
        Err(Fault::new(
            NOT_LOADED,
            "the server may use the new remote store of the share only after its next start: delete the pod at a convenient time. Until then, blocks may be on its volume only",
        ))
    }

    /// The server sets the owner only when it makes a share.
    fn check_owner(&self, live: &LiveShare) -> Result<(), Fault> {
        let mut users = self.known.declared_users.iter();
        let owner = self.share.owner.as_ref();
        let uid = owner.and_then(|owner| users.find(|user| user.name == *owner)?.uid);
        if uid.is_none() || uid == live.owner_uid {
            return Ok(());
        }
        let has = live
            .owner_uid
            .map_or_else(|| "root".to_owned(), |uid| format!("uid {uid}"));
        let message = format!(
            "the server has the share with another owner ({has}), and cannot change it: correct spec.shares[].owner or the uid of the user, or declare a share of another name"
        );
        Err(Fault::new(CONFLICT, message))
    }

    /// The identity of the remote store. It must answer: a share over one that does not would keep the server busy for minutes.
    fn remote_store(&self) -> Result<Option<&str>, Fault> {
        let Some(name) = &self.share.remote_store else {
            return Ok(None);
        };
        let state = self.known.store_states.iter().find(|state| state.name == *name);
        if !state.is_some_and(|state| state.ready) {
            let message = format!("it waits for the remote store {name}");
            return Err(Fault::new(DEPENDENCY_NOT_READY, message));
        }
        let store = self.known.stores.iter().find(|store| store.name == *name);
        let unlisted = || Fault {
            is_harmless: true,
            ..Fault::new(
                WAITING,
                format!("the server did not say whether it has the remote store {name}"),
            )
        };
        store.map(|store| Some(store.id.as_str())).ok_or_else(unlisted)
    }

    /// The remote store of a share never changes. A share without one in the spec keeps the one that it has.
    fn check_store(&self, store: &str) -> Result<(), Fault> {
        let mut stores = self.known.stores.iter();
        let wanted = self.share.remote_store.as_ref();
        let wanted = wanted.and_then(|name| stores.find(|store| store.name == *name));
        if wanted.is_none_or(|wanted| wanted.id == store) {
            return Ok(());
        }
        let message = "the server has a share of this name over another remote store, where its blocks are: set spec.shares[].remoteStore to that one, or choose another name";
        Err(Fault::new(CONFLICT, message))
    }

    /// Whether the server has the owner with the declared number. The number of the user becomes that of the root directory, for ever.
    fn is_owner_there(&self, owner: &str) -> bool {
        let mut declared = self.known.declared_users.iter();
        let uid = declared.find(|user| user.name == owner).and_then(|user| user.uid);
        let mut live = self.known.users.iter();
        live.any(|user| user.username == owner && (uid.is_none() || user.uid == uid))
    }

    async fn create(&self, log: &mut Log) -> Result<(), Fault> {
        if let Some(owner) = &self.share.owner
            && !self.is_owner_there(owner)
        {
            let message = format!("it waits for its owner, the user {owner}");
            return Err(Fault::new(DEPENDENCY_NOT_READY, message));
        }
        self.remote_store()?;
        let (server, own) = (self.server, self.own);
        let metadata = own
            .metadata
            .get_or_try_init(|| stores::own(server, OwnStore::Metadata))
            .await?;
        let blocks = own
            .blocks
            .get_or_try_init(|| stores::own(server, OwnStore::Blocks))
            .await?;
        let mut body = creation(self.share, metadata, blocks);
        if limits_clients(self.share) {
            body["default_permission"] = json!(PermissionLevel::None);
        }
        // The server loads the share before it answers, and may wait for the remote store meanwhile.
        let _: Value = server.read_slowly(Method::POST, "shares", Some(&body)).await?;
        log.written.push(format!("share {}", self.share.name));
        Ok(())
    }

    /// `is_exported`: whether the server knows the clients that may mount the share. A share that limits them stays closed until it does.
    async fn update(
        &self,
        live: &LiveShare,
        is_exported: bool,
        state: &mut ShareStatus,
        log: &mut Log,
    ) -> Result<(), Fault> {
        let is_current = state.applied.as_ref() == Some(&digest(self.share));
        let mut body = update(self.share, live, is_current);
        if limits_clients(self.share)
            && !is_exported
            && live.default_permission == closed().default_permission
        {
            body.remove("default_permission");
        }
        let store = match live.remote_block_store_id.as_deref() {
            Some(other) => self.check_store(other),
            None => self.remote_store().map(|store| {
                store.map(|store| body.insert("remote_block_store_id".into(), json!(store)));
            }),
        };
        if body.is_empty() {
            return store;
        }
        let adds_store = body.contains_key("remote_block_store_id");
        if adds_store {
            self.announce_store(state, log)?;
        }
        let fields: Vec<String> = body.keys().cloned().collect();
        let url = share_path(&self.share.name);
        // The server may wait for the remote store.
        let body = Value::Object(body);
        let answer: Value = self.server.read_slowly(Method::PUT, &url, Some(&body)).await?;
        log.written
            .push(format!("share {} ({})", self.share.name, fields.join(", ")));
        let warnings: Vec<&str> = answer["warnings"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        if warnings.is_empty() {
            if adds_store {
                state.store_added_to = None;
            }
            return store;
        }
        Err(Fault::new(
            NOT_LOADED,
            format!("the server says: {}", warnings.join("; ")),
        ))
    }

    /// The server stores a new remote store before it uses it, and may fail in between, or its answer may be lost.
    fn announce_store(&self, state: &mut ShareStatus, log: &mut Log) -> Result<(), Fault> {
        let started = self.server.target().started.map(Time);
        if started.is_none() || state.store_added_to == started {
            return Ok(());
        }
        state.store_added_to = started;
        Err(Fault {
            is_harmless: true,
            ..log.announced("the remote store of the share")
        })
    }

    /// Whether clients can mount the share. The server answers a request to make a share before it has loaded it. If its remote store does not
    /// answer, the server does not know; then `was_ready` counts, as clients use the share further on.
    async fn is_loaded(&self, live: Option<&LiveShare>, was_ready: bool) -> Result<(), Fault> {
        if live.is_some_and(|live| !live.enabled) {
            let message = format!(
                "it is disabled on the server, perhaps for the restore of a snapshot: dfsctl share enable {}",
                path(&self.share.name)
            );
            return Err(Fault::new(DISABLED, message));
        }
        if was_ready && live.is_some_and(|live| live.status.is_given_up()) {
            return Ok(());
        }
        let known = live.map(|live| live.status.clone()).filter(Health::is_good);
        let health = if let Some(health) = known {
            health
        } else {
            let url = format!("{}/status", share_path(&self.share.name));
            self.server.read_within(LOOKS, Method::GET, &url, None).await?
        };
        if health.is_good() {
            return Ok(());
        }
        if health.is_given_up() {
            let message = format!(
                "the server does not say whether it has loaded it: {}",
                health.text()
            );
            return Err(Fault {
                is_harmless: true,
                ..Fault::new(WAITING, message)
            });
        }
        let message = format!(
            "the server has not loaded it: {}. Its log says why; a restart of the pod loads it again",
            health.text()
        );
        Err(Fault::new(NOT_LOADED, message))
    }
}
