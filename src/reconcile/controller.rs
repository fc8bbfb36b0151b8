//! The controller: watches fill a queue, and each server in it is reconciled.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::channel::mpsc::UnboundedReceiver;
use kube::core::error_boundary::InvalidObject;
use kube::runtime::reflector::ObjectRef;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::field::Empty;
use tracing::{Instrument, Span};

use super::confirm;
use super::context::{Context, RETRY, repeated_service_creations};
use super::events::Publisher;
use super::runner::{self, Action, Limits};
use super::server_metrics::ServerCollector;
use super::shards::{Admission, Shards};
use super::triggers::{self, Queue, Watches};
use super::{Error, finalize, reconcile, shards, status};
use crate::base::backoff::PerObject;
use crate::base::metrics::Metrics;
use crate::cluster::cache::{Lookup, StoredServer};
use crate::cluster::client::{self, errors};
use crate::cluster::leader::Leadership;
use crate::cluster::watch_health::WatchHealth;
use crate::domain::settings::Settings;
use crate::domain::shard::Shard;
use crate::reconcile::apply::drift::Drifts;
use crate::reconcile::tries::Tries;
use crate::server::drains::Drains;
use crate::server::poller::{Pace, Poller};

/// Time after which a server is reconciled again without a change, in case that a watch event was lost.
pub(super) const RESYNC: Duration = Duration::from_secs(600);
/// How long the first reconcile waits for the caches. A kind that cannot be listed must not block the others.
const FIRST_SYNC: Duration = Duration::from_secs(10);

/// How long the release of a server waits for a call to its API that runs, and the pause before it looks again.
const CALL_ENDS: Duration = Duration::from_millis(100);
const CALL_RUNS: Duration = Duration::from_secs(1);

/// Time to write the last events when the operator stops, after the last reconcile.
const LAST_EVENTS: Duration = Duration::from_secs(2);

/// Options of the controller.
#[derive(Clone, Debug)]
pub struct Options {
    /// Namespaces to watch; empty for all of them.
    pub namespaces: Vec<String>,
    /// Number of servers that are reconciled at the same time.
    pub concurrency: u16,
    /// Operator-wide settings that affect the children.
    pub settings: Settings,
    /// How the APIs of servers are asked.
    pub pace: Pace,
    /// Which servers are this operator's.
    pub shard: Shard,
}

/// What the controller shares with the rest of the process.
pub struct Process {
    /// Whether this operator is the leader.
    pub leadership: Leadership,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// The health of the watches.
    pub health: WatchHealth,
    /// Becomes true once the operator is ready: the caches have synced, except in namespaces that cannot be read.
    pub ready: watch::Sender<bool>,
}

/// Why the operator could not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The client configuration is invalid.
    #[error("the client configuration for the API server is invalid: {0}")]
    Client(#[from] kube::Error),
}

/// Runs an operator without leader election until `stop` is cancelled. Then running reconciles finish. `ready` becomes true once
/// the caches have synced.
///
/// # Errors
/// When the client configuration is invalid.
pub async fn run(
    config: kube::Config,
    options: Options,
    ready: watch::Sender<bool>,
    stop: CancellationToken,
) -> Result<(), RunError> {
    let process = Process {
        leadership: Leadership::always(),
        metrics: Arc::default(),
        health: WatchHealth::default(),
        ready,
    };
    run_elected(config, options, process, stop).await
}

