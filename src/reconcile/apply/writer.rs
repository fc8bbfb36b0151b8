//! The writer: the verbs by which a child is written, and the mode that says what becomes of them.
//!
//! Every write of a child goes through [`Writer::send`], which is the only place that asks for the mode: it writes, it withholds
//! the write because the server is paused, or it asks the API server what the write would do.
//!
//! Every write is guarded. A create cannot touch an object that exists. The others name the UID that was read, so an object
//! that was re-created in between is left alone.

use std::sync::{Arc, OnceLock};

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams};
use kube::core::ApiResource;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use super::Outcome;
use super::child::{Child, Live};
use super::dry_run::{self, Plan, Planned};
use super::error::Error;
use super::managed_fields::Reach;
use super::stateful_set::{pod_check, recreate};
use crate::api::DittoServer;
use crate::api::names::FIELD_MANAGER;
use crate::cluster::client::errors;
use crate::cluster::client::params::{dry_apply, patch_params, post};
use crate::domain::ownership::{Owner, owner};
use crate::reconcile::context::Context;

/// What becomes of the writes.
enum Mode {
    /// They are sent.
    Write,
    /// They are withheld, because the user has paused the server. Everything is still compared.
    Paused,
    /// They are sent as dry runs, and what they would do is kept.
    DryRun(Plan),
}

