//! Health checks of the components.

use std::time::{Duration, Instant};

use kube::Client;

use crate::arguments::{Ports, url};
use crate::component::Component;

/// How often a component that is not ready is asked again.
pub(crate) const INTERVAL: Duration = Duration::from_millis(50);
/// How long one check may take: a paused component accepts connections and never answers.
const ATTEMPT: Duration = Duration::from_secs(3);

/// The health endpoint of a component.
fn endpoint(component: Component, ports: Ports) -> (String, &'static str) {
    match component {
        // etcd serves its health on the client port, to clients with a certificate.
        Component::Etcd => (url(ports.etcd), "/health"),
        Component::ApiServer => (url(ports.api_server), "/readyz"),
        Component::ControllerManager => (url(ports.controller_manager), "/healthz"),
        Component::Scheduler => (url(ports.scheduler), "/healthz"),
        Component::Kwok => (format!("http://127.0.0.1:{}", ports.kwok), "/healthz"),
    }
}

/// Asks a component once. `Err` says in words why it is not ready.
pub(crate) async fn check(component: Component, ports: Ports, config: &kube::Config) -> Result<(), String> {
    let (server, path) = endpoint(component, ports);
    let mut config = config.clone();
    config.cluster_url = server.parse().map_err(|error| format!("{server}: {error}"))?;
    let client = Client::try_from(config).map_err(|error| error.to_string())?;
    let request = http::Request::get(path)
        .body(Vec::new())
        .map_err(|error| error.to_string())?;
    match tokio::time::timeout(ATTEMPT, client.request_text(request)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {ATTEMPT:?}")),
    }
}

/// A point in time after which waiting ends.
#[derive(Clone, Copy)]
pub(crate) struct Deadline {
    start: Instant,
    limit: Duration,
}

impl Deadline {
    pub(crate) fn after(limit: Duration) -> Self {
        Self {
            start: Instant::now(),
            limit,
        }
    }

    pub(crate) fn passed(&self) -> bool {
        self.start.elapsed() >= self.limit
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }
}
