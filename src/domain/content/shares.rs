//! Shares, with their permissions and NFS exports.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::stores::Health;
use crate::api::quantity::nanos;
use crate::api::{PermissionLevel, ShareNfsSpec, ShareSpec};
use crate::domain::fields::{differing, present};

/// A share as the server shows it.
#[expect(clippy::struct_excessive_bools, reason = "the fields are those of the API")]
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct LiveShare {
    /// Name, with a slash.
    pub name: String,
    /// The remote store.
    pub remote_block_store_id: Option<String>,
    /// Whether clients may only read.
    pub read_only: bool,
    /// Whether clients may use it at all.
    pub enabled: bool,
    /// What everybody may do.
    pub default_permission: String,
    /// The limit, rounded: `10.00GiB`. Empty without a limit.
    pub quota_bytes: String,
    /// To whom the root directory belongs.
    pub owner_uid: Option<i64>,
    /// Whether deleted files are kept.
    pub trash_enabled: bool,
    /// For how many days.
    pub trash_retention_days: i64,
    /// Whether only administrators see them.
    pub trash_restrict_to_admin: bool,
    /// Whether it is loaded.
    pub status: Health,
}

/// The path of a share, which is its name as the server writes it: with one slash at its start.
#[must_use]
pub fn path(name: &str) -> String {
    format!("/{}", name.trim_start_matches('/'))
}

/// The body that makes a share.
#[must_use]
pub fn creation(share: &ShareSpec, metadata: &str, blocks: &str) -> Value {
    let mut body: Map<String, Value> = fields(share);
    body.insert("name".into(), json!(path(&share.name)));
    body.insert("metadata_store_id".into(), json!(metadata));
    body.insert("local_block_store".into(), json!(blocks));
    let texts = [
        ("owner", &share.owner),
        ("remote_block_store", &share.remote_store),
    ];
    for (field, text) in texts {
        if let Some(text) = text {
            body.insert(field.into(), json!(text));
        }
    }
    Value::Object(body)
}

/// The declared fields that the server does not have, without the remote store. `is_current`: the server has had this spec before. Otherwise
/// a quota is always written, since the server shows it rounded.
#[must_use]
pub fn update(share: &ShareSpec, live: &LiveShare, is_current: bool) -> Map<String, Value> {
    let mut body = fields(share);
    body.retain(|field, value| !has(live, field, value) || (field == "quota_bytes" && !is_current));
    body
}

fn has(live: &LiveShare, field: &str, value: &Value) -> bool {
    match field {
        "read_only" => *value == live.read_only,
        "default_permission" => *value == live.default_permission,
        "quota_bytes" => value.as_str().and_then(shown) == Some(live.quota_bytes.clone()),
        "trash_enabled" => *value == live.trash_enabled,
        "trash_retention_days" => *value == live.trash_retention_days,
        "trash_restrict_to_admin" => *value == live.trash_restrict_to_admin,
        _ => false,
    }
}

fn fields(share: &ShareSpec) -> Map<String, Value> {
    let trash = share.trash.as_ref();
    let level = share.default_permission.map(PermissionLevel::as_str);
    present([
        ("read_only", share.read_only.map(Value::from)),
        ("default_permission", level.map(Value::from)),
        (
            "quota_bytes",
            share.quota.as_deref().and_then(bytes).map(Value::from),
        ),
        (
            "trash_enabled",
            trash.and_then(|trash| trash.enabled).map(Value::from),
        ),
        (
            "trash_retention_days",
            trash.and_then(|trash| trash.retention_days).map(Value::from),
        ),
        (
            "trash_restrict_to_admin",
            trash.and_then(|trash| trash.restrict_to_admin).map(Value::from),
        ),
    ])
}

/// A size in bytes, as the API takes it. A part of a byte is a byte, as for Kubernetes: 0 would be no limit.
fn bytes(quantity: &str) -> Option<String> {
    const NANO: i128 = 1_000_000_000;
    let bytes = u64::try_from((nanos(quantity)? + NANO - 1) / NANO).ok()?;
    Some(bytes.to_string())
}

/// A number of bytes as the server shows it. It rounds to hundredths of a unit, so a change that is smaller is not noticed there.
#[expect(clippy::cast_precision_loss, reason = "the server computes in the same way")]
fn shown(bytes: &str) -> Option<String> {
    const UNITS: [(u64, &str); 4] = [
        (1 << 40, "TiB"),
        (1 << 30, "GiB"),
        (1 << 20, "MiB"),
        (1 << 10, "KiB"),
    ];
    let bytes: u64 = bytes.parse().ok()?;
    if bytes == 0 {
        return Some(String::new());
    }
    let unit = UNITS.iter().find(|(size, _)| bytes >= *size);
    Some(unit.map_or_else(
        || format!("{bytes}B"),
        |(size, name)| format!("{:.2}{name}", bytes as f64 / *size as f64),
    ))
}

/// Names in the status that the operator limits the clients of a share.
pub const CLIENTS: &str = "nfs/clients";

/// Whether a share limits its clients.
#[must_use]
pub fn limits_clients(share: &ShareSpec) -> bool {
    share
        .nfs
        .as_ref()
        .is_some_and(|nfs| !nfs.allowed_clients.is_empty())
}

