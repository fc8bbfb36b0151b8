//! Is the control-plane database still the SQLite file, although the spec asks for Percona? Pure.
//!
//! The Go operator made a PostgreSQL cluster and let the server run on SQLite all the same (contract, section 3). Whoever
//! switches `spec.percona` on for a running server is in the same place: users and share definitions are in the file, and a
//! server that starts on the empty cluster would show none of them. So it stays on SQLite until the user says that the
//! data has moved. docs/adr/0008 has the reasoning.
//!
//! The signs are in the cluster, and survive operators: the live pod template, and a mark on the volume claim.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt;

use crate::api::{DatabaseBackend, names};
use crate::observe::{Observed, Read};
use crate::pod_template;
use crate::secrets::{self, Origin, SecretUse};

/// Whether the server stays on SQLite although its spec asks for Percona.
///
/// - A server that exists tells it by its pod template: one that takes no database host from a Secret runs on the file.
/// - Where there is none, a volume that an earlier server left tells it: a claim without the mark
///   [`names::CONTROL_PLANE_DATABASE_ANNOTATION`] may hold the file.
#[must_use]
pub fn is_pending(observed: &Observed) -> bool {
    if !asks_for_percona(observed) || is_confirmed(observed) {
        return false;
    }
    let claim = control_plane_claim(observed);
    match &observed.stateful_set {
        Read::Found(live) => {
            !pod_template::uses_postgres(live) && (has_run(live) || !matches!(claim, Read::Missing))
        }
        Read::Missing => claim.found().is_some_and(|claim| !is_marked(claim)),
        Read::Unreadable(_) => false,
    }
}

/// Whether the volumes must be known before anything is decided: nothing else says what an earlier server left.
pub(crate) fn needs_claims(observed: &Observed) -> bool {
    asks_for_percona(observed) && !is_confirmed(observed)
}

fn asks_for_percona(observed: &Observed) -> bool {
    matches!(
        observed.server.spec.database_backend(),
        DatabaseBackend::Percona(_)
    )
}

/// The user says that the data has moved, or that there is none.
fn is_confirmed(observed: &Observed) -> bool {
    let annotations = observed.server.annotations();
    annotations
        .get(names::DATABASE_MIGRATED_ANNOTATION)
        .is_some_and(|value| value == "true")
}

/// Whether pods of this StatefulSet were ever asked for; its claims are then made, and may not have been seen yet.
fn has_run(live: &StatefulSet) -> bool {
    live.status.as_ref().is_some_and(|status| status.replicas > 0)
}

fn control_plane_claim(observed: &Observed) -> Read<&PersistentVolumeClaim> {
    let name = names::claim(names::CONTROL_PLANE_VOLUME, &observed.server.name_any());
    match &observed.claims {
        Read::Found(claims) => claims
            .iter()
            .find(|claim| claim.name_any() == name && claim.metadata.deletion_timestamp.is_none())
            .map_or(Read::Missing, |claim| Read::Found(claim.as_ref())),
        Read::Missing => Read::Missing,
        Read::Unreadable(error) => Read::Unreadable(error.clone()),
    }
}

/// Whether a claim says that its server kept its data in PostgreSQL.
#[must_use]
pub fn is_marked(claim: &PersistentVolumeClaim) -> bool {
    let annotations = claim.annotations();
    annotations
        .get(names::CONTROL_PLANE_DATABASE_ANNOTATION)
        .is_some_and(|value| value == names::POSTGRES)
}

/// What the pod uses of Secrets: [`secrets::uses`], without the database's while the server stays on SQLite.
#[must_use]
pub fn uses(observed: &Observed) -> Vec<SecretUse> {
    let mut uses = secrets::uses(&observed.server);
    if is_pending(observed) {
        uses.retain(|used| used.origin != Origin::Percona);
    }
    uses
}

#[cfg(test)]
mod tests;
