//! The APIs of all servers, on loopback: each runs NFS and SMB on their default ports, and keeps the users, stores and shares that it is
//! sent. So many real servers need more memory than a machine has. Those in the namespace [`SILENT`] never answer.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::calls::Counts;
use crate::error::{Result, io};
use crate::world::SILENT;

/// A time in the past.
const EARLIER: &str = "2026-01-01T00:00:00Z";

#[derive(Default)]
struct Known {
    /// The servers that were asked.
    asked: HashSet<String>,
    /// The calls, by method and path.
    calls: Counts,
    /// What each server keeps, by its name and the path of the collection.
    kept: HashMap<(String, String), Vec<Value>>,
}

/// The state that the handlers share.
type Shared = Arc<Mutex<Known>>;

/// The double. It serves until the process ends.
#[derive(Clone)]
pub struct Double {
    /// `--server-url-template` for it.
    pub template: String,
    known: Shared,
}

impl Double {
    /// Starts to serve.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(io("a port"))?;
        let address = listener.local_addr().map_err(io("a port"))?;
        let known = Shared::default();
        let routes = Router::new()
            .route("/{namespace}/{name}/api/v1/adapters", get(adapters))
            .route("/{namespace}/{name}/api/v1/{*path}", get(read).post(create))
            .with_state(Arc::clone(&known));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok(Self {
            template: format!("http://{address}/{{namespace}}/{{name}}"),
            known,
        })
    }

    /// Forgets who was asked, and the calls. What the servers keep stays.
    pub fn forget(&self) {
        let mut known = lock(&self.known);
        known.asked.clear();
        known.calls.clear();
    }

    /// How many servers were asked for their adapters.
    pub fn servers(&self) -> usize {
        lock(&self.known).asked.len()
    }

    /// The calls that they got, by method and path.
    pub fn calls(&self) -> Counts {
        lock(&self.known).calls.clone()
    }
}

fn lock(known: &Shared) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Known {
    fn count(&mut self, method: &str, path: &str) {
        *self.calls.entry(format!("{method} {path}")).or_default() += 1;
    }

    fn collection(&mut self, server: &str, path: &str) -> &mut Vec<Value> {
        self.kept.entry((server.to_owned(), path.to_owned())).or_default()
    }

    /// What a server makes of a body: the body without passwords, and what the operator reads of such an object.
    fn object(&mut self, server: &str, path: &str, mut body: Value) -> Value {
        if let Some(fields) = body.as_object_mut() {
            fields.remove("password");
        }
        let users = self.collection(server, "users").iter();
        let owner = users
            .filter(|user| user["username"] == body["owner"])
            .map(|user| user["uid"].clone())
            .next();
        body["id"] = json!(format!("{path}-{}", self.collection(server, path).len()));
        body["owner_uid"] = owner.unwrap_or_default();
        body["enabled"] = json!(true);
        body["status"] = healthy();
        body
    }
}

fn answer(value: &Value) -> impl IntoResponse + use<> {
    ([(CONTENT_TYPE, "application/json")], value.to_string())
}

async fn adapters(
    State(known): State<Shared>,
    Path((namespace, name)): Path<(String, String)>,
) -> impl IntoResponse {
    if namespace == SILENT {
        std::future::pending::<()>().await;
    }
    let mut known = lock(&known);
    known.count("GET", "adapters");
    known.asked.insert(name);
    answer(&Value::from(vec![adapter("nfs", 12049), adapter("smb", 1445)]))
}

async fn read(
    State(known): State<Shared>,
    Path((_, name, path)): Path<(String, String, String)>,
) -> impl IntoResponse {
    let mut known = lock(&known);
    if path.ends_with("/status") {
        known.count("GET", "shares/…/status");
        return answer(&healthy());
    }
    known.count("GET", &path);
    answer(&Value::from(known.collection(&name, &path).clone()))
}

async fn create(
    State(known): State<Shared>,
    Path((_, name, path)): Path<(String, String, String)>,
    body: String,
) -> impl IntoResponse {
    let mut known = lock(&known);
    known.count("POST", &path);
    let body = serde_json::from_str(&body).unwrap_or_default();
    let object = known.object(&name, &path, body);
    known.collection(&name, &path).push(object.clone());
    answer(&object)
}

fn healthy() -> Value {
    json!({"status": "healthy", "checked_at": EARLIER, "latency_ms": 1})
}

fn adapter(kind: &str, port: u16) -> Value {
    json!({
        "id": "0", "type": kind, "enabled": true, "running": true, "port": port,
        "created_at": EARLIER, "updated_at": EARLIER,
        "status": healthy(),
    })
}