/// What the status may name of a share: what the operator makes, or is about to.
#[must_use]
pub fn nameable(share: &ShareSpec) -> BTreeSet<String> {
    let clients = limits_clients(share).then(|| CLIENTS.to_owned());
    grants(share).into_keys().chain(clients).collect()
}

/// The permissions that a share declares: `user/<name>` or `group/<name>`, with their levels.
#[must_use]
pub fn grants(share: &ShareSpec) -> BTreeMap<String, PermissionLevel> {
    let Some(permissions) = &share.permissions else {
        return BTreeMap::new();
    };
    let of = |kind: &'static str, levels: &BTreeMap<String, PermissionLevel>| {
        let named = levels
            .iter()
            .map(move |(name, level)| (grant(kind, name), *level));
        named.collect::<Vec<_>>()
    };
    let users = of("user", &permissions.users);
    users
        .into_iter()
        .chain(of("group", &permissions.groups))
        .collect()
}

fn grant(kind: &str, name: &str) -> String {
    format!("{kind}/{name}")
}

/// A permission as the server shows it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct LiveGrant {
    /// `user`, `group`, or `sid` for a name of a directory.
    #[serde(rename = "type")]
    pub kind: String,
    /// Name.
    pub name: String,
    /// Level.
    pub level: String,
    /// Whether a name of a directory is that of a group.
    pub is_group: bool,
}

impl LiveGrant {
    /// As the spec names it. A directory may put its own name before or behind that of a user, and does not distinguish case.
    fn key(&self) -> String {
        if self.kind != "sid" {
            return grant(&self.kind, &self.name);
        }
        let kind = if self.is_group { "group" } else { "user" };
        grant(kind, &plain(&self.name))
    }
}

/// The name of a user of a directory without the name of the directory.
fn plain(name: &str) -> String {
    let name = name.rsplit('\\').next().unwrap_or(name);
    name.split('@').next().unwrap_or(name).to_lowercase()
}

/// A step that brings permissions closer to the spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrantChange {
    /// Only name it in the status: the operator is about to give it. One that the server has already was given by a person, and stays when
    /// it leaves the spec.
    Announce(String),
    /// Give this level.
    Set(String, PermissionLevel),
    /// Take the permission back: the operator gave it, and the spec does not have it any more.
    Remove(String),
}

/// The steps that are needed; what is taken back is first. `known` is what the status names.
#[must_use]
pub fn grant_changes(share: &ShareSpec, known: &[String], live: &[LiveGrant]) -> Vec<GrantChange> {
    let wanted = grants(share);
    let live: BTreeMap<String, &str> = live
        .iter()
        .map(|live| (live.key(), live.level.as_str()))
        .collect();
    let level_of = |grant: &String| {
        let of_directory = || {
            let (kind, name) = grant.split_once('/')?;
            live.get(&self::grant(kind, &plain(name)))
        };
        live.get(grant).or_else(of_directory).copied()
    };
    let steps = wanted.iter().filter_map(|(grant, level)| match level_of(grant) {
        Some(found) if found == level.as_str() => None,
        None if !known.contains(grant) => Some(GrantChange::Announce(grant.clone())),
        _ => Some(GrantChange::Set(grant.clone(), *level)),
    });
    let removals = known
        .iter()
        .filter(|grant| *grant != CLIENTS && !wanted.contains_key(*grant));
    removals
        .map(|grant| GrantChange::Remove(grant.clone()))
        .chain(steps)
        .collect()
}

/// The netgroup of a share, which has its allowed clients.
#[must_use]
pub fn netgroup(share: &str) -> String {
    format!("dittoserver-share-{share}")
}

/// The type of a member of a netgroup.
#[must_use]
pub fn member_kind(client: &str) -> &'static str {
    let is_address =
        |client: &str| client.contains(':') || client.chars().all(|c| c.is_ascii_digit() || c == '.');
    if client.contains('/') {
        "cidr"
    } else if is_address(client) {
        "ip"
    } else {
        "hostname"
    }
}

/// The fields of the NFS export that the server does not have. `netgroup` is the name of the one that the export must have, or empty
/// for none; `None` leaves it.
#[must_use]
pub fn export_update(nfs: &ShareNfsSpec, netgroup: Option<&str>, live: &Value) -> Map<String, Value> {
    let squash = nfs.squash.map(|squash| json!(squash));
    let level = nfs.min_kerberos_level.map(|level| json!(level));
    let declared = present([
        ("squash", squash),
        ("anonymous_uid", nfs.anonymous_uid.map(Value::from)),
        ("anonymous_gid", nfs.anonymous_gid.map(Value::from)),
        ("require_kerberos", nfs.require_kerberos.map(Value::from)),
        ("min_kerberos_level", level),
        ("netgroup", netgroup.map(Value::from)),
    ]);
    differing(declared, live)
}

/// The fields of an export that the server reads when it loads the share: at its start, and when the share is made.
const READ_AT_START: [&str; 2] = ["require_kerberos", "min_kerberos_level"];

/// Whether an update of an export has a field that the server uses after its next start only.
#[must_use]
pub fn is_read_at_start(update: &Map<String, Value>) -> bool {
    READ_AT_START.iter().any(|field| update.contains_key(*field))
}

/// The fields of [`is_read_at_start`] with which the server makes a share.
#[must_use]
pub fn of_new_share() -> Value {
    json!({"require_kerberos": false, "min_kerberos_level": "krb5"})
}
