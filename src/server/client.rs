//! Calls the API of one server: deadlines, a limit on the size of an answer, and errors that say what to do.
//!
//! The client follows no redirect and uses no proxy. Connections are kept for the next call.

mod access;
mod tls;

use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde_json::Value;
use thiserror::Error;

pub use self::access::Access;
use crate::base::causes::{causes, innermost};
use crate::domain::adapters::{Failure, FailureKind};
use crate::domain::server_api::Trust;

/// Deadline of a connection.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// Deadline of a whole call. The server ends a call after 30 s, but no call of the operator needs so long.
pub const CALL_DEADLINE: Duration = Duration::from_secs(10);
/// A connection that was not used for so long is closed. The server closes it after 60 s.
const IDLE: Duration = Duration::from_secs(50);
/// Time without traffic after which the kernel asks whether the other end is still there.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// Largest answer, in bytes: a thousand shares have less than one MiB.
const ANSWER_MAX: usize = 4 << 20;

/// Why a call failed.
#[derive(Debug, Error)]
pub enum Error {
    /// The address does not parse.
    #[error("{url} is not an address: {error}. Correct --server-url-template")]
    Address {
        /// The address.
        url: String,
        /// What is wrong.
        error: http::Error,
    },
    /// The certificates in the Secrets cannot be used.
    #[error("{0}")]
    Certificate(String),
    /// The certificate of the server is not accepted, or the server does not accept that of the operator.
    #[error("TLS to {url} failed: {error}")]
    Tls {
        /// The address.
        url: String,
        /// What is wrong.
        error: String,
    },
    /// No connection.
    #[error("{url} is not reachable: {error}")]
    Connect {
        /// The address.
        url: String,
        /// What is wrong.
        error: String,
    },
    /// No answer in time.
    #[error("{0} did not answer within {1} s")]
    Timeout(String, u64),
    /// No call was made, because the server did not answer an earlier one, or was too slow.
    #[error("{0}. The operator retries")]
    NotCalled(String),
    /// The connection ended before the answer did.
    #[error("the answer of {url} ended early: {error}")]
    Truncated {
        /// The address.
        url: String,
        /// What is wrong.
        error: String,
    },
    /// The answer is too large.
    #[error("the answer of {0} is larger than 4 MiB. Is it the API of a DittoFS server?")]
    TooLarge(String),
    /// The server refused the call.
    #[error("{url} answered {status}{detail}")]
    Refused {
        /// The address.
        url: String,
        /// The status.
        status: StatusCode,
        /// What it said, after `: `.
        detail: String,
    },
    /// The answer is not what the API promises.
    #[error("the answer of {url} is not what the API of a DittoFS server promises: {error}")]
    Unexpected {
        /// The address.
        url: String,
        /// What is wrong.
        error: String,
    },
}

impl Error {
    /// What kind of failure it is, and its text.
    #[must_use]
    pub fn failure(&self) -> Failure {
        let kind = match self {
            Self::Address { .. } | Self::Connect { .. } => FailureKind::Connect,
            Self::Certificate(_) | Self::Tls { .. } => FailureKind::Tls,
            Self::Timeout(..) | Self::NotCalled(_) => FailureKind::Timeout,
            Self::Refused { status, .. } if is_about_the_token(*status) => FailureKind::Token,
            Self::Truncated { .. } | Self::TooLarge(_) | Self::Refused { .. } | Self::Unexpected { .. } => {
                FailureKind::Answer
            }
        };
        let remedy = match kind {
            FailureKind::Token => {
                ". The server checks the operator's token with the signing key that it read at its start. If the key changed without a restart, restart the pod"
            }
            FailureKind::Tls | FailureKind::Connect | FailureKind::Timeout | FailureKind::Answer => "",
        };
        Failure {
            kind,
            message: format!("{self}{remedy}"),
        }
    }

    /// The status of a refused call.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }
}

fn is_about_the_token(status: StatusCode) -> bool {
    [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&status)
}

/// A client with one set of certificates. All servers over plain http share one.
#[derive(Clone, Debug)]
pub struct Client(HttpClient<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl Client {
    /// A client for `trust`; `None` for plain http.
    ///
    /// # Errors
    /// When a certificate or a key does not parse.
    pub fn new(trust: Option<&Trust>) -> Result<Self, Error> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(CONNECT_DEADLINE));
        tcp.set_nodelay(true);
        // A call may wait for hours for its answer: a connection that is gone must be noticed.
        tcp.set_keepalive(Some(KEEPALIVE));
        tcp.set_keepalive_interval(Some(KEEPALIVE));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls::configuration(trust)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = HttpClient::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(1)
            .build(connector);
        Ok(Self(client))
    }

    /// Makes one call. `body` is sent as JSON. An empty answer is `null`.
    ///
    /// # Errors
    /// When there is no answer in time, or it is not a success with JSON.
    pub async fn call(
        &self,
        method: Method,
        url: &str,
        access: &Access<'_>,
        body: Option<&Value>,
    ) -> Result<Value, Error> {
        self.call_within(CALL_DEADLINE, method, url, access, body).await
    }

    /// As [`Self::call`], with another deadline.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn call_within(
        &self,
        deadline: Duration,
        method: Method,
        url: &str,
        access: &Access<'_>,
        body: Option<&Value>,
    ) -> Result<Value, Error> {
        let call = self.exchange(method, url, access.token(), body);
        let answer = tokio::time::timeout(deadline, call).await;
        let (status, bytes) = answer.map_err(|_| Error::Timeout(url.to_owned(), deadline.as_secs()))??;
        if !status.is_success() {
            let url = url.to_owned();
            let detail = access.detail(&bytes);
            return Err(Error::Refused { url, status, detail });
        }
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes).map_err(|error| access.unexpected(url, &error))
    }

    async fn exchange(
        &self,
        method: Method,
        url: &str,
        token: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Bytes), Error> {
        let body = body.map_or_else(Bytes::new, |body| body.to_string().into());
        let request = Request::builder()
            .method(method)
            .uri(url)
            .header(
                USER_AGENT,
                concat!("dittofs-operator/", env!("CARGO_PKG_VERSION")),
            )
            .header(AUTHORIZATION, format!("Bearer {token}"))
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| Error::Address {
                url: url.to_owned(),
                error,
            })?;
        let response = self.0.request(request).await;
        let response = response.map_err(|error| no_answer(url, &error))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_MAX).collect().await;
        let body = body.map_err(|error| {
            if error.is::<LengthLimitError>() {
                return Error::TooLarge(url.to_owned());
            }
            Error::Truncated {
                url: url.to_owned(),
                error: error.to_string(),
            }
        })?;
        Ok((status, body.to_bytes()))
    }
}

fn no_answer(url: &str, error: &hyper_util::client::legacy::Error) -> Error {
    let remedy = causes(error).find_map(tls::failure).map(tls::remedy);
    let text = innermost(error);
    let url = url.to_owned();
    if let Some(remedy) = remedy {
        let error = format!("{text}. {remedy}");
        Error::Tls { url, error }
    } else if error.is_connect() {
        Error::Connect { url, error: text }
    } else {
        Error::Truncated { url, error: text }
    }
}
