//! The baseline NetworkPolicy.

use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::ResourceExt;

use super::live::Child;
use super::writer::Writer;
use super::{Applied, record, unwanted};
use crate::api::names;
use crate::cluster::cache::Lookup;
use crate::domain::observed::Read;
use crate::reconcile::context::Context;

impl Child for NetworkPolicy {
    const KIND: &'static str = "NetworkPolicy";

    fn lookup(context: &Context, namespace: &str, name: &str) -> Lookup<Self> {
        context.caches.network_policies.get(namespace, name)
    }

    fn remember(self, context: &Context) {
        context.caches.network_policies.wrote(self);
    }
}

/// Writes the NetworkPolicy, or deletes it if the spec disables it.
pub(super) async fn apply(writer: &Writer<'_>, applied: &mut Applied, desired: Option<&NetworkPolicy>) {
    let name = names::baseline_network_policy(&writer.server.name_any());
    match desired {
        Some(desired) => {
            let written = writer.child(&name, desired).await;
            record(applied, name, written, Read::Missing);
        }
        None => unwanted::apply::<NetworkPolicy>(writer, applied, name).await,
    }
}
