//! The Secrets that the operator generates, and the changes of existing ones.
//!
//! A Secret is created once. Its value is never changed, except the signing key when the user requests a new one. Secrets of the Go
//! operator lose their owner reference: they must outlive the server like the data that knows their values.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::ResourceExt;

use super::meta;
use crate::api::{DittoServer, defaults, names};
use crate::domain::observed::{Observed, Read};
use crate::domain::ownership::{Owner, controller, is_server, owner};
use crate::domain::secrets::{self, Origin, Purpose, SecretData, SecretUse, generation};
use crate::domain::validate::{PodGate, Valid};

/// A change of an existing Secret. UID and resource version are preconditions: a Secret that changed after it was read is read
/// again.
#[derive(Clone, PartialEq)]
pub struct SecretChange {
    /// Its name.
    pub name: String,
    /// Its UID, as observed.
    pub uid: Option<String>,
    /// Its version, as observed.
    pub resource_version: Option<String>,
    /// Whether the API server refuses other values in it.
    pub is_immutable: bool,
    /// What to do.
    pub action: SecretAction,
}

/// What to do with a Secret.
#[derive(Clone, PartialEq)]
pub enum SecretAction {
    /// One patch. What is `None` or empty does not change.
    Patch {
        /// The remaining owner references.
        owner_references: Option<Vec<OwnerReference>>,
        /// Labels that are set.
        labels: BTreeMap<String, String>,
        /// Keys that get a value.
        data: BTreeMap<String, ByteString>,
        /// The request that the new key answers ([`names::ROTATED_FOR_ANNOTATION`]).
        rotated_for: Option<String>,
    },
    /// Delete it: its values have been copied.
    Delete,
}

/// Never prints a value.
impl fmt::Debug for SecretChange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let action = match &self.action {
            SecretAction::Patch { rotated_for, .. } => format!("patch, rotated for {rotated_for:?}"),
            SecretAction::Delete => "delete".into(),
        };
        write!(formatter, "Secret {}: {action}", self.name)
    }
}

impl SecretChange {
    /// Whether it needs a value that an immutable Secret cannot get.
    #[must_use]
    pub fn is_impossible(&self) -> bool {
        let has_values = matches!(&self.action, SecretAction::Patch { data, .. } if !data.is_empty());
        self.is_immutable && has_values
    }
}

/// What to do with the Secrets of one server.
#[derive(Debug, Default)]
pub(super) struct SecretPlan {
    pub(super) create: Vec<Secret>,
    pub(super) change: Vec<SecretChange>,
    /// Names of those that are missing and are not generated for a new server.
    pub(super) not_generated: Vec<String>,
}

/// Plans what to do.
pub(super) fn plan(valid: &Valid<'_>) -> SecretPlan {
    let observed = valid.observed;
    let create: Vec<Secret> = generation::missing(observed, &valid.uses)
        .filter_map(|used| created(observed, used))
        .collect();
    let is_omitted = |used: &&SecretUse| {
        let is_created = |secret: &Secret| secret.metadata.name.as_ref() == Some(&used.secret);
        used.optional && !generation::exists(observed) && !create.iter().any(is_created)
    };
    let not_generated = generation::missing(observed, &valid.uses)
        .filter(is_omitted)
        .map(|used| used.secret.clone())
        .collect();
    let change = secrets::kept(&observed.server)
        .iter()
        .filter_map(|name| change(valid, name))
        .collect();
    SecretPlan {
        create,
        change,
        not_generated,
    }
}

/// A Secret to create: with the values of its predecessor, or with new ones if that is allowed.
fn created(observed: &Observed, used: &SecretUse) -> Option<Secret> {
    let mut metadata = meta::kept(&observed.server, used.secret.clone());
    let data = match used.purpose {
        Purpose::AdminPassword => legacy_values(observed).or_else(|| fresh_password(observed, used))?,
        Purpose::JwtKey => {
            // A request that is older than the key does not need a second key.
            metadata.annotations = generation::requested(&observed.server)
                .map(|value| BTreeMap::from([(names::ROTATED_FOR_ANNOTATION.to_owned(), value.to_owned())]));
            fresh_key(observed, used)?
        }
        _ => return None,
    };
    Some(Secret {
        metadata,
        data: Some(data),
        ..Secret::default()
    })
}

type Values = BTreeMap<String, ByteString>;

/// Without random bytes there is no value, and an empty Secret would stay empty.
fn fresh(observed: &Observed, used: &SecretUse, value: &str) -> Option<Values> {
    let is_possible = generation::is_allowed(observed, used.purpose) && !value.is_empty();
    is_possible.then(|| BTreeMap::from([(used.key.clone(), bytes(value))]))
}

fn fresh_key(observed: &Observed, used: &SecretUse) -> Option<Values> {
    fresh(observed, used, &observed.fresh.jwt_key)
}

fn fresh_password(observed: &Observed, used: &SecretUse) -> Option<Values> {
    let mut values = fresh(observed, used, &observed.fresh.admin_password)?;
    values.insert(names::USERNAME_KEY.to_owned(), bytes(defaults::ADMIN_USERNAME));
    Some(values)
}

/// The credentials in the Secret of an old Go operator (contract, section 2.1).
fn legacy_values(observed: &Observed) -> Option<Values> {
    let legacy = legacy(observed)?;
    let password = legacy.value(names::PASSWORD_KEY)?;
    let username = legacy
        .value(names::USERNAME_KEY)
        .unwrap_or(defaults::ADMIN_USERNAME.as_bytes());
    Some(BTreeMap::from([
        (names::USERNAME_KEY.to_owned(), ByteString(username.to_vec())),
        (names::PASSWORD_KEY.to_owned(), ByteString(password.to_vec())),
    ]))
}

