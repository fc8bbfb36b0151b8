//! What happens to a claim that is smaller than the spec.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt;

use super::claim::{capacity, has_condition, is_bound, is_smaller, pod_of, requested, resize_error};
use super::{VolumeProblem, of_server, templates};
use crate::api::{DittoServer, reasons};
use crate::domain::observed::{ExpansionAnswer, Observed, Read};

/// An expansion of a volume that is not complete.
#[derive(Clone, Debug, PartialEq)]
pub enum Expansion {
    /// The operator must set this size on the claim.
    Request {
        /// The claim as it is.
        claim: Arc<PersistentVolumeClaim>,
        /// The size in the spec.
        size: String,
    },
    /// It continues without manual action. The text says what happens now.
    InProgress(String),
    /// It needs manual action.
    Blocked(VolumeProblem),
}

/// The claims about which the API server must be asked, with the size in the spec: those that are bound and request less.
#[must_use]
pub fn to_expand(
    server: &DittoServer,
    claims: &Read<Vec<Arc<PersistentVolumeClaim>>>,
) -> Vec<(Arc<PersistentVolumeClaim>, String)> {
    if server.metadata.deletion_timestamp.is_some() {
        return Vec::new();
    }
    let claims = claims.found().map(Vec::as_slice).unwrap_or_default();
    of_server(server, claims)
        .filter(|(_, claim, size)| is_bound(claim) && is_smaller(requested(claim), size))
        .map(|(_, claim, size)| (Arc::clone(claim), size.to_owned()))
        .collect()
}

/// Every expansion of a server that is not complete, in the order of its volumes.
#[must_use]
pub fn expansions(observed: &Observed) -> Vec<Expansion> {
    let claims = observed.claims.found().map(Vec::as_slice).unwrap_or_default();
    let claims = of_server(&observed.server, claims)
        .filter_map(|(volume, claim, size)| expansion(volume, claim, size, &observed.expansion_answers));
    claims.chain(templates::waiting(observed)).collect()
}

/// The expansion of one claim, if it is not complete. `None` also for a claim that belongs to no volume of the server.
#[must_use]
pub fn of_claim(observed: &Observed, claim: &PersistentVolumeClaim) -> Option<Expansion> {
    let (volume, claim, size) = of_server(&observed.server, observed.claims.found()?)
        .find(|(_, of_server, _)| of_server.name_any() == claim.name_any())?;
    expansion(volume, claim, size, &observed.expansion_answers)
}

fn expansion(
    volume: &str,
    claim: &Arc<PersistentVolumeClaim>,
    size: &str,
    answers: &BTreeMap<String, ExpansionAnswer>,
) -> Option<Expansion> {
    let name = claim.name_any();
    if !is_smaller(requested(claim), size) {
        return in_progress(&name, claim);
    }
    if !is_bound(claim) {
        let message = format!(
            "PersistentVolumeClaim {name} is not bound yet. It is expanded to {size} once it is bound"
        );
        return Some(Expansion::InProgress(message));
    }
    Some(match answers.get(&name) {
        Some(ExpansionAnswer::Fixed(class)) => Expansion::Blocked(not_expandable(volume, &name, size, class)),
        Some(ExpansionAnswer::Refused(text)) => Expansion::Blocked(refused(&name, size, text)),
        Some(ExpansionAnswer::Allowed | ExpansionAnswer::Unread) | None => Expansion::Request {
            claim: Arc::clone(claim),
            size: size.to_owned(),
        },
    })
}

/// A claim that requests enough, and is still smaller.
fn in_progress(name: &str, claim: &PersistentVolumeClaim) -> Option<Expansion> {
    let (asked, has) = (requested(claim)?, capacity(claim)?);
    if !is_smaller(Some(has), asked) {
        return None;
    }
    let (reason, message) = if let Some(text) = resize_error(claim) {
        let message = format!(
            "PersistentVolumeClaim {name} is not expanded from {has} to {asked}: {text}. Read its events and the logs of the volume driver. Kubernetes retries until the cause is fixed"
        );
        (reasons::VOLUME_RESIZE_FAILED, message)
    } else if has_condition(claim, "FileSystemResizePending") {
        let message = format!(
            "the disk of PersistentVolumeClaim {name} is {asked}, but its file system is still smaller. If this lasts, the volume driver resizes only when a pod starts: delete pod {} at a convenient time",
            pod_of(claim)
        );
        (reasons::FILE_SYSTEM_RESIZE_PENDING, message)
    } else {
        let message = format!("PersistentVolumeClaim {name} is being expanded from {has} to {asked}");
        return Some(Expansion::InProgress(message));
    };
    Some(Expansion::Blocked(VolumeProblem { reason, message }))
}

fn not_expandable(volume: &str, claim: &str, size: &str, class: &str) -> VolumeProblem {
    let message = format!(
        "PersistentVolumeClaim {claim} cannot be expanded to {size}: its StorageClass {class} does not allow expansion. Set allowVolumeExpansion: true on the class if its driver supports it, or move volume {volume} to another class (docs/storage.md)"
    );
    VolumeProblem {
        reason: reasons::VOLUME_NOT_EXPANDABLE,
        message,
    }
}

fn refused(claim: &str, size: &str, text: &str) -> VolumeProblem {
    let (reason, remedy) = if text.contains("exceeded quota") {
        (
            reasons::VOLUME_QUOTA_EXCEEDED,
            "raise the ResourceQuota. The operator retries within ten minutes, or at the next edit",
        )
    } else if text.contains("must support resize") {
        (
            reasons::VOLUME_NOT_EXPANDABLE,
            "set allowVolumeExpansion: true on the StorageClass if its driver supports it",
        )
    } else {
        (
            reasons::VOLUME_GROWTH_REFUSED,
            "remove the cause. The operator retries within ten minutes, or at the next edit",
        )
    };
    let message = format!(
        "PersistentVolumeClaim {claim} cannot be expanded to {size}: {remedy}. The API server says: {text}"
    );
    VolumeProblem { reason, message }
}
