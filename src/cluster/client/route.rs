//! How a connection reaches the API server: directly, or through a proxy. kubectl supports the same proxies.

use std::pin::Pin;
use std::task::{Context, Poll};

use http::Uri;
use http::uri::Authority;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use kube::Config;
use kube::client::ConfigExt;
use kube::config::AuthInfo;
use tower::{BoxError, Service};

use crate::cluster::client::gate::Gate;
use crate::cluster::client::socket::{GatedConnector, GatedStream};

type Socket = GatedConnector<HttpConnector>;
type Stream = GatedStream<<HttpConnector as Service<Uri>>::Response>;

/// Port of a SOCKS proxy whose URL has none.
const SOCKS_PORT: u16 = 1080;

/// Opens connections. The gate is below the proxy: right before the system call.
#[derive(Clone, Debug)]
pub(super) enum Route {
    Direct(Socket),
    HttpProxy(Tunnel<Socket>),
    /// A proxy that is reached over TLS.
    HttpsProxy(Tunnel<HttpsConnector<Socket>>),
    SocksProxy(SocksV5<Socket>),
}

impl Route {
    /// The route of the configuration and the environment.
    ///
    /// # Errors
    /// When they name a proxy of an unknown kind, or its TLS configuration is invalid.
    pub(super) fn of(config: &Config, gate: &Gate) -> kube::Result<Self> {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        let socket = GatedConnector::new(http, gate.clone());
        let Some(proxy) = proxy(config)? else {
            return Ok(Self::Direct(socket));
        };
        Ok(match proxy.uri().scheme_str() {
            Some("https") => {
                let tls = tls_to_proxy(config).rustls_https_connector_with_connector(socket)?;
                Self::HttpsProxy(tunnel(&proxy, tls))
            }
            Some("socks5" | "socks5h") => Self::SocksProxy(socks(&proxy, socket)),
            _ => Self::HttpProxy(tunnel(&proxy, socket)),
        })
    }
}

fn tunnel<C>(proxy: &Intercept, connector: C) -> Tunnel<C> {
    let tunnel = Tunnel::new(proxy.uri().clone(), connector);
    match proxy.basic_auth() {
        Some(credentials) => tunnel.with_auth(credentials.clone()),
        None => tunnel,
    }
}

/// The proxy resolves the name of the API server, as with kubectl.
fn socks(proxy: &Intercept, socket: Socket) -> SocksV5<Socket> {
    let socks = SocksV5::new(with_port(proxy.uri()), socket);
    match proxy.raw_auth() {
        Some((user, password)) => socks.with_auth(user.into(), password.into()),
        None => socks,
    }
}

fn with_port(uri: &Uri) -> Uri {
    let mut parts = uri.clone().into_parts();
    let authority = parts.authority.take();
    parts.authority = authority.map(|authority| match authority.port() {
        Some(_) => authority,
        None => Authority::try_from(format!("{authority}:{SOCKS_PORT}")).unwrap_or(authority),
    });
    Uri::from_parts(parts).unwrap_or_else(|_| uri.clone())
}

/// The TLS configuration for a proxy: the certificate authorities of the cluster, as with kubectl, or those of the system if the
/// kubeconfig names none. The client certificate is for the API server only.
fn tls_to_proxy(config: &Config) -> Config {
    let mut config = config.clone();
    config.auth_info = AuthInfo::default();
    config.tls_server_name = None;
    config
}

/// kube reads the proxy of the environment, but compares `NO_PROXY` with the wrong address. So the environment is evaluated here
/// again. A proxy in the kubeconfig is always used, as with kubectl.
fn proxy(config: &Config) -> kube::Result<Option<Intercept>> {
    let Some(url) = &config.proxy_url else {
        return Ok(None);
    };
    // The matcher would ignore a proxy of another kind, and connect directly.
    if !matches!(
        url.scheme_str(),
        None | Some("http" | "https" | "socks5" | "socks5h")
    ) {
        return Err(kube::Error::ProxyProtocolUnsupported {
            proxy_url: Box::new(url.clone()),
        });
    }
    let is_of_environment = ["HTTPS_PROXY", "https_proxy"]
        .iter()
        .any(|variable| std::env::var(variable).is_ok_and(|value| value.parse().ok().as_ref() == Some(url)));
    let matcher = if is_of_environment {
        Matcher::from_env()
    } else {
        Matcher::builder().all(url.to_string()).build()
    };
    Ok(matcher.intercept(&config.cluster_url))
}

impl Service<Uri> for Route {
    type Response = MaybeHttpsStream<Stream>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match self {
            Self::Direct(socket) => socket.poll_ready(context).map_err(Into::into),
            Self::HttpProxy(tunnel) => tunnel.poll_ready(context).map_err(Into::into),
            Self::HttpsProxy(tunnel) => tunnel.poll_ready(context).map_err(Into::into),
            Self::SocksProxy(socks) => socks.poll_ready(context).map_err(Into::into),
        }
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        match self {
            Self::Direct(socket) => plain(socket.call(uri)),
            Self::HttpProxy(tunnel) => plain(tunnel.call(uri)),
            Self::SocksProxy(socks) => plain(socks.call(uri)),
            Self::HttpsProxy(tunnel) => {
                let connecting = tunnel.call(uri);
                Box::pin(async move { connecting.await.map_err(Into::into) })
            }
        }
    }
}

fn plain<E: Into<BoxError>>(
    connecting: impl Future<Output = Result<Stream, E>> + Send + 'static,
) -> <Route as Service<Uri>>::Future {
    Box::pin(async move {
        let stream = connecting.await.map_err(Into::into)?;
        Ok(MaybeHttpsStream::Http(stream))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(proxy: &str) -> kube::Result<Route> {
        let mut config = Config::new("https://api.example.com:6443".parse().unwrap());
        config.proxy_url = Some(proxy.parse().unwrap());
        Route::of(&config, &Gate::always_open())
    }

    #[test]
    fn a_proxy_of_each_kind_that_kubectl_supports_is_used_and_any_other_is_refused() {
        assert!(matches!(route("http://proxy:3128").unwrap(), Route::HttpProxy(_)));
        assert!(matches!(
            route("https://user:pass@proxy").unwrap(),
            Route::HttpsProxy(_)
        ));
        for socks in ["socks5://proxy:1080", "socks5h://user:pass@proxy"] {
            assert!(matches!(route(socks).unwrap(), Route::SocksProxy(_)), "{socks}");
        }
        for other in ["socks4://proxy:1080", "ftp://proxy"] {
            assert!(route(other).is_err(), "{other}");
        }
    }

    #[test]
    fn a_socks_proxy_has_a_default_port() {
        let with_default = |text: &str| with_port(&text.parse().unwrap()).to_string();
        assert_eq!(with_default("socks5://proxy/"), "socks5://proxy:1080/");
        assert_eq!(with_default("socks5://proxy:9/"), "socks5://proxy:9/");
    }
}
