//! The clients of the watches. A watch is a request that lasts for minutes, and there is one for each kind and namespace. With
//! HTTP/2, many of them share one connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kube::client::ClientBuilder;
use kube::{Client, Config};
use tower::ServiceBuilder;
use tower::timeout::TimeoutLayer;

use super::counting::CountLayer;
use super::first_call::FirstCallLayer;
use super::gate::Gate;
use super::{Protocol, counting, stack};
use crate::base::metrics::Metrics;
use crate::cluster::watch_health::WatchHealth;

/// Watches on one connection. An API server allows 100 streams on a connection unless it is configured otherwise, and a request
/// above the limit would wait for the end of another watch.
const WATCHES_PER_CONNECTION: usize = 80;
/// Time within which the API server must start to answer a list or a watch.
const ANSWER_DEADLINE: Duration = Duration::from_secs(15);
/// Read timeout of a watch. Longer than the time after which the API server ends a watch (`watch.rs`), so it affects only dead
/// connections.
const WATCH_SILENCE: Duration = Duration::from_secs(200);

/// Clients for watches. They have no deadline for the whole answer, because the API server ends each watch.
pub struct WatchClients {
    clients: Vec<Client>,
    next: AtomicUsize,
}

impl WatchClients {
    /// Clients for this number of watches.
    ///
    /// # Errors
    /// When the configuration is invalid.
    pub fn new(
        config: &Config,
        watches: usize,
        metrics: &Arc<Metrics>,
        health: &WatchHealth,
    ) -> kube::Result<Self> {
        let connections = watches.div_ceil(WATCHES_PER_CONNECTION).max(1);
        let clients: kube::Result<_> = (0..connections)
            .map(|_| client(config, metrics, health))
            .collect();
        Ok(Self {
            clients: clients?,
            next: AtomicUsize::new(0),
        })
    }

    /// The client for the next watch.
    #[must_use]
    pub fn next(&self) -> Client {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        self.clients[next % self.clients.len()].clone()
    }
}

fn client(config: &Config, metrics: &Arc<Metrics>, health: &WatchHealth) -> kube::Result<Client> {
    let namespace = config.default_namespace.clone();
    let count = CountLayer {
        health: Some(health.clone()),
        ..counting(metrics)
    };
    let gate = Gate::always_open();
    let service = ServiceBuilder::new()
        .layer(TimeoutLayer::new(ANSWER_DEADLINE))
        .layer(FirstCallLayer::default())
        .service(stack(
            config.clone(),
            &gate,
            WATCH_SILENCE,
            count,
            Protocol::Negotiated,
        )?);
    Ok(ClientBuilder::new(service, namespace).build())
}
