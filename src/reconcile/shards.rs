//! Which servers are this operator's, if several operators divide a cluster (docs/adr/0015-shards.md).
//!
//! An operator with a selector claims each of its servers with an annotation before it writes anything else. It claims a server of
//! another operator only if the Lease of that operator is free, and reads the Lease again after the claim: an operator that
//! acquires the Lease later reads the claim. An operator releases a server whose labels have changed once its last write has ended.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kube::api::{ListParams, ObjectMeta, Patch};
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::json;
use thiserror::Error;

use super::context::{Context, RETRY};
use super::events;
use super::runner::Action;
use crate::api::names::SHARD_ANNOTATION;
use crate::base::backoff::Exponential;
use crate::cluster::cache::{Cache, StoredServer};
use crate::cluster::client::errors;
use crate::cluster::client::params::patch_params;
use crate::cluster::leader::others::OtherLeases;
use crate::cluster::leader::timing::Timing;
use crate::domain::shard::{self, LeaseName, Shard};

type Key = ObjectRef<StoredServer>;

/// Servers in one answer of the list at the start.
const PAGE: u32 = 500;
/// How old the reading of a Lease may be that makes the operator leave a server alone.
const RECENT: Duration = Duration::from_secs(2);
/// The pause before a Lease that cannot be read is read again.
const UNREAD: Duration = Duration::from_secs(15);
/// The pause before a server is looked at again whose newest version the watch has not delivered. The delivery queues it, too.
const STALE: Duration = Duration::from_secs(1);

