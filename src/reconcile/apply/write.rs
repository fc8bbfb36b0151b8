//! The four writes that a child can need: create, apply, scale, delete.
//!
//! Each one is guarded. A create can never touch an object that exists; an apply and a delete name the UID that was
//! looked at, so that an object re-created in between is left alone.

use std::sync::{Arc, OnceLock};

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::managed_fields::{self, Managers};
use super::{Outcome, compare};
use crate::api::names::{self, FIELD_MANAGER};
use crate::api::{DittoServer, PerconaPGCluster};
use crate::cluster::cache::{Cache, Cached, Lookup};
use crate::cluster::client::errors;
use crate::cluster::client::params::{delete_exactly, patch_params, post};
use crate::domain::applied::{FailureClass, WriteFailure};
use crate::domain::ownership::{Owner, may_adopt, owner};
use crate::reconcile::context::Context;

/// Why a child could not be written.
#[derive(Debug, Error)]
pub enum Error {
    /// The API server refused a call, or did not answer in time.
    #[error("{verb} failed: {}", errors::explain(source))]
    Call {
        /// What was tried: create, read, apply, delete.
        verb: &'static str,
        /// The client's error.
        source: Box<kube::Error>,
    },
    /// A Secret could not be written. The API server's text is left out, since it may quote the object.
    #[error("{verb} failed: {reason} (HTTP {code})")]
    Secret {
        /// What was tried: create, update, delete.
        verb: &'static str,
        /// The API server's machine-readable reason.
        reason: String,
        /// HTTP status code; 0 where there was no answer.
        code: u16,
    },
    /// The server is gone or going, and the cache does not show it yet.
    #[error("the DittoServer is being deleted")]
    ServerGone,
    /// The object has appeared, gone or changed since it was looked at. The next pass takes it into account.
    #[error("somebody else makes or changes the object just now; looking again")]
    Raced,
    /// The child could not be turned into JSON.
    #[error("cannot be encoded: {0}")]
    Encode(#[from] serde_json::Error),
}

impl Error {
    pub(super) fn call(verb: &'static str) -> impl FnOnce(kube::Error) -> Self {
        move |source| Self::Call {
            verb,
            source: Box::new(source),
        }
    }
}

impl From<Error> for WriteFailure {
    fn from(error: Error) -> Self {
        let (verb, text, class) = match error {
            Error::Call { verb, source } => (Some(verb), errors::explain(&source), errors::class(&source)),
            Error::Secret { verb, reason, code } => {
                // No answer, or a server error, cannot be corrected in the Secret.
                let is_servers = matches!(code, 0 | 500..);
                let class = if is_servers {
                    FailureClass::Call
                } else {
                    FailureClass::Secret
                };
                (Some(verb), format!("{reason} (HTTP {code})"), class)
            }
            Error::ServerGone | Error::Raced => (None, error.to_string(), FailureClass::Raced),
            Error::Encode(_) => (None, error.to_string(), FailureClass::Encode),
        };
        Self { verb, text, class }
    }
}

impl From<Error> for Outcome {
    fn from(error: Error) -> Self {
        Self::Failed(error.into())
    }
}

/// The outcome of writing one child, and the object that stands now, where that is known.
pub(super) struct Written<K> {
    pub(super) outcome: Outcome,
    pub(super) object: Option<Arc<K>>,
}

impl<K> Written<K> {
    pub(super) fn of(outcome: Outcome, object: impl Into<Arc<K>>) -> Self {
        Self {
            outcome,
            object: Some(object.into()),
        }
    }

    pub(super) fn without(outcome: Outcome) -> Self {
        Self {
            outcome,
            object: None,
        }
    }
}

/// Writes the children of one server.
pub(super) struct Writer<'a> {
    pub(super) context: &'a Context,
    pub(super) server: &'a DittoServer,
    /// Whether the user has paused the server: then everything is compared, and nothing is written.
    pub(super) is_paused: bool,
    namespace: String,
    /// Why no further child is tried, once one could not be made for it.
    closed: OnceLock<Closed>,
}

