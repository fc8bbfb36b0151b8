//! The admin servers: `/healthz` and `/readyz` on one address, `/metrics` on another.

pub mod access;
pub(in crate::command) mod server;
pub mod tls;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::access::{Reviewer, ScrapeAccess};
use self::tls::Certificates;
use crate::base::metrics::Metrics;
use crate::cluster::watch_health::WatchHealth;

/// The content type that Prometheus requests.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Why an admin server ended.
#[derive(Debug, Error)]
pub enum Error {
    /// The address cannot be used.
    #[error("cannot listen on {0}: {1}; set another address with --{2}, or 0 to disable the server")]
    Bind(SocketAddr, std::io::Error, &'static str),
    /// The certificate of `/metrics` cannot be used.
    #[error(transparent)]
    Tls(#[from] tls::Error),
}

/// The state that the probes report.
#[derive(Clone)]
pub struct Health {
    /// True once the operator is ready.
    pub ready: watch::Receiver<bool>,
    /// The health of the watches.
    pub watches: WatchHealth,
}

impl Health {
    /// Ready once the caches have synced, except in namespaces that cannot be read. The text names what cannot be read.
    fn readyz(&self) -> (StatusCode, String) {
        let (status, summary) = if *self.ready.borrow() {
            (StatusCode::OK, "ok")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "caches have not synced yet")
        };
        let mut lines = vec![summary.to_owned()];
        lines.extend(self.watches.problems());
        (status, lines.join("\n"))
    }
}

/// Live as long as the process answers. It does not depend on the API server: a restart of the operator does not help when the API
/// server is away.
async fn healthz() -> &'static str {
    "ok"
}

/// Serves the probes until `stop` is cancelled.
///
/// # Errors
/// When the address cannot be used, or the server fails.
pub async fn serve_probes(address: SocketAddr, health: Health, stop: CancellationToken) -> Result<(), Error> {
    let listener = bind(address, "bind-address").await?;
    tracing::info!(%address, "serving /healthz and /readyz");
    let router = Router::new()
        .route("/healthz", get(healthz))
        .route(
            "/readyz",
            get(|State(health): State<Health>| async move { health.readyz() }),
        )
        .with_state(health);
    server::serve(listener, router, None, &stop).await;
    Ok(())
}

/// How `/metrics` is protected.
pub struct Protection {
    /// Asks the API server whether a client may read it.
    pub reviewer: Reviewer,
    /// The certificate; `None` to generate one at start.
    pub files: Option<tls::Files>,
}

/// Serves `/metrics` until `stop` is cancelled. With `protection`: over TLS, and only to authorized clients.
///
/// # Errors
/// When the address or the certificate cannot be used, or the server fails.
pub async fn serve_metrics(
    address: SocketAddr,
    metrics: Arc<Metrics>,
    protection: Option<Protection>,
    stop: CancellationToken,
) -> Result<(), Error> {
    let listener = bind(address, "metrics-bind-address").await?;
    tracing::info!(%address, secure = protection.is_some(), "serving /metrics");
    let router = Router::new().route("/metrics", get(scrape)).with_state(metrics);
    let Some(protection) = protection else {
        server::serve(listener, router, None, &stop).await;
        return Ok(());
    };
    let certificates = Certificates::load(protection.files)?;
    let reviewer = Arc::new(protection.reviewer);
    let router = router.layer(middleware::from_fn_with_state(reviewer, authorize));
    server::serve(listener, router, Some(certificates), &stop).await;
    Ok(())
}

/// Listens. `[::]` becomes `0.0.0.0` on a machine without IPv6.
async fn bind(address: SocketAddr, flag: &'static str) -> Result<TcpListener, Error> {
    let listening = match TcpListener::bind(address).await {
        Err(_) if address.ip() == Ipv6Addr::UNSPECIFIED => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await
        }
        listening => listening,
    };
    listening.map_err(|error| Error::Bind(address, error, flag))
}

async fn scrape(State(metrics): State<Arc<Metrics>>) -> Response {
    match metrics.text() {
        Ok(text) => ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn authorize(State(reviewer): State<Arc<Reviewer>>, request: Request, next: Next) -> Response {
    let Some(token) = bearer(request.headers()) else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    match reviewer.review(token).await {
        Ok(ScrapeAccess::Allowed) => next.run(request).await,
        Ok(ScrapeAccess::Unauthenticated) => StatusCode::UNAUTHORIZED.into_response(),
        Ok(ScrapeAccess::Forbidden) => StatusCode::FORBIDDEN.into_response(),
        Err(error) => {
            tracing::warn!(%error, "cannot check who reads /metrics");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn readiness_names_what_cannot_be_read_and_liveness_does_not_depend_on_the_api_server() {
        let (ready, is_ready) = watch::channel(false);
        let watches = WatchHealth::default();
        let health = Health {
            ready: is_ready,
            watches: watches.clone(),
        };
        assert_eq!(health.readyz().0, StatusCode::SERVICE_UNAVAILABLE);
        ready.send_replace(true);
        assert_eq!(health.readyz(), (StatusCode::OK, "ok".into()));
        watches.failing("Pod".into(), Some("b"), "pods is forbidden");
        let expected = "ok\ncannot watch Pod in namespace b: pods is forbidden";
        assert_eq!(health.readyz(), (StatusCode::OK, expected.into()));
        assert_eq!(healthz().await, "ok");
    }

    #[tokio::test]
    async fn an_address_without_host_is_reached_by_ipv4_too() {
        let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
        let listener = bind(any, "bind-address").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
        let taken = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
        let error = bind(taken, "bind-address").await.unwrap_err().to_string();
        assert!(error.contains("--bind-address"), "{error}");
    }

    #[test]
    fn only_a_bearer_token_is_accepted() {
        let with = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, axum::http::HeaderValue::from_static(value));
            bearer(&headers).map(str::to_owned)
        };
        assert_eq!(with("Bearer abc").as_deref(), Some("abc"));
        for other in ["Basic abc", "Bearer ", "Bearer", ""] {
            assert_eq!(with(other), None, "{other:?}");
        }
    }
}