/// The Secret under its former name, unless it has another controller.
fn legacy(observed: &Observed) -> Option<&SecretData> {
    let name = names::legacy_admin_secret(&observed.server.name_any());
    let legacy = observed.secrets.get(&name)?.found()?;
    (!is_of_others(legacy, &observed.server)).then_some(legacy)
}

fn change(valid: &Valid<'_>, name: &str) -> Option<SecretChange> {
    let observed = valid.observed;
    let secret = observed.secrets.get(name)?.found()?;
    let action = if name == names::legacy_admin_secret(&observed.server.name_any()) {
        is_copied_legacy(observed, secret).then_some(SecretAction::Delete)?
    } else {
        patch(valid, name, secret)?
    };
    let metadata = secret.metadata();
    Some(SecretChange {
        name: name.to_owned(),
        uid: metadata.uid.clone(),
        resource_version: metadata.resource_version.clone(),
        is_immutable: secret.is_immutable(),
        action,
    })
}

/// Whether an operator created the Secret under its former name, and the new one has its password.
fn is_copied_legacy(observed: &Observed, secret: &SecretData) -> bool {
    let server = observed.server.name_any();
    if owner(secret.metadata(), &observed.server) != Owner::Us {
        return false;
    }
    let password = |data: &SecretData| data.value(names::PASSWORD_KEY).map(<[u8]>::to_vec);
    let copy = observed.secrets.get(&names::admin_bootstrap_secret(&server));
    let copied = copy.and_then(Read::found).and_then(password);
    copied.is_some() && copied == password(secret)
}

fn patch(valid: &Valid<'_>, name: &str, secret: &SecretData) -> Option<SecretAction> {
    let server = &valid.observed.server;
    if is_of_others(secret, server) {
        return None;
    }
    let owner_references = released(secret.metadata());
    let used = valid
        .uses
        .iter()
        .find(|used| used.secret == name && used.origin == Origin::Managed);
    let rotated_for = used.and_then(|used| rotation(valid, used, secret));
    let data = match used {
        Some(used) if rotated_for.is_some() => {
            BTreeMap::from([(used.key.clone(), bytes(&valid.observed.fresh.jwt_key))])
        }
        Some(used) if used.purpose == Purpose::AdminPassword && secret.value(&used.key).is_none() => {
            legacy_values(valid.observed).unwrap_or_default()
        }
        _ => BTreeMap::new(),
    };
    if owner_references.is_none() && data.is_empty() {
        return None;
    }
    Some(SecretAction::Patch {
        owner_references,
        labels: meta::kept(server, String::new()).labels.unwrap_or_default(),
        data,
        rotated_for,
    })
}

/// The request that a new key must answer. A new key needs a restart, so a pod that must not be changed keeps its key.
fn rotation(valid: &Valid<'_>, used: &SecretUse, secret: &SecretData) -> Option<String> {
    let server = &valid.observed.server;
    let asked = generation::requested(server)?;
    let annotations = secret.metadata().annotations.as_ref();
    let answered = annotations.and_then(|annotations| annotations.get(names::ROTATED_FOR_ANNOTATION));
    // A key that was restored manually answers no request; the StatefulSet remembers which one was answered. Without a StatefulSet,
    // the annotation or the labels of this operator distinguish the key of an earlier server from a restored one.
    let is_new = match valid.observed.stateful_set {
        Read::Found(_) => generation::is_requested(valid.observed),
        Read::Missing | Read::Unreadable(_) => {
            answered.is_some() || owner(secret.metadata(), server) == Owner::Orphan
        }
    };
    let is_due = used.purpose == Purpose::JwtKey
        && is_new
        && valid.pod == PodGate::Open
        && !valid.observed.fresh.jwt_key.is_empty()
        && answered.is_none_or(|answered| answered != asked);
    is_due.then(|| asked.to_owned())
}

/// The owner references without those to a DittoServer; `None` if there is none to remove.
fn released(metadata: &ObjectMeta) -> Option<Vec<OwnerReference>> {
    let references = metadata.owner_references.as_deref().unwrap_or_default();
    let others: Vec<OwnerReference> = references
        .iter()
        .filter(|reference| !is_server(reference))
        .cloned()
        .collect();
    (others.len() < references.len()).then_some(others)
}

/// Whether the Secret has another controller. Then it is used, and never written.
fn is_of_others(secret: &SecretData, server: &DittoServer) -> bool {
    controller(secret.metadata()).is_some() && matches!(owner(secret.metadata(), server), Owner::Other(_))
}

fn bytes(text: &str) -> ByteString {
    ByteString(text.as_bytes().to_vec())
}

impl SecretPlan {
    /// The value of a use after the plan is executed; `None` if it does not change.
    pub(super) fn value<'p>(&'p self, used: &SecretUse) -> Option<&'p [u8]> {
        let created = self
            .create
            .iter()
            .find(|secret| secret.metadata.name.as_ref() == Some(&used.secret))
            .and_then(|secret| secret.data.as_ref());
        let changed = self.change.iter().find_map(|change| match &change.action {
            SecretAction::Patch { data, .. } if change.name == used.secret => Some(data),
            _ => None,
        });
        let planned = created.or(changed)?;
        planned.get(&used.key).map(|value| value.0.as_slice())
    }
}