/// What ends the making of children.
#[derive(Clone, Copy)]
enum Closed {
    NamespaceTerminating,
    ServerGone,
}

impl From<Closed> for Outcome {
    fn from(closed: Closed) -> Self {
        match closed {
            Closed::NamespaceTerminating => Self::NamespaceTerminating,
            Closed::ServerGone => Self::ServerGone,
        }
    }
}

/// What every child kind can do: it is kept in a cache, and written.
pub(super) trait Child: Cached + Serialize {}

impl<K: Cached + Serialize> Child for K {}

impl<'a> Writer<'a> {
    pub(super) fn new(context: &'a Context, server: &'a DittoServer) -> Self {
        Self {
            context,
            server,
            is_paused: server.is_paused(),
            namespace: server.namespace().unwrap_or_default(),
            closed: OnceLock::new(),
        }
    }

    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    pub(super) fn api<K: Child>(&self) -> Api<K> {
        Api::namespaced(self.context.client.clone(), &self.namespace)
    }

    /// Brings one child to its desired state, with as few calls as that takes: none if the cache shows that it is so.
    pub(super) async fn child<K: Child>(&self, cache: &Cache<K>, name: &str, desired: K) -> Written<K> {
        if let Some(closed) = self.closed.get() {
            return Written::without(Outcome::from(*closed));
        }
        let attempt = async {
            let desired = stamped(desired)?;
            match cache.get(&self.namespace, name) {
                Lookup::Found(live) if self.is_current(live.as_ref(), &desired)? => {
                    Ok(Written::of(Outcome::Unchanged, live))
                }
                Lookup::Found(_) | Lookup::Unknown(_) => self.update_or_create(cache, name, &desired).await,
                Lookup::Missing => self.create_or_update(cache, name, &desired).await,
            }
        };
        attempt
            .await
            .unwrap_or_else(|error| Written::without(self.failed(error)))
    }

    /// A child that could not be made because all of it is being deleted did not fail.
    pub(super) fn failed(&self, error: Error) -> Outcome {
        let closed = match &error {
            Error::Call { source, .. } if errors::is_namespace_terminating(source) => {
                Closed::NamespaceTerminating
            }
            Error::ServerGone => Closed::ServerGone,
            _ => return error.into(),
        };
        Outcome::from(*self.closed.get_or_init(|| closed))
    }

    pub(super) fn is_current<K: Child>(&self, live: &K, desired: &Value) -> Result<bool, Error> {
        let is_ours = matches!(owner(live.meta(), self.server), Owner::Us | Owner::Orphan);
        Ok(is_ours
            && live.meta().deletion_timestamp.is_none()
            && compare::holds(&serde_json::to_value(live)?, desired))
    }

    async fn create_or_update<K: Child>(
        &self,
        cache: &Cache<K>,
        name: &str,
        desired: &Value,
    ) -> Result<Written<K>, Error> {
        if self.is_paused {
            return Ok(Written::without(Outcome::Withheld));
        }
        match self.create(cache, desired).await? {
            Some(created) => Ok(Written::of(Outcome::Created, created)),
            // This object was built for a world without one, and the watch of databases misses none: look again first.
            None if is_database::<K>() => Ok(Written::without(Error::Raced.into())),
            // The cache did not know the object: it is somebody else's, or it lacks our labels.
            None => self.update_or_create(cache, name, desired).await,
        }
    }

    async fn update_or_create<K: Child>(
        &self,
        cache: &Cache<K>,
        name: &str,
        desired: &Value,
    ) -> Result<Written<K>, Error> {
        let live = self.api::<K>().get_opt(name).await.map_err(Error::call("read"))?;
        let Some(live) = live else {
            if self.is_paused {
                return Ok(Written::without(Outcome::Withheld));
            }
            return match self.create(cache, desired).await? {
                Some(created) => Ok(Written::of(Outcome::Created, created)),
                None => Err(Error::Raced),
            };
        };
        if let Some(outcome) = self.refusal(&live) {
            return Ok(Written::without(outcome));
        }
        if self.is_current(&live, desired)? {
            cache.wrote(live.clone());
            return Ok(Written::of(Outcome::Unchanged, live));
        }
        if self.is_paused {
            return Ok(Written::of(Outcome::Withheld, live));
        }
        let applied = self.apply(live, desired).await?;
        cache.wrote(applied.clone());
        Ok(Written::of(Outcome::Updated, applied))
    }

