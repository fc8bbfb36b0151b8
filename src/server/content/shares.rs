//! Shares.

use http::Method;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::{Fault, Written, conclude, exports, failed, grants, list, stores};
use crate::api::{RemoteStoreStatus, ShareSpec, ShareStatus};
use crate::domain::content::shares::{LiveShare, creation, path, update};
use crate::domain::content::status::State;
use crate::domain::content::stores::{Health, LiveStore, OwnStore};
use crate::domain::content::users::LiveUser;
use crate::domain::content::{CONFLICT, Content, DEPENDENCY_NOT_READY, DISABLED, NOT_LOADED, digest};
use crate::server::administrator::Server;
use crate::server::settings::encoded;

/// What shares need.
pub(super) struct Known<'a> {
    pub(super) users: &'a [LiveUser],
    pub(super) stores: &'a [LiveStore],
    pub(super) store_states: &'a [RemoteStoreStatus],
}

/// The two stores below new shares, looked for once.
#[derive(Default)]
struct OwnStores {
    metadata: OnceCell<String>,
    blocks: OnceCell<String>,
}

/// Makes the shares.
pub(super) async fn apply(
    server: &Server<'_>,
    content: &Content,
    known: &Known<'_>,
    written: &mut Written,
) -> Vec<ShareStatus> {
    if content.shares.is_empty() && content.known.grants.is_empty() {
        return Vec::new();
    }
    let live: Vec<LiveShare> = match list(server, "shares").await {
        Ok(live) => live,
        Err(error) => {
            let states = content.shares.iter().map(|share| {
                let mut state = known_state(&share.name, content);
                failed(&mut state, &error);
                state
            });
            return states.collect();
        }
    };
    let own = OwnStores::default();
    let exports = exports::Exports::new(server);
    let mut states = Vec::new();
    for share in &content.shares {
        let mut state = known_state(&share.name, content);
        let live = live.iter().find(|live| live.name == path(&share.name));
        let call = Call {
            server,
            share,
            known,
            own: &own,
            exports: &exports,
        };
        let outcome = call.write(live, &mut state, written).await;
        if conclude(&mut state, outcome) {
            state.applied = Some(digest(share));
        }
        states.push(state);
    }
    let left = live.iter().filter_map(|live| {
        let name = live.name.strip_prefix('/')?;
        let is_left =
            content.known.grants.contains_key(name) && !content.shares.iter().any(|share| share.name == name);
        is_left.then(|| {
            let mut state = known_state(name, content);
            state.set(live.enabled && live.status.is_good(), false, None, None);
            state
        })
    });
    states.extend(left);
    states
}

/// A state with what the operator made before.
fn known_state(name: &str, content: &Content) -> ShareStatus {
    let grants = content.known.grants.get(name);
    ShareStatus {
        grants: grants.into_iter().flatten().cloned().collect(),
        path: path(name),
        ..ShareStatus::new(name)
    }
}

struct Call<'a> {
    server: &'a Server<'a>,
    share: &'a ShareSpec,
    known: &'a Known<'a>,
    own: &'a OwnStores,
    exports: &'a exports::Exports<'a>,
}

impl Call<'_> {
    async fn write(
        &self,
        live: Option<&LiveShare>,
        state: &mut ShareStatus,
        written: &mut Written,
    ) -> Result<(), Fault> {
        let remote = self.remote_store()?;
        match live {
            Some(live) => self.update(live, remote, written).await?,
            None => self.create(written).await?,
        }
        let is_new = live.is_none();
        self.exports.apply(self.share, state, written).await?;
        grants::apply(self.server, self.share, is_new, state, written).await?;
        self.is_loaded(live).await
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

    async fn create(&self, written: &mut Written) -> Result<(), Fault> {
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
        let (server, own) = (self.server, self.own);
        let metadata = own
            .metadata
            .get_or_try_init(|| stores::own(server, OwnStore::Metadata))
            .await?;
        let blocks = own
            .blocks
            .get_or_try_init(|| stores::own(server, OwnStore::Blocks))
            .await?;
        let body = creation(self.share, metadata, blocks);
        written.push(format!("share {}", self.share.name));
        // The server loads the share before it answers, and may wait for the remote store meanwhile.
        let _: Value = server.read_slowly(Method::POST, "shares", Some(&body)).await?;
        Ok(())
    }

    async fn update(
        &self,
        live: &LiveShare,
        remote: Option<&str>,
        written: &mut Written,
    ) -> Result<(), Fault> {
        let mut body = update(self.share, live);
        match (remote, live.remote_block_store_id.as_deref()) {
            (Some(wanted), None) => drop(body.insert("remote_block_store_id".into(), json!(wanted))),
            (Some(wanted), Some(other)) if wanted != other => {
                let message = "the server has a share of this name over another remote store, where its blocks are: set spec.shares[].remoteStore to that one, or choose another name";
                return Err(Fault::new(CONFLICT, message));
            }
            _ => {}
        }
        if body.is_empty() {
            return Ok(());
        }
        let fields: Vec<&str> = body.keys().map(String::as_str).collect();
        written.push(format!("share {} ({})", self.share.name, fields.join(", ")));
        let url = format!("shares/{}", encoded(&path(&self.share.name)));
        let answer = self
            .server
            .call(Method::PUT, &url, Some(&Value::Object(body)))
            .await?;
        let warnings: Vec<&str> = answer["warnings"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        if warnings.is_empty() {
            Ok(())
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
