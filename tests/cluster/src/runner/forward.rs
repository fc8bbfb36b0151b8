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
use http::header::CONTENT_LENGTH;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use super::PodRunner;
use super::shared::Shared;

/// Largest request, in bytes: the limit of the server.
const REQUEST_MAX: usize = 1 << 20;

/// The path of stores in the API.
const STORES: &str = "/store/";

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
    Path((namespace, name, _)): Path<(String, String, String)>,
    request: Request,
) -> Response {
    let pod = format!("{name}-0");
    let Some(api) = shared.api(&namespace, &pod) else {
        let text = format!("{name} is simulated, or has not started: it has no API\n");
        return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
    };
    let (mut parts, body) = request.into_parts();
    // As it was sent: a name in a path may be encoded.
    let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
    let path = path.splitn(4, '/').nth(3).unwrap_or_default().to_owned();
    let forwarded = async {
        parts.uri = format!("/{path}").parse().map_err(|error| format!("{error}"))?;
        let body = axum::body::to_bytes(body, REQUEST_MAX).await;
        let mut body = body.map_err(|error| error.to_string())?.to_vec();
        // A call that makes a store names a directory of the pod.
        if path.contains(STORES)
            && let Ok(text) = std::str::from_utf8(&body)
        {
            body = shared.rewritten(&namespace, &pod, text).into_bytes();
            parts.headers.remove(CONTENT_LENGTH);
        }
        let request = Request::from_parts(parts, body.into());
        api.send(request).await.map_err(|error| error.to_string())
    };
    match forwarded.await {
        Ok(answer) => answer.map(Body::new),
        Err(error) => (StatusCode::BAD_GATEWAY, format!("{error}\n")).into_response(),
    }
}
