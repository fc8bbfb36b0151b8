//! The controller: watches feed a queue, and each key in it is reconciled.
//!
//! [`reconcile`] is the table of contents of the operator. Every step hands the next one plain data; a failure in any of
//! them still reaches the conditions, the status is written, and only then is the error returned for backoff.

mod look;
mod triggers;

pub use self::look::{Look, look};

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::channel::mpsc::UnboundedReceiver;
use jiff::Timestamp;
use kube::ResourceExt;
use kube::core::error_boundary::InvalidObject;
use kube::runtime::controller::{Action, Error as ControllerError};
use kube::runtime::events::Event;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::{Config as ControllerConfig, Controller};
use thiserror::Error;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::field::Empty;
use tracing::{Instrument, Span};

use self::triggers::Queue;
use crate::api::DittoServer;
use crate::apply::{self, Applied};
use crate::backoff::PerObject;
use crate::cache::Lookedup;
use crate::conditions::{Inputs, conditions, time_left};
use crate::context::{Context, StoredServer};
use crate::desired::{self, Settings, desired};
use crate::leader::Leadership;
use crate::metrics::{Failure, Metrics};
use crate::observe::{Observed, observe};
use crate::validate::validate;
use crate::{client, events, finalize, growth, secrets, status};

/// First and longest pause after a failed reconcile of one server.
const RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(60));
/// Time after which a settled server is looked at again, should a watch event have been lost.
const RESYNC: Duration = Duration::from_secs(600);
/// How long the first reconcile waits for the caches. A kind that cannot be listed must not hold up the others.
const FIRST_SYNC: Duration = Duration::from_secs(10);

/// How to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Namespaces to watch; empty for all of them.
    pub namespaces: Vec<String>,
    /// How many servers are reconciled at once.
    pub concurrency: u16,
    /// Operator-wide settings that shape the children.
    pub settings: Settings,
}

/// What an operator shares with the rest of its process.
pub struct Process {
    /// When it may act.
    pub leadership: Leadership,
    /// What is measured.
    pub metrics: Arc<Metrics>,
    /// Turns true once the caches have synced.
    pub ready: watch::Sender<bool>,
}