    /// Why an existing object must not be written now.
    pub(super) fn refusal<K: Child>(&self, live: &K) -> Option<Outcome> {
        match owner(live.meta(), self.server) {
            Owner::Other(_) if is_database::<K>() && may_adopt(live.meta(), self.server) => None,
            Owner::Other(who) => Some(Outcome::Foreign(who)),
            Owner::Predecessor => Some(Outcome::Terminating),
            Owner::Us | Owner::Orphan => live
                .meta()
                .deletion_timestamp
                .as_ref()
                .map(|_| Outcome::Terminating),
        }
    }

    /// Creates, or returns `None` where an object of that name exists.
    async fn create<K: Child>(&self, cache: &Cache<K>, desired: &Value) -> Result<Option<K>, Error> {
        self.confirm_server().await?;
        let object: K = serde_json::from_value(desired.clone())?;
        match self.api::<K>().create(&post(), &object).await {
            Ok(created) => {
                cache.wrote(created.clone());
                Ok(Some(created))
            }
            Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => Ok(None),
            Err(error) => Err(Error::call("create")(error)),
        }
    }

    /// A child that is missing may have been collected because its server is gone; the watch of servers may tell that later than
    /// the watch of the child. Whoever asks the API server after it saw the child go learns of it. A new server has had no child.
    pub(super) async fn confirm_server(&self) -> Result<(), Error> {
        let is_new = self
            .server
            .status
            .as_ref()
            .is_none_or(|status| status.conditions.is_empty());
        if is_new {
            return Ok(());
        }
        let servers = Api::<DittoServer>::namespaced(self.context.client.clone(), &self.namespace);
        let live = servers
            .get_metadata_opt(&self.server.name_any())
            .await
            .map_err(Error::call("read"))?;
        let is_there = live.is_some_and(|live| {
            live.metadata.uid == self.server.metadata.uid && live.metadata.deletion_timestamp.is_none()
        });
        if is_there { Ok(()) } else { Err(Error::ServerGone) }
    }

    async fn apply<K: Child>(&self, live: K, desired: &Value) -> Result<K, Error> {
        let (api, name) = (self.api::<K>(), live.name_any());
        self.take_over_fields(&api, &live).await?;
        let mut body = desired.clone();
        body["metadata"]["uid"] = json!(live.meta().uid);
        let params = PatchParams::apply(FIELD_MANAGER).force();
        api.patch(&name, &params, &Patch::Apply(&body))
            .await
            .map_err(Error::call("apply"))
    }

    /// Makes fields ours that an older write of ours, or the Go operator, left. Whether there were any.
    pub(super) async fn take_over_fields<K: Child>(&self, api: &Api<K>, live: &K) -> Result<bool, Error> {
        let managers = Managers::of(live.meta(), self.server);
        let Some(entries) = managed_fields::upgraded(live.managed_fields(), &managers) else {
            return Ok(false);
        };
        let body = json!({"metadata": {
            "uid": live.meta().uid,
            "resourceVersion": live.meta().resource_version,
            "managedFields": entries,
        }});
        let params = patch_params();
        api.patch_metadata(&live.name_any(), &params, &Patch::Merge(&body))
            .await
            .map_err(Error::call("apply"))?;
        Ok(true)
    }

