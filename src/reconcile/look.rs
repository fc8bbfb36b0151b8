//! Reads the cluster once, with the operator's own watches, for commands of the plugin.

use std::sync::Arc;
use std::time::Duration;

use futures::channel::mpsc::UnboundedReceiver;
use kube::runtime::reflector::ObjectRef;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::context::{RETRY, repeated_service_creations};
use super::controller::{RESYNC, RunError};
use super::events::Publisher;
use super::triggers::{self, Queue, Watches};
use crate::base::backoff::PerObject;
use crate::base::metrics::Metrics;
use crate::cluster::cache::StoredServer;
use crate::cluster::client;
use crate::cluster::client::gate::Gate;
use crate::cluster::watch_health::WatchHealth;
use crate::domain::settings::Settings;
use crate::reconcile::apply::drift::Drifts;
use crate::reconcile::context::Context;
use crate::reconcile::tries::Tries;
use crate::server::drains::Drains;
use crate::server::poller::Poller;

/// How long to wait for the first answers.
const ANSWERS_WITHIN: Duration = Duration::from_secs(20);

/// The context of a reconcile, filled by the operator's own watches, so that `observe` reads what the operator would read. The
/// watches end when it is dropped.
pub struct Look {
    /// The context for `observe`.
    pub context: Context,
    /// Whether all watches have answered. If not, the missing objects are `Unreadable`.
    pub is_complete: bool,
    _stop: DropGuard,
    _queued: UnboundedReceiver<ObjectRef<StoredServer>>,
}

/// Reads these namespaces, or all if none is given.
///
/// # Errors
/// When the client configuration is invalid.
pub async fn look(config: kube::Config, namespaces: &[String], settings: Settings) -> Result<Look, RunError> {
    let metrics: Arc<Metrics> = Arc::default();
    let backoff = PerObject::new(RETRY.0, RETRY.1);
    let (queue, queued) = Queue::new(Arc::clone(&metrics), backoff.clone());
    let stop = CancellationToken::new();
    // It writes only dry runs, so it needs no lease.
    let calls = client::for_calls(config.clone(), &Gate::always_open(), &metrics)?;
    let watches = Watches {
        config: &config,
        namespaces,
        selector: None,
        health: &WatchHealth::default(),
        stop: &stop,
    };
    let (caches, secrets) = triggers::start(&watches, &calls, &queue)?;
    let context = Context {
        events: Publisher::idle(),
        client: calls,
        caches,
        secrets,
        settings,
        backoff,
        drifts: Drifts::default(),
        cleanups: Tries::default(),
        // A command asks no server: the status has what the operator knows.
        servers: Poller::idle(),
        drains: Drains::idle(),
        repeated_service_creations: repeated_service_creations(),
        resync: RESYNC,
        metrics,
    };
    // The caller has read the servers already, and may have no more rights than that. An error is an answer, too.
    let answers = triggers::children_answered(&context);
    let is_complete = tokio::time::timeout(ANSWERS_WITHIN, answers).await.is_ok();
    Ok(Look {
        context,
        is_complete,
        _stop: stop.drop_guard(),
        _queued: queued,
    })
}