/// Why the operator could not run.
#[derive(Debug, Error)]
pub enum RunError {
    /// The client configuration is unusable.
    #[error("the configuration for the API server is unusable: {0}")]
    Client(#[from] kube::Error),
}

/// Why a reconcile is to be tried again.
#[derive(Debug, Error)]
pub enum Error {
    /// The children could not be built.
    #[error(transparent)]
    Desired(#[from] desired::Error),
    /// Some children are not as desired. The status says which.
    #[error("not all children could be brought to their desired state: {summary}")]
    Incomplete {
        /// Which, and why.
        summary: String,
        /// What kept the first of them from it.
        cause: &'static str,
    },
    /// The status could not be written.
    #[error(transparent)]
    Status(#[from] status::WriteError),
    /// A deletion could not be completed.
    #[error(transparent)]
    Finalize(#[from] finalize::Error),
}

impl Error {
    /// The step that failed, and how: labels in the metrics.
    fn failure(&self) -> Failure {
        let (step, error) = match self {
            Self::Desired(desired::Error::Yaml(_)) => ("desired", "yaml"),
            Self::Incomplete { cause, .. } => ("apply", *cause),
            Self::Status(_) => ("status", "call"),
            Self::Finalize(error) => ("finalize", error.variant()),
        };
        Failure { step, error }
    }
}

/// Runs an operator that is alone until `stop` is cancelled; running reconciles are then finished. `ready` turns true once
/// the caches have synced.
///
/// # Errors
/// When the client configuration is unusable.
pub async fn run(
    config: kube::Config,
    options: Options,
    ready: watch::Sender<bool>,
    stop: CancellationToken,
) -> Result<(), RunError> {
    let process = Process {
        leadership: Leadership::always(),
        metrics: Arc::default(),
        ready,
    };
    run_elected(config, options, process, stop).await
}

/// As [`run`], for one of several: it keeps its caches warm, and reconciles once it leads.
///
/// # Errors
/// When the client configuration is unusable.
pub async fn run_elected(
    config: kube::Config,
    options: Options,
    process: Process,
    stop: CancellationToken,
) -> Result<(), RunError> {
    let Process {
        leadership,
        metrics,
        ready,
    } = process;
    let (queue, queued) = Queue::new(Arc::clone(&metrics));
    let calls = client::for_calls(config.clone(), &leadership.gate, &metrics)?;
    let watches = client::for_watches(config, &metrics)?;
    let (caches, secrets) = triggers::start(&watches, &calls, &options.namespaces, &queue, &stop);
    let context = Arc::new(Context {
        metrics: Arc::clone(&metrics),
        recorder: events::recorder(&calls),
        client: calls,
        caches,
        secrets,
        settings: options.settings,
        backoff: PerObject::new(RETRY.0, RETRY.1),
        resync: RESYNC,
    });
    metrics.observe_servers(context.caches.servers.clone(), leadership.clone());
    let synced = triggers::synced(Arc::clone(&context));
    tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
        synced.await;
        tracing::info!("caches have synced");
        metrics.synced();
        ready.send_replace(true);
    }));
    let may_begin = async {
        triggers::first_answers(&context, FIRST_SYNC).await;
        leadership.begun().await;
    };
    if stop.run_until_cancelled(may_begin).await.is_none() {
        return Ok(());
    }
    queue.open(&context.caches.servers);
    reconcile_all(context, options.concurrency, queued, stop).await;
    Ok(())
}

/// Reconciles what is in the queue until `stop` is cancelled.
async fn reconcile_all(
    context: Arc<Context>,
    concurrency: u16,
    queued: UnboundedReceiver<ObjectRef<StoredServer>>,
    stop: CancellationToken,
) {
    let config = ControllerConfig::default().concurrency(concurrency);
    let finished = Arc::clone(&context);
    Controller::for_shared_stream(futures::stream::pending(), context.caches.servers.store())
        .with_config(config)
        .reconcile_on(queued)
        .graceful_shutdown_on(stop.cancelled_owned())
        .run(reconcile_stored, retry_later, context)
        .for_each(|result| {
            match result {
                Err(ControllerError::QueueError(error)) => tracing::error!(%error, "the queue failed"),
                Err(ControllerError::RunnerError(error)) => tracing::error!(%error, "the runner failed"),
                // No error: the object is gone. One that is created anew under this name starts without its failures.
                Err(ControllerError::ObjectNotFound(gone)) => {
                    let namespace = gone.namespace.unwrap_or_default();
                    forget(&finished, &ObjectRef::new(&gone.name).within(&namespace));
                }
                // Failed reconciles are logged where they fail.
                Ok(_) | Err(ControllerError::ReconcilerFailed(..)) => {}
            }
            std::future::ready(())
        })
        .await;
}

/// Nothing of a server that is gone stays in memory.
fn forget(context: &Context, server: &ObjectRef<StoredServer>) {
    context.backoff.forget(server);
    context.metrics.begun(server);
    let namespace = server.namespace.as_deref().unwrap_or_default();
    let others = context.caches.servers.all();
    let used: HashSet<String> = others
        .iter()
        .filter_map(|stored| stored.0.as_ref().ok())
        .filter(|other| other.metadata.namespace.as_deref() == Some(namespace))
        .flat_map(secrets::names)
        .collect();
    context.secrets.retain(namespace, |secret| used.contains(secret));
}

async fn reconcile_stored(stored: Arc<StoredServer>, context: Arc<Context>) -> Result<Action, Error> {
    let key = ObjectRef::from_obj(stored.as_ref());
    let id = reconcile_id();
    let span = tracing::info_span!("reconcile", object = %key, id, failed = Empty, otel.status_code = Empty);
    async {
        let began = Instant::now();
        context.metrics.begun(&key);
        let latest = context.caches.servers.get(&stored.namespace().unwrap_or_default(), &stored.name_any());
        let stored = if let Lookedup::Found(latest) = latest { latest } else { stored };
        let result = match &stored.0 {
            Ok(server) => Box::pin(reconcile(Arc::new(server.clone()), &context)).await,
            Err(invalid) => {
                tracing::warn!(error = %invalid.error, "the stored DittoServer does not parse; it is left alone");
                leave_alone(invalid, &context).await
            }
        };
        let failed = result.as_ref().err().map(Error::failure);
        context.metrics.reconciled(began.elapsed(), failed);
        match &result {
            Ok(_) => context.backoff.forget(&key),
            Err(error) => {
                tracing::warn!(%error, "reconcile failed; will retry");
                tell_failure(error);
            }
        }
        result
    }
    .instrument(span)
    .await
}

/// Marks the trace of a reconcile as failed. The log has said so.
fn tell_failure(error: &Error) {
    let reconcile = Span::current();
    reconcile.record("failed", error.failure().step);
    reconcile.record("otel.status_code", "ERROR");
}

/// Says in its status that a server does not parse, and lets it go if it is being deleted.
async fn leave_alone(invalid: &InvalidObject, context: &Context) -> Result<Action, Error> {
    let told = status::report_unparsable(context, invalid).await;
    // Even if that fails: a status that cannot be written must not keep the server from going.
    let action = finalize::release_unparsable(context, invalid).await?;
    told?;
    Ok(action)
}

/// One reconcile.
async fn reconcile(server: Arc<DittoServer>, context: &Context) -> Result<Action, Error> {
    let observed = observe(context, server).await;
    let server = &observed.server;
    let is_deleting = server.metadata.deletion_timestamp.is_some();
    let verdict = validate(&observed);
    let buildable = verdict.valid.as_ref().filter(|_| !is_deleting);
    let desired = buildable
        .map(|valid| desired(valid, &context.settings))
        .transpose();
    let guarded = finalize::guard(context, &observed).await;
    let cleanup = finalize::clean(context, &observed).await;
    let applied = match &desired {
        Ok(Some(desired)) => Box::pin(apply::apply(context, &observed, desired.clone())).await,
        Ok(None) | Err(_) => Applied::nothing(&observed),
    };
    context.metrics.applied(&applied);
    let mut inputs = Inputs::new(
        &observed,
        &verdict,
        desired.as_ref().map_err(ToString::to_string),
        &applied,
    );
    inputs.unguarded = finalize::unguarded(&guarded);
    inputs.left_to_clean = finalize::left(&cleanup);
    let before = server.status.clone().unwrap_or_default();
    let generation = server.metadata.generation.unwrap_or_default();
    let now = Timestamp::now();
    let conditions = conditions(&inputs, &before.conditions, generation, now);
    let deadline = time_left(&inputs, &conditions, now);
    let after = status::next(&inputs, conditions);
    let written = status::write(context, server, &after).await;
    let mut story = events::story(&before, &after, &applied);
    story.extend(moved(&observed, &applied));
    events::publish(context, server, &story).await;
    if is_deleting {
        // It may be gone by now, and must go even if its status cannot be written.
        return Ok(finalize::release(context, server, cleanup?).await?);
    }
    desired?;
    written?;
    guarded?;
    complete(&applied)?;
    // Time that passes changes nothing in the cluster that a watch would tell.
    let due = [deadline, growth::follows_in(&observed)].into_iter().flatten();
    Ok(Action::requeue(due.fold(context.resync, Duration::min)))
}

fn moved(observed: &Observed, applied: &Applied) -> Option<Event> {
    let before = events::Run::of(&observed.stateful_set, &observed.config_map);
    let after = events::Run::of(&applied.stateful_set, &applied.config_map);
    events::moved(&observed.server.name_any(), before, after)
}

fn complete(applied: &Applied) -> Result<(), Error> {
    let Some(cause) = applied.failure() else {
        return Ok(());
    };
    let summary = applied.summary();
    Err(Error::Incomplete { summary, cause })
}

#[expect(clippy::needless_pass_by_value, reason = "the controller calls it so")]
fn retry_later(stored: Arc<StoredServer>, _error: &Error, context: Arc<Context>) -> Action {
    Action::requeue(context.backoff.failed(ObjectRef::from_obj(stored.as_ref())))
}

/// Tells the log lines of one reconcile from those of the next. Unique within the process.
fn reconcile_id() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
