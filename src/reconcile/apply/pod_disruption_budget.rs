//! The PodDisruptionBudget.

use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::ResourceExt;

use super::live::Child;
use super::writer::Writer;
use super::{Applied, record, unwanted};
use crate::api::names;
use crate::cluster::cache::Lookup;
use crate::domain::observed::Read;
use crate::reconcile::context::Context;

impl Child for PodDisruptionBudget {
    const KIND: &'static str = "PodDisruptionBudget";

    fn lookup(context: &Context, namespace: &str, name: &str) -> Lookup<Self> {
        context.caches.pod_disruption_budgets.get(namespace, name)
    }

    fn remember(self, context: &Context) {
        context.caches.pod_disruption_budgets.wrote(self);
    }
}

/// Writes the PodDisruptionBudget, or deletes it if the spec does not ask for one.
///
/// One that cannot be read is left: roles of an earlier version of the chart do not allow it, and few servers have one.
pub(super) async fn apply(writer: &Writer<'_>, applied: &mut Applied, desired: Option<&PodDisruptionBudget>) {
    let name = names::pod_disruption_budget(&writer.server.name_any());
    if let Some(desired) = desired {
        let written = writer.child(&name, desired).await;
        record(applied, name, written, Read::Missing);
        return;
    }
    let known = PodDisruptionBudget::lookup(writer.context, writer.namespace(), &name);
    if matches!(known, Lookup::Found(_)) {
        unwanted::apply::<PodDisruptionBudget>(writer, applied, name).await;
    }
}