/// Like [`run`], with leader election: the caches are filled at once, and reconciles start when this operator is the leader.
///
/// # Errors
/// When the client configuration is invalid.
pub async fn run_elected(
    config: kube::Config,
    options: Options,
    process: Process,
    stop: CancellationToken,
) -> Result<(), RunError> {
    let Process {
        leadership,
        metrics,
        health,
        ready,
    } = process;
    let backoff = PerObject::new(RETRY.0, RETRY.1);
    let (queue, queued) = Queue::new(Arc::clone(&metrics), backoff.clone());
    let calls = client::for_calls(config.clone(), &leadership.gate, &metrics)?;
    let watches = Watches {
        config: &config,
        namespaces: &options.namespaces,
        selector: options.shard.selector.as_ref(),
        health: &health,
        stop: &stop,
    };
    let (caches, secrets) = triggers::start(&watches, &calls, &queue)?;
    let (events, event_lanes) = Publisher::start(&calls);
    let shards = Arc::new(Shards::new(options.shard, calls.clone()));
    let (changed, drained) = (queue.clone(), queue.clone());
    let context = Arc::new(Context {
        servers: Poller::start(options.pace, move |server| changed.push(server), stop.clone()),
        drains: Drains::new(move |server| drained.push(server), stop.clone()),
        metrics,
        events,
        client: calls,
        caches,
        secrets,
        settings: options.settings,
        backoff,
        drifts: Drifts::default(),
        cleanups: Tries::default(),
        repeated_service_creations: repeated_service_creations(),
        resync: RESYNC,
    });
    register_collectors(&context, &shards, &health, &leadership);
    let worker = Worker {
        context,
        queue,
        shards,
    };
    worker.announce_readiness(health, ready, &stop);
    let lead = lead(&worker, &leadership, &options.namespaces);
    if stop.run_until_cancelled(lead).await.is_some() {
        reconcile_all(worker, options.concurrency, queued, stop).await;
        event_lanes.flush(LAST_EVENTS).await;
    }
    Ok(())
}

/// Waits until this operator is the leader. Then opens the queue, and adds the servers that have left its shard while it had no leader.
async fn lead(worker: &Worker, leadership: &Leadership, namespaces: &[String]) {
    triggers::first_answers(&worker.context, FIRST_SYNC).await;
    leadership.acquired().await;
    worker.queue.open(&worker.context.caches.servers);
    for server in worker.shards.catch_up(&worker.context, namespaces).await {
        worker.queue.push(server);
    }
}

/// Adds the metrics that are computed at each scrape.
fn register_collectors(
    context: &Context,
    shards: &Arc<Shards>,
    health: &WatchHealth,
    leadership: &Leadership,
) {
    let metrics = &context.metrics;
    metrics.register_collector(Box::new(health.clone()));
    metrics.register_collector(Box::new(ServerCollector {
        servers: context.caches.servers.clone(),
        leadership: leadership.clone(),
        poller: context.servers.clone(),
        shards: Arc::clone(shards),
    }));
}

/// Reports that the caches have synced, and what cannot be watched.
async fn become_ready(context: Arc<Context>, health: WatchHealth, ready: watch::Sender<bool>) {
    triggers::ready(Arc::clone(&context)).await;
    tracing::info!("caches have synced");
    for problem in health.problems() {
        tracing::warn!("{problem}; will retry");
    }
    context.metrics.synced();
    ready.send_replace(true);
}

/// What each reconcile needs.
struct Worker {
    context: Arc<Context>,
    queue: Queue,
    shards: Arc<Shards>,
}

impl Worker {
    fn announce_readiness(&self, health: WatchHealth, ready: watch::Sender<bool>, stop: &CancellationToken) {
        let readiness = become_ready(Arc::clone(&self.context), health, ready);
        tokio::spawn(stop.clone().run_until_cancelled_owned(readiness));
    }
}

/// Reconciles what is in the queue until `stop` is cancelled.
async fn reconcile_all(
    worker: Worker,
    concurrency: u16,
    queued: UnboundedReceiver<ObjectRef<StoredServer>>,
    stop: CancellationToken,
) {
    let worker = Arc::new(worker);
    let reconcile = |server| {
        let worker = Arc::clone(&worker);
        runner::in_own_task(async move { reconcile_queued(server, &worker).await })
    };
    runner::run(queued, Limits::of(concurrency), stop, reconcile).await;
}

/// Drops everything that is in memory for a server that is gone, except the pauses after its failures. The answer waits until no call to the
/// API of the server runs.
fn forget(context: &Context, server: &ObjectRef<StoredServer>) -> impl Future<Output = ()> + use<> {
    let namespace = server.namespace.as_deref().unwrap_or_default();
    context.drifts.forget(namespace, &server.name);
    context.metrics.dequeued(namespace, &server.name);
    let is_used = |secret: &str| context.caches.servers.has_key(namespace, secret);
    context.secrets.forget(namespace, &server.name, is_used);
    context.drains.forget(server);
    context.servers.forget(server.clone())
}

