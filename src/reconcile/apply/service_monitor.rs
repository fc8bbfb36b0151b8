//! The ServiceMonitor. Its kind is optional: it belongs to the Prometheus Operator.

use kube::ResourceExt;

use super::live::Child;
use super::writer::Writer;
use super::{Applied, record, unwanted};
use crate::api::names;
use crate::api::service_monitor::ServiceMonitor;
use crate::cluster::cache::{Lookup, WatchState};
use crate::domain::observed::Read;
use crate::reconcile::context::Context;

impl Child for ServiceMonitor {
    const KIND: &'static str = ServiceMonitor::KIND;

    fn lookup(context: &Context, namespace: &str, name: &str) -> Lookup<Self> {
        context.caches.service_monitors.get(namespace, name)
    }

    fn remember(self, context: &Context) {
        context.caches.service_monitors.wrote(self);
    }
}

/// Writes the ServiceMonitor, or deletes it if the spec does not ask for one.
///
/// There is nothing to do where the kind is not installed. A server that has no ServiceMonitor does not depend on the right to
/// read the kind. When the watch begins to work, it adds all servers to the queue.
pub(super) async fn apply(writer: &Writer<'_>, applied: &mut Applied, desired: Option<&ServiceMonitor>) {
    let name = names::metrics_service(&writer.server.name_any());
    let caches = &writer.context.caches;
    match (caches.service_monitors.watch_state(writer.namespace()), desired) {
        (WatchState::NotServed | WatchState::Starting, _) | (WatchState::Failing(_), None) => {}
        (WatchState::Synced | WatchState::Failing(_), Some(desired)) => {
            let written = writer.child(&name, desired).await;
            record(applied, name, written, Read::Missing);
        }
        (WatchState::Synced, None) => unwanted::apply::<ServiceMonitor>(writer, applied, name).await,
    }
}
