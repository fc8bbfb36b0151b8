//! When may a Secret be generated? Pure. docs/adr/0007 has the reasoning.
//!
//! | Secret | generated when it is missing and | because |
//! |---|---|---|
//! | signing key | no server exists, and no volume of one; or the user asks for a new one | What signed yesterday's tokens is not replaced behind anybody's back. |
//! | first admin password | no server exists, and no data of one | The data knows the password of its first start. A new one would be a lie. |

use kube::ResourceExt;

use super::{Origin, Purpose, SecretUse};
use crate::api::{DittoServer, names};
use crate::domain::observed::{Observed, Read};
use crate::domain::ownership::{Owner, owner};
use crate::domain::workload::pod_template;

/// Whether a missing Secret of this purpose may be generated now.
#[must_use]
pub fn is_allowed(observed: &Observed, purpose: Purpose) -> bool {
    match purpose {
        Purpose::JwtKey => match &observed.stateful_set {
            Read::Unreadable(_) => false,
            Read::Found(_) if exists(observed) => is_asked_for(observed) || had_another_key(observed),
            Read::Found(_) | Read::Missing => {
                !has_claims(observed, &observed.server.name_any()) || requested(&observed.server).is_some()
            }
        },
        Purpose::AdminPassword => {
            !matches!(observed.stateful_set, Read::Unreadable(_)) && !exists(observed) && !has_data(observed)
        }
        _ => false,
    }
}

/// Whether the StatefulSet is there, and not that of a deleted server of the same name.
pub(crate) fn exists(observed: &Observed) -> bool {
    let live = observed.stateful_set.found();
    live.is_some_and(|live| owner(&live.metadata, &observed.server) != Owner::Predecessor)
}

/// The value by which the user asks for new Secrets ([`names::ROTATE_SECRETS_ANNOTATION`]).
#[must_use]
pub fn requested(server: &DittoServer) -> Option<&str> {
    let value = server.annotations().get(names::ROTATE_SECRETS_ANNOTATION)?;
    Some(value.as_str()).filter(|value| !value.is_empty())
}

/// Whether the request is one that the StatefulSet has not answered: the Secret that would say so is gone.
pub(crate) fn is_asked_for(observed: &Observed) -> bool {
    let annotations = observed.stateful_set.found().map(|live| live.annotations());
    let answered = annotations.and_then(|annotations| annotations.get(names::ROTATED_FOR_ANNOTATION));
    requested(&observed.server).is_some_and(|asked| answered.is_none_or(|answered| answered != asked))
}

/// Whether the server took its key from the user's own Secret until now: then none was ever generated.
fn had_another_key(observed: &Observed) -> bool {
    let generated = names::jwt_secret(&observed.server.name_any());
    let live = observed.stateful_set.found();
    let secret = live.and_then(|live| pod_template::secret_of(live, Purpose::JwtKey));
    secret.is_some_and(|secret| secret != generated)
}

/// The managed Secrets that are missing, by what they are used for.
pub fn missing<'u>(observed: &Observed, uses: &'u [SecretUse]) -> impl Iterator<Item = &'u SecretUse> {
    let is_missing = |used: &&SecretUse| {
        used.origin == Origin::Managed && matches!(observed.secrets.get(&used.secret), Some(Read::Missing))
    };
    uses.iter().filter(is_missing)
}

/// Whether there is data of this server or of an earlier one of its name: a volume, a database cluster that is not
/// somebody else's, or the Secret of the database's user, which outlives its cluster. There is where that is not known.
#[must_use]
pub fn has_data(observed: &Observed) -> bool {
    let name = observed.server.name_any();
    has_claims(observed, &name) || has_cluster(observed) || has_user(observed, &name)
}

fn has_claims(observed: &Observed, server: &str) -> bool {
    let names = names::claims(server);
    match &observed.claims {
        Read::Found(claims) => claims
            .iter()
            .filter(|claim| claim.metadata.deletion_timestamp.is_none())
            .any(|claim| names.contains(&claim.name_any())),
        Read::Missing => false,
        Read::Unreadable(_) => true,
    }
}

fn has_cluster(observed: &Observed) -> bool {
    match &observed.database.cluster {
        Read::Found(cluster) => !matches!(owner(&cluster.metadata, &observed.server), Owner::Other(_)),
        Read::Missing => false,
        // Where its kind is not served, or Percona is off, nobody looks.
        Read::Unreadable(_) => observed.server.spec.percona_enabled(),
    }
}

fn has_user(observed: &Observed, server: &str) -> bool {
    let user = observed.secrets.get(&names::percona_user_secret(server));
    matches!(user, Some(Read::Found(_) | Read::Unreadable(_)))
}
