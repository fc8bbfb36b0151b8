//! One address for the APIs of all servers that run here, for an operator that runs next to them: no name of a Service leads to
//! a pod of the runner.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::StatusCode;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use super::PodRunner;
use super::shared::Shared;

/// Largest request, in bytes: the limit of the server.
const REQUEST_MAX: usize = 1 << 20;

/// Forwards `/NAMESPACE/NAME/...` to the API of the pod `NAME-0`, over http. Dropping it ends it.
#[derive(Debug)]
pub struct Forwarder {
    address: SocketAddr,
    task: AbortHandle,
}

impl Forwarder {
    /// The value of the operator's flag `--server-url-template`.
    #[must_use]
    pub fn url_template(&self) -> String {
        format!("http://{}/{{namespace}}/{{name}}", self.address)
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl PodRunner {
    /// Starts to forward.
    ///
    /// # Errors
    /// When there is no port.
    pub async fn forward(&self) -> std::io::Result<Forwarder> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let routes = Router::new()
            .route("/{namespace}/{name}/{*path}", any(forward))
            .with_state(Arc::clone(&self.shared));
        let serving = async move {
            // It ends only with the listener.
            let _ = axum::serve(listener, routes).await;
        };
        let task = tokio::spawn(serving).abort_handle();
        Ok(Forwarder { address, task })
    }
}

async fn forward(
    State(shared): State<Arc<Shared>>,
    Path((namespace, name, path)): Path<(String, String, String)>,
    request: Request,
) -> Response {
    let Some(api) = shared.api(&namespace, &format!("{name}-0")) else {
        let text = format!("{name} is simulated, or has not started: it has no API\n");
        return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
    };
    let (mut parts, body) = request.into_parts();
    let query = parts
        .uri
        .query()
        .map(|query| format!("?{query}"))
        .unwrap_or_default();
    let forwarded = async {
        parts.uri = format!("/{path}{query}")
            .parse()
            .map_err(|error| format!("{error}"))?;
        let body = axum::body::to_bytes(body, REQUEST_MAX).await;
        let body = body.map_err(|error| error.to_string())?;
        let request = Request::from_parts(parts, body.to_vec().into());
        api.send(request).await.map_err(|error| error.to_string())
    };
    match forwarded.await {
        Ok(answer) => answer.map(Body::new),
        Err(error) => (StatusCode::BAD_GATEWAY, format!("{error}\n")).into_response(),
    }
}
