//! The way of a connection to the API server: straight, or through a proxy.

use std::pin::Pin;
use std::task::{Context, Poll};

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use kube::Config;
use tower::{BoxError, Service};

use crate::cluster::client::gate::Gate;
use crate::cluster::client::socket::{GatedConnector, GatedStream};

type Socket = GatedConnector<HttpConnector>;

/// Makes connections. The gate stands below the proxy: right before the system call.
#[derive(Clone, Debug)]
pub(super) enum Route {
    Direct(Socket),
    Proxied(Tunnel<Socket>),
}

impl Route {
    /// The way that the configuration and the environment ask for.
    ///
    /// # Errors
    /// When they ask for a proxy of another kind than `http://`.
    pub(super) fn of(config: &Config, gate: &Gate) -> kube::Result<Self> {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        let socket = GatedConnector::new(http, gate.clone());
        let Some(proxy) = proxy(config)? else {
            return Ok(Self::Direct(socket));
        };
        let tunnel = Tunnel::new(proxy.uri().clone(), socket);
        Ok(Self::Proxied(match proxy.basic_auth() {
            Some(credentials) => tunnel.with_auth(credentials.clone()),
            None => tunnel,
        }))
    }
}

/// kube takes the proxy of the environment, and compares `NO_PROXY` with the wrong address. So it is asked again here; a
/// proxy that the kubeconfig names is used in any case, as kubectl does.
fn proxy(config: &Config) -> kube::Result<Option<Intercept>> {
    let Some(url) = &config.proxy_url else {
        return Ok(None);
    };
    let is_of_environment = ["HTTPS_PROXY", "https_proxy"]
        .iter()
        .any(|variable| std::env::var(variable).is_ok_and(|value| value.parse().ok().as_ref() == Some(url)));
    let matcher = if is_of_environment {
        Matcher::from_env()
    } else {
        Matcher::builder().all(url.to_string()).build()
    };
    match matcher.intercept(&config.cluster_url) {
        Some(proxy) if proxy.uri().scheme_str() != Some("http") => {
            Err(kube::Error::ProxyProtocolUnsupported {
                proxy_url: Box::new(url.clone()),
            })
        }
        found => Ok(found),
    }
}

impl Service<Uri> for Route {
    type Response = GatedStream<<HttpConnector as Service<Uri>>::Response>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match self {
            Self::Direct(socket) => socket.poll_ready(context).map_err(Into::into),
            Self::Proxied(tunnel) => tunnel.poll_ready(context).map_err(Into::into),
        }
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        match self {
            Self::Direct(socket) => {
                let connecting = socket.call(uri);
                Box::pin(async move { connecting.await.map_err(Into::into) })
            }
            Self::Proxied(tunnel) => {
                let connecting = tunnel.call(uri);
                Box::pin(async move { connecting.await.map_err(Into::into) })
            }
        }
    }
}
