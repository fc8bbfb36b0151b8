//! Users and groups.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Versioned, value};
use crate::api::{GroupSpec, UserSpec};
use crate::domain::fields::{differing, present};
use crate::domain::observed::Observed;
use crate::domain::secrets::Confidential;

/// Lengths of a password that the server accepts, in bytes.
const PASSWORD: std::ops::RangeInclusive<usize> = 8..=72;

/// A user of the spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Name.
    pub name: String,
    /// User number.
    pub uid: Option<i64>,
    /// Group number.
    pub gid: Option<i64>,
    /// Groups.
    pub groups: BTreeSet<String>,
    /// Name for people.
    pub display_name: Option<String>,
    /// Whether the user may sign in.
    pub enabled: Option<bool>,
    /// The password, or why it cannot be used.
    pub password: Result<Versioned<Confidential>, String>,
    /// Digest of the part of the spec.
    pub digest: String,
}

impl User {
    pub(super) fn of(spec: &UserSpec, observed: &Observed) -> Self {
        let reference = &spec.password_secret_ref;
        Self {
            name: spec.name.clone(),
            uid: spec.uid,
            gid: spec.gid,
            groups: spec.groups.iter().cloned().collect(),
            display_name: spec.display_name.clone(),
            enabled: spec.enabled,
            password: value(observed, &reference.name, &reference.key).and_then(checked),
            digest: super::digest(spec),
        }
    }

    pub(super) fn confidential(&self) -> Option<&Confidential> {
        self.password.as_ref().ok().map(|password| &password.value)
    }

    /// Whether the server has the password of the Secret. `sent` is the version of the one that it has.
    #[must_use]
    pub fn is_password_sent(&self, sent: Option<&String>) -> bool {
        let version = self.password.as_ref().ok().map(|password| &password.version);
        version.is_none_or(|version| sent == Some(version))
    }

    /// The body that makes the user. The memberships follow.
    #[must_use]
    pub fn creation(&self, password: &str) -> Value {
        let mut body = self.fields();
        body.insert("username".into(), json!(self.name));
        body.insert("password".into(), json!(password));
        Value::Object(body)
    }

    /// The declared fields that the server does not have; `None` if it has all of them. `has_number`: no other user has the declared uid.
    #[must_use]
    pub fn update(&self, live: &LiveUser, has_number: bool) -> Option<Value> {
        let mut body = differing(self.fields(), &json!(live));
        body.retain(|field, _| has_number || field != "uid");
        (!body.is_empty()).then_some(Value::Object(body))
    }

    fn fields(&self) -> Map<String, Value> {
        present([
            ("uid", self.uid.map(Value::from)),
            ("gid", self.gid.map(Value::from)),
            ("display_name", self.display_name.clone().map(Value::from)),
            ("enabled", self.enabled.map(Value::from)),
        ])
    }
}

fn checked(password: Versioned<Confidential>) -> Result<Versioned<Confidential>, String> {
    let length = password.value.0.len();
    if !PASSWORD.contains(&length) {
        return Err(format!(
            "the password has {length} bytes, and the server accepts {} to {}: change the Secret",
            PASSWORD.start(),
            PASSWORD.end()
        ));
    }
    if std::str::from_utf8(&password.value.0).is_err() {
        return Err("the password is not UTF-8 text: change the Secret".into());
    }
    Ok(password)
}

/// A user as the server shows it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LiveUser {
    /// Name.
    pub username: String,
    /// Name for people.
    pub display_name: String,
    /// User number.
    pub uid: Option<i64>,
    /// Group number.
    pub gid: Option<i64>,
    /// Groups. `null` while there are none.
    pub groups: Option<Vec<String>>,
    /// Whether the user may sign in.
    pub enabled: bool,
}

impl LiveUser {
    /// Whether the user is in a group.
    #[must_use]
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().flatten().any(|name| name == group)
    }
}

/// A group as the server shows it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct LiveGroup {
    /// Name.
    pub name: String,
    /// Number.
    pub gid: Option<i64>,
}

/// The body that makes a group.
#[must_use]
pub fn group_creation(group: &GroupSpec) -> Value {
    match group.gid {
        Some(gid) => json!({"name": group.name, "gid": gid}),
        None => json!({"name": group.name}),
    }
}

/// The body that gives a group its number; `None` if it has it.
#[must_use]
pub fn group_update(group: &GroupSpec, live: &LiveGroup) -> Option<Value> {
    let gid = group.gid.filter(|gid| live.gid != Some(*gid))?;
    Some(json!({"gid": gid}))
}
