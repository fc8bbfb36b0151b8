//! Claims whose data is about to be lost, and claims that no pod uses.

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt;

use super::VolumeProblem;
use super::added::template_names;
use crate::api::{names, reasons};
use crate::domain::observed::{Observed, Read};
use crate::domain::ownership::{Owner, owner};

/// The claims of the StatefulSet that somebody deleted. Kubernetes keeps such a claim until no pod uses it; then it is deleted with
/// its data, and the StatefulSet's controller creates an empty one. Empty while the server itself is being deleted.
#[must_use]
pub fn terminating_claims(observed: &Observed) -> Vec<&PersistentVolumeClaim> {
    let (Some(live), Some(claims)) = (observed.stateful_set.found(), observed.claims.found()) else {
        return Vec::new();
    };
    let server = &observed.server;
    let is_ours = matches!(owner(&live.metadata, server), Owner::Us | Owner::Orphan);
    if !is_ours || server.metadata.deletion_timestamp.is_some() {
        return Vec::new();
    }
    let used: Vec<String> = template_names(live)
        .map(|volume| names::claim(volume, &server.name_any()))
        .collect();
    let is_terminating = |claim: &&PersistentVolumeClaim| {
        claim.metadata.deletion_timestamp.is_some() && used.contains(&claim.name_any())
    };
    claims.iter().map(AsRef::as_ref).filter(is_terminating).collect()
}

/// A content volume that an earlier server left and that the spec does not ask for: a new server would not mount it.
#[must_use]
pub fn unmounted_content(observed: &Observed) -> Option<&PersistentVolumeClaim> {
    let is_new = matches!(observed.stateful_set, Read::Missing);
    if !is_new || observed.server.spec.storage.content_size().is_some() {
        return None;
    }
    let name = names::claim(names::CONTENT_VOLUME, &observed.server.name_any());
    super::kept_claim(observed.claims.found()?, &name).map(AsRef::as_ref)
}

/// Claims of pods that do not exist: somebody scaled the StatefulSet to more than one replica.
pub(super) fn unused(observed: &Observed) -> Option<VolumeProblem> {
    let server = observed.server.name_any();
    let volumes = [
        names::METADATA_VOLUME,
        names::CONTENT_VOLUME,
        names::CONTROL_PLANE_VOLUME,
    ];
    let is_unused = |name: &String| {
        volumes.iter().any(|volume| {
            let ordinal = name.strip_prefix(&format!("{volume}-{server}-"));
            ordinal.is_some_and(|ordinal| ordinal.parse::<u32>().is_ok_and(|ordinal| ordinal > 0))
        })
    };
    let claims = observed.claims.found()?.iter();
    let mut unused: Vec<String> = claims
        .filter(|claim| claim.metadata.deletion_timestamp.is_none())
        .map(|claim| claim.name_any())
        .filter(is_unused)
        .collect();
    unused.sort_unstable();
    (!unused.is_empty()).then(|| VolumeProblem {
        reason: reasons::VOLUME_CLAIM_UNUSED,
        message: format!(
            "no pod uses PersistentVolumeClaim {}: the StatefulSet was scaled to more than one replica, and a server has one. Delete the claim if you do not need its data",
            unused.join(", ")
        ),
    })
}
