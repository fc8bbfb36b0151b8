//! A double of the API of DittoFS servers, for behaviour that a real server shows only by chance: errors, delays, broken answers.
//!
//! All servers of all tests share it: the first parts of a path are the namespace and the name of the server. Unless a test says
//! otherwise, a server runs NFS and SMB on their default ports.

use std::collections::{BTreeMap, HashMap};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use futures::stream;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::process::{POLL, free_address};
use super::wait;

/// What a server answers to `GET /api/v1/adapters`.
#[derive(Clone, Debug)]
pub enum Answer {
    /// These adapters.
    Adapters(Vec<Value>),
    /// This status and body.
    Raw(u16, String),
    /// The right answer, after this time.
    Slow(Duration),
    /// The beginning of the right answer, and the end of the connection.
    Truncated,
}

/// One call that a server got.
#[derive(Clone, Debug)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// The path below `/api/v1`.
    pub path: String,
    /// The `Authorization` header.
    pub token: String,
    /// The body; `null` if there is none.
    pub body: Value,
}

/// What a server keeps in its database.
#[derive(Clone, Debug)]
pub struct Database {
    /// `enabled` and `config` of each adapter.
    pub adapters: BTreeMap<String, Value>,
    /// The settings of NFS.
    pub nfs: Value,
    /// The snapshot policies by share.
    pub policies: BTreeMap<String, Value>,
    /// The configurations of the identity providers by type.
    pub providers: BTreeMap<String, Value>,
    /// Parts of paths whose calls get no answer before a client gives up.
    pub silent: Vec<String>,
    /// Parts of paths that the server does not have.
    pub missing: Vec<String>,
    /// Calls that the server refuses with 503: those that contain these parts in their body.
    pub refuses: Option<Value>,
}

impl Default for Database {
    fn default() -> Self {
        let adapter = |name: &str| (name.to_owned(), json!({"enabled": true, "config": {}}));
        Self {
            adapters: ["nfs", "smb"].map(adapter).into(),
            nfs: json!({"portmapper_enabled": false, "udp_enabled": false, "version": 1}),
            policies: BTreeMap::new(),
            providers: BTreeMap::new(),
            silent: Vec::new(),
            missing: Vec::new(),
            refuses: None,
        }
    }
}

#[derive(Default)]
struct Double {
    answers: HashMap<String, Answer>,
    calls: HashMap<String, Vec<Call>>,
    databases: HashMap<String, Database>,
}

fn double() -> MutexGuard<'static, Double> {
    static DOUBLE: OnceLock<Mutex<Double>> = OnceLock::new();
    let double = DOUBLE.get_or_init(Mutex::default);
    double.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The template with which an operator reaches the double.
pub fn template() -> String {
    template_of(address())
}

fn template_of(address: SocketAddr) -> String {
    format!("http://{address}/{{namespace}}/{{name}}")
}

fn listen(address: SocketAddr) -> TcpListener {
    let listener = TcpListener::bind(address).expect("a port");
    listener.set_nonblocking(true).expect("a socket");
    listener
}

async fn serve(listener: TcpListener) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
    let routes = Router::new().route("/{namespace}/{name}/api/v1/{*path}", any(answer));
    axum::serve(listener, routes).await.expect("it serves");
}

/// Another address of the double, which a test closes and opens again, as a server does that restarts.
pub struct Door {
    address: SocketAddr,
    serving: Option<Runtime>,
}

impl Door {
    /// Opens one.
    pub fn new() -> Self {
        let mut door = Self {
            address: free_address(),
            serving: None,
        };
        door.open();
        door
    }

    /// The template with which an operator reaches it.
    pub fn template(&self) -> String {
        template_of(self.address)
    }

    /// Answers again.
    pub fn open(&mut self) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.spawn(serve(listen(self.address)));
        self.serving = Some(runtime);
    }

    /// Ends all connections, and refuses new ones.
    pub async fn close(&mut self) {
        self.shut();
        let deadline = Instant::now() + wait::LONGEST;
        while TcpStream::connect(self.address).is_ok() {
            assert!(Instant::now() < deadline, "it is still open");
            tokio::time::sleep(POLL).await;
        }
    }

    fn shut(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.shutdown_background();
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.shut();
    }
}

/// Where it listens. It has a thread of its own, since it outlives the test that starts it.
fn address() -> SocketAddr {
    static ADDRESS: OnceLock<SocketAddr> = OnceLock::new();
    *ADDRESS.get_or_init(|| {
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0)));
        let address = listener.local_addr().expect("an address");
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(serve(listener));
        });
        address
    })
}

/// Sets the answer of a server.
pub fn set(namespace: &str, name: &str, answer: Answer) {
    double().answers.insert(format!("{namespace}/{name}"), answer);
}

/// The calls that a server got.
pub fn calls(namespace: &str, name: &str) -> Vec<Call> {
    let calls = double().calls.get(&format!("{namespace}/{name}")).cloned();
    calls.unwrap_or_default()
}

/// Reads or changes what a server keeps in its database.
pub fn with<T>(namespace: &str, name: &str, change: impl FnOnce(&mut Database) -> T) -> T {
    let mut double = double();
    let database = double.databases.entry(format!("{namespace}/{name}"));
    change(database.or_default())
}

