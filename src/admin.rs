//! The admin server: `/healthz` and `/readyz`.

use std::net::SocketAddr;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Why the admin server ended.
#[derive(Debug, Error)]
pub enum Error {
    /// The address cannot be used.
    #[error("cannot listen on {0}: {1}; choose another with --bind-address, or 0 for none")]
    Bind(SocketAddr, std::io::Error),
    /// The server failed.
    #[error("the admin server failed: {0}")]
    Serve(std::io::Error),
}

/// Serves until `stop` is cancelled. `/readyz` is 200 once `ready` holds true, and 503 before.
///
/// # Errors
/// When the address cannot be used, or the server fails.
pub async fn serve(
    address: SocketAddr,
    ready: watch::Receiver<bool>,
    stop: CancellationToken,
) -> Result<(), Error> {
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| Error::Bind(address, error))?;
    tracing::info!(%address, "admin server listens");
    let readyz = move || async move {
        if *ready.borrow() {
            (StatusCode::OK, "ok")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "not synced yet")
        }
    };
    let router = Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(readyz));
    axum::serve(listener, router)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
        .map_err(Error::Serve)
}
