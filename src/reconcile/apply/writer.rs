//! The writer: the verbs by which a child is written, and the mode that says what becomes of them. `send.rs` sends.
//!
//! Every write is guarded. A create cannot touch an object that exists. The others name the UID that was read, so an object
//! that was re-created in between is left alone.

use std::sync::OnceLock;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams};
use kube::core::ApiResource;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use super::Outcome;
use super::error::Error;
use super::live::{Child, Live};
use super::managed_fields::Reach;
use super::plan::{Plan, Planned};
use crate::api::DittoServer;
use crate::api::names::FIELD_MANAGER;
use crate::cluster::client::params::{dry_apply, patch_params};
use crate::reconcile::context::Context;

/// What becomes of the writes.
pub(super) enum Mode {
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
    /// Deletes an immutable object, and creates it with other data.
    Replace { live: &'a Live<K>, desired: &'a Value },
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
    /// Asks whether the API server accepts a pod, in the place of another one if there is one.
    AskForPod { pod: &'a Value, old: Option<&'a Pod> },
    /// Saves a StatefulSet that needs other claim templates, and deletes it without its pod.
    Recreate {
        config_map: &'a ConfigMap,
        desired: &'a Value,
    },
    /// Creates a StatefulSet from the one that was saved.
    CreateSaved {
        saved: &'a Live<StatefulSet>,
        manifest: &'a Value,
    },
    /// Removes a saved StatefulSet, now that `live` exists.
    ForgetSaved {
        config_map: &'a ConfigMap,
        saved: &'a Value,
        live: &'a StatefulSet,
    },
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
    pub(super) mode: Mode,
    namespace: String,
    /// Why no further child is written, once the API server has said that server or namespace is being deleted.
    pub(super) closed: OnceLock<Outcome>,
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

    /// A missing child may have been garbage-collected because its server is gone, and the watch of servers may show that
    /// later than the watch of the child. So the API server is asked. A new server has had no child.
    pub(super) async fn confirm_server(&self) -> Result<(), Error> {
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

    /// Server-side apply. `desired` names the UID, and a version if it applies to no other one.
    pub(super) async fn send_apply<K: Child>(
        &self,
        name: &str,
        desired: &Value,
    ) -> Result<DynamicObject, Error> {
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let applied = self.api::<K>().patch(name, &params, &Patch::Apply(desired)).await;
        applied.map_err(Error::call("apply"))
    }

    /// Moves fields of ours to our `Apply` entry (`managed_fields.rs`).
    pub(super) async fn take_over_fields<K: Child>(
        &self,
        name: &str,
        live: &Live<K>,
        desired: &Value,
        reach: Reach,
    ) -> Result<(), Error> {
        let Some(entries) = live.taken_over(self.server, desired, reach) else {
            return Ok(());
        };
        let mut metadata = live.identity();
        metadata["managedFields"] = json!(entries);
        let body = Patch::Merge(json!({"metadata": metadata}));
        let patched = self.api::<K>().patch_metadata(name, &patch_params(), &body).await;
        patched.map(drop).map_err(Error::call("apply"))
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
