//! Field ownership: which fields of other field managers become ours before an apply.
//!
//! Server-side apply removes a field that leaves the desired object only if no other field manager owns it. So fields that are
//! ours, and are recorded under another manager or operation, would stay forever; and next to the desired ones the API server
//! may refuse them. They are moved to our `Apply` entry first:
//!
//! - What we created. Only a plain POST can create an object and never touch an existing one, so children are created with it, and
//!   recorded under operation `Update`. The entry is renamed, as client-go's `csaupgrade` does. See the Kubernetes documentation
//!   of server-side apply, "Upgrading from client-side apply".
//! - What the Go operator wrote with PUT. Its field manager is the name of its binary, so it is recognized by what it wrote. The
//!   same happens if it comes back and writes again.
//! - A copy of a child of ours, for example a restore: another manager owns the annotation with the hash of our last apply.
//!   The parts that this operator makes (`scope.rs`) become ours; sidecars and annotations of others stay theirs.
//! - Items with a name of ours that are not desired: another program added a port or a variable that this operator makes in another
//!   configuration, for example the Go operator its ports for discovery.
//! - If the API server refuses what is desired: fields of any other manager in these parts (`kubectl set env` sets `value`
//!   next to our `valueFrom`).

mod scope;

pub(super) use self::scope::{is_item, leftovers};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry, ObjectMeta};
use serde_json::{Map, Value};

use crate::api::DittoServer;
use crate::api::names::{self, FIELD_MANAGER};
use crate::domain::ownership::{Owner, owner};

/// Fields that stay in the Go operator's entry, and so keep their value. A PerconaPGCluster keeps its `crVersion`: without one,
/// Percona's operator sets its own version, and upgrades the running database to it.
const NOT_MOVED: [[&str; 2]; 1] = [["f:spec", "f:crVersion"]];

/// From which other managers fields are moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// From the Go operator, from those that copied the object, and what has a name of ours and is not desired.
    Copies,
    /// From all. For an object that the API server refuses otherwise.
    Everyone,
}

/// A child as it is in the cluster.
pub(super) struct Child<'a> {
    /// Its kind.
    pub(super) kind: &'a str,
    /// Its metadata.
    pub(super) metadata: &'a ObjectMeta,
    /// All of its fields.
    pub(super) fields: &'a Value,
}

/// The part of an entry that moves, and the part that stays.
struct Share {
    moved: Value,
    remaining: Value,
}

/// The entries of a child of `server` with everything that is ours in our `Apply` entry; `None` if there is nothing to move.
#[must_use]
pub(super) fn taken_over(
    child: &Child<'_>,
    server: &DittoServer,
    desired: &Value,
    reach: Reach,
) -> Option<Vec<ManagedFieldsEntry>> {
    let entries = child.metadata.managed_fields.as_deref().unwrap_or_default();
    let predecessors = predecessors(child.metadata, server);
    upgraded(entries, FIELD_MANAGER, |entry| {
        let fields = &entry.fields_v1.as_ref()?.0;
        let is_predecessor = predecessors.contains(&entry.manager.as_deref());
        let share = if is_predecessor && entry.operation.as_deref() == Some("Update") {
            share_of_predecessor(fields)
        } else if reach == Reach::Everyone || has(fields, &APPLIED_HASH) {
            scope::share(child.kind, fields, child.fields)
        } else {
            scope::share_of_leftovers(child.kind, fields, child.fields, desired)
        };
        (!is_empty(&share.moved)).then_some(share)
    })
}

/// Our entry and its position, if no one else has ever set a field of the object outside of its subresources. Then there is nothing to
/// take over from others.
#[must_use]
pub(super) fn only_entry(metadata: &ObjectMeta) -> Option<(usize, &ManagedFieldsEntry)> {
    let entries = metadata.managed_fields.iter().flatten().enumerate();
    let mut of_object = entries.filter(|(_, entry)| has_no_subresource(entry));
    let only = of_object.next().filter(|_| of_object.next().is_none());
    only.filter(|(_, entry)| entry.manager.as_deref() == Some(FIELD_MANAGER))
}

/// The annotation with the hash of our last apply.
const APPLIED_HASH: [&str; 3] = ["f:metadata", "f:annotations", "f:dittofs.io/applied-hash"];
/// The hash on the pod template. Only this operator and the Go operator set it.
const CONFIG_HASH: [&str; 5] = [
    "f:spec",
    "f:template",
    "f:metadata",
    "f:annotations",
    "f:dittofs.io/config-hash",
];

