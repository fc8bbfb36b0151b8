//! The APIs of all servers, on loopback: each runs NFS and SMB on their default ports. Those in the namespace [`SILENT`] never answer.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::error::{Result, io};
use crate::world::SILENT;

#[derive(Default)]
struct Asked {
    servers: Mutex<HashSet<String>>,
    calls: AtomicUsize,
}

/// The double. It serves until the process ends.
#[derive(Clone)]
pub struct Double {
    /// `--server-url-template` for it.
    pub template: String,
    asked: Arc<Asked>,
}

impl Double {
    /// Starts to serve.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(io("a port"))?;
        let address = listener.local_addr().map_err(io("a port"))?;
        let asked = Arc::<Asked>::default();
        let routes = Router::new()
            .route("/{namespace}/{name}/api/v1/adapters", get(adapters))
            .with_state(Arc::clone(&asked));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok(Self {
            template: format!("http://{address}/{{namespace}}/{{name}}"),
            asked,
        })
    }

    /// Forgets who was asked.
    pub fn forget(&self) {
        self.asked
            .servers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        self.asked.calls.store(0, Ordering::Relaxed);
    }

    /// How many servers were asked.
    pub fn servers(&self) -> usize {
        self.asked
            .servers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    /// How many calls they got.
    pub fn calls(&self) -> usize {
        self.asked.calls.load(Ordering::Relaxed)
    }
}

async fn adapters(
    State(asked): State<Arc<Asked>>,
    Path((namespace, name)): Path<(String, String)>,
) -> impl IntoResponse {
    if namespace == SILENT {
        std::future::pending::<()>().await;
    }
    asked.calls.fetch_add(1, Ordering::Relaxed);
    asked
        .servers
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(name);
    let answer = Value::from(vec![adapter("nfs", 12049), adapter("smb", 1445)]);
    ([(CONTENT_TYPE, "application/json")], answer.to_string())
}

fn adapter(kind: &str, port: u16) -> Value {
    json!({
        "id": "0", "type": kind, "enabled": true, "running": true, "port": port,
        "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
        "status": {"status": "healthy", "checked_at": "2026-01-01T00:00:00Z", "latency_ms": 1},
    })
}
