//! Deletion: what is to be done before a server goes.
//!
//! Children go by garbage collection, and what outlives the server has no owner reference. So a finalizer is needed only
//! where the user's policy deletes data (`storage.retention: Delete`, `percona.deleteWithServer`) where something that is to
//! stay would still follow the server, and where the pod has lost its StatefulSet; and it is the one that the Go operator set on every server; where it is not needed, it is taken off
//! ([`guard`]).
//!
//! | file | what is in it |
//! |---|---|
//! | `finalize/plan.rs` | what is cleaned up under which policy, and when it is enough; pure |
//! | `finalize/clean.rs` | the calls |
//! | `finalize/database.rs` | the call by which a database stays, also that of a live server that has none any more |
//! | `finalize/story.rs` | its events |
//!
//! A cleanup remembers nothing: each pass looks at what there is ([`clean`]), the status tells it, and only then does the
//! server go ([`release`]). It ends in any case but one: while a database that is to stay would be collected with the
//! server, or may be because it cannot be read, the server stays.

mod clean;
mod database;

use std::time::Duration;

use jiff::Timestamp;
use kube::api::{ObjectMeta, Patch};
use kube::core::DeserializeGuard;
use kube::core::error_boundary::InvalidObject;
use kube::runtime::controller::Action;
use kube::{Api, ResourceExt};
use serde_json::json;
use thiserror::Error;

use self::clean::Cleaner;
pub(crate) use self::database::release as release_database;
use super::events;
use crate::api::{DittoServer, DittoServerSpec, names};
use crate::cluster::client::errors;
use crate::cluster::client::params::patch_params;
use crate::domain::cleanup::events as cleanup_events;
use crate::domain::cleanup::plan::{self, Cleanup, Next, Plan};
use crate::domain::data_home;
use crate::domain::observed::Observed;
use crate::reconcile::context::Context;