/// The managers as which the Go operator wrote a child.
///
/// On a child that we have not applied yet, they set the owner reference or the hash on the pod template. On another child,
/// they set the hash after our last apply: we own it otherwise.
fn predecessors<'a>(live: &'a ObjectMeta, server: &DittoServer) -> Vec<Option<&'a str>> {
    if owner(live, server) != Owner::Us {
        return Vec::new();
    }
    let annotations = live.annotations.as_ref();
    let is_known =
        annotations.is_some_and(|annotations| annotations.contains_key(names::APPLIED_HASH_ANNOTATION));
    let owner_reference = format!("k:{{\"uid\":{}}}", Value::from(server.metadata.uid.clone()));
    let owner_reference = ["f:metadata", "f:ownerReferences", &owner_reference];
    let entries = live.managed_fields.iter().flatten();
    entries
        .filter(|entry| is_update(entry) && entry.manager.as_deref() != Some(FIELD_MANAGER))
        .filter(|entry| {
            let fields = entry.fields_v1.as_ref().map(|fields| &fields.0);
            fields
                .is_some_and(|fields| has(fields, &CONFIG_HASH) || !is_known && has(fields, &owner_reference))
        })
        .map(|entry| entry.manager.as_deref())
        .collect()
}

fn has(fields: &Value, path: &[&str]) -> bool {
    path.iter().try_fold(fields, |node, key| node.get(key)).is_some()
}

fn is_empty(fields: &Value) -> bool {
    fields.as_object().is_none_or(Map::is_empty)
}

/// The entries with those of operation `Update` moved into our `Apply` entry, or `None` if there is nothing to move. `share`
/// says what moves of another manager's entry.
///
/// If we have an `Apply` entry, our `Update` entry is older and is dropped; what moves from others is merged into it.
fn upgraded(
    entries: &[ManagedFieldsEntry],
    ours: &str,
    share: impl Fn(&ManagedFieldsEntry) -> Option<Share>,
) -> Option<Vec<ManagedFieldsEntry>> {
    let is_ours = |entry: &ManagedFieldsEntry| entry.manager.as_deref() == Some(ours);
    let mut applied = entries.iter().find(|entry| is(entry, ours, "Apply")).cloned();
    let had_apply = applied.is_some();
    let mut has_moved = false;
    let mut kept: Vec<ManagedFieldsEntry> = Vec::with_capacity(entries.len());
    for entry in entries {
        if is(entry, ours, "Apply") {
            continue;
        }
        if is_ours(entry) && is_update(entry) {
            has_moved = true;
            if !had_apply {
                join(&mut applied, entry, ours);
            }
            continue;
        }
        let is_of_others = !is_ours(entry) && has_no_subresource(entry);
        let Some(share) = is_of_others.then(|| share(entry)).flatten() else {
            kept.push(entry.clone());
            continue;
        };
        has_moved = true;
        join(&mut applied, &with_fields(entry, share.moved), ours);
        if !is_empty(&share.remaining) {
            kept.push(with_fields(entry, share.remaining));
        }
    }
    has_moved.then(|| applied.into_iter().chain(kept).collect())
}

fn with_fields(entry: &ManagedFieldsEntry, fields: Value) -> ManagedFieldsEntry {
    ManagedFieldsEntry {
        fields_v1: Some(FieldsV1(fields)),
        ..entry.clone()
    }
}

fn is_update(entry: &ManagedFieldsEntry) -> bool {
    entry.operation.as_deref() == Some("Update") && has_no_subresource(entry)
}

fn has_no_subresource(entry: &ManagedFieldsEntry) -> bool {
    entry.subresource.as_deref().unwrap_or_default().is_empty()
}

fn is(entry: &ManagedFieldsEntry, manager: &str, operation: &str) -> bool {
    entry.manager.as_deref() == Some(manager)
        && entry.operation.as_deref() == Some(operation)
        && has_no_subresource(entry)
}

/// Adds the fields of `entry` to our `Apply` entry, which it becomes if there is none.
fn join(applied: &mut Option<ManagedFieldsEntry>, entry: &ManagedFieldsEntry, ours: &str) {
    match applied {
        None => {
            *applied = Some(ManagedFieldsEntry {
                manager: Some(ours.to_owned()),
                operation: Some("Apply".into()),
                ..entry.clone()
            });
        }
        Some(applied) => match (&mut applied.fields_v1, &entry.fields_v1) {
            (Some(fields), Some(more)) => unite(&mut fields.0, &more.0),
            (fields @ None, more) => fields.clone_from(more),
            (Some(_), None) => {}
        },
    }
}

/// The union of two field sets: each is a tree of objects.
fn unite(fields: &mut Value, more: &Value) {
    let (Some(fields), Some(more)) = (fields.as_object_mut(), more.as_object()) else {
        return;
    };
    for (key, value) in more {
        unite(
            fields
                .entry(key)
                .or_insert_with(|| Value::Object(serde_json::Map::new())),
            value,
        );
    }
}

/// Everything moves, except [`NOT_MOVED`].
fn share_of_predecessor(fields: &Value) -> Share {
    let mut moved = fields.clone();
    let mut remaining = Value::Object(Map::new());
    for [parent, field] in NOT_MOVED {
        let Some(fields) = moved.get_mut(parent).and_then(Value::as_object_mut) else {
            continue;
        };
        if let Some(taken) = fields.remove(field) {
            remaining[parent][field] = taken;
        }
        if fields.is_empty() {
            moved.as_object_mut().and_then(|moved| moved.remove(parent));
        }
    }
    Share { moved, remaining }
}

#[cfg(test)]
mod tests;
