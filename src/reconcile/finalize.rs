//! Deletion: the finalizer, and the cleanup before a server is removed.
//!
//! Garbage collection deletes the children, and objects that outlive the server have no owner reference. So a finalizer is
//! needed only if the user's policy deletes data (`storage.retention: Delete`, `percona.deleteWithServer`), if something that is
//! to be kept would still be deleted with the server, or if the pod has no StatefulSet. It is the finalizer that the Go operator
//! set on every server; where it is not needed, it is removed ([`update_finalizer`]).
//!
//! | file | what is in it |
//! |---|---|
//! | `domain/cleanup/plan.rs` | what is deleted and kept under which policy, and when the cleanup ends; pure |
//! | `domain/cleanup/events.rs` | its events; pure |
//! | `finalize/clean.rs` | the calls |
//! | `finalize/database.rs` | the writes to a database cluster |
//!
//! A cleanup keeps no state: each pass reads what exists ([`clean`]), the status reports it, and only then is the finalizer
//! removed ([`finish`]). Every cleanup ends, with two exceptions: the server stays while a database that is to be kept would be
//! garbage-collected with it, or might be because it cannot be read; and while its volumes have what its remote stores do not, until it
//! is uploaded or the user decides (`domain/uploads.rs`).

mod clean;
mod database;

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use kube::api::{ObjectMeta, Patch};
use kube::core::error_boundary::InvalidObject;
use kube::{Api, ResourceExt};
use serde_json::json;
use thiserror::Error;

use self::clean::Cleaner;
use super::events;
use crate::api::{DittoServer, DittoServerSpec, names};
use crate::cluster::client::errors;
use crate::cluster::client::params::patch_params;
use crate::domain::cleanup::plan::{self, Cleanup, Next, Plan};
use crate::domain::cleanup::{Progress, events as cleanup_events};
use crate::domain::data_home;
use crate::domain::desired;
use crate::domain::edits::finalizers_of_others;
use crate::domain::observed::Observed;
use crate::reconcile::context::Context;
use crate::reconcile::runner::Action;

