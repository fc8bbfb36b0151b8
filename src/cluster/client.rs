//! Clients of the API server: one for calls, some for watches, one for the Lease.

pub mod counting;
pub mod errors;
mod first_call;
pub mod gate;
pub mod params;
mod route;
pub mod socket;
mod watches;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::header::USER_AGENT;
use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy::Builder;
use hyper_util::rt::{TokioExecutor, TokioTimer};
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
pub use self::watches::WatchClients;
use crate::base::metrics::Metrics;

/// Deadline of every call except watches, retries included. kube has no default deadline.
const CALL_DEADLINE: Duration = Duration::from_secs(15);
/// Deadline for a connection to the API server.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// Interval of pings on a connection with HTTP/2, and the deadline for their answers: a dead connection ends within a minute.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_DEADLINE: Duration = Duration::from_secs(15);

/// Finds the configuration of the client: the given kubeconfig; or the one that kubectl would use; or the pod's service
/// account. A context needs a kubeconfig.
///
/// # Errors
/// When there is no configuration, or it is invalid.
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

/// A client whose calls all have a deadline, and that writes only while `gate` is open.
///
/// # Errors
/// When the configuration is invalid, for example a certificate that does not parse.
pub fn for_calls(config: Config, gate: &Gate, metrics: &Arc<Metrics>) -> kube::Result<Client> {
    let namespace = config.default_namespace.clone();
    let service = ServiceBuilder::new()
        .layer(GateLayer(gate.clone()))
        .layer(TimeoutLayer::new(CALL_DEADLINE))
        .service(stack(
            config,
            gate,
            CALL_DEADLINE,
            counting(metrics),
            Protocol::Http1,
        )?);
    Ok(ClientBuilder::new(service, namespace).build())
}

/// A client for a command: like [`for_calls`], without leader election and metrics.
///
/// # Errors
/// When the configuration is invalid.
pub fn for_a_command(config: Config) -> kube::Result<Client> {
    for_calls(config, &Gate::always_open(), &Arc::default())
}

/// A client for the Lease: every call ends within `deadline`, and the client retries none.
///
/// # Errors
/// As [`for_calls`].
pub fn for_the_lease(mut config: Config, deadline: Duration, metrics: &Arc<Metrics>) -> kube::Result<Client> {
    config.default_retry = false;
    config.connect_timeout = Some(deadline);
    let namespace = config.default_namespace.clone();
    let service = ServiceBuilder::new()
        .layer(TimeoutLayer::new(deadline))
        .service(stack(
            config,
            &Gate::always_open(),
            deadline,
            counting(metrics),
            Protocol::Http1,
        )?);
    Ok(ClientBuilder::new(service, namespace).build())
}

fn counting(metrics: &Arc<Metrics>) -> CountLayer {
    CountLayer {
        metrics: Arc::clone(metrics),
        health: None,
    }
}

/// The version of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    /// HTTP/1.1: one request at a time on each connection.
    Http1,
    /// HTTP/2 if the API server, or the proxy in front of it, offers it: many requests on one connection.
    Negotiated,
}

/// The layers that all clients share, from the retries to the socket. kube's own builder accepts no connector, but the gate must
/// be at the socket. `silence` is the read timeout.
fn stack(
    mut config: Config,
    gate: &Gate,
    silence: Duration,
    count: CountLayer,
    protocol: Protocol,
) -> kube::Result<BoxCloneSyncService<Request<Body>, Response<Incoming>, BoxError>> {
    set_user_agent(&mut config);
    let route = Route::of(&config, gate)?;
    let mut connector = TimeoutConnector::new(tls(&config, route, protocol)?);
    connector.set_connect_timeout(Some(
        config
            .connect_timeout
            .unwrap_or(CONNECT_DEADLINE)
            .min(CONNECT_DEADLINE),
    ));
    connector.set_read_timeout(Some(silence));
    connector.set_write_timeout(Some(CALL_DEADLINE));
    // A request on a connection that was idle has the whole time for its answer.
    connector.set_reset_reader_on_write(true);
    let http = builder(protocol, silence).build(connector);
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

/// TLS to the API server. kube's own connector offers HTTP/1.1 only.
fn tls(config: &Config, route: Route, protocol: Protocol) -> kube::Result<HttpsConnector<Route>> {
    if protocol == Protocol::Http1 {
        return config.rustls_https_connector_with_connector(route);
    }
    let builder = HttpsConnectorBuilder::new()
        .with_tls_config(config.rustls_client_config()?)
        .https_or_http();
    let builder = match &config.tls_server_name {
        Some(name) => {
            let name = name.clone().try_into();
            let name = name.map_err(|error| kube::Error::Service(BoxError::from(error)))?;
            builder.with_server_name_resolver(FixedServerNameResolver::new(name))
        }
        None => builder,
    };
    Ok(builder.enable_all_versions().wrap_connector(route))
}

fn builder(protocol: Protocol, silence: Duration) -> Builder {
    let mut builder = hyper_util::client::legacy::Client::builder(TokioExecutor::new());
    match protocol {
        // The read timeout closes idle connections, too. A request that is sent at that moment would fail.
        Protocol::Http1 => builder.pool_idle_timeout(silence * 2 / 3),
        Protocol::Negotiated => builder
            .timer(TokioTimer::new())
            .http2_keep_alive_interval(PING_INTERVAL)
            .http2_keep_alive_timeout(PING_DEADLINE),
    };
    builder
}

/// Sets the User-Agent, which the API server's audit log and metrics show.
pub(crate) fn set_user_agent(config: &mut Config) {
    if config.headers.iter().any(|(name, _)| *name == USER_AGENT) {
        return;
    }
    let agent = HeaderValue::from_static(concat!("dittofs-operator/", env!("CARGO_PKG_VERSION")));
    config.headers.push((USER_AGENT, agent));
}

/// Like [`set_user_agent`], with the identity of this process: all replicas share one service account.
pub fn set_user_agent_with_identity(config: &mut Config, identity: &str) {
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

    #[tokio::test]
    async fn a_call_on_an_idle_connection_has_the_whole_time_for_its_answer() {
        const DEADLINE: Duration = Duration::from_secs(2);
        const MOST: Duration = Duration::from_millis(1200);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let slow = async || {
            tokio::time::sleep(MOST).await;
            r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "b"}}"#
        };
        let json = [("Content-Type", "application/json")];
        let slow = axum::routing::get(async move || (json, slow().await));
        let router = axum::Router::new().route("/api/v1/namespaces/a/pods/b", slow);
        tokio::spawn(async move { axum::serve(listener, router).await });
        let config = Config::new(format!("http://{address}").parse().unwrap());
        let client = for_the_lease(config, DEADLINE, &Arc::default()).unwrap();
        let pods: Api<Pod> = Api::namespaced(client, "a");
        for _ in 0..2 {
            pods.get("b").await.unwrap();
            tokio::time::sleep(MOST).await;
        }
    }

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
