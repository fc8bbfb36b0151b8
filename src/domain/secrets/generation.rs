//! When may a Secret be generated? docs/adr/0007 has the reasoning.
//!
//! | Secret | generated when it is missing and | because |
//! |---|---|---|
//! | signing key | no server and no volume of one exists; or the user requests a new key | Existing tokens must not become invalid without a request. |
//! | first admin password | no server and no data of one exists | The data knows the password of its first start. A new one would not work. |

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
            Read::Found(_) if exists(observed) => is_requested(observed) || had_another_key(observed),
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

/// Whether the StatefulSet exists, and is not that of a deleted server of the same name.
pub(crate) fn exists(observed: &Observed) -> bool {
    let live = observed.stateful_set.found();
    live.is_some_and(|live| owner(&live.metadata, &observed.server) != Owner::Predecessor)
}

/// The value with which the user requests new Secrets ([`names::ROTATE_SECRETS_ANNOTATION`]).
#[must_use]
pub fn requested(server: &DittoServer) -> Option<&str> {
    let value = server.annotations().get(names::ROTATE_SECRETS_ANNOTATION)?;
    Some(value.as_str()).filter(|value| !value.is_empty())
}

/// Whether the StatefulSet has not answered the request yet. It remembers the answer if the Secret is lost.
pub(crate) fn is_requested(observed: &Observed) -> bool {
    let annotations = observed.stateful_set.found().map(|live| live.annotations());
    let answered = annotations.and_then(|annotations| annotations.get(names::ROTATED_FOR_ANNOTATION));
    requested(&observed.server).is_some_and(|value| answered.is_none_or(|answered| answered != value))
}

/// Whether the server used a key from the user's own Secret until now: then none was ever generated.
fn had_another_key(observed: &Observed) -> bool {
    let generated = names::jwt_secret(&observed.server.name_any());
    let live = observed.stateful_set.found();
    let secret = live.and_then(|live| pod_template::secret_of(live, Purpose::JwtKey));
    secret.is_some_and(|secret| secret != generated)
}

/// The managed Secrets that are missing, by their purpose.
pub fn missing<'u>(observed: &Observed, uses: &'u [SecretUse]) -> impl Iterator<Item = &'u SecretUse> {
    let is_missing = |used: &&SecretUse| {
        used.origin == Origin::Managed && matches!(observed.secrets.get(&used.secret), Some(Read::Missing))
    };
    uses.iter().filter(is_missing)
}

/// Whether data of this server or of an earlier one of its name exists: a volume, a database cluster without another owner, or the
/// Secret of the database user, which outlives its cluster. If that is unknown, the answer is yes.
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
        // It is not read if its CRD is not installed or Percona is disabled.
        Read::Unreadable(_) => observed.server.spec.percona_enabled(),
    }
}

fn has_user(observed: &Observed, server: &str) -> bool {
    let user = observed.secrets.get(&names::percona_user_secret(server));
    matches!(user, Some(Read::Found(_) | Read::Unreadable(_)))
}
