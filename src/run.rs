//! The `run` command: from flags to a running operator, and to its graceful stop.

use kube::Config;
use kube::config::InferConfigError;
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::cli::RunArgs;
use crate::controller::{self, Options};
use crate::desired::Settings;
use crate::{admin, telemetry};

/// Why the operator did not run.
#[derive(Debug, Error)]
pub enum Error {
    /// Logging could not be set up.
    #[error(transparent)]
    Telemetry(#[from] telemetry::Error),
    /// There is no way to an API server.
    #[error(
        "no Kubernetes API server is configured: {0}. Set KUBECONFIG, or run in a pod with a service account"
    )]
    Config(#[from] Box<InferConfigError>),
    /// The controller could not run.
    #[error(transparent)]
    Controller(#[from] controller::RunError),
    /// The admin server could not run.
    #[error(transparent)]
    Admin(#[from] admin::Error),
    /// Signals could not be listened for.
    #[error("signals cannot be listened for: {0}")]
    Signal(#[from] std::io::Error),
}

/// Runs until SIGTERM or SIGINT; running reconciles are then finished.
///
/// # Errors
/// When something needed at start is missing, or the admin server fails.
pub async fn run(args: &RunArgs) -> Result<(), Error> {
    telemetry::init(&args.log_level, args.log_format)?;
    let config = Config::infer().await.map_err(Box::new)?;
    if args.leader_elect {
        tracing::warn!("--leader-elect has no effect yet: run exactly one replica");
    }
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        server = %config.cluster_url,
        namespaces = if args.watch_namespace.is_empty() { "all".into() } else { args.watch_namespace.join(",") },
        "dittofs-operator starts"
    );
    let stop = CancellationToken::new();
    let (ready, is_ready) = watch::channel(false);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let signals = async {
        tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} }
        tracing::info!("stopping: running reconciles are finished first");
        stop.cancel();
    };
    let options = Options {
        namespaces: args.watch_namespace.clone(),
        concurrency: args.concurrency,
        settings: Settings {
            percona_registry: args.percona_registry.clone(),
        },
    };
    let admin = async {
        let Some(address) = args.bind_address.0 else {
            stop.cancelled().await;
            return Ok(());
        };
        admin::serve(address, is_ready, stop.clone())
            .await
            .map_err(Error::from)
    };
    let operator = async {
        controller::run(config, options, ready, stop.clone())
            .await
            .map_err(Error::from)
    };
    let work = async { tokio::try_join!(operator, admin) };
    tokio::select! {
        result = work => { result?; }
        () = async { signals.await; std::future::pending::<()>().await } => {}
    }
    tracing::info!("stopped");
    Ok(())
}
