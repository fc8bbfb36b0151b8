//! Clients of the API server: one for calls, one for watches, one for the Lease.

pub mod counting;
pub mod errors;
pub mod gate;
pub mod params;
mod route;
pub mod socket;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::header::USER_AGENT;
use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper_timeout::TimeoutConnector;
use hyper_util::rt::TokioExecutor;
use kube::client::retry::RetryPolicy;
use kube::client::{Body, ClientBuilder, ConfigExt};
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use tower::retry::RetryLayer;
use tower::timeout::TimeoutLayer;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, ServiceBuilder};

use self::counting::CountLayer;
use self::gate::{Gate, GateLayer};
use self::route::Route;
use crate::base::metrics::Metrics;
use crate::cluster::watch_age::WatchAges;

/// Deadline of every call that is no watch, retries included. kube has none of its own.
const CALL_DEADLINE: Duration = Duration::from_secs(15);
/// Time within which the API server must begin to answer a list or a watch.
const ANSWER_DEADLINE: Duration = Duration::from_secs(15);
/// Deadline for a connection to the API server.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// Longest silence on a watch. Above the time after which the API server ends a watch by itself (`watch.rs`), so that
/// only a dead connection meets it.
const WATCH_SILENCE: Duration = Duration::from_secs(200);

/// The way to the API server: this kubeconfig; or that of the environment, as kubectl finds it; or else the pod's service
/// account. A context is asked of a kubeconfig only.
///
/// # Errors
/// When there is none, or it is unusable.
pub async fn configuration(
    kubeconfig: Option<&Path>,
    context: Option<&str>,
) -> Result<Config, KubeconfigError> {
    let options = KubeConfigOptions {
        context: context.map(str::to_owned),
        ..KubeConfigOptions::default()
    };
    if let Some(file) = kubeconfig {
        return Config::from_custom_kubeconfig(Kubeconfig::read_from(file)?, &options).await;
    }
    match Config::from_kubeconfig(&options).await {
        Err(error) if context.is_none() => Config::incluster().map_err(|_| error),
        found => found,
    }
}

/// A client whose every call ends within the deadline, one way or the other, and that writes only while `gate` is open.
///
/// # Errors
/// When the configuration is unusable: a certificate that does not parse, say.
pub fn for_calls(config: Config, gate: &Gate, metrics: &Arc<Metrics>) -> kube::Result<Client> {
    let namespace = config.default_namespace.clone();
    let service = ServiceBuilder::new()
        .layer(GateLayer(gate.clone()))
        .layer(TimeoutLayer::new(CALL_DEADLINE))
        .service(stack(config, gate, CALL_DEADLINE, counting(metrics))?);
    Ok(ClientBuilder::new(service, namespace).build())
}

/// A client for a command that a person runs: it holds no lease, and nobody scrapes it. As [`for_calls`] otherwise.
///
/// # Errors
/// When the configuration is unusable.
pub fn for_a_command(config: Config) -> kube::Result<Client> {
    for_calls(config, &Gate::always_open(), &Arc::default())
}

/// A client for watches, which are silent for long and end by the API server's own time limit.
///
/// # Errors
/// As [`for_calls`].
pub fn for_watches(config: Config, metrics: &Arc<Metrics>, ages: &WatchAges) -> kube::Result<Client> {
    let namespace = config.default_namespace.clone();
    let count = CountLayer {
        ages: Some(ages.clone()),
        ..counting(metrics)
    };
    let service = ServiceBuilder::new()
        .layer(TimeoutLayer::new(ANSWER_DEADLINE))
        .service(stack(config, &Gate::always_open(), WATCH_SILENCE, count)?);
    Ok(ClientBuilder::new(service, namespace).build())
}

/// A client for the Lease: every call ends within `deadline`, and none is repeated behind our back.
///
/// # Errors
/// As [`for_calls`].
pub fn for_the_lease(mut config: Config, deadline: Duration, metrics: &Arc<Metrics>) -> kube::Result<Client> {
    config.default_retry = false;
    config.connect_timeout = Some(deadline);
    let namespace = config.default_namespace.clone();
    let service = ServiceBuilder::new()
        .layer(TimeoutLayer::new(deadline))
        .service(stack(config, &Gate::always_open(), deadline, counting(metrics))?);
    Ok(ClientBuilder::new(service, namespace).build())
}

fn counting(metrics: &Arc<Metrics>) -> CountLayer {
    CountLayer {
        metrics: Arc::clone(metrics),
        ages: None,
    }
}

/// What all clients share: from the retries down to the socket. It is put together here, since kube's own builder takes no
/// connector, and the gate must stand at the socket. `silence` is the longest pause in an answer.
fn stack(
    mut config: Config,
    gate: &Gate,
    silence: Duration,
    count: CountLayer,
) -> kube::Result<BoxCloneSyncService<Request<Body>, Response<Incoming>, BoxError>> {
    introduce(&mut config);
    let route = Route::of(&config, gate)?;
    let mut connector = TimeoutConnector::new(config.rustls_https_connector_with_connector(route)?);
    connector.set_connect_timeout(Some(
        config
            .connect_timeout
            .unwrap_or(CONNECT_DEADLINE)
            .min(CONNECT_DEADLINE),
    ));
    connector.set_read_timeout(Some(silence));
    connector.set_write_timeout(Some(CALL_DEADLINE));
    let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(connector);
    let retries = config
        .default_retry
        .then(|| RetryLayer::new(RetryPolicy::server_retry()));
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(retries)
        .layer(count)
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(http);
    Ok(BoxCloneSyncService::new(service))
}

/// Says who calls: the API server's audit log and its metrics show it.
pub(crate) fn introduce(config: &mut Config) {
    if config.headers.iter().any(|(name, _)| *name == USER_AGENT) {
        return;
    }
    let agent = HeaderValue::from_static(concat!("dittofs-operator/", env!("CARGO_PKG_VERSION")));
    config.headers.push((USER_AGENT, agent));
}

/// As [`introduce`], with a name that tells this process from others of its kind: they share a service account.
pub fn introduce_as(config: &mut Config, identity: &str) {
    let agent = concat!("dittofs-operator/", env!("CARGO_PKG_VERSION"));
    if let Ok(agent) = HeaderValue::from_str(&format!("{agent} ({identity})")) {
        config.headers.push((USER_AGENT, agent));
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;
    use kube::Api;
    use tokio::net::TcpListener;

    use super::*;

    // invariant: 14
    #[tokio::test]
    async fn a_call_that_is_never_answered_ends_and_is_counted() {
        // Connections wait to be accepted for ever.
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let metrics: Arc<Metrics> = Arc::default();
        let config = Config::new(format!("http://{address}").parse().unwrap());
        let client = for_the_lease(config, Duration::from_millis(50), &metrics).unwrap();
        assert!(Api::<Pod>::namespaced(client, "a").get("b").await.is_err());
        let counted = r#"api_calls_total{verb="get",kind="Pod",code="0"} 1"#;
        let text = metrics.text().unwrap();
        assert!(text.contains(counted), "{text}");
    }
}