/// An adapter that serves.
pub fn healthy(adapter_type: &str, port: u16) -> Value {
    adapter(adapter_type, port, true, "healthy")
}

/// An adapter.
pub fn adapter(adapter_type: &str, port: u16, enabled: bool, status: &str) -> Value {
    json!({
        "id": "0", "type": adapter_type, "enabled": enabled, "running": enabled, "port": port,
        "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
        "status": {"status": status, "checked_at": "2026-01-01T00:00:00Z", "latency_ms": 1},
    })
}

/// The adapters of a new server.
pub fn defaults() -> Vec<Value> {
    vec![healthy("nfs", 12049), healthy("smb", 1445)]
}

/// The adapters, as they are enabled.
fn listed(database: &Database) -> Vec<Value> {
    let adapters = defaults().into_iter().map(|adapter| {
        let (kind, port) = (adapter["type"].as_str(), adapter["port"].as_u64());
        let kind = kind.unwrap_or_default();
        if database.adapters[kind]["enabled"] == true {
            return adapter;
        }
        let port = port.and_then(|port| u16::try_from(port).ok()).unwrap_or_default();
        self::adapter(kind, port, false, "unknown")
    });
    adapters.collect()
}

fn merge(target: &mut Value, changes: &Value) {
    for (key, value) in changes.as_object().into_iter().flatten() {
        target[key] = value.clone();
    }
}

/// What the server keeps in its database. `None`: not found.
fn kept(database: &mut Database, method: &Method, path: &str, body: &Value) -> Option<Value> {
    if let Some(share) = path
        .strip_prefix("shares/")
        .and_then(|rest| rest.strip_suffix("/snapshot-policy"))
    {
        // As the server does, whether the path has the slash of the name or not.
        let share = format!("/{}", share.trim_start_matches('/'));
        return match *method {
            Method::PUT => database
                .policies
                .insert(share, body.clone())
                .or(Some(Value::Null)),
            _ => database.policies.remove(&share),
        };
    }
    if let Some(kind) = path
        .strip_prefix("identity-providers/")
        .and_then(|rest| rest.strip_suffix("/config"))
    {
        if *method == Method::PUT {
            database.providers.insert(kind.to_owned(), body.clone());
        }
        return database.providers.get(kind).cloned();
    }
    match path {
        "snapshot-policies" => {
            let policies = database.policies.iter().map(|(share, policy)| {
                let mut listed = policy.clone();
                listed["share"] = json!(share);
                listed
            });
            Some(policies.collect())
        }
        "shares" => Some(json!([])),
        "system/drain-uploads" => Some(json!({"status": "drained", "duration": "1ms"})),
        "adapters/nfs/settings" => {
            merge(&mut database.nfs, body);
            Some(database.nfs.clone())
        }
        path => {
            let adapter = database.adapters.get_mut(path.strip_prefix("adapters/")?)?;
            merge(adapter, body);
            Some(adapter.clone())
        }
    }
}

fn refuses(database: &Database, body: &Value) -> bool {
    let refused = database.refuses.as_ref().and_then(Value::as_object);
    refused.is_some_and(|parts| parts.iter().all(|(key, value)| body[key] == *value))
}

fn right(answer: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], answer.to_string()).into_response()
}

async fn answer(
    Path((namespace, name, path)): Path<(String, String, String)>,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let key = format!("{namespace}/{name}");
    let token = headers.get(header::AUTHORIZATION);
    let answer = {
        let mut double = double();
        double.calls.entry(key.clone()).or_default().push(Call {
            method: method.clone(),
            path: path.clone(),
            body: body.clone(),
            token: token
                .and_then(|token| token.to_str().ok())
                .unwrap_or_default()
                .to_owned(),
        });
        double.answers.get(&key).cloned()
    };
    let silent = with(&namespace, &name, |database| database.silent.clone());
    if silent.iter().any(|part| path.contains(part)) {
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    if path != "adapters" {
        return with(&namespace, &name, |database| {
            if database.missing.iter().any(|part| path.contains(part)) {
                return StatusCode::NOT_FOUND.into_response();
            }
            if refuses(database, &body) {
                return StatusCode::SERVICE_UNAVAILABLE.into_response();
            }
            match kept(database, &method, &path, &body) {
                Some(kept) => right(&kept),
                None => StatusCode::NOT_FOUND.into_response(),
            }
        });
    }
    let right = |adapters: Vec<Value>| right(&Value::from(adapters));
    match answer {
        None => right(with(&namespace, &name, |database| listed(database))),
        Some(Answer::Adapters(adapters)) => right(adapters),
        Some(Answer::Raw(status, body)) => {
            let status = StatusCode::from_u16(status).expect("a status");
            (status, body).into_response()
        }
        Some(Answer::Slow(time)) => {
            tokio::time::sleep(time).await;
            right(defaults())
        }
        Some(Answer::Truncated) => {
            let begun = Bytes::from_static(b"[{\"type\": \"nfs\", \"enabled\": fal");
            let parts = stream::iter([Ok(begun), Err(std::io::Error::other("cut"))]);
            Body::from_stream(parts).into_response()
        }
    }
}