/// One write of a child.
pub(super) enum Write<'a, K> {
    /// Creates an object.
    Create { desired: &'a Value },
    /// Server-side apply.
    Apply { live: &'a Live<K>, desired: &'a Value },
    /// Merge patch. `body` names the UID; `verb` is for the error.
    Patch {
        verb: &'static str,
        body: Value,
        preview: Preview<'a, K>,
    },
    /// Delete of the object that the parameters name.
    Delete { params: &'a DeleteParams },
    /// Asks whether the API server accepts a StatefulSet. Changes nothing that a pod sees.
    Ask {
        live: &'a Live<StatefulSet>,
        desired: &'a Value,
    },
    /// Asks whether the API server accepts a pod in the place of another one.
    AskForPod { pod: &'a Value, old: &'a Pod },
    /// Deletes a StatefulSet without its pod, and creates it with other claim templates.
    Recreate { desired: &'a Value },
}

/// How a dry run shows a patch.
pub(super) enum Preview<'a, K> {
    /// By the object before and after.
    Object(&'a Live<K>),
    /// In words: there is no text to compare, or it must not be shown.
    Words(String),
}

/// Writes the children of one server.
pub(super) struct Writer<'a> {
    pub(super) context: &'a Context,
    pub(super) server: &'a DittoServer,
    mode: Mode,
    namespace: String,
    /// Why no further child is written, once the API server has said that server or namespace is being deleted.
    closed: OnceLock<Outcome>,
}

impl<'a> Writer<'a> {
    /// Writes, unless the user has paused the server.
    pub(super) fn new(context: &'a Context, server: &'a DittoServer) -> Self {
        let mode = if server.is_paused() {
            Mode::Paused
        } else {
            Mode::Write
        };
        Self::in_mode(mode, context, server)
    }

    /// Asks by dry runs, also for a server that is paused.
    pub(super) fn dry_run(context: &'a Context, server: &'a DittoServer) -> Self {
        Self::in_mode(Mode::DryRun(Plan::default()), context, server)
    }

    fn in_mode(mode: Mode, context: &'a Context, server: &'a DittoServer) -> Self {
        Self {
            context,
            server,
            mode,
            namespace: server.namespace().unwrap_or_default(),
            closed: OnceLock::new(),
        }
    }

    /// What dry runs said so far.
    pub(super) fn into_planned(self) -> Vec<Planned> {
        match self.mode {
            Mode::DryRun(plan) => plan.into_planned(),
            Mode::Write | Mode::Paused => Vec::new(),
        }
    }

    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Typed by its kind's name only, so that no field is lost.
    pub(super) fn api<K: Child>(&self) -> Api<DynamicObject> {
        let resource = ApiResource::erase::<K>(&());
        Api::namespaced_with(self.context.client.clone(), &self.namespace, &resource)
    }

    /// Reads an object from the API server.
    pub(super) async fn read<K: Child>(&self, name: &str) -> Result<Option<Live<K>>, Error> {
        let read = self.api::<K>().get_opt(name).await;
        let live = read.map_err(Error::call("read"))?;
        live.map(|live| Live::parse(serde_json::to_value(live)?))
            .transpose()
    }

    /// Sends one write as the mode says. Returns the object that exists afterwards, if that is known.
    pub(super) async fn send<K: Child>(
        &self,
        name: &str,
        write: Write<'_, K>,
    ) -> Result<Option<Arc<K>>, Error> {
        if let Some(closed) = self.closed.get() {
            return Err(Error::Stopped(closed.clone()));
        }
        let sent = match &self.mode {
            Mode::Paused => Err(Error::Stopped(Outcome::Withheld)),
            Mode::DryRun(plan) => Box::pin(plan.add(self, name, write)).await,
            Mode::Write => Box::pin(self.write(name, write)).await,
        };
        sent.map_err(|error| {
            let error = self.closing(error);
            if K::IS_CONFIDENTIAL {
                error.confidential()
            } else {
                error
            }
        })
    }

    /// A child that could not be created because everything is being deleted did not fail, and no further one is tried.
    fn closing(&self, error: Error) -> Error {
        let closed = match &error {
            Error::Call { source, .. } if errors::is_namespace_terminating(source) => {
                Outcome::NamespaceTerminating
            }
            Error::Stopped(Outcome::ServerGone) => Outcome::ServerGone,
            _ => return error,
        };
        Error::Stopped(self.closed.get_or_init(|| closed).clone())
    }

    async fn write<K: Child>(&self, name: &str, write: Write<'_, K>) -> Result<Option<Arc<K>>, Error> {
        let api = self.api::<K>();
        let written = match write {
            Write::Create { desired } => {
                if !K::IS_CONFIDENTIAL {
                    self.confirm_server().await?;
                }
                let object = serde_json::from_value(desired.clone())?;
                let created = api.create(&post(), &object).await;
                Some(created.map_err(Error::call("create"))?)
            }
            Write::Apply { live, desired } => Some(self.apply(name, live, desired).await?),
            Write::Patch { verb, body, .. } => {
                let patched = api.patch(name, &patch_params(), &Patch::Merge(&body)).await;
                Some(patched.map_err(Error::call(verb))?)
            }
            // An object that is deleted gracefully is still there: the cache must not show it as it was.
            Write::Delete { params } => {
                let deleted = api.delete(name, params).await;
                deleted.map_err(Error::call("delete"))?.left()
            }
            Write::Ask { live, desired } => return self.ask(name, live, desired).await.map(|()| None),
            Write::AskForPod { pod, old } => return pod_check::ask(self, pod, old).await.map(|()| None),
            Write::Recreate { desired } => {
                self.confirm_server().await?;
                Some(recreate::recreate(self, name, desired).await?)
            }
        };
        let Some(written) = written else {
            return Ok(None);
        };
        let written = Live::<K>::parse(serde_json::to_value(written)?)?.object;
        K::clone(&written).remember(self.context);
        Ok(Some(written))
    }

    /// A missing child may have been garbage-collected because its server is gone, and the watch of servers may show that
    /// later than the watch of the child. So the API server is asked. A new server has had no child.
    async fn confirm_server(&self) -> Result<(), Error> {
        let status = self.server.status.as_ref();
        if status.is_none_or(|status| status.conditions.is_empty()) {
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
        if is_there {
            Ok(())
        } else {
            Err(Error::Stopped(Outcome::ServerGone))
        }
    }

    /// Applies. If the API server refuses the object for what is in it, fields of other managers may be the reason.
    async fn apply<K: Child>(
        &self,
        name: &str,
        live: &Live<K>,
        desired: &Value,
    ) -> Result<DynamicObject, Error> {
        if owner(live.meta(), self.server) == Owner::Orphan {
            // It may have lost its owner because the server is deleted with `--cascade=orphan`.
            self.confirm_server().await?;
        }
        self.take_over_fields(name, live, Reach::Copies).await?;
        let refused = match self.send_apply(name, live, desired).await {
            Err(error) if error.is_invalid() => error,
            sent => return sent,
        };
        let live = self.read::<K>(name).await?.ok_or(Error::Raced)?;
        if !self.helps_to_take_over(name, &live, desired).await || self.check(&live).is_err() {
            return Err(refused);
        }
        self.take_over_fields(name, &live, Reach::Everyone).await?;
        self.send_apply(name, &live, desired).await
    }

    async fn send_apply<K: Child>(
        &self,
        name: &str,
        live: &Live<K>,
        desired: &Value,
    ) -> Result<DynamicObject, Error> {
        let mut body = desired.clone();
        body["metadata"]["uid"] = json!(live.meta().uid);
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let applied = self.api::<K>().patch(name, &params, &Patch::Apply(&body)).await;
        applied.map_err(Error::call("apply"))
    }

    /// Whether the API server would accept an object without the fields of other managers that would be taken over.
    async fn helps_to_take_over<K: Child>(&self, name: &str, live: &Live<K>, desired: &Value) -> bool {
        live.taken_over(self.server, Reach::Everyone).is_some()
            && dry_run::apply(self, name, live, desired).await.is_ok()
    }

    /// Moves fields of ours to our `Apply` entry (`managed_fields.rs`).
    pub(super) async fn take_over_fields<K: Child>(
        &self,
        name: &str,
        live: &Live<K>,
        reach: Reach,
    ) -> Result<(), Error> {
        let Some(entries) = live.taken_over(self.server, reach) else {
            return Ok(());
        };
        let mut metadata = live.identity();
        metadata["managedFields"] = json!(entries);
        let body = Patch::Merge(json!({"metadata": metadata}));
        let patched = self.api::<K>().patch_metadata(name, &patch_params(), &body).await;
        patched.map(drop).map_err(Error::call("apply"))
    }

    /// Asks whether the API server accepts a StatefulSet.
    ///
    /// Fields that the apply takes over first (`managed_fields.rs`) may be the reason for a refusal.
    pub(super) async fn ask(
        &self,
        name: &str,
        live: &Live<StatefulSet>,
        desired: &Value,
    ) -> Result<(), Error> {
        let refused = match recreate::merged(self, name, live, desired).await {
            Ok(merged) => return pod_check::check(self, live, &merged).await,
            Err(refused) => refused,
        };
        let live = self.read::<StatefulSet>(name).await?.ok_or(Error::Raced)?;
        let body = recreate::with_live_templates(&live, desired);
        let would_be_accepted =
            self.check(&live).is_ok() && self.helps_to_take_over(name, &live, &body.desired).await;
        if would_be_accepted { Ok(()) } else { Err(refused) }
    }

    /// Server-side apply as a dry run: the API server's answer has what others set. `desired` names the UID.
    pub(super) async fn try_apply<K: Child>(&self, name: &str, desired: &Value) -> Result<Value, Error> {
        let applied = self
            .api::<K>()
            .patch(name, &dry_apply(), &Patch::Apply(desired))
            .await;
        Ok(serde_json::to_value(applied.map_err(Error::call("apply"))?)?)
    }
}

#[cfg(test)]
mod tests;
