//! The REST API of a DittoFS server that runs here.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Method, Request, Response};
use k8s_openapi::jiff::Timestamp;
use kube::client::Body;
use kube::{Client, Config};
use ring::hmac;
use serde_json::{Value, json};

/// How long a token is valid, in seconds.
const VALID: i64 = 60;

/// A client for one server. It signs its own tokens with the server's key: the server accepts any that the key has signed, and
/// checks no account. Certificates are not verified.
#[derive(Clone)]
pub struct ServerApi {
    client: Client,
    url: String,
    key: hmac::Key,
}

impl std::fmt::Debug for ServerApi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ServerApi({})", self.url)
    }
}

/// A call failed: what the server or the connection said.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CallFailed(String);

impl CallFailed {
    pub(super) fn no_api() -> Self {
        Self("the server has not started, or wants client certificates".to_owned())
    }

    pub(super) fn no_volume() -> Self {
        Self("the pod has no volume for it: a share needs storage.contentSize".to_owned())
    }
}

impl ServerApi {
    pub(super) fn new(url: String, key: &str) -> Result<Self, String> {
        Ok(Self {
            client: client(&url)?,
            url,
            key: hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()),
        })
    }

    /// Where the server listens, `http://127.64.0.1:8080`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Calls a path below `/api/v1` as an administrator. Gives the answer, null if it is empty.
    ///
    /// # Errors
    /// When there is no answer, its status is an error, or it is not JSON.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, CallFailed> {
        let failed = |error: &dyn std::fmt::Display| CallFailed(format!("{path}: {error}"));
        let request = Request::builder()
            .method(method)
            .uri(format!("/api/v1{path}"))
            .header("Content-Type", "application/json")
            .header("Authorization", format!("Bearer {}", self.token()))
            .body(body.map(|body| body.to_string().into_bytes()).unwrap_or_default())
            .map_err(|error| failed(&error))?;
        let answer = self
            .client
            .request_text(request)
            .await
            .map_err(|error| failed(&error))?;
        if answer.trim().is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&answer).map_err(|error| failed(&error))
    }

    /// The port of an adapter that listens. It may be another one than the server's default: see [`super`].
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn port(&self, adapter: &str) -> Result<Option<u16>, CallFailed> {
        let adapters = self.call(Method::GET, "/adapters", None).await?;
        let mut adapters = adapters.as_array().into_iter().flatten();
        let found = adapters.find(|of| of["type"] == adapter && of["status"]["status"] == "healthy");
        let port = found.and_then(|found| found["port"].as_u64());
        Ok(port.and_then(|port| port.try_into().ok()))
    }

    /// Sends a request as it is.
    pub(super) async fn send(&self, request: Request<Body>) -> Result<Response<Body>, kube::Error> {
        self.client.send(request).await
    }

    /// A token of the server's own form.
    fn token(&self) -> String {
        let now = Timestamp::now().as_second();
        let claims = json!({
            "iss": "dittofs", "sub": "pod-runner", "uid": "pod-runner", "username": "pod-runner",
            "role": "admin", "token_type": "access", "iat": now, "exp": now + VALID,
        });
        let header = json!({"alg": "HS256", "typ": "JWT"});
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let [header, claims] = [header, claims].map(|part| encode(part.to_string().as_bytes()));
        let signed = format!("{header}.{claims}");
        let tag = hmac::sign(&self.key, signed.as_bytes());
        format!("{signed}.{}", encode(tag.as_ref()))
    }
}

/// A client of kube, used as an HTTP client that verifies nothing.
pub(super) fn client(url: &str) -> Result<Client, String> {
    let mut config = Config::new(url.parse().map_err(|error| format!("{url}: {error}"))?);
    config.accept_invalid_certs = true;
    config.default_retry = false;
    Client::try_from(config).map_err(|error| error.to_string())
}