async fn reconcile_queued(key: ObjectRef<StoredServer>, worker: &Worker) -> Action {
    let (context, namespace) = (&worker.context, key.namespace.as_deref().unwrap_or_default());
    let servers = &context.caches.servers;
    if let Err(error) = confirm::server(context, namespace, &key.name).await {
        let error = errors::explain(&error);
        tracing::warn!(server = %key, %error, "the server was listed at an earlier version and could not be read; will retry");
        return Action::requeue(context.backoff.failed(key));
    }
    // A server that only this process knows is gone, too: its last write was answered after its deletion was delivered.
    let is_delivered = servers.is_delivered(namespace, &key.name);
    let (Lookup::Found(stored), true) = (servers.get(namespace, &key.name), is_delivered) else {
        return release(key, worker).await;
    };
    if servers.is_doubted(namespace, &key.name) {
        // An older list has come since.
        return Action::requeue(Duration::ZERO);
    }
    worker.queue.started(&key);
    let action = reconcile_own(&key, stored, worker).await;
    worker.queue.ended(&key, servers);
    action
}

/// Forgets a server that is deleted, or that is not in this shard any more.
async fn release(key: ObjectRef<StoredServer>, worker: &Worker) -> Action {
    let context = &worker.context;
    let ended = forget(context, &key);
    if !worker.shards.holds(&key) {
        context.backoff.forget(&key);
        return Action::await_change();
    }
    // A call may take a minute. Meanwhile this reconcile would hold a place that others need.
    if tokio::time::timeout(CALL_ENDS, ended).await.is_err() {
        return Action::requeue(CALL_RUNS);
    }
    match worker.shards.release(context, &key).await {
        Ok(()) => {
            // A new server of this name starts without its pauses.
            context.backoff.forget(&key);
            Action::await_change()
        }
        Err(error) => retry(key, context, &error),
    }
}

fn retry(key: ObjectRef<StoredServer>, context: &Context, error: &shards::Error) -> Action {
    tracing::warn!(server = %key, %error, "the server could not be claimed or released; will retry");
    Action::requeue(context.backoff.failed(key))
}

/// Reconciles a server if it is this operator's.
async fn reconcile_own(key: &ObjectRef<StoredServer>, stored: Arc<StoredServer>, worker: &Worker) -> Action {
    let context = &worker.context;
    match worker.shards.admit(context, key, stored).await {
        Ok(Admission::Own(stored)) => {
            let result = reconcile_stored(key, &stored, context).await;
            // `reconcile_stored` logs failed reconciles.
            result.unwrap_or_else(|_| Action::requeue(context.backoff.failed(key.clone())))
        }
        Ok(Admission::Skip(action)) => {
            drop(forget(context, key));
            context.backoff.forget(key);
            action
        }
        Err(error) => retry(key.clone(), context, &error),
    }
}

async fn reconcile_stored(
    key: &ObjectRef<StoredServer>,
    stored: &StoredServer,
    context: &Context,
) -> Result<Action, Error> {
    let id = reconcile_id();
    let span = tracing::info_span!("reconcile", object = %key, id, failed = Empty, otel.status_code = Empty);
    async {
        let began = Instant::now();
        context
            .metrics
            .dequeued(key.namespace.as_deref().unwrap_or_default(), &key.name);
        let result = match &stored.0 {
            Ok(server) => Box::pin(reconcile(Arc::new(server.clone()), context)).await,
            Err(invalid) => {
                tracing::warn!(error = %invalid.error, "the stored DittoServer cannot be parsed; it is not reconciled");
                handle_unparsable(invalid, context).await
            }
        };
        let failed = result.as_ref().err().map(Error::failure);
        context.metrics.reconciled(began.elapsed(), failed);
        match &result {
            Ok(_) => context.backoff.forget(key),
            Err(error) => {
                tracing::warn!(%error, "reconcile failed; will retry");
                mark_trace_failed(error);
            }
        }
        result
    }
    .instrument(span)
    .await
}

/// Marks the trace of a reconcile as failed.
fn mark_trace_failed(error: &Error) {
    let reconcile = Span::current();
    reconcile.record("failed", error.failure().step);
    reconcile.record("otel.status_code", "ERROR");
}

/// Reports in the status that a server cannot be parsed, and removes its finalizer if it is being deleted.
async fn handle_unparsable(invalid: &InvalidObject, context: &Context) -> Result<Action, Error> {
    let reported = status::report_unparsable(context, invalid).await;
    // Also if that fails: a status that cannot be written must not block the deletion.
    let action = finalize::finish_unparsable(context, invalid).await?;
    reported?;
    Ok(action)
}

/// An id for the log lines of one reconcile. Unique within the process.
fn reconcile_id() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
