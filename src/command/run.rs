//! The `run` command: from flags to a running operator, and to its graceful stop.

use std::sync::Arc;
use std::time::Duration;

use kube::Config;
use kube::config::KubeconfigError;
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::cluster_domain;
#[cfg(feature = "otel")]
use super::traces::{self, Traces};
use crate::base::metrics::Metrics;
use crate::cluster::client;
use crate::cluster::client::gate::Gate;
use crate::cluster::leader::timing::Timing;
use crate::cluster::leader::{self, Elector, Leadership};
use crate::cluster::watch_health::WatchHealth;
use crate::command::admin::access::Reviewer;
use crate::command::admin::{self, Health, Protection, tls};
use crate::command::cli::RunArgs;
use crate::command::telemetry;
use crate::domain::settings::Settings;
use crate::domain::shard::{LeaseName, Shard};
use crate::reconcile::controller::{self, Options, Process};
use crate::server::poller::Pace;

/// Why the operator did not run.
#[derive(Debug, Error)]
pub enum Error {
    /// Logging could not be set up.
    #[error(transparent)]
    Telemetry(#[from] telemetry::Error),
    /// Traces cannot be sent as configured.
    #[cfg(feature = "otel")]
    #[error(transparent)]
    Traces(#[from] traces::Error),
    /// No API server is configured.
    #[error(
        "no Kubernetes API server is configured: {0}. Set KUBECONFIG or --kubeconfig, or run in a pod with a service account"
    )]
    Config(#[from] Box<KubeconfigError>),
    /// The controller could not run.
    #[error(transparent)]
    Controller(#[from] controller::RunError),
    /// The admin server could not run.
    #[error(transparent)]
    Admin(#[from] admin::Error),
    /// The durations of the leader election are invalid.
    #[error(transparent)]
    Timing(#[from] leader::timing::Error),
    /// A shard has no Lease.
    #[error(
        "--shard-selector needs --leader-elect: by the Lease of a shard, other operators know that its operator is running"
    )]
    Shard,
    /// The lease is lost. No further writes are allowed, so the process ends.
    #[error(transparent)]
    Lost(#[from] leader::Lost),
    /// No identity for this process could be generated.
    #[error("the operating system returned no random numbers: {0}")]
    Random(#[from] getrandom::Error),
    /// The signal handlers could not be installed.
    #[error("cannot install signal handlers: {0}")]
    Signal(#[from] std::io::Error),
}

/// Time for running reconciles to finish when the operator stops. Shorter than the usual grace period of a pod.
const DRAIN: Duration = Duration::from_secs(5);

/// Runs until SIGTERM or SIGINT. Then running reconciles finish, and the lease is released.
///
/// # Errors
/// When the operator cannot start, an admin server fails, or the lease is lost.
#[cfg(not(feature = "otel"))]
pub async fn run(args: &RunArgs) -> Result<(), Error> {
    telemetry::init(args.log_level(), args.log_format())?;
    Box::pin(operate(args)).await
}

/// Runs until SIGTERM or SIGINT. Then running reconciles finish, the lease is released, and the last traces are sent.
///
/// # Errors
/// When the operator cannot start, an admin server fails, or the lease is lost.
#[cfg(feature = "otel")]
pub async fn run(args: &RunArgs) -> Result<(), Error> {
    let traces = Traces::start(&args.traces)?;
    telemetry::init_with(args.log_level(), args.log_format(), traces.layer())?;
    traces.announce();
    let ended = Box::pin(operate(args)).await;
    traces.flush().await;
    ended
}

async fn operate(args: &RunArgs) -> Result<(), Error> {
    let timing = args.election.timing()?;
    let mut config = client::configuration(args.kubeconfig.as_deref(), None)
        .await
        .map_err(Box::new)?;
    let shard = shard(args, &config)?;
    announce(args, &config, &shard);
    let metrics = Arc::new(Metrics::new());
    let (elector, leadership) = election(&shard, timing, &mut config, &metrics)?;
    let stop = CancellationToken::new();
    let (ready, is_ready) = watch::channel(false);
    let signals = stop_on_signal(&stop)?;
    let protection = protection(args, &config, &metrics)?;
    let watches = WatchHealth::default();
    let health = Health {
        ready: is_ready,
        watches: watches.clone(),
    };
    let admin = serve(args, health, Arc::clone(&metrics), protection, &stop);
    let process = Process {
        leadership,
        metrics,
        health: watches,
        ready,
    };
    let reconciles = controller::run_elected(config, options(args, shard), process, stop.clone());
    tokio::select! {
        result = work(reconciles, elector, &stop) => result?,
        // Only a failure of it ends the operator. Its end is not awaited: a client may never finish its request.
        Err(error) = admin => return Err(error),
        () = signals => {}
    }
    tracing::info!("stopped");
    Ok(())
}

/// The first lines of the log.
fn announce(args: &RunArgs, config: &Config, shard: &Shard) {
    let namespaces = args.namespaces();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        server = %config.cluster_url,
        namespaces = if namespaces.is_empty() { "all".into() } else { namespaces.join(",") },
        leader_election = args.leader_elect,
        shard = shard.selector.as_ref().map(tracing::field::display),
        "starting dittofs-operator"
    );
    if args.go.asks_for_webhook() {
        tracing::warn!(
            "this operator has no webhook: delete the ValidatingWebhookConfiguration of the Go operator (docs/migrate.md)"
        );
    }
}

/// Reconciles until `stop` is cancelled, and takes part in the election meanwhile. The Lease is released once the reconciles have
/// finished.
async fn work(
    reconciles: impl Future<Output = Result<(), controller::RunError>>,
    elector: Option<Elector>,
    stop: &CancellationToken,
) -> Result<(), Error> {
    let finished = CancellationToken::new();
    let election = async {
        match elector {
            Some(elector) => elector.run(finished.clone()).await.map_err(Error::from),
            None => Ok(()),
        }
    };
    let operator = async {
        tokio::select! {
            result = reconciles => result?,
            () = drain_deadline(stop) => tracing::warn!("some reconciles did not finish in time"),
        }
        finished.cancel();
        Ok(())
    };
    tokio::try_join!(operator, election)?;
    Ok(())
}

fn options(args: &RunArgs, shard: Shard) -> Options {
    Options {
        namespaces: args.namespaces(),
        concurrency: args.concurrency,
        settings: Settings {
            percona_registry: args.percona_registry.clone(),
            server_url_template: args.server_url_template.clone(),
            cluster_domain: args.cluster_domain.clone().or_else(cluster_domain::of_resolver),
        },
        pace: Pace::default(),
        shard,
    }
}

/// The servers and the Lease of this operator. The default namespace of the Lease is that of the pod.
fn shard(args: &RunArgs, config: &Config) -> Result<Shard, Error> {
    let selector = args.shard_selector.0.clone();
    if !args.leader_elect {
        return selector.map_or(Ok(Shard::default()), |_| Err(Error::Shard));
    }
    let namespace = args.election.namespace.clone();
    let base = LeaseName {
        namespace: namespace.unwrap_or_else(|| config.default_namespace.clone()),
        name: args.election.id.clone(),
    };
    Ok(Shard::elected(selector, base))
}

/// Without `--leader-elect` this operator is always the leader.
fn election(
    shard: &Shard,
    timing: Timing,
    config: &mut Config,
    metrics: &Arc<Metrics>,
) -> Result<(Option<Elector>, Leadership), Error> {
    let Some(LeaseName { namespace, name }) = shard.lease.clone() else {
        return Ok((None, Leadership::always()));
    };
    let identity = leader::identity()?;
    client::set_user_agent_with_identity(config, &identity);
    let lease = leader::client(config.clone(), &timing, metrics).map_err(controller::RunError::from)?;
    let (elector, leadership) = Elector::new(
        lease,
        leader::Options {
            namespace,
            lease: name,
            identity,
            timing,
        },
    );
    Ok((Some(elector), leadership))
}

/// Cancels `stop` on SIGTERM and SIGINT. Never ends.
fn stop_on_signal(stop: &CancellationToken) -> Result<impl Future<Output = ()> + use<>, Error> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = stop.clone();
    Ok(async move {
        tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} }
        tracing::info!("stopping; waiting for running reconciles");
        stop.cancel();
        std::future::pending::<()>().await;
    })
}

async fn drain_deadline(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(DRAIN).await;
}

/// The protection of `/metrics`. Its client may write without being the leader: reviews are created on a standby, too.
fn protection(args: &RunArgs, config: &Config, metrics: &Arc<Metrics>) -> Result<Option<Protection>, Error> {
    if !args.metrics.secure || args.metrics.address.0.is_none() {
        return Ok(None);
    }
    let client = client::for_calls(config.clone(), &Gate::always_open(), metrics);
    let files = args.metrics.cert_path.as_ref().map(|folder| tls::Files {
        certificate: folder.join(&args.metrics.cert_name),
        key: folder.join(&args.metrics.cert_key),
    });
    Ok(Some(Protection {
        reviewer: Reviewer::new(client.map_err(controller::RunError::from)?),
        files,
    }))
}

async fn serve(
    args: &RunArgs,
    health: Health,
    metrics: Arc<Metrics>,
    protection: Option<Protection>,
    stop: &CancellationToken,
) -> Result<(), Error> {
    let probes = async {
        match args.bind_address.0 {
            Some(address) => admin::serve_probes(address, health, stop.clone()).await,
            None => Ok(()),
        }
    };
    let metrics = async {
        match args.metrics.address.0 {
            Some(address) => admin::serve_metrics(address, metrics, protection, stop.clone()).await,
            None => Ok(()),
        }
    };
    tokio::try_join!(probes, metrics)?;
    Ok(())
}
