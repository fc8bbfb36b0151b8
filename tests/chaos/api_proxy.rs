//! A proxy between an operator and the API of the DittoFS server: real or a double, over http on loopback.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use futures::stream;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::Client;
use kube::client::Body;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::fault::{ApiFault, Fault};
use super::plan::{self, Fate, Plan};
use super::watch_stream::{BoxError, ProxyBody};

/// How often each object was made and deleted on the server.
pub type Counts = BTreeMap<String, usize>;

/// The path of the API, below the namespace and the name of the server.
const API: &str = "/api/v1/";

/// The proxy. It outlives the operators behind it.
pub struct ApiProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    _serving: DropGuard,
}

struct Shared {
    client: Client,
    plan: Plan,
    made: Mutex<Counts>,
}

impl Shared {
    fn made(&self) -> MutexGuard<'_, Counts> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts what a call that was carried out has made or deleted. A password is set again if the reply was lost.
    fn note(&self, method: &Method, path: &str, body: &[u8]) {
        if !matches!(*method, Method::POST | Method::DELETE) || path.ends_with("/password") {
            return;
        }
        let path = path.split_once(API).map_or(path, |(_, path)| path);
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let named = ["name", "username"].iter().find_map(|key| body[*key].as_str());
        let what = format!("{method} {path} {}", named.unwrap_or_default());
        *self.made().entry(what.trim_end().to_owned()).or_insert(0) += 1;
    }
}

impl ApiProxy {
    /// A proxy that lets everything pass, in front of the APIs that an operator would reach by this template.
    pub async fn start(template: &str, seed: u64) -> Self {
        let (target, _) = template.split_once("/{namespace}").expect("a template");
        let mut config = kube::Config::new(target.parse().expect("an address"));
        config.default_retry = false;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let serving = CancellationToken::new();
        let proxy = Self {
            address: listener.local_addr().expect("an address"),
            shared: Arc::new(Shared {
                client: Client::try_from(config).expect("a client"),
                plan: Plan::new(seed),
                made: Mutex::default(),
            }),
            _serving: serving.clone().drop_guard(),
        };
        let accepting = accept(listener, Arc::clone(&proxy.shared), serving.clone());
        tokio::spawn(serving.run_until_cancelled_owned(accepting));
        proxy
    }

    /// The template with which an operator reaches the APIs through the proxy.
    pub fn template(&self) -> String {
        format!("http://{}/{{namespace}}/{{name}}", self.address)
    }

    /// The fault begins, if it is one of this API. Every other one ends.
    pub fn arm(&self, fault: Fault) {
        let is_own = matches!(fault, Fault::Api(..));
        self.shared.plan.arm(if is_own { fault } else { Fault::None });
    }

    /// When a call went wrong last.
    pub fn last_hit(&self) -> Option<Instant> {
        self.shared.plan.last_hit()
    }

    /// What was made and deleted so far.
    pub fn made(&self) -> Counts {
        self.shared.made().clone()
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, serving: CancellationToken) {
    while let Ok((stream, _)) = listener.accept().await {
        let answering = Arc::clone(&shared);
        let service = service_fn(move |request| answer(Arc::clone(&answering), request));
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        tokio::spawn(serving.clone().run_until_cancelled_owned(connection));
    }
}

/// An error ends the connection.
async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<ProxyBody>, BoxError> {
    let fault = match shared.plan.next(plan::Request::Api, request.uri().path()) {
        Fate::Api(fault) => Some(fault),
        _ => None,
    };
    match fault {
        Some(ApiFault::Status(status)) => return Ok(text(StatusCode::from_u16(status)?, "not now")),
        Some(ApiFault::Page) => return Ok(text(StatusCode::OK, "<html>Welcome</html>")),
        Some(ApiFault::Gone) => return Err("the connection is closed".into()),
        _ => {}
    }
    let answer = carried_out(&shared, request).await?;
    match fault {
        Some(ApiFault::Slow(time)) => tokio::time::sleep(time).await,
        Some(ApiFault::HalfAnswer) => return Ok(answer.map(|body| half(&body))),
        Some(ApiFault::ReplyLost) => return Err("the reply is lost".into()),
        _ => {}
    }
    Ok(answer.map(whole))
}

async fn carried_out(shared: &Shared, request: Request<Incoming>) -> Result<Response<Bytes>, BoxError> {
    let (mut head, body) = request.into_parts();
    head.headers.remove(http::header::HOST);
    let (method, path) = (head.method.clone(), head.uri.path().to_owned());
    let body = body.collect().await?.to_bytes();
    let request = Request::from_parts(head, Body::from(body.to_vec()));
    let (head, answer) = shared.client.send(request).await?.into_parts();
    if head.status.is_success() {
        shared.note(&method, &path, &body);
    }
    Ok(Response::from_parts(head, answer.collect_bytes().await?))
}

fn text(status: StatusCode, text: &'static str) -> Response<ProxyBody> {
    let mut answer = Response::new(whole(Bytes::from_static(text.as_bytes())));
    *answer.status_mut() = status;
    answer
}

fn whole(body: Bytes) -> ProxyBody {
    Full::new(body).map_err(|never| match never {}).boxed_unsync()
}

fn half(body: &Bytes) -> ProxyBody {
    let begun = body.slice(..body.len() / 2);
    let parts = [Ok(Frame::data(begun)), Err(BoxError::from("the rest is lost"))];
    StreamBody::new(stream::iter(parts)).boxed_unsync()
}
