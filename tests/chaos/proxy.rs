//! A proxy between an operator and the API server, or the APIs of DittoFS servers: HTTP/1.1 on loopback towards the operator, TLS towards the API server.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::Client;
use kube::client::Body;
use kube::config::AuthInfo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::fault::Fault;
use super::lists::Lists;
use super::plan::{self, Fate, Plan};
use super::watch_stream::{BoxError, ProxyBody, distorted, withheld};
use crate::support::process::POLL;
use crate::support::{World, account};

/// The statuses of servers that were written, in order: the whole answers.
pub type Statuses = Arc<Mutex<Vec<Value>>>;

/// The proxy. The operator behind it has its own credentials.
pub struct Proxy {
    config: kube::Config,
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    client: Client,
    plan: Plan,
    /// All requests: method and path.
    calls: Mutex<Vec<String>>,
    /// Ends the listener and all connections.
    close: Mutex<CancellationToken>,
    killed: Mutex<CancellationToken>,
    statuses: Statuses,
    lists: Lists,
}

impl Shared {
    fn close(&self) {
        self.token().cancel();
    }

    fn token(&self) -> MutexGuard<'_, CancellationToken> {
        self.close.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn killed_token(&self) -> MutexGuard<'_, CancellationToken> {
        self.killed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, call: String) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.push(call);
    }

    /// Nothing passes any more.
    fn kill(&self) -> BoxError {
        self.killed_token().cancel();
        self.close();
        "killed".into()
    }
}

impl Proxy {
    /// A proxy that lets everything pass, on a free port.
    pub async fn start(world: &World, seed: u64, statuses: Statuses) -> Self {
        let mut upstream = world.control_plane().client_config();
        upstream.auth_info = AuthInfo::default();
        let config = account::config(world.control_plane()).await;
        Self::between(config, upstream, seed, statuses).await
    }

    /// A proxy between operators and the APIs of servers, which are below this URL.
    pub async fn of_servers(url: &str, seed: u64) -> Self {
        let mut upstream = kube::Config::new(url.parse().expect("a URL"));
        upstream.default_retry = false;
        Self::between(upstream.clone(), upstream, seed, Statuses::default()).await
    }

    async fn between(config: kube::Config, upstream: kube::Config, seed: u64, statuses: Statuses) -> Self {
        let proxy = Self {
            config,
            address: crate::support::process::free_address(),
            shared: Arc::new(Shared {
                client: Client::try_from(upstream).expect("a client"),
                plan: Plan::new(seed),
                calls: Mutex::default(),
                close: Mutex::default(),
                killed: Mutex::default(),
                statuses,
                lists: Lists::default(),
            }),
        };
        proxy.open().await;
        proxy
    }

    /// The address, as it is in a kubeconfig.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The configuration of an operator behind the proxy.
    pub fn config(&self) -> kube::Config {
        let mut config = self.config.clone();
        config.cluster_url = self.url().parse().expect("a URL");
        config
    }

    /// Faults begin now, and the ones before end. Watches that exist are cut, because a fault of watches begins with the watch.
    pub async fn arm(&self, fault: Fault) {
        let before = self.shared.plan.arm(fault);
        if before.is_of_watches() || fault.is_of_watches() {
            self.close();
            self.open().await;
        }
    }

    /// The plan, for its counts.
    pub fn plan(&self) -> &Plan {
        &self.shared.plan
    }

