//! Field ownership of a child that was not created by server-side apply.
//!
//! Only a plain POST can create an object and never touch an existing one, so children are created with it. The API server
//! then records our fields under operation `Update`, while server-side apply records them under `Apply`. A field that leaves
//! the desired object would stay, owned by the `Update` entry. So before the first apply the entry is renamed, as client-go's
//! `csaupgrade` does. See the Kubernetes documentation of server-side apply, "Upgrading from client-side apply".
//!
//! The Go operator wrote with PUT, as field manager `manager`. Its fields become ours in the same way: the next apply removes
//! what it set and we do not want (a variable, an init container, ports). The same happens if it comes back and writes again.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry, ObjectMeta};
use serde_json::Value;

use crate::api::DittoServer;
use crate::api::names::{self, FIELD_MANAGER};
use crate::domain::ownership::{Owner, owner};

/// Fields that stay in the Go operator's entry, and so keep their value. A PerconaPGCluster keeps its `crVersion`: without one,
/// Percona's operator sets its own version, and upgrades the running database to it.
const NOT_MOVED: [[&str; 2]; 1] = [["f:spec", "f:crVersion"]];

/// Whose fields are moved.
#[derive(Clone, Copy, Debug)]
pub struct Managers<'a> {
    /// The field manager of our applies.
    pub ours: &'a str,
    /// Another field manager whose fields under operation `Update` become ours.
    pub predecessor: Option<&'a str>,
}

impl Managers<'static> {
    /// Whose fields are moved on this child of `server`.
    ///
    /// What the Go operator wrote becomes ours, so that its leftovers are removed. But only on a child of this server, and only
    /// once each time that it has written: other programs write under this name too.
    #[must_use]
    pub fn of(live: &ObjectMeta, server: &DittoServer) -> Self {
        let annotations = live.annotations.as_ref();
        let is_known =
            annotations.is_some_and(|annotations| annotations.contains_key(names::APPLIED_HASH_ANNOTATION));
        let is_theirs = (!is_known || has_returned(live)) && owner(live, server) == Owner::Us;
        Self {
            ours: FIELD_MANAGER,
            predecessor: is_theirs.then_some(names::GO_FIELD_MANAGER),
        }
    }
}

/// Whether the Go operator has written the pod template since our last apply: then it owns the hash in it. It always sets the
/// hash, and no other program does; after our next apply we own it again.
fn has_returned(live: &ObjectMeta) -> bool {
    let hash = format!("f:{}", names::CONFIG_HASH_ANNOTATION);
    let path = ["f:spec", "f:template", "f:metadata", "f:annotations", &hash];
    let entries = live.managed_fields.iter().flatten();
    entries
        .filter(|entry| is(entry, names::GO_FIELD_MANAGER, "Update"))
        .filter_map(|entry| entry.fields_v1.as_ref())
        .any(|fields| {
            path.iter()
                .try_fold(&fields.0, |node, key| node.get(key))
                .is_some()
        })
}

/// The entries with those of operation `Update` moved into our `Apply` entry, or `None` if there is nothing to move.
///
/// If we have an `Apply` entry, our `Update` entry is older and is dropped; the predecessor's is merged into it.
#[must_use]
pub fn upgraded(entries: &[ManagedFieldsEntry], managers: &Managers<'_>) -> Option<Vec<ManagedFieldsEntry>> {
    let updated_by = |entry: &ManagedFieldsEntry, manager: &str| is(entry, manager, "Update");
    let ours = |entry: &ManagedFieldsEntry| updated_by(entry, managers.ours);
    let theirs = |entry: &ManagedFieldsEntry| {
        managers
            .predecessor
            .is_some_and(|manager| updated_by(entry, manager) && !has_nothing_to_move(entry))
    };
    if !entries.iter().any(|entry| ours(entry) || theirs(entry)) {
        return None;
    }
    let mut kept: Vec<ManagedFieldsEntry> = Vec::with_capacity(entries.len());
    let mut applied = entries
        .iter()
        .find(|entry| is(entry, managers.ours, "Apply"))
        .cloned();
    let had_apply = applied.is_some();
    for entry in entries {
        if ours(entry) {
            if !had_apply {
                join(&mut applied, entry, managers.ours);
            }
        } else if theirs(entry) {
            let (moved, remaining) = split(entry);
            join(&mut applied, &moved, managers.ours);
            kept.extend(remaining);
        } else if !is(entry, managers.ours, "Apply") {
            kept.push(entry.clone());
        }
    }
    Some(applied.into_iter().chain(kept).collect())
}

