//! Where is the control-plane data, and is that where the spec wants it?
//!
//! Users and share definitions are in the SQLite file, in a PostgreSQL that the user runs, or in a PerconaPGCluster. A server
//! that starts on an empty database would show none of them. So no server changes its database without confirmation by the user.
//! A server on SQLite stays there: the Go operator created a cluster and let the server run on SQLite all the same (contract,
//! section 3). A server on the user's own PostgreSQL is not updated. docs/adr/0008 has the reasoning.
//!
//! The evidence is in the cluster and survives operators: the live pod template, and an annotation on the volume claim.

mod place;

use std::sync::Arc;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt;

pub use self::place::Place;
use crate::api::{DatabaseBackend, DittoServer, names};
use crate::domain::observed::{Observed, Read};
use crate::domain::secrets::{self, Origin, Purpose, SecretUse};
use crate::domain::volumes;

/// Where the data of a server is. `None` if there is none, as far as is known.
///
/// - The pod template of an existing server names the Secret with its database host.
/// - Without a server, the volume of an earlier one decides: without the annotation it may hold the SQLite file.
fn place(observed: &Observed) -> Option<Place<'_>> {
    let claim = control_plane_claim(observed);
    match &observed.stateful_set {
        Read::Found(live) => match Place::of_pod(&observed.server, live) {
            Place::Sqlite if !has_run(live) && matches!(claim, Read::Missing) => None,
            place => Some(place),
        },
        Read::Missing => left_by_predecessor(observed),
        Read::Unreadable(_) => None,
    }
}

/// Whether the server stays on SQLite although its spec asks for Percona.
#[must_use]
pub fn is_pending(observed: &Observed) -> bool {
    needs_confirmation(observed) && place(observed) == Some(Place::Sqlite)
}

/// Whether the spec asks for Percona, and the data is in a PostgreSQL that the user runs.
#[must_use]
pub fn leaves_own_postgres(observed: &Observed) -> bool {
    needs_confirmation(observed) && matches!(place(observed), Some(Place::OwnPostgres(_)))
}

/// Whether the pod of the server uses its PerconaPGCluster.
#[must_use]
pub fn runs_on_percona(observed: &Observed) -> bool {
    let live = observed.stateful_set.found();
    live.is_some_and(|live| Place::of_pod(&observed.server, live) == Place::Percona)
}

/// Whether the data is, or may be, in a PostgreSQL that the user runs. A claim that is being deleted counts as evidence, too.
#[must_use]
pub fn may_be_in_own_postgres(observed: &Observed) -> bool {
    match (&observed.stateful_set, &observed.claims) {
        (Read::Found(live), _) => matches!(Place::of_pod(&observed.server, live), Place::OwnPostgres(_)),
        (Read::Unreadable(_), _) | (Read::Missing, Read::Unreadable(_)) => true,
        (Read::Missing, Read::Missing) => false,
        (Read::Missing, Read::Found(claims)) => {
            let name = names::claim(names::CONTROL_PLANE_VOLUME, &observed.server.name_any());
            let says_so =
                |claim: &Arc<PersistentVolumeClaim>| matches!(Place::of_claim(claim), Place::OwnPostgres(_));
            claims
                .iter()
                .any(|claim| claim.name_any() == name && says_so(claim))
        }
    }
}

/// Whether the user has not yet confirmed that the data was moved to the cluster that the spec asks for. Then the claims must be
/// known before anything is decided: nothing else shows what an earlier server left.
pub(crate) fn needs_confirmation(observed: &Observed) -> bool {
    asks_for_percona(&observed.server) && !is_confirmed(observed)
}

/// Whether the spec asks for Percona.
pub(crate) fn asks_for_percona(server: &DittoServer) -> bool {
    matches!(server.spec.database_backend(), DatabaseBackend::Percona(_))
}

/// The user confirms that the data was moved, or that there is none. The confirmation counts for one move: a server that
/// afterwards returned to its file, or to the user's own PostgreSQL, needs a new one.
fn is_confirmed(observed: &Observed) -> bool {
    has_confirmation(&observed.server)
        && match control_plane_claim(observed) {
            Read::Found(claim) => !is_used_up(annotation_of(claim)),
            Read::Missing => true,
            Read::Unreadable(_) => false,
        }
}

fn is_used_up(annotation: Option<&str>) -> bool {
    matches!(
        annotation,
        Some(names::BACK_IN_SQLITE | names::BACK_IN_OWN_POSTGRES)
    )
}

/// Whether the server has the annotation that confirms a move, even if of an earlier move.
#[must_use]
pub fn has_confirmation(server: &DittoServer) -> bool {
    let value = server.annotations().get(names::DATABASE_MIGRATED_ANNOTATION);
    value.is_some_and(|value| value == "true")
}