/// Why a deletion could not be completed, or prepared.
#[derive(Debug, Error)]
pub enum Error {
    /// The finalizer could not be set or removed.
    #[error("the finalizer could not be changed: {}", errors::explain(.0))]
    Finalizer(#[source] Box<kube::Error>),
    /// The server could not be read.
    #[error("the server could not be read before its cleanup: {}", errors::explain(.0))]
    Read(#[source] Box<kube::Error>),
    /// What must be done before the server goes failed.
    #[error("not cleaned up yet: {0}")]
    Vital(String),
}

impl Error {
    /// Its name: a label in the metrics.
    #[must_use]
    pub fn variant(&self) -> &'static str {
        match self {
            Self::Finalizer(_) => "finalizer",
            Self::Read(_) => "read",
            Self::Vital(_) => "vital",
        }
    }
}

/// Sets the finalizer on a live server if it is needed, and takes it off if not. One patch of the metadata, on change
/// only, and only if the server is as it was observed. A paused server is not written: what it has to clean up is then
/// decided when its pause ends.
///
/// # Errors
/// When the API server refuses, or does not answer in time.
#[tracing::instrument(name = "finalize", level = "debug", skip_all, fields(part = "guard"))]
pub async fn guard(context: &Context, observed: &Observed) -> Result<(), Error> {
    let server = &observed.server;
    let has_it = has_finalizer(&server.metadata);
    let is_needed = plan::needs_finalizer(observed);
    if server.metadata.deletion_timestamp.is_some() || server.is_paused() || has_it == is_needed {
        return Ok(());
    }
    let mut finalizers = of_others(&server.metadata);
    if is_needed {
        finalizers.push(names::FINALIZER.to_owned());
    }
    let body = finalizers_of(&server.metadata, &finalizers);
    let written = api(context, &server.metadata)
        .patch(&server.name_any(), &patch_params(), &Patch::Merge(&body))
        .await
        .map_err(|error| Error::Finalizer(Box::new(error)))?;
    context.caches.servers.wrote(DeserializeGuard(Ok(written)));
    Ok(())
}

/// Why the finalizer is not as it should be, for the status. A conflict is left out: the next pass sees what has changed.
#[must_use]
pub fn unguarded(guarded: &Result<(), Error>) -> Option<String> {
    let error = guarded.as_ref().err()?;
    let is_conflict = matches!(
        error,
        Error::Finalizer(source) if matches!(source.as_ref(), kube::Error::Api(status) if status.code == 409)
    );
    (!is_conflict).then(|| error.to_string())
}

/// One pass of the cleanup of a server that is being deleted. `None` where there is nothing to do.
///
/// # Errors
/// When the server itself cannot be read.
#[tracing::instrument(name = "finalize", level = "debug", skip_all, fields(part = "clean"))]
pub async fn clean(context: &Context, observed: &Observed) -> Result<Option<Cleanup>, Error> {
    let metadata = &observed.server.metadata;
    if metadata.deletion_timestamp.is_none() || !has_finalizer(metadata) {
        return Ok(None);
    }
    let read = api(context, metadata).get_opt(&observed.server.name_any()).await;
    let live = read.map_err(|error| Error::Read(Box::new(error)))?;
    // Gone, or another one of the name: then the cache is old, and the data is not this server's any more.
    let Some(live) = live.filter(|live| live.uid() == metadata.uid && has_finalizer(&live.metadata)) else {
        return Ok(None);
    };
    let cleaner = Cleaner {
        client: context.client.clone(),
        server: &live,
    };
    let in_own_postgres = data_home::may_be_in_own_postgres(observed);
    let cleanup = cleaner
        .pass(|remains| Plan::of(&live, remains, in_own_postgres))
        .await;
    events::publish(context, &live, &cleanup_events::of_pass(&cleanup)).await;
    Ok(Some(cleanup))
}

/// What is still to be done, for the status.
#[must_use]
pub fn left(cleanup: &Result<Option<Cleanup>, Error>) -> Option<String> {
    match cleanup {
        Ok(cleanup) => cleanup.as_ref().and_then(Cleanup::left),
        Err(error) => Some(error.to_string()),
    }
}

/// Lets a server go whose cleanup has come to its end, or says when to look again.
///
/// # Errors
/// When the API server refuses, or does not answer in time; and while what must be done is not.
#[tracing::instrument(name = "finalize", level = "debug", skip_all, fields(part = "release"))]
pub async fn release(
    context: &Context,
    server: &DittoServer,
    cleanup: Option<Cleanup>,
) -> Result<Action, Error> {
    let Some(cleanup) = cleanup else {
        return Ok(Action::await_change());
    };
    let age = age(&server.metadata);
    match cleanup.next(age) {
        Next::Again(_) if cleanup.tasks.iter().any(plan::Task::is_failed_and_vital) => {
            return Err(Error::Vital(cleanup.left().unwrap_or_default()));
        }
        Next::Again(pause) => return Ok(Action::requeue(pause)),
        Next::LetGoUnfinished(left) => {
            events::publish(context, server, &[cleanup_events::timed_out(&left, age)]).await;
        }
        Next::LetGo => {}
    }
    take_off(context, &server.metadata).await
}

/// Lets a stored object go that is being deleted and does not parse. Its policy cannot be read, so everything stays.
///
/// # Errors
/// As [`release`].
#[tracing::instrument(name = "finalize", level = "debug", skip_all, fields(part = "release"))]
pub async fn release_unparsable(context: &Context, invalid: &InvalidObject) -> Result<Action, Error> {
    let mut server = DittoServer::new("", DittoServerSpec::default());
    server.metadata = invalid.metadata.clone();
    if server.metadata.deletion_timestamp.is_none() || !has_finalizer(&server.metadata) {
        return Ok(Action::await_change());
    }
    let cleaner = Cleaner {
        client: context.client.clone(),
        server: &server,
    };
    let cleanup = cleaner.pass(|_| Plan::keep_all(&server)).await;
    release(context, &server, Some(cleanup)).await
}

/// Takes the finalizer off. Metadata only: the answer may be a server that does not parse.
pub(crate) async fn take_off(context: &Context, metadata: &ObjectMeta) -> Result<Action, Error> {
    let mut finalizers = metadata.finalizers.iter().flatten();
    let Some(index) = finalizers.position(|finalizer| finalizer == names::FINALIZER) else {
        return Ok(Action::await_change());
    };
    // The tests guard against another server of this name, and against a change of the list meanwhile. A resource version
    // would do too, but this pass has just written the status.
    let path = format!("/metadata/finalizers/{index}");
    let operations = json!([
        {"op": "test", "path": "/metadata/uid", "value": metadata.uid},
        {"op": "test", "path": path, "value": names::FINALIZER},
        {"op": "remove", "path": path},
    ]);
    let operations = serde_json::from_value(operations)
        .map_err(|error| Error::Finalizer(Box::new(kube::Error::SerdeError(error))))?;
    let name = metadata.name.as_deref().unwrap_or_default();
    let patched = api(context, metadata)
        .patch_metadata(name, &patch_params(), &Patch::Json::<()>(operations))
        .await;
    match patched {
        Ok(_) => Ok(Action::await_change()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(Action::await_change()),
        Err(error) => Err(Error::Finalizer(Box::new(error))),
    }
}

/// The resource version guards the list against a finalizer that somebody adds meanwhile.
fn finalizers_of(metadata: &ObjectMeta, finalizers: &[String]) -> serde_json::Value {
    json!({"metadata": {
        "uid": metadata.uid,
        "resourceVersion": metadata.resource_version,
        "finalizers": finalizers,
    }})
}

fn has_finalizer(metadata: &ObjectMeta) -> bool {
    let finalizers = metadata.finalizers.as_deref().unwrap_or_default();
    finalizers.iter().any(|finalizer| finalizer == names::FINALIZER)
}

fn of_others(metadata: &ObjectMeta) -> Vec<String> {
    let finalizers = metadata.finalizers.iter().flatten();
    finalizers
        .filter(|finalizer| *finalizer != names::FINALIZER)
        .cloned()
        .collect()
}

/// Time since the deletion was asked for.
fn age(metadata: &ObjectMeta) -> Duration {
    let since = metadata.deletion_timestamp.as_ref().map(|time| time.0);
    let age = since.map(|since| Timestamp::now().duration_since(since));
    age.and_then(|age| Duration::try_from(age).ok())
        .unwrap_or_default()
}

fn api(context: &Context, metadata: &ObjectMeta) -> Api<DittoServer> {
    Api::namespaced(
        context.client.clone(),
        metadata.namespace.as_deref().unwrap_or_default(),
    )
}
