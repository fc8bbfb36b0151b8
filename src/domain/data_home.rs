//! Is the control-plane data already where the spec wants it? Pure.
//!
//! Users and share definitions are in the SQLite file, in a PostgreSQL that the user runs, or in a PerconaPGCluster. A server
//! that starts on an empty cluster would show none of them, so nobody is moved to one unasked. Whoever is on the file stays on
//! it: the Go operator made a cluster and let the server run on SQLite all the same (contract, section 3). Whoever is on a
//! PostgreSQL of the user's is left as it is. docs/adr/0008 has the reasoning.
//!
//! The signs are in the cluster, and survive operators: the live pod template, and a mark on the volume claim.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt;

use crate::api::{DatabaseBackend, DittoServer, names};
use crate::domain::observed::{Observed, Read};
use crate::domain::secrets::{self, Origin, SecretUse};
use crate::domain::volumes;
use crate::domain::workload::pod_template;

/// Where the data of a server is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Data {
    /// There is none, as far as is known.
    None,
    /// In the SQLite file, or it may be.
    File,
    /// In a PostgreSQL that the user runs.
    OwnPostgres,
    /// In the server's PerconaPGCluster.
    Percona,
}

impl Data {
    /// - A server that exists tells it by its pod template: the Secret from which it takes its database host.
    /// - Where there is none, a volume that an earlier server left tells it: one without mark may hold the file.
    fn of(observed: &Observed) -> Self {
        let claim = control_plane_claim(observed);
        match &observed.stateful_set {
            Read::Found(live) => {
                let in_postgres = Self::in_postgres(&observed.server, live);
                let has_file = || has_run(live) || !matches!(claim, Read::Missing);
                in_postgres.unwrap_or_else(|| if has_file() { Self::File } else { Self::None })
            }
            Read::Missing => claim.found().map_or(Self::None, |claim| Self::marked(claim)),
            Read::Unreadable(_) => Self::None,
        }
    }

    fn in_postgres(server: &DittoServer, live: &StatefulSet) -> Option<Self> {
        let secret = pod_template::database_secret(live)?;
        let is_percona = secret == names::percona_user_secret(&server.name_any());
        Some(if is_percona {
            Self::Percona
        } else {
            Self::OwnPostgres
        })
    }

    fn marked(claim: &PersistentVolumeClaim) -> Self {
        match mark_of(claim) {
            Some(names::IN_PERCONA) => Self::Percona,
            Some(names::IN_OWN_POSTGRES | names::BACK_IN_OWN_POSTGRES) => Self::OwnPostgres,
            _ => Self::File,
        }
    }
}

/// Whether the server stays on SQLite although its spec asks for Percona.
#[must_use]
pub fn is_pending(observed: &Observed) -> bool {
    needs_word(observed) && Data::of(observed) == Data::File
}

/// Whether the spec asks for Percona, and the data is in a PostgreSQL that the user runs.
#[must_use]
pub fn leaves_own_postgres(observed: &Observed) -> bool {
    needs_word(observed) && Data::of(observed) == Data::OwnPostgres
}

/// Whether the data is in a PostgreSQL that the user runs, or may be, for all that could be read. A claim that is going tells it as
/// well.
#[must_use]
pub fn may_be_in_own_postgres(observed: &Observed) -> bool {
    match (&observed.stateful_set, &observed.claims) {
        (Read::Found(live), _) => Data::in_postgres(&observed.server, live) == Some(Data::OwnPostgres),
        (Read::Unreadable(_), _) | (Read::Missing, Read::Unreadable(_)) => true,
        (Read::Missing, Read::Missing) => false,
        (Read::Missing, Read::Found(claims)) => {
            let name = names::claim(names::CONTROL_PLANE_VOLUME, &observed.server.name_any());
            let is_marked = |claim: &Arc<PersistentVolumeClaim>| Data::marked(claim) == Data::OwnPostgres;
            claims
                .iter()
                .any(|claim| claim.name_any() == name && is_marked(claim))
        }
    }
}

/// Whether the user has yet to say that the data has moved to the cluster that the spec asks for. Then the volumes must be
/// known before anything is decided: nothing else says what an earlier server left.
pub(crate) fn needs_word(observed: &Observed) -> bool {
    asks_for_percona(&observed.server) && !is_confirmed(observed)
}

/// Whether the spec asks for Percona.
pub(crate) fn asks_for_percona(server: &DittoServer) -> bool {
    matches!(server.spec.database_backend(), DatabaseBackend::Percona(_))
}

/// The user says that the data has moved, or that there is none. That counts for one move: a server that went back to its
/// file, or to a PostgreSQL of the user's, after it has to be told anew.
fn is_confirmed(observed: &Observed) -> bool {
    says_moved(&observed.server)
        && match control_plane_claim(observed) {
            Read::Found(claim) => !is_used_up(mark_of(claim)),
            Read::Missing => true,
            Read::Unreadable(_) => false,
        }
}

fn is_used_up(mark: Option<&str>) -> bool {
    matches!(mark, Some(names::BACK_IN_SQLITE | names::BACK_IN_OWN_POSTGRES))
}

/// Whether the annotation is there that says so, be it of an earlier move.
#[must_use]
pub fn says_moved(server: &DittoServer) -> bool {
    let moved = server.annotations().get(names::DATABASE_MIGRATED_ANNOTATION);
    moved.is_some_and(|value| value == "true")
}

/// What the user is to do once the data has moved.
#[must_use]
pub fn remedy(server: &DittoServer) -> String {
    let word = names::DATABASE_MIGRATED_ANNOTATION;
    if says_moved(server) {
        format!(
            "The annotation {word} does not count for this move, because it was there before. Move the data, then remove it and set it again"
        )
    } else {
        format!("Move the data, then set the annotation {word}: \"true\"")
    }
}

/// The mark that the claim `controlplane` is to have beside this StatefulSet.
#[must_use]
pub fn mark(server: &DittoServer, live: &StatefulSet, claim: &PersistentVolumeClaim) -> Option<&'static str> {
    let (plain, back) = match Data::in_postgres(server, live) {
        Some(Data::Percona) => return Some(names::IN_PERCONA),
        Some(_) => (Some(names::IN_OWN_POSTGRES), names::BACK_IN_OWN_POSTGRES),
        None => (None, names::BACK_IN_SQLITE),
    };
    // It is said of the move that the spec asks for, unless it was there before.
    let is_used_up = says_moved(server) && (!asks_for_percona(server) || is_used_up(mark_of(claim)));
    if is_used_up { Some(back) } else { plain }
}

/// The mark that a claim has.
#[must_use]
pub fn mark_of(claim: &PersistentVolumeClaim) -> Option<&str> {
    let mark = claim.annotations().get(names::CONTROL_PLANE_DATABASE_ANNOTATION);
    mark.map(String::as_str)
}

/// Whether pods of this StatefulSet were ever asked for; its claims are then made, and may not have been seen yet.
fn has_run(live: &StatefulSet) -> bool {
    live.status.as_ref().is_some_and(|status| status.replicas > 0)
}

fn control_plane_claim(observed: &Observed) -> Read<&PersistentVolumeClaim> {
    let name = names::claim(names::CONTROL_PLANE_VOLUME, &observed.server.name_any());
    match &observed.claims {
        Read::Found(claims) => {
            volumes::standing(claims, &name).map_or(Read::Missing, |claim| Read::Found(claim.as_ref()))
        }
        Read::Missing => Read::Missing,
        Read::Unreadable(error) => Read::Unreadable(error.clone()),
    }
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