/// What the user must do to confirm a move.
#[must_use]
pub fn remedy(server: &DittoServer) -> String {
    let annotation = names::DATABASE_MIGRATED_ANNOTATION;
    if has_confirmation(server) {
        format!(
            "The annotation {annotation} does not count for this move, because it was set before. Move the data, then remove the annotation and set it again"
        )
    } else {
        format!("Move the data, then set the annotation {annotation}: \"true\"")
    }
}

/// The database in which an earlier server left its data, if the spec of the new one asks for another. Only an annotation on the
/// claim counts: without it, the data may be anywhere. A cluster that was deleted has no data any longer.
#[must_use]
pub fn left_elsewhere(observed: &Observed) -> Option<Place<'_>> {
    let is_new = matches!(observed.stateful_set, Read::Missing);
    if !is_new || observed.server.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let place = left_by_predecessor(observed)?;
    let is_elsewhere = match (place, observed.server.spec.database_backend()) {
        (Place::Percona, DatabaseBackend::Percona(_)) => false,
        (Place::Percona, _) => !matches!(observed.database.cluster, Read::Missing),
        (Place::OwnPostgres(_), DatabaseBackend::Sqlite { .. }) => true,
        (Place::OwnPostgres(_) | Place::Sqlite, _) => false,
    };
    is_elsewhere.then_some(place)
}

/// Where an earlier server of this name had its data, by its claim. Without the annotation, it may be in the SQLite file.
#[must_use]
pub fn left_by_predecessor(observed: &Observed) -> Option<Place<'_>> {
    control_plane_claim(observed)
        .found()
        .map(|claim| Place::of_claim(claim))
}

/// The annotation that the claim `controlplane` must have for this StatefulSet.
#[must_use]
pub fn annotation_for(
    server: &DittoServer,
    live: &StatefulSet,
    claim: &PersistentVolumeClaim,
) -> Option<&'static str> {
    let (plain, back) = match Place::of_pod(server, live) {
        Place::Percona => return Some(names::IN_PERCONA),
        Place::OwnPostgres(_) => (Some(names::IN_OWN_POSTGRES), names::BACK_IN_OWN_POSTGRES),
        Place::Sqlite => (None, names::BACK_IN_SQLITE),
    };
    // A confirmation speaks of the move that the spec asks for, unless it was set before.
    let is_used_up =
        has_confirmation(server) && (!asks_for_percona(server) || is_used_up(annotation_of(claim)));
    if is_used_up { Some(back) } else { plain }
}

/// The annotation that a claim has.
#[must_use]
pub fn annotation_of(claim: &PersistentVolumeClaim) -> Option<&str> {
    let value = claim.annotations().get(names::CONTROL_PLANE_DATABASE_ANNOTATION);
    value.map(String::as_str)
}

/// Whether the StatefulSet ever had replicas. Then its claims were created, even if the watch has not delivered them yet.
fn has_run(live: &StatefulSet) -> bool {
    live.status.as_ref().is_some_and(|status| status.replicas > 0)
}

fn control_plane_claim(observed: &Observed) -> Read<&PersistentVolumeClaim> {
    let name = names::claim(names::CONTROL_PLANE_VOLUME, &observed.server.name_any());
    match &observed.claims {
        Read::Found(claims) => {
            volumes::kept_claim(claims, &name).map_or(Read::Missing, |claim| Read::Found(claim.as_ref()))
        }
        Read::Missing => Read::Missing,
        Read::Unreadable(error) => Read::Unreadable(error.clone()),
    }
}

/// What the pod uses of Secrets: [`secrets::uses`], without those of the database while the server stays on SQLite, and without the
/// CA of the user's own PostgreSQL if it is not used for verification.
#[must_use]
pub fn uses(observed: &Observed) -> Vec<SecretUse> {
    let mut uses = secrets::uses(&observed.server);
    if is_pending(observed) {
        uses.retain(|used| used.origin != Origin::Percona);
    }
    uses.retain(|used| {
        let is_own_ca = used.purpose == Purpose::DatabaseCa && used.origin != Origin::Percona;
        let secret = observed.secrets.get(&used.secret).and_then(Read::found);
        !is_own_ca || secret.is_some_and(secrets::verifies_with_ca)
    });
    uses
}

/// The Secret of the user's own PostgreSQL, if the connection is not encrypted because nobody chose a mode.
#[must_use]
pub fn unencrypted_postgres(observed: &Observed) -> Option<&str> {
    let DatabaseBackend::OwnPostgres(reference) = observed.server.spec.database_backend() else {
        return None;
    };
    let data = observed.secrets.get(&reference.name)?.found()?;
    data.value(secrets::SSL_MODE_KEY)
        .is_none()
        .then_some(reference.name.as_str())
}

#[cfg(test)]
mod tests;
