//! When may a Secret be generated? Pure. docs/adr/0007 has the reasoning.
//!
//! | Secret | generated when it is missing and | because |
//! |---|---|---|
//! | signing key | no container of the server runs | Nothing but tokens knows it. A new one costs a sign-in; none costs the server. |
//! | first admin password | no server exists, and no data of one | The data knows the password of its first start. A new one would be a lie. |

use kube::ResourceExt;

use super::{Origin, Purpose, SecretUse};
use crate::api::names;
use crate::apply::ownership::{Owner, owner};
use crate::observe::{Observed, Read};

/// Whether a missing Secret of this purpose may be generated now.
#[must_use]
pub fn is_allowed(observed: &Observed, purpose: Purpose) -> bool {
    match purpose {
        Purpose::JwtKey => match observed.stateful_set {
            Read::Missing => true,
            Read::Found(_) => !runs(observed),
            Read::Unreadable(_) => false,
        },
        Purpose::AdminPassword => matches!(observed.stateful_set, Read::Missing) && !has_data(observed),
        _ => false,
    }
}

/// The managed Secrets that are missing, by what they are used for.
pub fn missing<'u>(observed: &Observed, uses: &'u [SecretUse]) -> impl Iterator<Item = &'u SecretUse> {
    let is_missing = |used: &&SecretUse| {
        used.origin == Origin::Managed && matches!(observed.secrets.get(&used.secret), Some(Read::Missing))
    };
    uses.iter().filter(is_missing)
}

/// Whether a container of the server runs. It does where that is not known.
fn runs(observed: &Observed) -> bool {
    let Read::Found(pods) = &observed.pods else {
        return true;
    };
    pods.iter()
        .filter_map(|pod| pod.status.as_ref()?.container_statuses.as_ref())
        .flatten()
        .any(|container| {
            container
                .state
                .as_ref()
                .is_some_and(|state| state.running.is_some())
        })
}

/// Whether there is data of this server or of an earlier one of its name: a volume, a database cluster that is not
/// somebody else's, or the Secret of the database's user, which outlives its cluster. There is where that is not known.
#[must_use]
pub fn has_data(observed: &Observed) -> bool {
    let name = observed.server.name_any();
    has_claims(observed, &name) || has_cluster(observed) || has_user(observed, &name)
}

fn has_claims(observed: &Observed, server: &str) -> bool {
    let volumes = [
        names::METADATA_VOLUME,
        names::CONTENT_VOLUME,
        names::CONTROL_PLANE_VOLUME,
    ];
    let names = volumes.map(|volume| names::claim(volume, server));
    match &observed.claims {
        Read::Found(claims) => claims.iter().any(|claim| names.contains(&claim.name_any())),
        Read::Missing => false,
        Read::Unreadable(_) => true,
    }
}

fn has_cluster(observed: &Observed) -> bool {
    match &observed.database.cluster {
        Read::Found(cluster) => !matches!(owner(&cluster.metadata, &observed.server), Owner::Other(_)),
        Read::Missing | Read::Unreadable(_) => false,
    }
}

fn has_user(observed: &Observed, server: &str) -> bool {
    let user = observed.secrets.get(&names::percona_user_secret(server));
    matches!(user, Some(Read::Found(_)))
}