/// A server could not be claimed or released.
#[derive(Debug, Error)]
#[error("the annotation {SHARD_ANNOTATION} could not be read or written: {}", errors::explain(.0))]
pub(super) struct Error(#[from] Box<kube::Error>);

/// What happens to a server that is due.
pub(super) enum Admission {
    /// It is this operator's, as it is now.
    Own(Arc<StoredServer>),
    /// Nothing is written to it now.
    Skip(Action),
}

/// Decides whose a server is, claims and releases.
pub(super) struct Shards {
    shard: Shard,
    leases: OtherLeases,
    timing: Timing,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The servers of this shard. The operator must release them when they leave it.
    held: HashSet<Key>,
    /// Claimed servers, with the owner before. Its Lease is not read again yet.
    unconfirmed: HashMap<Key, LeaseName>,
    /// The servers that are left to another operator.
    left: HashMap<Key, Left>,
    /// Versions of servers that the watch had not delivered when this operator became the leader.
    newest: HashMap<Key, u64>,
}

struct Left {
    uid: Option<String>,
    owner: LeaseName,
    since: Instant,
    is_reported: bool,
}

/// The operator that may be reconciling a server.
struct Active {
    /// Until its Lease can be free.
    pause: Duration,
    /// Why its Lease could not be read.
    unread: Option<String>,
}

impl Shards {
    pub(super) fn new(shard: Shard, client: Client) -> Self {
        let timing = Timing::default();
        Self {
            shard,
            leases: OtherLeases::new(client, timing),
            timing,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decides whose a server is, and claims it if its owner is gone.
    ///
    /// # Errors
    /// When the claim fails.
    pub(super) async fn admit(
        &self,
        context: &Context,
        key: &Key,
        mut stored: Arc<StoredServer>,
    ) -> Result<Admission, Error> {
        if self.is_stale(key, stored.meta()) {
            return Ok(Admission::Skip(Action::requeue(STALE)));
        }
        if let Some(owner) = self.shard.other_owner(stored.meta()) {
            let recent = Instant::now().checked_sub(RECENT).unwrap_or_else(Instant::now);
            if let Some(active) = self.active(&owner, recent).await {
                return Ok(self.leave(context, &stored, &owner, &active));
            }
            tracing::info!(server = %key, before = %owner, "claiming the server for this shard");
            // Also if the answer to the claim is lost, it must be confirmed, or released.
            self.state().unconfirmed.insert(key.clone(), owner);
            self.hold(key);
            stored = Arc::new(
                self.annotate(context, stored.as_ref(), self.shard.claim())
                    .await?,
            );
        }
        let unconfirmed = self.state().unconfirmed.get(key).cloned();
        if let Some(owner) = unconfirmed {
            if let Some(active) = self.active(&owner, Instant::now()).await {
                // Another process has acquired the Lease, and may not have seen the claim. Nothing is written yet.
                let before = (owner != self.shard.base).then(|| owner.to_string());
                self.annotate(context, stored.as_ref(), before).await?;
                return Ok(self.leave(context, &stored, &owner, &active));
            }
            self.state().unconfirmed.remove(key);
        }
        self.own(key);
        Ok(Admission::Own(stored))
    }

    fn own(&self, key: &Key) {
        self.state().left.remove(key);
        self.hold(key);
    }

    fn hold(&self, key: &Key) {
        if self.shard.selector.is_some() {
            self.state().held.insert(key.clone());
        }
    }

    /// The operator that this Lease belongs to, unless the Lease is free.
    async fn active(&self, owner: &LeaseName, not_before: Instant) -> Option<Active> {
        match self.leases.active_for(owner, not_before).await {
            Ok(Duration::ZERO) => None,
            Ok(left) => Some(Active {
                pause: left + RECENT,
                unread: None,
            }),
            Err(error) => Some(Active {
                pause: UNREAD,
                unread: Some(errors::explain(&error)),
            }),
        }
    }

    /// Leaves a server to its owner. Reports this once, if it lasts: a rollout of operators takes less.
    fn leave(
        &self,
        context: &Context,
        stored: &StoredServer,
        owner: &LeaseName,
        active: &Active,
    ) -> Admission {
        if self.must_report(stored, owner) {
            let event = shard::left_alone(&self.shard, owner, active.unread.as_deref());
            events::publish(&context.events, stored, &[event]);
        }
        Admission::Skip(Action::requeue(active.pause))
    }

    fn must_report(&self, stored: &StoredServer, owner: &LeaseName) -> bool {
        let (key, mut state) = (ObjectRef::from_obj(stored), self.state());
        state.held.remove(&key);
        state.unconfirmed.remove(&key);
        let uid = stored.uid();
        let left = state
            .left
            .entry(key)
            .or_insert_with(|| Left::new(uid.clone(), owner));
        if left.uid != uid || left.owner != *owner {
            *left = Left::new(uid.clone(), owner);
        }
        let is_due = !left.is_reported && left.since.elapsed() >= self.timing.lease;
        left.is_reported |= is_due;
        is_due
    }

    /// The servers that are left to another operator, and its Lease.
    pub(super) fn left(&self) -> Vec<(Key, LeaseName)> {
        let state = self.state();
        let left = state.left.iter();
        left.map(|(key, left)| (key.clone(), left.owner.clone()))
            .collect()
    }

    /// Whether this operator must release a server that is not delivered any more.
    pub(super) fn holds(&self, key: &Key) -> bool {
        let mut state = self.state();
        state.left.remove(key);
        state.held.contains(key)
    }

    /// Releases a server that is not delivered any more: it is deleted, or its labels have changed. In that case another operator
    /// may claim it afterwards. Call it only while no write to the server is in progress.
    ///
    /// # Errors
    /// When the release fails.
    pub(super) async fn release(&self, context: &Context, key: &Key) -> Result<(), Error> {
        let api = api(context, key.namespace.as_deref());
        let found = api.get_metadata_opt(&key.name).await.map_err(Box::new)?;
        match found {
            Some(server) if self.shard.has_left(&server.metadata) => {
                // It is not delivered any more, so the cache does not remember this write.
                self.patch_claim(context, &server, None).await?;
                tracing::info!(server = %key, "the labels of the server have changed; released");
            }
            // An older list does not have it, or its labels are back. It is delivered again.
            Some(server) if self.shard.has_claimed(&server.metadata) => return Ok(()),
            _ => {}
        }
        let mut state = self.state();
        state.held.remove(key);
        state.unconfirmed.remove(key);
        state.newest.remove(key);
        Ok(())
    }

    /// As [`Self::patch_claim`], and remembers the write.
    async fn annotate(
        &self,
        context: &Context,
        server: &StoredServer,
        claim: Option<String>,
    ) -> Result<StoredServer, Error> {
        let written = self.patch_claim(context, server, claim).await?;
        // The patch named the version that was read, so nothing else is new.
        context.caches.servers.wrote_own(written.clone());
        Ok(written)
    }

    /// Sets or removes the annotation of a server that is as it was read.
    async fn patch_claim<K: Resource>(
        &self,
        context: &Context,
        server: &K,
        claim: Option<String>,
    ) -> Result<StoredServer, Error> {
        let metadata = server.meta();
        let body = json!({"metadata": {
            "uid": metadata.uid,
            "resourceVersion": metadata.resource_version,
            // `null` removes it.
            "annotations": {SHARD_ANNOTATION: claim},
        }});
        let name = metadata.name.as_deref().unwrap_or_default();
        let api = api(context, metadata.namespace.as_deref());
        let written = api.patch(name, &patch_params(), &Patch::Merge(&body)).await;
        Ok(written.map_err(Box::new)?)
    }

    /// Looks at all servers when this operator has become the leader of its shard. Returns those that have left it while it had no
    /// leader. Servers whose newest version the watch has not delivered are not written until then: another operator may have
    /// claimed them.
    pub(super) async fn catch_up(&self, context: &Context, namespaces: &[String]) -> Vec<Key> {
        if self.shard.selector.is_none() {
            return Vec::new();
        }
        let scopes = namespaces.iter().map(|namespace| Some(namespace.as_str()));
        let scopes: Vec<_> = if namespaces.is_empty() {
            vec![None]
        } else {
            scopes.collect()
        };
        let mut left = Vec::new();
        for scope in scopes {
            left.extend(self.look_at(context, scope).await);
        }
        left
    }

    /// As [`Self::catch_up`], for a namespace or all of them. A namespace that cannot be listed does not block the others.
    async fn look_at(&self, context: &Context, scope: Option<&str>) -> Vec<Key> {
        let api = scope.map_or_else(
            || Api::all(context.client.clone()),
            |scope| api(context, Some(scope)),
        );
        let mut pauses = Exponential::new(RETRY.0, RETRY.1);
        loop {
            let error = match self.list(&context.caches.servers, &api).await {
                Ok(left) => return left,
                Err(error) => error,
            };
            tracing::warn!(error = %errors::explain(&error), ?scope, "the servers of the shard could not be listed");
            if matches!(&error, kube::Error::Api(status) if matches!(status.code, 403 | 404)) {
                return Vec::new();
            }
            tokio::time::sleep(pauses.next().unwrap_or(RETRY.1)).await;
        }
    }

    async fn list(&self, servers: &Cache<StoredServer>, api: &Api<StoredServer>) -> kube::Result<Vec<Key>> {
        let (mut left, mut params) = (Vec::new(), ListParams::default().limit(PAGE));
        loop {
            let page = api.list_metadata(&params).await?;
            for server in &page.items {
                let key = reference(server);
                self.note_version(servers, &key, &server.metadata);
                // Its labels may change before its first reconcile.
                if self.shard.has_claimed(&server.metadata) {
                    self.hold(&key);
                }
                if self.shard.has_left(&server.metadata) {
                    left.push(key);
                }
            }
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => return Ok(left),
            }
        }
    }

    fn note_version(&self, servers: &Cache<StoredServer>, key: &Key, metadata: &ObjectMeta) {
        let namespace = key.namespace.as_deref().unwrap_or_default();
        let delivered = servers.delivered_version(namespace, &key.name);
        let newest = version(metadata);
        if let Some(newest) = newest.filter(|newest| delivered.is_some_and(|delivered| delivered < *newest)) {
            self.state().newest.insert(key.clone(), newest);
        }
    }

    fn is_stale(&self, key: &Key, metadata: &ObjectMeta) -> bool {
        let mut state = self.state();
        let is_stale = state
            .newest
            .get(key)
            .is_some_and(|newest| version(metadata) < Some(*newest));
        if !is_stale {
            state.newest.remove(key);
        }
        is_stale
    }
}

impl Left {
    fn new(uid: Option<String>, owner: &LeaseName) -> Self {
        Self {
            uid,
            owner: owner.clone(),
            since: Instant::now(),
            is_reported: false,
        }
    }
}

fn api(context: &Context, namespace: Option<&str>) -> Api<StoredServer> {
    Api::namespaced(context.client.clone(), namespace.unwrap_or_default())
}

fn reference(server: &PartialObjectMeta<StoredServer>) -> Key {
    ObjectRef::new(&server.name_any()).within(&server.namespace().unwrap_or_default())
}

fn version(metadata: &ObjectMeta) -> Option<u64> {
    metadata.resource_version.as_deref()?.parse().ok()
}

#[cfg(test)]
mod tests;