    /// All requests so far: method and path.
    pub fn calls(&self) -> Vec<String> {
        let calls = self.shared.calls.lock();
        calls.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until the operator is to be killed. Until the proxy is opened again, all connections are refused.
    pub async fn killed(&self) {
        let killed = self.shared.killed_token().clone();
        killed.cancelled().await;
    }

    /// Whether the operator is to be killed.
    pub fn is_killed(&self) -> bool {
        self.shared.killed_token().is_cancelled()
    }

    /// Accepts connections. What was killed before lives again.
    pub async fn open(&self) {
        *self.shared.killed_token() = CancellationToken::new();
        let listener = loop {
            match TcpListener::bind(self.address).await {
                Ok(listener) => break listener,
                Err(_) => tokio::time::sleep(POLL).await,
            }
        };
        let close = CancellationToken::new();
        *self.shared.token() = close.clone();
        let accepting = accept(listener, Arc::clone(&self.shared), close.clone());
        tokio::spawn(close.run_until_cancelled_owned(accepting));
    }

    /// Ends all connections, and refuses new ones.
    pub fn close(&self) {
        self.shared.close();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.close();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, close: CancellationToken) {
    while let Ok((stream, _)) = listener.accept().await {
        let answering = Arc::clone(&shared);
        let service = service_fn(move |request| answer(Arc::clone(&answering), request));
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        tokio::spawn(close.clone().run_until_cancelled_owned(connection));
    }
}

/// An error ends the connection.
async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<ProxyBody>, BoxError> {
    let (uri, method) = (request.uri().clone(), request.method());
    let kind = plan::Request::of(method, uri.path(), uri.query().unwrap_or_default());
    shared.note(format!("{method} {}", uri.path()));
    let fate = shared.plan.next(kind, uri.path());
    match fate {
        Fate::KilledBefore => return Err(shared.kill()),
        Fate::Cut => return Err("cut".into()),
        Fate::Status(code) => return Ok(refused(code)),
        _ => {}
    }
    let answer = forwarded(&shared.client, request).await?;
    match fate {
        Fate::Watch(what, after) => return Ok(answer.map(|body| distorted(body, what, after))),
        Fate::Withheld(time, given) => return Ok(answer.map(|body| withheld(body, time, given))),
        Fate::Pass if matches!(kind, plan::Request::Watch | plan::Request::Other) => {
            return Ok(answer.map(boxed));
        }
        _ => {}
    }
    let (head, body) = answer.into_parts();
    let answer = Response::from_parts(head, body.collect_bytes().await?);
    if uri.path().ends_with("/status") && answer.status().is_success() {
        let mut statuses = shared.statuses.lock().unwrap_or_else(PoisonError::into_inner);
        statuses.push(serde_json::from_slice(answer.body())?);
    }
    match fate {
        Fate::KilledAfter => Err(shared.kill()),
        Fate::ReplyLost => Err("the reply is lost".into()),
        Fate::Earlier(number) => {
            let earlier = shared.lists.earlier(&uri, number);
            Ok(earlier.unwrap_or(answer).map(|body| whole(&body)))
        }
        _ => {
            if kind == plan::Request::List {
                shared.lists.keep(&uri, &answer);
            }
            Ok(answer.map(|body| whole(&body)))
        }
    }
}

fn whole(body: &Bytes) -> ProxyBody {
    boxed(Body::from(body.to_vec()))
}

fn boxed(body: Body) -> ProxyBody {
    body.map_err(Into::into).boxed_unsync()
}

async fn forwarded(client: &Client, request: Request<Incoming>) -> Result<Response<Body>, BoxError> {
    let (mut head, body) = request.into_parts();
    head.headers.remove(header::HOST);
    let body = Body::from(body.collect().await?.to_bytes().to_vec());
    Ok(client.send(Request::from_parts(head, body)).await?)
}

/// An answer of the API server that refuses a request.
fn refused(code: u16) -> Response<ProxyBody> {
    let (reason, message) = match code {
        403 => (
            "Forbidden",
            "the operator cannot use this resource: a role binding is missing",
        ),
        409 => (
            "Conflict",
            "the object has been modified; please apply your changes to the latest version",
        ),
        429 => ("TooManyRequests", "too many requests"),
        503 => ("ServiceUnavailable", "the API server is shutting down"),
        504 => ("Timeout", "the request did not complete in time"),
        _ => ("InternalError", "an error on the server"),
    };
    let status = json!({
        "apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code, "reason": reason,
        "message": message, "metadata": {},
    });
    // An API server without a kind answers with text.
    let (type_, text) = match code {
        404 => ("text/plain", "404 page not found\n".to_owned()),
        _ => ("application/json", status.to_string()),
    };
    Response::builder()
        .status(code)
        .header(header::CONTENT_TYPE, type_)
        .body(whole(&Bytes::from(text)))
        .expect("an answer")
}