    /// Sets the number of replicas and nothing else: the pod template must stay.
    pub(super) async fn scale(
        &self,
        cache: &Cache<StatefulSet>,
        name: &str,
        live: Option<&Arc<StatefulSet>>,
        replicas: i32,
    ) -> Written<StatefulSet> {
        let Some(live) = live else {
            return Written::without(Outcome::Unchanged);
        };
        if let Some(outcome) = self.refusal(live.as_ref()) {
            return Written::without(outcome);
        }
        if live.spec.as_ref().and_then(|spec| spec.replicas) == Some(replicas) {
            return Written::of(Outcome::Unchanged, Arc::clone(live));
        }
        if self.is_paused {
            return Written::of(Outcome::Withheld, Arc::clone(live));
        }
        let body = json!({"metadata": {"uid": live.metadata.uid}, "spec": {"replicas": replicas}});
        let params = patch_params();
        match self
            .api::<StatefulSet>()
            .patch(name, &params, &Patch::Merge(&body))
            .await
        {
            Ok(scaled) => {
                cache.wrote(scaled.clone());
                Written::of(Outcome::Updated, scaled)
            }
            Err(error) => Written::without(Error::call("scale")(error).into()),
        }
    }

    /// Deletes a child that the spec no longer wants. `None` if there is none of ours.
    pub(super) async fn remove<K: Child>(&self, cache: &Cache<K>, name: &str) -> Option<Written<K>> {
        let Lookup::Found(live) = cache.get(&self.namespace, name) else {
            return None;
        };
        if owner(live.meta(), self.server) != Owner::Us || live.meta().deletion_timestamp.is_some() {
            return None;
        }
        if self.is_paused {
            return Some(Written::without(Outcome::Withheld));
        }
        let params = delete_exactly(live.meta());
        Some(match self.api::<K>().delete(name, &params).await {
            Ok(_) => Written::without(Outcome::Deleted),
            Err(kube::Error::Api(status)) if status.code == 404 => Written::without(Outcome::Deleted),
            Err(error) => Written::without(Error::call("delete")(error).into()),
        })
    }

    /// Deletes the pod that was looked at, as `params` guard it, so that its StatefulSet makes another. `None` if it is gone by
    /// now, or no longer what was looked at.
    pub(super) async fn replace_pod(&self, pod: &Pod, params: &DeleteParams, why: String) -> Option<Outcome> {
        if self.is_paused {
            return Some(Outcome::Withheld);
        }
        match self.api::<Pod>().delete(&pod.name_any(), params).await {
            Ok(deleted) => {
                // A pod goes gracefully: until the watch shows it, the cache must not show it as it was.
                if let Some(going) = deleted.left() {
                    self.context.caches.pods.wrote(going);
                }
                Some(Outcome::Replaced(why))
            }
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => None,
            Err(error) => Some(Error::call("delete")(error).into()),
        }
    }

    /// Creates a managed Secret. One that exists by now is never overwritten: the next pass reads it.
    pub(super) async fn create_secret(&self, secret: Secret) -> Outcome {
        if let Some(closed) = self.closed.get() {
            return Outcome::from(*closed);
        }
        if self.is_paused {
            return Outcome::Withheld;
        }
        match self.api::<Secret>().create(&post(), &secret).await {
            Ok(created) => {
                self.context.secrets.wrote(&created);
                Outcome::Created
            }
            Err(kube::Error::Api(status)) if errors::says_namespace_terminating(&status) => {
                Outcome::from(*self.closed.get_or_init(|| Closed::NamespaceTerminating))
            }
            Err(kube::Error::Api(status)) => Outcome::from(Error::Secret {
                verb: "create",
                reason: status.reason,
                code: status.code,
            }),
            Err(_) => Outcome::from(Error::Secret {
                verb: "create",
                reason: "no answer".into(),
                code: 0,
            }),
        }
    }
}

fn is_database<K: Child>() -> bool {
    K::kind(&()) == PerconaPGCluster::KIND
}

/// The child as JSON, with a hash of itself: a field that leaves the desired object changes the hash, and so is noticed
/// although the live object still holds all that is desired.
pub(super) fn stamped<K: Child>(desired: K) -> Result<Value, Error> {
    let mut value = serde_json::to_value(desired)?;
    let digest = Sha256::digest(serde_json::to_vec(&value)?);
    let hash = digest
        .iter()
        .take(8)
        .fold(0_u64, |hash, byte| hash << 8 | u64::from(*byte));
    value["metadata"]["annotations"][names::APPLIED_HASH_ANNOTATION] = json!(format!("{hash:016x}"));
    Ok(value)
}

#[cfg(test)]
mod tests;