fn is(entry: &ManagedFieldsEntry, manager: &str, operation: &str) -> bool {
    entry.manager.as_deref() == Some(manager)
        && entry.operation.as_deref() == Some(operation)
        && entry.subresource.as_deref().unwrap_or_default().is_empty()
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

/// Splits an entry into the part that moves and the part that stays, if any.
fn split(entry: &ManagedFieldsEntry) -> (ManagedFieldsEntry, Option<ManagedFieldsEntry>) {
    let mut moved = entry.clone();
    let mut remaining = Value::Object(serde_json::Map::new());
    for [parent, field] in NOT_MOVED {
        let fields = moved
            .fields_v1
            .as_mut()
            .and_then(|fields| fields.0.get_mut(parent));
        let taken = fields
            .and_then(Value::as_object_mut)
            .and_then(|fields| fields.remove(field));
        if let Some(taken) = taken {
            remaining[parent][field] = taken;
        }
    }
    let is_empty = remaining.as_object().is_none_or(serde_json::Map::is_empty);
    let remaining = (!is_empty).then(|| ManagedFieldsEntry {
        fields_v1: Some(FieldsV1(remaining)),
        ..entry.clone()
    });
    (moved, remaining)
}

/// Whether no field of the entry would move.
fn has_nothing_to_move(entry: &ManagedFieldsEntry) -> bool {
    let (_, remaining) = split(entry);
    remaining.is_some_and(|remaining| remaining.fields_v1 == entry.fields_v1)
}

#[cfg(test)]
mod tests {
    use kube::Resource;
    use serde_json::json;

    use super::*;
    use crate::domain::testing;

    const US: Managers<'static> = Managers {
        ours: "us",
        predecessor: None,
    };
    const US_AFTER_GO: Managers<'static> = Managers {
        ours: "us",
        predecessor: Some("manager"),
    };

    fn with_fields(entry: ManagedFieldsEntry, fields: Value) -> ManagedFieldsEntry {
        ManagedFieldsEntry {
            fields_v1: Some(FieldsV1(fields)),
            ..entry
        }
    }

    /// A StatefulSet of the server, which we have applied; then these fields of it were written with PUT, as `manager`.
    fn known(fields: Value) -> (ObjectMeta, DittoServer) {
        let server = testing::server("");
        let live = ObjectMeta {
            annotations: Some([(names::APPLIED_HASH_ANNOTATION.to_owned(), "1".to_owned())].into()),
            owner_references: server.controller_owner_ref(&()).map(|owner| vec![owner]),
            managed_fields: Some(vec![
                entry(FIELD_MANAGER, "Apply", None),
                with_fields(entry(names::GO_FIELD_MANAGER, "Update", None), fields),
            ]),
            ..ObjectMeta::default()
        };
        (live, server)
    }

    fn template_annotation(key: &str) -> Value {
        json!({"f:spec": {"f:template": {"f:metadata": {"f:annotations": {format!("f:{key}"): {}}}}}})
    }

    #[test]
    fn fields_of_another_program_of_that_name_on_a_known_child_stay_theirs() {
        let restarted = template_annotation("kubectl.kubernetes.io/restartedAt");
        let labelled = json!({"f:metadata": {"f:labels": {"f:mesh": {}}}});
        let hash_of_another_kind = json!({"f:metadata": {"f:annotations": {"f:dittofs.io/config-hash": {}}}});
        for fields in [restarted, labelled, hash_of_another_kind] {
            let (live, server) = known(fields.clone());
            assert_eq!(Managers::of(&live, &server).predecessor, None, "{fields}");
        }
    }

    #[test]
    fn fields_that_the_go_operator_wrote_again_become_ours_once() {
        let (live, server) = known(template_annotation(names::CONFIG_HASH_ANNOTATION));
        let managers = Managers::of(&live, &server);
        assert_eq!(managers.predecessor, Some(names::GO_FIELD_MANAGER));
        let entries = live.managed_fields.as_deref().unwrap_or_default();
        let moved = upgraded(entries, &managers).expect("there is an entry to move");
        let after = ObjectMeta {
            managed_fields: Some(moved),
            ..live
        };
        assert_eq!(Managers::of(&after, &server).predecessor, None);
    }

    #[test]
    fn a_status_written_under_that_name_moves_nothing() {
        let (mut live, server) = known(template_annotation(names::CONFIG_HASH_ANNOTATION));
        for entry in live.managed_fields.iter_mut().flatten() {
            entry.subresource = Some("status".into());
        }
        assert_eq!(Managers::of(&live, &server).predecessor, None);
    }

    #[test]
    fn fields_that_a_predecessor_updated_become_ours() {
        let theirs = with_fields(
            entry("manager", "Update", None),
            json!({"f:spec": {"f:replicas": {}}}),
        );
        let status = entry("manager", "Update", Some("status"));
        let upgraded = upgraded(&[theirs, status.clone()], &US_AFTER_GO);
        let ours = with_fields(entry("us", "Apply", None), json!({"f:spec": {"f:replicas": {}}}));
        assert_eq!(upgraded, Some(vec![ours, status]));
    }

    #[test]
    fn fields_that_a_predecessor_updated_after_our_apply_are_merged_with_ours() {
        let ours = with_fields(
            entry("us", "Apply", None),
            json!({"f:spec": {"f:a": {}, "f:b": {"f:c": {}}}}),
        );
        let theirs = with_fields(
            entry("manager", "Update", None),
            json!({"f:spec": {"f:b": {"f:d": {}}}, "f:data": {}}),
        );
        let united = json!({"f:spec": {"f:a": {}, "f:b": {"f:c": {}, "f:d": {}}}, "f:data": {}});
        let expected = with_fields(entry("us", "Apply", None), united);
        assert_eq!(upgraded(&[theirs, ours], &US_AFTER_GO), Some(vec![expected]));
    }

    #[test]
    fn without_a_predecessor_its_entries_stay() {
        assert_eq!(upgraded(&[entry("manager", "Update", None)], &US), None);
    }

    #[test]
    fn the_version_of_a_database_cluster_stays_with_its_entry() {
        let version = json!({"f:spec": {"f:crVersion": {}}});
        let theirs = with_fields(
            entry("manager", "Update", None),
            json!({"f:spec": {"f:crVersion": {}, "f:users": {}}}),
        );
        let first = upgraded(&[theirs], &US_AFTER_GO).expect("there is an entry to move");
        let expected = [
            with_fields(entry("us", "Apply", None), json!({"f:spec": {"f:users": {}}})),
            with_fields(entry("manager", "Update", None), version),
        ];
        assert_eq!(first, expected);
        assert_eq!(
            upgraded(&first, &US_AFTER_GO),
            None,
            "a second look moves nothing"
        );
    }

    fn entry(manager: &str, operation: &str, subresource: Option<&str>) -> ManagedFieldsEntry {
        ManagedFieldsEntry {
            manager: Some(manager.into()),
            operation: Some(operation.into()),
            subresource: subresource.map(Into::into),
            ..ManagedFieldsEntry::default()
        }
    }

    #[test]
    fn the_entry_of_the_create_becomes_an_apply_entry() {
        let entries = [
            entry("us", "Update", None),
            entry("kubectl", "Update", None),
            entry("us", "Update", Some("status")),
        ];
        let upgraded = upgraded(&entries, &US).expect("there is an entry to move");
        assert_eq!(
            upgraded,
            [entry("us", "Apply", None), entries[1].clone(), entries[2].clone()]
        );
    }

    #[test]
    fn an_older_entry_next_to_an_apply_entry_is_dropped() {
        let entries = [entry("us", "Apply", None), entry("us", "Update", None)];
        assert_eq!(upgraded(&entries, &US), Some(vec![entries[0].clone()]));
    }

    #[test]
    fn an_applied_object_needs_no_upgrade() {
        assert_eq!(
            upgraded(
                &[entry("us", "Apply", None), entry("kubectl", "Update", None)],
                &US
            ),
            None
        );
    }
}
