//! The volumes of a server: which claims must expand, which pod must restart for an added volume, and what prevents it.
//!
//! Everything is decided from what the cluster holds now. A restarted operator therefore continues where the previous one
//! stopped, and an expansion that the API server refuses is not tried again and again: `observe` has asked the API server
//! (it reads the StorageClass and sends a dry run), and the [`ExpansionAnswer`] decides. Neither the health of the server nor a
//! rollout matters.
//!
//! The claim expands first. The StatefulSet's claim templates follow once the claim requests the new size and the pod is stable.
//!
//! | file | what is in it |
//! |---|---|
//! | `volumes/claim.rs` | reads one claim |
//! | `volumes/expansion.rs` | what happens to a claim that is smaller than the spec |
//! | `volumes/templates.rs` | when the claim templates of the StatefulSet may change |
//! | `volumes/recreation.rs` | the StatefulSet that is saved while it is re-created |
//! | `volumes/added.rs` | the pod and the claims of a volume that was added |
//! | `volumes/stable.rs` | whether the pod is stable |
//! | `volumes/lost.rs` | claims whose data is about to be lost, and claims that no pod uses |
//!
//! [`ExpansionAnswer`]: crate::domain::observed::ExpansionAnswer

mod added;
mod claim;
mod expansion;
mod lost;
mod recreation;
mod stable;
mod templates;

use std::sync::Arc;

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt;

pub use self::added::{missing_claims, pod_without_volume};
pub use self::expansion::{Expansion, expansions, of_claim, to_expand};
pub use self::lost::{terminating_claims, unmounted_content};
pub use self::recreation::{is_saved, saved, template_sizes};
pub use self::templates::{differs, may_follow, may_follow_in};
use crate::api::{DittoServer, StorageSpec, names, reasons};
use crate::domain::observed::{Observed, Read};
use crate::domain::workload::percona;

/// Key of a claim's size, in its requests and its capacity.
pub const STORAGE: &str = "storage";

/// Why a volume is not as the spec asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeProblem {
    /// A constant of `api::reasons`.
    pub reason: &'static str,
    /// What is wrong, and what to do.
    pub message: String,
}

/// The volumes that a spec asks for, with their sizes, in the order of the claim templates.
pub fn volumes(storage: &StorageSpec) -> impl Iterator<Item = (&'static str, &str)> {
    let sizes = [
        (names::METADATA_VOLUME, Some(storage.metadata_size.as_str())),
        (names::CONTENT_VOLUME, storage.content_size()),
        (names::CONTROL_PLANE_VOLUME, Some(storage.control_plane_size())),
    ];
    sizes.into_iter().filter_map(|(name, size)| Some((name, size?)))
}

/// Everything about the volumes that is not as the spec asks: sizes, and the StorageClass.
#[must_use]
pub fn differences(observed: &Observed) -> Vec<Expansion> {
    let problems = [
        class_problem(observed),
        database_class_problem(observed),
        lost::unused(observed),
    ];
    let problems = problems.into_iter().flatten().map(Expansion::Blocked);
    expansions(observed).into_iter().chain(problems).collect()
}

/// The spec names another StorageClass than the one of the volumes. A volume cannot change its class.
#[must_use]
pub fn class_problem(observed: &Observed) -> Option<VolumeProblem> {
    let wanted = observed.server.spec.storage.storage_class_name()?;
    let claims = observed.claims.found().map(Vec::as_slice).unwrap_or_default();
    let (_, claim, _) = of_server(&observed.server, claims)
        .find(|(_, claim, _)| claim::class(claim).is_some_and(|class| class != wanted))?;
    let message = format!(
        "spec.storage.storageClassName is {wanted:?}, but PersistentVolumeClaim {} has the class {:?}, and a volume cannot change its class: set the field back, or move the data (docs/storage.md)",
        claim.name_any(),
        claim::class(claim).unwrap_or_default()
    );
    Some(VolumeProblem {
        reason: reasons::STORAGE_CLASS_IMMUTABLE,
        message,
    })
}

/// The spec names another StorageClass for the database than its cluster has. Its volumes cannot change their class either.
fn database_class_problem(observed: &Observed) -> Option<VolumeProblem> {
    let wanted = observed.server.spec.percona()?.storage_class_name()?;
    let cluster = observed.database.cluster.found()?;
    percona::instance_set(&cluster.spec)?;
    let class = percona::storage_class(&cluster.spec);
    let present = class.map_or_else(
        || "the default class".into(),
        |class| format!("the class {class:?}"),
    );
    let message = format!(
        "spec.percona.storageClassName is {wanted:?}, but the volumes of PerconaPGCluster {} were created with {present}, and a volume cannot change its class: set the field back, or move the data to a new cluster",
        cluster.name_any(),
    );
    (class != Some(wanted)).then_some(VolumeProblem {
        reason: reasons::STORAGE_CLASS_IMMUTABLE,
        message,
    })
}

/// The claim of this name, unless it is being deleted.
pub(crate) fn kept_claim<'a>(
    claims: &'a [Arc<PersistentVolumeClaim>],
    name: &str,
) -> Option<&'a Arc<PersistentVolumeClaim>> {
    let mut claims = claims.iter();
    claims.find(|claim| claim.name_any() == name && claim.metadata.deletion_timestamp.is_none())
}

/// The claims of a server's volumes, each with the name of the volume and the size in the spec.
fn of_server<'a>(
    server: &'a DittoServer,
    claims: &'a [Arc<PersistentVolumeClaim>],
) -> impl Iterator<Item = (&'static str, &'a Arc<PersistentVolumeClaim>, &'a str)> {
    let own_name = server.name_any();
    volumes(&server.spec.storage).filter_map(move |(volume, size)| {
        let claim = kept_claim(claims, &names::claim(volume, &own_name))?;
        Some((volume, claim, size))
    })
}

/// The claim of a volume, with the size in the spec.
fn claim_of<'a>(observed: &'a Observed, volume: &str) -> Read<(&'a Arc<PersistentVolumeClaim>, &'a str)> {
    match &observed.claims {
        Read::Found(claims) => of_server(&observed.server, claims)
            .find(|(name, _, _)| *name == volume)
            .map_or(Read::Missing, |(_, claim, size)| Read::Found((claim, size))),
        Read::Missing => Read::Missing,
        Read::Unreadable(error) => Read::Unreadable(error.clone()),
    }
}

#[cfg(test)]
mod tests;
