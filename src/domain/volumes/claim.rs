//! Reads one volume claim.

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt;

use super::STORAGE;
use crate::api::{names, quantity};

/// The name of the pod that uses the claim: `metadata-files-0` belongs to the pod `files-0`.
pub(super) fn pod_of(claim: &PersistentVolumeClaim) -> String {
    let instance = claim.labels().get(names::INSTANCE_LABEL);
    names::pod(instance.map(String::as_str).unwrap_or_default())
}

/// The size that the claim requests.
pub(super) fn requested(claim: &PersistentVolumeClaim) -> Option<&str> {
    let requests = claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?;
    Some(requests.get(STORAGE)?.0.as_str())
}

/// The size that the claim has.
pub(super) fn capacity(claim: &PersistentVolumeClaim) -> Option<&str> {
    Some(claim.status.as_ref()?.capacity.as_ref()?.get(STORAGE)?.0.as_str())
}

pub(super) fn class(claim: &PersistentVolumeClaim) -> Option<&str> {
    claim.spec.as_ref()?.storage_class_name.as_deref()
}

pub(super) fn is_bound(claim: &PersistentVolumeClaim) -> bool {
    claim.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Bound")
}

/// Whether a size is smaller than another. A size that is not a quantity is not: the operator then does nothing.
pub(super) fn is_smaller(size: Option<&str>, than: &str) -> bool {
    match (size.and_then(quantity::nanos), quantity::nanos(than)) {
        (Some(size), Some(than)) => size < than,
        _ => false,
    }
}

pub(super) fn has_condition(claim: &PersistentVolumeClaim, type_: &str) -> bool {
    condition(claim, &[type_]).is_some()
}

fn condition(claim: &PersistentVolumeClaim, types: &[&str]) -> Option<String> {
    let conditions = claim.status.as_ref()?.conditions.as_ref()?;
    let found = conditions
        .iter()
        .find(|condition| condition.status == "True" && types.contains(&condition.type_.as_str()))?;
    Some(found.message.clone().unwrap_or_else(|| found.type_.clone()))
}

/// How Kubernetes reports a failed resize (KEP-1790): by a condition, and by a status that ends in `Infeasible`.
pub(super) fn resize_error(claim: &PersistentVolumeClaim) -> Option<String> {
    let infeasible = || {
        let statuses = claim.status.as_ref()?.allocated_resource_statuses.as_ref()?;
        statuses
            .get(STORAGE)
            .filter(|status| status.ends_with("Infeasible"))
            .cloned()
    };
    condition(claim, &["ControllerResizeError", "NodeResizeError"]).or_else(infeasible)
}