/// Why a deletion could not be completed, or prepared.
#[derive(Debug, Error)]
pub enum Error {
    /// The finalizer could not be set or removed.
    #[error("the finalizer could not be changed: {}", errors::explain(.0))]
    Finalizer(#[source] Box<kube::Error>),
    /// The server could not be read.
    #[error("the server could not be read before its cleanup: {}", errors::explain(.0))]
    Read(#[source] Box<kube::Error>),
    /// What must be done before the finalizer is removed has failed.
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

/// Sets the finalizer on a live server if it is needed, and removes it if not. One patch of the metadata, only on change, and
/// only if the server is as it was observed. A paused server is not written; its finalizer is updated when it is resumed.
///
/// # Errors
/// When the API server refuses, or does not answer in time.
#[tracing::instrument(
    name = "finalize",
    level = "debug",
    skip_all,
    fields(part = "update_finalizer")
)]
pub async fn update_finalizer(context: &Context, observed: &Observed) -> Result<(), Error> {
    let server = &observed.server;
    let has_it = has_finalizer(&server.metadata);
    let is_needed = plan::needs_finalizer(observed);
    if server.metadata.deletion_timestamp.is_some() || server.is_paused() || has_it == is_needed {
        return Ok(());
    }
    let mut finalizers = finalizers_of_others(&server.metadata);
    if is_needed {
        finalizers.push(names::FINALIZER.to_owned());
    }
    let body = finalizers_of(&server.metadata, &finalizers);
    let written = api(context, &server.metadata)
        .patch(&server.name_any(), &patch_params(), &Patch::Merge(&body))
        .await
        .map_err(|error| Error::Finalizer(Box::new(error)))?;
    context.wrote_server(server, written);
    Ok(())
}

/// What the status reports about finalizer and cleanup.
#[must_use]
pub fn progress(updated: &Result<(), Error>, cleanup: &Result<Option<Cleanup>, Error>) -> Progress {
    Progress {
        finalizer_error: finalizer_error(updated),
        pending: match cleanup {
            Ok(cleanup) => cleanup.as_ref().and_then(Cleanup::pending),
            Err(error) => Some(error.to_string()),
        },
    }
}

/// Why the finalizer is not as it should be. A conflict is left out: the next reconcile reads what has changed.
fn finalizer_error(updated: &Result<(), Error>) -> Option<String> {
    let error = updated.as_ref().err()?;
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
    // Gone, or replaced by another one of the same name: the cache is stale, and the data no longer belongs to this server.
    let Some(live) = live.filter(|live| live.uid() == metadata.uid && has_finalizer(&live.metadata)) else {
        return Ok(None);
    };
    let cleaner = Cleaner {
        client: context.client.clone(),
        server: &live,
    };
    let is_orphaning = cleaner
        .is_orphaning()
        .await
        .map_err(|error| Error::Read(Box::new(error)))?;
    if !is_orphaning && let Some(pending) = uploads_pending(observed, &live) {
        return Ok(Some(Cleanup::waiting(&live.name_any(), pending)));
    }
    let in_own_postgres = data_home::may_be_in_own_postgres(observed);
    let cleanup = cleaner
        .pass(|database| {
            if is_orphaning {
                Plan::keep_all(&live)
            } else {
                Plan::of(&live, database, in_own_postgres)
            }
        })
        .await;
    let mut transitions = cleanup_events::of_pass(&cleanup);
    if is_orphaning && plan::deletes_data(&live.spec) {
        transitions.push(cleanup_events::orphaned());
    }
    events::publish(&context.events, &live, &transitions);
    Ok(Some(cleanup))
}

/// Why the volumes of a server must not be deleted yet: what they have is not in its remote stores. The server as it is decides, as it
/// decides what is deleted.
fn uploads_pending(observed: &Observed, live: &DittoServer) -> Option<String> {
    let observed = Observed {
        server: Arc::new(live.clone()),
        ..observed.clone()
    };
    desired::uploads(&observed, None).pending()
}

/// Removes the finalizer of a server whose cleanup has ended, or returns when to try again.
///
/// # Errors
/// When the API server refuses, or does not answer in time; and while what must be done is not.
#[tracing::instrument(name = "finalize", level = "debug", skip_all, fields(part = "finish"))]
pub async fn finish(
    context: &Context,
    server: &DittoServer,
    cleanup: Option<Cleanup>,
) -> Result<Action, Error> {
    let Some(cleanup) = cleanup else {
        return Ok(Action::await_change());
    };
    let uid = server.uid().unwrap_or_default();
    let age = age(&server.metadata).min(context.cleanups.since_first(&uid, Instant::now()));
    match cleanup.next(age) {
        Next::Retry(_) if cleanup.tasks.iter().any(plan::Task::is_failed_and_vital) => {
            return Err(Error::Vital(cleanup.pending().unwrap_or_default()));
        }
        Next::Retry(pause) => return Ok(Action::requeue(pause)),
        Next::GiveUp(pending) => {
            events::publish(
                &context.events,
                server,
                &[cleanup_events::timed_out(&pending, age)],
            );
        }
        Next::RemoveFinalizer => {}
    }
    let removed = remove_finalizer(context, &server.metadata).await?;
    // Not before: after a failure, its time would begin again.
    context.cleanups.forget(&uid);
    Ok(removed)
}

/// Removes the finalizer of a stored object that is being deleted and does not parse. Its policy cannot be read, so all data is
/// kept.
///
/// # Errors
/// As [`finish`].
#[tracing::instrument(name = "finalize", level = "debug", skip_all, fields(part = "finish"))]
pub async fn finish_unparsable(context: &Context, invalid: &InvalidObject) -> Result<Action, Error> {
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
    finish(context, &server, Some(cleanup)).await
}

/// Removes the finalizer. Patches the metadata, because the answer may be a server that does not parse.
pub(crate) async fn remove_finalizer(context: &Context, metadata: &ObjectMeta) -> Result<Action, Error> {
    let mut finalizers = metadata.finalizers.iter().flatten();
    let Some(index) = finalizers.position(|finalizer| finalizer == names::FINALIZER) else {
        return Ok(Action::await_change());
    };
    // The tests guard against another server of this name, and against a concurrent change of the list. A resource version does
    // not help, because this reconcile has just written the status.
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

/// The resource version guards the list against a finalizer that is added concurrently.
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

/// Time since the deletion was requested.
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
