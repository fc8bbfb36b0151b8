//! Shares.

use http::Method;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::{Fault, Log, conclude, exports, grants, left_behind, list_slowly, stores, unlisted};
use crate::api::{PermissionLevel, RemoteStoreStatus, ShareSpec, ShareStatus};
use crate::domain::content::later::settle;
use crate::domain::content::shares::{LiveShare, creation, limits_clients, path, update};
use crate::domain::content::stores::{Health, LiveStore, OwnStore};
use crate::domain::content::users::{LiveUser, User};
use crate::domain::content::{CONFLICT, Content, DEPENDENCY_NOT_READY, DISABLED, NOT_LOADED, digest};
use crate::server::administrator::Server;
use crate::server::client::Error;
use crate::server::url::encoded;

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
    // The server asks the remote stores of its shares meanwhile.
    list_slowly(server, "shares").await
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
        let mut exported = exports::prepare(self.server, self.share, live.is_none(), state, log).await;
        if live.is_none() {
            exported?;
            self.create(log).await?;
            exported = Ok(());
        }
        if exported.is_ok() {
            exported = exports::apply(self.server, self.share, state, log).await;
        }
        let fields = match live {
            Some(live) => self.update(live, exported.is_ok(), state, log).await,
            None if limits_clients(self.share) => self.update(&closed(), exported.is_ok(), state, log).await,
            None => Ok(()),
        };
        let granted = grants::apply(self.server, self.share, live.is_none(), state, log).await;
        exported.and(fields).and(granted)?;
        live.map_or(Ok(()), |live| self.check_owner(live))?;
        self.is_loaded(live).await
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
        Ok(store.map(|store| store.id.as_str()))
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

    async fn create(&self, log: &mut Log) -> Result<(), Fault> {
        let owner = self.share.owner.as_ref();
        let is_owner_there =
            owner.is_none_or(|owner| self.known.users.iter().any(|user| user.username == *owner));
        if !is_owner_there {
            let message = format!(
                "it waits for its owner, the user {}",
                owner.map_or("", String::as_str)
            );
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
        state: &ShareStatus,
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
        let fields: Vec<String> = body.keys().cloned().collect();
        let url = format!("shares/{}", encoded(&path(&self.share.name)));
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
            store
        } else {
            Err(Fault::new(
                NOT_LOADED,
                format!("the server says: {}", warnings.join("; ")),
            ))
        }
    }

    /// Whether clients can mount the share. The server answers a request to make a share before it has loaded it.
    async fn is_loaded(&self, live: Option<&LiveShare>) -> Result<(), Fault> {
        if live.is_some_and(|live| !live.enabled) {
            let message = format!(
                "it is disabled on the server, perhaps for the restore of a snapshot: dfsctl share enable {}",
                path(&self.share.name)
            );
            return Err(Fault::new(DISABLED, message));
        }
        let known = live.map(|live| live.status.clone()).filter(Health::is_good);
        let health = if let Some(health) = known {
            health
        } else {
            let url = format!("shares/{}/status", encoded(&path(&self.share.name)));
            self.server.read(Method::GET, &url, None).await?
        };
        if health.is_good() {
            return Ok(());
        }
        let message = format!(
            "the server has not loaded it: {}. Its log says why; a restart of the pod loads it again",
            health.text()
        );
        Err(Fault::new(NOT_LOADED, message))
    }
}
