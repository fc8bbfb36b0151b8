//! The HTTP client of the exporter: hyper and rustls, as for the API server.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use axum::body::{Body, to_bytes};
use http::uri::Scheme;
use hyper::body::Incoming;
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::TokioExecutor;
use kube::Config;
use kube::client::ConfigExt;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use tokio::runtime::Handle;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tower::ServiceExt;
use tower::util::BoxCloneSyncService;

use super::Error;
use super::settings::TracesSettings;
use crate::base::causes::with_causes;

/// Maximum size of a response. The response of a collector contains only the number of refused spans.
const MAX_RESPONSE: usize = 64 * 1024;

type Http = BoxCloneSyncService<Request<Body>, Response<Incoming>, ClientError>;

/// Why the last request failed. The exporter only reports "network error".
#[derive(Clone, Debug, Default)]
pub struct LastFailure(Arc<Mutex<String>>);

impl LastFailure {
    /// Why the last request failed. Empty if it succeeded.
    pub fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, cause: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = cause;
    }
}

/// The HTTP client.
pub struct Collector {
    http: Http,
    timeout: Duration,
    runtime: Handle,
    last_failure: LastFailure,
}

impl fmt::Debug for Collector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Collector")
    }
}

impl Collector {
    /// Connects with the first request.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn new(settings: &TracesSettings, runtime: Handle, last_failure: LastFailure) -> Result<Self, Error> {
        Ok(Self {
            http: http(settings)?,
            timeout: settings.timeout,
            runtime,
            last_failure,
        })
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (http, timeout) = (self.http.clone(), self.timeout);
        let sending = async move { tokio::time::timeout(timeout, send(http, request)).await? };
        // The exporter runs on its own thread, but hyper and timers need the runtime.
        let sent = self.runtime.spawn(sending).await?;
        self.last_failure.set(
            sent.as_ref()
                .err()
                .map(|error| with_causes(error.as_ref()))
                .unwrap_or_default(),
        );
        sent
    }
}

async fn send(http: Http, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let answer = http.oneshot(request.map(Body::from)).await?;
    let (head, body) = answer.into_parts();
    let body = to_bytes(Body::new(body), MAX_RESPONSE).await?;
    Ok(Response::from_parts(head, body))
}

fn http(settings: &TracesSettings) -> Result<Http, Error> {
    let builder = Client::builder(TokioExecutor::new());
    if settings.endpoint.scheme() != Some(&Scheme::HTTPS) {
        return Ok(Http::new(builder.build_http()));
    }
    // Only to build the TLS connector. Nothing else of kube's configuration is used.
    let mut config = Config::new(settings.endpoint.clone());
    config.root_cert = settings.certificate.as_deref().map(certificates).transpose()?;
    let connector = config.rustls_https_connector();
    let connector = connector.map_err(|error| Error::Tls(Box::new(error)))?;
    Ok(Http::new(builder.build(connector)))
}

fn certificates(path: &Path) -> Result<Vec<Vec<u8>>, Error> {
    let unusable = |why: String| Error::Certificate(path.to_owned(), why);
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let read: Vec<CertificateDer<'_>> = read.map_err(|error| unusable(error.to_string()))?;
    if read.is_empty() {
        return Err(unusable("it is empty".into()));
    }
    Ok(read.into_iter().map(|certificate| certificate.to_vec()).collect())
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::Router;
    use axum::routing::post;
    use tokio::net::TcpListener;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::command::admin::server;
    use crate::command::admin::tls::{Certificates, Files};

    fn settings(endpoint: &str, certificate: Option<&Path>) -> TracesSettings {
        TracesSettings {
            endpoint: endpoint.parse().unwrap(),
            timeout: Duration::from_secs(5),
            certificate: certificate.map(Path::to_owned),
            service_name: None,
        }
    }

    /// Sends a request as the exporter does: from its own thread, which has no runtime.
    async fn post_to(settings: TracesSettings) -> (Result<Response<Bytes>, HttpError>, String) {
        let last_failure = LastFailure::default();
        let collector = Collector::new(&settings, Handle::current(), last_failure.clone()).unwrap();
        let request = Request::post(settings.endpoint)
            .body(Bytes::from("spans"))
            .unwrap();
        let elsewhere = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let thread = std::thread::spawn(move || elsewhere.block_on(collector.send_bytes(request)));
        let answer = tokio::task::spawn_blocking(|| thread.join().unwrap());
        (answer.await.unwrap(), last_failure.text())
    }

    async fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    /// Responds with the body of the request.
    fn echo() -> Router {
        Router::new().route("/v1/traces", post(|body: String| async move { body }))
    }

    #[tokio::test]
    async fn a_collector_receives_the_spans_and_its_response_is_returned() {
        let (listener, address) = listener().await;
        tokio::spawn(async { axum::serve(listener, echo()).await });
        let (answer, failure) = post_to(settings(&format!("http://{address}/v1/traces"), None)).await;
        assert_eq!(answer.unwrap().body(), "spans");
        assert_eq!(failure, "");
    }

    #[tokio::test]
    async fn a_collector_with_tls_is_verified_with_the_configured_certificate() {
        let folder = std::env::temp_dir().join(format!("dittofs-traces-tls-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let files = Files {
            certificate: folder.join("tls.crt"),
            key: folder.join("tls.key"),
        };
        std::fs::write(&files.certificate, made.cert.pem()).unwrap();
        std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
        let (listener, address) = listener().await;
        let certificates_of_server = Certificates::load(Some(files.clone())).unwrap();
        tokio::spawn(async {
            server::serve(
                listener,
                echo(),
                Some(certificates_of_server),
                &CancellationToken::new(),
            )
            .await;
        });
        let url = format!("https://localhost:{}/v1/traces", address.port());
        let (answer, _) = post_to(settings(&url, Some(&files.certificate))).await;
        assert_eq!(answer.unwrap().body(), "spans");
        let wrong = certificates(&files.key).unwrap_err().to_string();
        assert!(wrong.contains("tls.key"), "{wrong}");
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[tokio::test]
    async fn the_cause_of_a_failed_connection_is_reported() {
        let (listener, address) = listener().await;
        drop(listener);
        let (answer, failure) = post_to(settings(&format!("http://{address}/v1/traces"), None)).await;
        assert!(answer.is_err());
        assert!(failure.contains("refused"), "{failure}");
    }
}
