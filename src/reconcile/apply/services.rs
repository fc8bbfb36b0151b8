//! The Services.

use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt;

use super::live::Child;
use super::writer::Writer;
use super::{Applied, record, unwanted};
use crate::api::names;
use crate::base::slots::Slots;
use crate::cluster::cache::Lookup;
use crate::domain::observed::Read;
use crate::reconcile::context::Context;

impl Child for Service {
    const KIND: &'static str = "Service";

    fn lookup(context: &Context, namespace: &str, name: &str) -> Lookup<Self> {
        context.caches.services.get(namespace, name)
    }

    fn remember(self, context: &Context) {
        context.caches.services.wrote(self);
    }

    fn repeated_creations(context: &Context) -> Option<&Slots> {
        Some(&context.repeated_service_creations)
    }
}

/// Writes the Services. The metrics Service is deleted where it is not wanted.
pub(super) async fn apply(
    writer: &Writer<'_>,
    applied: &mut Applied,
    always: [&Service; 2],
    metrics: Option<&Service>,
) {
    for service in always.into_iter().chain(metrics) {
        let name = service.name_any();
        let written = writer.child(&name, service).await;
        record(applied, name, written, Read::Missing);
    }
    if metrics.is_none() {
        let name = names::metrics_service(&writer.server.name_any());
        unwanted::apply::<Service>(writer, applied, name).await;
    }
}
