//! Sends the writes of children.
//!
//! Every write of a child goes through [`Writer::send`], which is the only place that asks for the mode: it writes, it withholds
//! the write because the server is paused, or it asks the API server what the write would do.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::StatefulSet;
use kube::api::{DynamicObject, Patch};
use serde_json::{Value, json};

use super::child::asked;
use super::error::Error;
use super::live::{Child, Live};
use super::managed_fields::{Reach, only_entry};
use super::stateful_set::{claim_templates, pod_check, recreate, saved};
use super::writer::{Mode, Write, Writer};
use super::{Outcome, dry_run, immutable, predict};
use crate::api::names::APPLIED_HASH_ANNOTATION;
use crate::base::slots::Slots;
use crate::cluster::client::errors;
use crate::cluster::client::params::{patch_params, post};
use crate::domain::ownership::{Owner, owner};
use crate::domain::volumes;
use crate::reconcile::context;

impl Writer<'_> {
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
            Mode::DryRun(plan) => Box::pin(dry_run::add(plan, self, name, write)).await,
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
                let params = post();
                let create = api.create(&params, &object);
                let is_failing = |_: &&Slots| self.context.backoff.is_failing(&context::key(self.server));
                let created = match K::repeated_creations(self.context).filter(is_failing) {
                    Some(slots) => slots.run(create).await,
                    None => create.await,
                };
                Some(created.map_err(Error::call("create"))?)
            }
            Write::Apply { live, desired } if live.is_cached => {
                Some(self.apply_to_version(name, live, desired).await?)
            }
            Write::Apply { live, desired } => Some(self.apply(name, live, desired).await?),
            Write::Replace { live, desired } => Some(immutable::replace(self, live, desired).await?),
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
            Write::Recreate { config_map, desired } => {
                self.confirm_server().await?;
                recreate::recreate(self, name, config_map, desired).await?
            }
            Write::CreateSaved { saved, manifest } => Some(saved::send(self, name, saved, manifest).await?),
            Write::ForgetSaved {
                config_map,
                saved,
                live,
            } => Some(saved::send_forget(self, config_map, saved, live).await?),
        };
        let Some(written) = written else {
            return Ok(None);
        };
        let written = Live::<K>::parse(serde_json::to_value(written)?)?.object;
        K::clone(&written).remember(self.context);
        Ok(Some(written))
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
        match self.take_over_fields(name, live, desired, Reach::Copies).await {
            Err(refused) if refused.is_refusal() => {
                return self.apply_without_takeover(name, live, desired).await;
            }
            taken_over => taken_over?,
        }
        let refused = match self.send_apply::<K>(name, &live.guarded(desired)).await {
            Err(error) if error.is_invalid() => error,
            sent => return sent,
        };
        let live = self.read::<K>(name).await?.ok_or(Error::Raced)?;
        self.after_takeover(name, &live, desired, refused).await?;
        self.take_over_fields(name, &live, desired, Reach::Everyone)
            .await?;
        self.send_apply::<K>(name, &live.guarded(desired)).await
    }

    /// Applies to the version that the cache has, and to no other one. No one else has written the object, so all that may have to be
    /// moved to our `Apply` entry is our own `Update` entry, as a whole.
    async fn apply_to_version<K: Child>(
        &self,
        name: &str,
        live: &Live<K>,
        desired: &Value,
    ) -> Result<DynamicObject, Error> {
        let (position, entry) = only_entry(live.meta()).ok_or(Error::Raced)?;
        let mut version = live.meta().resource_version.clone();
        if entry.operation.as_deref() != Some("Apply") {
            let renamed = json!([
                {"op": "replace", "path": "/metadata/resourceVersion", "value": version},
                {"op": "replace", "path": format!("/metadata/managedFields/{position}/operation"), "value": "Apply"},
            ]);
            let renamed = Patch::<()>::Json(serde_json::from_value(renamed)?);
            let patched = self
                .api::<K>()
                .patch_metadata(name, &patch_params(), &renamed)
                .await;
            version = patched.map_err(Error::call("apply"))?.metadata.resource_version;
        }
        let mut body = live.guarded(desired);
        body["metadata"]["resourceVersion"] = json!(version);
        self.send_apply::<K>(name, &body).await
    }

    /// Applies where a policy refuses the object as it is, and so also a write that only takes over fields: the fields themselves are
    /// written first. This write has the hash of the former apply: if the operator is killed now, the rest is done later.
    async fn apply_without_takeover<K: Child>(
        &self,
        name: &str,
        live: &Live<K>,
        desired: &Value,
    ) -> Result<DynamicObject, Error> {
        let mut after = predict::after_apply(self, live, desired, Reach::Copies);
        after["metadata"]["annotations"][APPLIED_HASH_ANNOTATION] = json!(asked(&live.fields));
        let body = Patch::Merge(predict::replacement(live, &after));
        let written = self.api::<K>().patch(name, &patch_params(), &body).await;
        let written = serde_json::to_value(written.map_err(Error::call("apply"))?)?;
        let live = Live::<K>::parse(written)?;
        self.take_over_fields(name, &live, desired, Reach::Copies).await?;
        self.send_apply::<K>(name, &live.guarded(desired)).await
    }

    /// The object after an apply that first takes over fields of other managers, by a dry run.
    ///
    /// # Errors
    /// With `refused`, the answer to what was asked before, if there is nothing to take over, or if that does not help.
    pub(super) async fn after_takeover<K: Child>(
        &self,
        name: &str,
        live: &Live<K>,
        desired: &Value,
        refused: Error,
    ) -> Result<Value, Error> {
        // An apply takes over the fields of everyone only if the object is invalid with them.
        let reach = if refused.is_invalid() {
            Reach::Everyone
        } else {
            Reach::Copies
        };
        if self.check(live).is_err() || live.taken_over(self.server, desired, reach).is_none() {
            return Err(refused);
        }
        predict::apply(self, name, live, desired)
            .await
            .map_err(|_| refused)
    }

    /// Asks whether the API server accepts a StatefulSet and its pod.
    ///
    /// Fields that the apply takes over or removes first (`managed_fields.rs`) may be the reason for a refusal, whether they are
    /// invalid or a policy denies them. Then it is asked again without them.
    pub(super) async fn ask(
        &self,
        name: &str,
        live: &Live<StatefulSet>,
        desired: &Value,
    ) -> Result<(), Error> {
        if volumes::is_saved(&live.object) {
            return saved::accepted(self, live, desired).await.map(drop);
        }
        let checked = match claim_templates::merged(self, name, live, desired).await {
            Ok(merged) => pod_check::check(self, live, &merged).await,
            Err(refused) => Err(refused),
        };
        let refused = match checked {
            Err(refused) if refused.is_refusal() => refused,
            checked => return checked,
        };
        let live = self.read::<StatefulSet>(name).await?.ok_or(Error::Raced)?;
        let body = claim_templates::with_live_templates(&live, desired);
        match self.after_takeover(name, &live, &body.desired, refused).await {
            Ok(after) => pod_check::check(self, &live, &body.complete(after)).await,
            // The answer is about the old claim templates. A policy may refuse just that.
            Err(refused) if body.has_other_templates() => {
                recreate::ask(self, name, &live, desired, refused).await
            }
            Err(refused) => Err(refused),
        }
    }
}
