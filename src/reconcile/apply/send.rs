//! Sends the writes of children.
//!
//! Every write of a child goes through [`Writer::send`], which is the only place that asks for the mode: it writes, it withholds
//! the write because the server is paused, or it asks the API server what the write would do.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::StatefulSet;
use kube::api::{DynamicObject, Patch};
use serde_json::Value;

use super::error::Error;
use super::live::{Child, Live};
use super::managed_fields::Reach;
use super::stateful_set::{pod_check, recreate};
use super::writer::{Mode, Write, Writer};
use super::{Outcome, dry_run, immutable};
use crate::cluster::client::errors;
use crate::cluster::client::params::{patch_params, post};
use crate::domain::ownership::{Owner, owner};

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
                let created = api.create(&post(), &object).await;
                Some(created.map_err(Error::call("create"))?)
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

    /// Whether the API server would accept an object without the fields of other managers that would be taken over.
    async fn helps_to_take_over<K: Child>(&self, name: &str, live: &Live<K>, desired: &Value) -> bool {
        live.taken_over(self.server, Reach::Everyone).is_some()
            && dry_run::apply(self, name, live, desired).await.is_ok()
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
        let checked = match recreate::merged(self, name, live, desired).await {
            Ok(merged) => pod_check::check(self, live, &merged).await,
            Err(refused) => Err(refused),
        };
        match checked {
            Err(refused) => self.ask_after_takeover(name, desired, refused).await,
            Ok(()) => Ok(()),
        }
    }

    /// Asks again about a StatefulSet, and about its pod, without the fields that the apply takes over or removes: they may be
    /// what is refused next to what is desired.
    pub(super) async fn ask_after_takeover(
        &self,
        name: &str,
        desired: &Value,
        refused: Error,
    ) -> Result<(), Error> {
        let live = self.read::<StatefulSet>(name).await?.ok_or(Error::Raced)?;
        if self.check(&live).is_err() {
            return Err(refused);
        }
        let body = recreate::with_live_templates(&live, desired);
        let Ok(after) = dry_run::apply(self, name, &live, &body.desired).await else {
            return Err(refused);
        };
        pod_check::check(self, &live, &body.with_mounts(after)).await
    }
}
