//! One reconcile, from top to bottom. [`reconcile`] is the table of contents of the operator.
//!
//! Each step returns plain data to the next. A failure in any step still reaches the conditions, the status is written, and only
//! then is the error returned for backoff.
//!
//! | module | purpose |
//! |---|---|
//! | [`controller`] | starts the watches, and reconciles what is in the queue |
//! | [`runner`] | runs a limited number of reconciles, each server once at a time |
//! | [`triggers`] | which change asks for the reconcile of which server |
//! | `confirm` | reads objects that a list has shown at an earlier version than was known |
//! | [`observe`] | reads the cluster into `domain::observed` |
//! | [`apply`] | writes the children |
//! | [`finalize`] | the finalizer and the cleanup of a deleted server |
//! | [`status`], [`events`] | write the status and the events |
//! | `shards` | which servers are this operator's |
//! | [`context`] | what all reconciles share |
//! | [`look`] | one read of the cluster, for the plugin |

pub mod apply;
mod confirm;
pub mod context;
pub mod controller;
pub mod events;
pub mod finalize;
pub mod look;
pub mod observe;
pub mod runner;
mod server_metrics;
mod shards;
pub mod status;
mod tries;
mod triggers;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use thiserror::Error;

use self::context::Context;
use self::observe::observe;
use self::runner::Action;
use crate::api::DittoServer;
use crate::base::backoff::jitter;
use crate::base::metrics::Failure;
use crate::domain::applied::Applied;
use crate::domain::conditions::{Inputs, conditions, time_left};
use crate::domain::desired::desired;
use crate::domain::observed::{Observed, Read};
use crate::domain::server_settings;
use crate::domain::validate::{Verdict, recheck_in, validate};
use crate::domain::workload::stuck_pod;
use crate::domain::{self, adapters, load_balancers, server_api, uploads, volumes};

/// Why a reconcile is retried.
#[derive(Debug, Error)]
pub enum Error {
    /// The children could not be built.
    #[error(transparent)]
    Desired(#[from] domain::desired::Error),
    /// Some children are not as desired. The status says which.
    #[error("not all children could be brought to their desired state: {summary}")]
    Incomplete {
        /// Which, and why.
        summary: String,
        /// What kept the first of them from it.
        cause: &'static str,
    },
    /// Something could not be read. The status says what.
    #[error("{what} could not be read")]
    Unread {
        /// The first of it.
        what: String,
    },
    /// The status could not be written.
    #[error(transparent)]
    Status(#[from] status::Error),
    /// A deletion could not be completed.
    #[error(transparent)]
    Finalize(#[from] finalize::Error),
}

impl Error {
    /// The step that failed, and how: labels in the metrics.
    fn failure(&self) -> Failure {
        let (step, error) = match self {
            Self::Desired(domain::desired::Error::Yaml(_)) => ("desired", "yaml"),
            Self::Incomplete { cause, .. } => ("apply", *cause),
            Self::Unread { .. } => ("observe", "read"),
            Self::Status(_) => ("status", "call"),
            Self::Finalize(error) => ("finalize", error.variant()),
        };
        Failure { step, error }
    }
}

/// One reconcile.
async fn reconcile(server: Arc<DittoServer>, context: &Context) -> Result<Action, Error> {
    let observed = observe(context, server).await;
    let server = &observed.server;
    let is_deleting = server.metadata.deletion_timestamp.is_some();
    let verdict = validate(&observed);
    follow_api(&verdict, &observed, context);
    let buildable = verdict.valid.as_ref().filter(|_| !is_deleting);
    let built = buildable.map(|valid| desired(valid, &context.settings));
    let desired = built.transpose();
    let uploads = domain::desired::uploads(&observed, desired.as_ref().ok().and_then(Option::as_ref));
    let finalizer = finalize::update_finalizer(context, &observed).await;
    let cleanup = finalize::clean(context, &observed).await;
    let applied = match &desired {
        Ok(Some(desired)) => Box::pin(apply::apply(context, &observed, desired)).await,
        Ok(None) | Err(_) => Applied::nothing(&observed),
    };
    measure(&applied, context);
    let inputs = Inputs::new(
        &observed,
        &verdict,
        desired.as_ref().map_err(ToString::to_string),
        &applied,
        finalize::progress(&finalizer, &cleanup),
    );
    let before = server.status.clone().unwrap_or_default();
    let generation = server.metadata.generation.unwrap_or_default();
    let now = Timestamp::now();
    let conditions = conditions(&inputs, &before.conditions, generation, now);
    let deadline = time_left(&inputs, &conditions, now);
    let after = domain::status::next(&inputs, conditions);
    let written = status::write(context, server, &after).await;
    follow_uploads(&observed, &uploads, written.is_ok(), context);
    let transitions = domain::events::of_reconcile(&observed, &before, &after, &applied, written.is_ok());
    events::publish(&context.events, server.as_ref(), &transitions);
    if is_deleting {
        // The server may be gone by now. Its finalizer is removed even if its status cannot be written.
        let finished = finalize::finish(context, server, cleanup?).await?;
        return Ok(finished.within(uploads.recheck_in));
    }
    desired?;
    written?;
    finalizer?;
    complete(&applied)?;
    observe::complete(&observed).map_err(|what| Error::Unread { what })?;
    let next = [
        deadline,
        uploads.recheck_in,
        server_settings::recheck_in(&before, &after),
    ];
    Ok(Action::requeue(due(&observed, &applied, next, context)))
}

/// Says which API of the server is to be polled.
fn follow_api(verdict: &Verdict<'_>, observed: &Observed, context: &Context) {
    let key = context::key(&observed.server);
    match server_api::target(verdict, observed, &context.settings) {
        Read::Found(target) => context.servers.watch(key, Some(target)),
        Read::Missing => context.servers.watch(key, None),
        Read::Unreadable(_) => {}
    }
}

/// Asks the server to upload everything, or no longer. What it said is kept until it stands in the status.
fn follow_uploads(observed: &Observed, uploads: &uploads::Plan, is_written: bool, context: &Context) {
    let key = context::key(&observed.server);
    let target = uploads
        .asks
        .then(|| server_api::ending(observed, &context.settings));
    if let Some(target) = target.flatten() {
        context.drains.ask(&key, target);
    } else if is_written && !uploads.holds {
        context.drains.forget(&key);
    }
}

/// When the server is to be looked at again although nothing has changed: no watch reports that time has passed.
fn due(observed: &Observed, applied: &Applied, next: [Option<Duration>; 3], context: &Context) -> Duration {
    let due = [
        volumes::may_follow_in(observed),
        recheck_in(observed),
        stuck_pod::recheck_in(observed),
        adapters::recheck_in(observed),
        load_balancers::recheck_in(observed),
        applied.retry_in(),
    ];
    due.into_iter()
        .chain(next)
        .flatten()
        .fold(jitter(context.resync), Duration::min)
}

fn measure(applied: &Applied, context: &Context) {
    for step in &applied.steps {
        context.metrics.child(step.kind, step.outcome.label());
    }
}

fn complete(applied: &Applied) -> Result<(), Error> {
    let Some(cause) = applied.failure() else {
        return Ok(());
    };
    let summary = applied.summary();
    Err(Error::Incomplete { summary, cause })
}
