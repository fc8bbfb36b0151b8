//! The PodDisruptionBudget: on request, no eviction stops the server.

use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;

use super::meta;
use crate::api::{DittoServer, names};

/// Builds the budget. `None` if the spec does not ask for one: an existing one of ours is then deleted.
pub(super) fn build(server: &DittoServer) -> Option<PodDisruptionBudget> {
    let name = server.name_any();
    server
        .spec
        .pod_disruption_budget_enabled()
        .then(|| PodDisruptionBudget {
            metadata: meta::owned(server, names::pod_disruption_budget(&name)),
            spec: Some(PodDisruptionBudgetSpec {
                max_unavailable: Some(IntOrString::Int(0)),
                selector: Some(LabelSelector {
                    match_labels: Some(names::selector_labels(&name)),
                    ..LabelSelector::default()
                }),
                ..PodDisruptionBudgetSpec::default()
            }),
            ..PodDisruptionBudget::default()
        })
}
