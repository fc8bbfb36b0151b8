//! The Secrets that the operator generates.
//!
//! Their values end up in the server's volumes or database, so a Secret is made once and never again while a server
//! exists: a new signing key would end every session, and a new password would not be the one that is stored.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;

use super::meta;
use crate::api::{defaults, names};
use crate::observe::{Observed, Read};
use crate::secrets::{Origin, Purpose, SecretUse};

/// The managed Secrets that are to be created.
pub(super) fn build(observed: &Observed, uses: &[SecretUse]) -> Vec<Secret> {
    if !matches!(observed.stateful_set, Read::Missing) {
        return Vec::new();
    }
    uses.iter()
        .filter(|used| used.origin == Origin::Managed)
        .filter(|used| matches!(observed.secrets.get(&used.secret), Some(Read::Missing)))
        .filter_map(|used| Some((used, content(observed, used.purpose)?)))
        // Without random bytes there is no value, and an empty Secret would stay empty.
        .filter(|(_, (value, _))| !value.is_empty())
        .map(|(used, content)| secret(observed, used, content))
        .collect()
}

/// The content of a managed Secret, but for the key that the use names.
fn content(observed: &Observed, purpose: Purpose) -> Option<(&str, BTreeMap<String, ByteString>)> {
    match purpose {
        Purpose::JwtKey => Some((&observed.fresh.jwt_key, BTreeMap::new())),
        Purpose::AdminPassword => Some((
            &observed.fresh.admin_password,
            BTreeMap::from([(names::USERNAME_KEY.to_owned(), bytes(defaults::ADMIN_USERNAME))]),
        )),
        _ => None,
    }
}

fn secret(
    observed: &Observed,
    used: &SecretUse,
    (value, mut data): (&str, BTreeMap<String, ByteString>),
) -> Secret {
    data.insert(used.key.clone(), bytes(value));
    Secret {
        metadata: meta::kept(&observed.server, used.secret.clone()),
        data: Some(data),
        ..Secret::default()
    }
}

fn bytes(text: &str) -> ByteString {
    ByteString(text.as_bytes().to_vec())
}

/// The value of a use in Secrets that are to be created.
pub(super) fn value<'s>(secrets: &'s [Secret], used: &SecretUse) -> Option<&'s [u8]> {
    let secret = secrets
        .iter()
        .find(|secret| secret.metadata.name.as_ref() == Some(&used.secret))?;
    Some(secret.data.as_ref()?.get(&used.key)?.0.as_slice())
}
