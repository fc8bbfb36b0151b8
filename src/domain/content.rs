//! What the spec declares inside the server: users, groups, remote stores and shares.
//!
//! The operator makes what is missing and writes declared fields that differ; `server/content.rs` makes the calls. Nothing that holds
//! data is deleted. Memberships and permissions that the operator made, and only those, are removed when they leave the spec: the
//! status names them before they are made, so that an operator that dies between the two loses none.
//!
//! | file | what is in it |
//! |---|---|
//! | `content/users.rs` | users and groups, compared with those of the server |
//! | `content/stores.rs` | stores, compared with those of the server |
//! | `content/shares.rs` | shares, their permissions and exports, compared with those of the server |
//! | `content/later.rs` | what the server uses after its next start only |
//! | `content/state.rs` | what the states of all of them have in common |
//! | `content/status.rs` | what the status says of all of them |
//! | `content/announced.rs` | what the status says before it is done on the server |

pub mod announced;
pub mod later;
pub mod shares;
pub mod state;
pub mod status;
pub mod stores;
pub mod users;

use serde::Serialize;

use self::state::find;
use self::status::ContentStatus;
use self::stores::RemoteStore;
use self::users::User;
use crate::api::{GroupSpec, ShareSpec};
use crate::domain::digest::Digest;
use crate::domain::observed::{Observed, Read};
use crate::domain::secrets::{Confidential, SecretData};

/// Name of the stores that the operator makes.
pub const STORE: &str = "default";
/// Reason of what is not ready because the server has not been asked yet.
pub const WAITING: &str = "Waiting";
/// Reason of what left the spec.
pub const NOT_DECLARED: &str = "NotDeclared";
/// Reason of what the server refuses.
pub const REFUSED: &str = "Refused";
/// Reason of what differs in a field that cannot change.
pub const CONFLICT: &str = "Conflict";
/// Reason of what needs a Secret, or a key in it, that cannot be used.
pub const SECRET_NOT_USABLE: &str = "SecretNotUsable";
/// Reason of what needs something else that is not ready.
pub const DEPENDENCY_NOT_READY: &str = "DependencyNotReady";
/// Reason of a share that the server has not loaded.
pub const NOT_LOADED: &str = "NotLoaded";
/// Reason of a share that somebody disabled on the server.
pub const DISABLED: &str = "Disabled";
/// Reason of a store that the server does not reach.
pub const UNHEALTHY: &str = "Unhealthy";

/// A value from a Secret, and the version of the Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned<T> {
    /// The value.
    pub value: T,
    /// UID and resource version of the Secret.
    pub version: String,
}

/// What the spec declares, with what the status says of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// Groups.
    pub groups: Vec<GroupSpec>,
    /// Users.
    pub users: Vec<User>,
    /// Remote stores.
    pub remote_stores: Vec<RemoteStore>,
    /// Shares.
    pub shares: Vec<ShareSpec>,
    /// What the status says of all of them, and of those that left the spec.
    pub known: ContentStatus,
}

impl Content {
    /// What a server declares; `None` if it declares nothing, and the status names nothing.
    #[must_use]
    pub fn of(observed: &Observed) -> Option<Self> {
        let server = observed.server.as_ref();
        let spec = &server.spec;
        let known = server
            .status
            .as_ref()
            .map(ContentStatus::of_status)
            .unwrap_or_default();
        let is_empty = spec.users.is_empty()
            && spec.groups.is_empty()
            && spec.remote_stores.is_empty()
            && spec.shares.is_empty();
        if is_empty && known.is_empty() {
            return None;
        }
        Some(Self {
            groups: spec.groups.clone(),
            users: spec.users.iter().map(|user| User::of(user, observed)).collect(),
            remote_stores: spec
                .remote_stores
                .iter()
                .map(|store| RemoteStore::of(store, observed))
                .collect(),
            shares: spec.shares.clone(),
            known,
        })
    }

    /// Whether a comparison with `before` shows nothing new. What the status has learnt since is no reason to look again, except for
    /// something to remove.
    #[must_use]
    pub fn is_same(&self, before: &Self) -> bool {
        !self.has_leftover()
            && self.groups == before.groups
            && self.shares == before.shares
            && self.users == before.users
            && self.remote_stores == before.remote_stores
    }

    /// Whether a permission or membership is to be removed.
    fn has_leftover(&self) -> bool {
        let grants = self.shares.iter().any(|share| {
            let known = find(&self.known.shares, &share.name);
            let wanted = shares::nameable(share);
            known.is_some_and(|known| known.grants.iter().any(|grant| !wanted.contains(grant)))
        });
        let memberships = self.users.iter().any(|user| {
            let known = find(&self.known.users, &user.name);
            known.is_some_and(|known| known.groups.iter().any(|group| !user.groups.contains(group)))
        });
        grants || memberships
    }

    /// The values that no text may show.
    pub fn confidential(&self) -> impl Iterator<Item = &Confidential> {
        let passwords = self.users.iter().filter_map(User::confidential);
        passwords.chain(self.remote_stores.iter().flat_map(RemoteStore::confidential))
    }
}

/// The digest of a part of the spec. It contains no value of a Secret.
#[must_use]
pub fn digest(spec: &impl Serialize) -> String {
    const DIGITS: usize = 16;
    let mut digest = Digest::default();
    // A part of the spec always serializes.
    digest.add(&serde_json::to_vec(spec).unwrap_or_default());
    let mut digits = digest.hex();
    digits.truncate(DIGITS);
    digits
}

/// The value of a key of a Secret, or why it cannot be used.
fn value(observed: &Observed, secret: &str, key: &str) -> Result<Versioned<Confidential>, String> {
    let data = secret_data(observed, secret)?;
    let value = data
        .value(key)
        .ok_or_else(|| format!("Secret {secret} has no key {key}, or it is empty: add it"))?;
    Ok(Versioned {
        value: Confidential(value.into()),
        version: version(data),
    })
}

fn secret_data<'a>(observed: &'a Observed, secret: &str) -> Result<&'a SecretData, String> {
    match observed.secrets.get(secret) {
        Some(Read::Found(data)) => Ok(data),
        Some(Read::Missing) => Err(format!("Secret {secret} does not exist: create it")),
        Some(Read::Unreadable(error)) => Err(format!("Secret {secret} cannot be read: {error}")),
        None => Err(format!("Secret {secret} has not been read yet")),
    }
}

/// UID and resource version: a Secret that was deleted and made again counts as changed.
fn version(data: &SecretData) -> String {
    let metadata = data.metadata();
    let uid = metadata.uid.as_deref().unwrap_or_default();
    let version = metadata.resource_version.as_deref().unwrap_or_default();
    format!("{}/{version}", uid.split('-').next().unwrap_or_default())
}

#[cfg(test)]
mod tests;
