//! Clients of the API server: one for calls, one for watches.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use http::header::USER_AGENT;
use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::client::retry::RetryPolicy;
use kube::client::{ClientBuilder, ConfigExt};
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use tower::retry::RetryLayer;
use tower::timeout::TimeoutLayer;
use tower::{BoxError, ServiceBuilder};

use crate::leader::gate::{Gate, GateLayer};
use crate::leader::socket::GatedConnector;
use crate::metrics::Metrics;
use crate::metrics::calls::CountLayer;

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
/// It is put together here, since kube's own builder takes no connector, and the gate must stand at the socket.
///
/// # Errors
/// When the configuration is unusable: a certificate that does not parse, say.
pub fn for_calls(mut config: Config, gate: &Gate, metrics: &Arc<Metrics>) -> kube::Result<Client> {
    introduce(&mut config);
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    let http = GatedConnector::new(http, gate.clone());
    let mut connector = TimeoutConnector::new(config.rustls_https_connector_with_connector(http)?);
    connector.set_connect_timeout(Some(CONNECT_DEADLINE));
    connector.set_read_timeout(Some(CALL_DEADLINE));
    connector.set_write_timeout(Some(CALL_DEADLINE));
    let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(connector);
    let service = ServiceBuilder::new()
        .layer(GateLayer(gate.clone()))
        .layer(TimeoutLayer::new(CALL_DEADLINE))
        .layer(config.base_uri_layer())
        .layer(RetryLayer::new(RetryPolicy::server_retry()))
        .layer(CountLayer(Arc::clone(metrics)))
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(http);
    Ok(ClientBuilder::new(service, config.default_namespace).build())
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
pub fn for_watches(mut config: Config, metrics: &Arc<Metrics>) -> kube::Result<Client> {
    config.connect_timeout = Some(CONNECT_DEADLINE);
    config.read_timeout = Some(WATCH_SILENCE);
    config.write_timeout = Some(CALL_DEADLINE);
    introduce(&mut config);
    Ok(ClientBuilder::try_from(config)?
        .with_layer(&TimeoutLayer::new(ANSWER_DEADLINE))
        .with_layer(&CountLayer(Arc::clone(metrics)))
        .build())
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

/// What went wrong, for a person: the API server's own sentence where there is one. kube's text repeats it and adds the
/// whole answer in Rust's notation.
#[must_use]
pub fn explain(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if !status.message.is_empty() => status.message.clone(),
        kube::Error::Api(status) => format!("{} (HTTP {})", status.reason, status.code),
        other => other.to_string(),
    }
}

/// Whether the API server refused an object for what is in it: asking again without a change is in vain.
#[must_use]
pub fn is_invalid(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if matches!(status.code, 400 | 422))
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[test]
    fn an_answer_of_the_api_server_is_told_once_and_in_its_own_words() {
        let status = Status {
            code: 422,
            reason: "Invalid".into(),
            message: "spec.x: too long".into(),
            ..Status::default()
        };
        let error = kube::Error::Api(status.boxed());
        assert_eq!(explain(&error), "spec.x: too long");
        assert!(is_invalid(&error));
    }
}
