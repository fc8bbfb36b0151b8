//! What moves between field managers.

use kube::Resource;
use serde_json::json;

use super::*;
use crate::domain::testing;

const GO: &str = "manager";

/// What is moved if this manager is the Go operator.
fn moved(entries: &[ManagedFieldsEntry], predecessor: Option<&str>) -> Option<Vec<ManagedFieldsEntry>> {
    upgraded(entries, "us", |entry| {
        let is_predecessor = is_update(entry) && entry.manager.as_deref() == predecessor;
        let fields = &entry.fields_v1.as_ref()?.0;
        let share = is_predecessor.then(|| share_of_predecessor(fields))?;
        (!is_empty(&share.moved)).then_some(share)
    })
}

fn predecessor(live: &ObjectMeta, server: &DittoServer) -> Option<String> {
    let found = predecessors(live, server);
    found.first().and_then(|manager| manager.map(str::to_owned))
}

/// A StatefulSet of the server, which we have applied; then these fields of it were written with PUT, as `manager`.
fn known(fields: Value) -> (ObjectMeta, DittoServer) {
    let server = testing::server("");
    let live = ObjectMeta {
        annotations: Some([(names::APPLIED_HASH_ANNOTATION.to_owned(), "1".to_owned())].into()),
        owner_references: server.controller_owner_ref(&()).map(|owner| vec![owner]),
        managed_fields: Some(vec![
            entry(FIELD_MANAGER, "Apply", None),
            with_fields(&entry(GO, "Update", None), fields),
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
        assert_eq!(predecessor(&live, &server), None, "{fields}");
    }
}

#[test]
fn fields_that_the_go_operator_wrote_again_become_ours_once() {
    let (live, server) = known(template_annotation(names::CONFIG_HASH_ANNOTATION));
    assert_eq!(predecessor(&live, &server).as_deref(), Some(GO));
    let child = Child {
        kind: "StatefulSet",
        metadata: &live,
        fields: &Value::Null,
    };
    let moved = taken_over(&child, &server, &Value::Null, Reach::Copies).expect("there is an entry to move");
    let after = ObjectMeta {
        managed_fields: Some(moved),
        ..live
    };
    assert_eq!(predecessor(&after, &server), None);
}

#[test]
fn a_status_written_under_that_name_moves_nothing() {
    let (mut live, server) = known(template_annotation(names::CONFIG_HASH_ANNOTATION));
    for entry in live.managed_fields.iter_mut().flatten() {
        entry.subresource = Some("status".into());
    }
    assert_eq!(predecessor(&live, &server), None);
}

#[test]
fn fields_that_a_predecessor_updated_become_ours() {
    let theirs = with_fields(
        &entry("manager", "Update", None),
        json!({"f:spec": {"f:replicas": {}}}),
    );
    let status = entry("manager", "Update", Some("status"));
    let upgraded = moved(&[theirs, status.clone()], Some(GO));
    let ours = with_fields(&entry("us", "Apply", None), json!({"f:spec": {"f:replicas": {}}}));
    assert_eq!(upgraded, Some(vec![ours, status]));
}

#[test]
fn fields_that_a_predecessor_updated_after_our_apply_are_merged_with_ours() {
    let ours = with_fields(
        &entry("us", "Apply", None),
        json!({"f:spec": {"f:a": {}, "f:b": {"f:c": {}}}}),
    );
    let theirs = with_fields(
        &entry("manager", "Update", None),
        json!({"f:spec": {"f:b": {"f:d": {}}}, "f:data": {}}),
    );
    let united = json!({"f:spec": {"f:a": {}, "f:b": {"f:c": {}, "f:d": {}}}, "f:data": {}});
    let expected = with_fields(&entry("us", "Apply", None), united);
    assert_eq!(moved(&[theirs, ours], Some(GO)), Some(vec![expected]));
}

#[test]
fn without_a_predecessor_its_entries_stay() {
    assert_eq!(moved(&[entry("manager", "Update", None)], None), None);
}

#[test]
fn the_version_of_a_database_cluster_stays_with_its_entry() {
    let version = json!({"f:spec": {"f:crVersion": {}}});
    let theirs = with_fields(
        &entry("manager", "Update", None),
        json!({"f:spec": {"f:crVersion": {}, "f:users": {}}}),
    );
    let first = moved(&[theirs], Some(GO)).expect("there is an entry to move");
    let expected = [
        with_fields(&entry("us", "Apply", None), json!({"f:spec": {"f:users": {}}})),
        with_fields(&entry("manager", "Update", None), version),
    ];
    assert_eq!(first, expected);
    assert_eq!(moved(&first, Some(GO)), None, "a second look moves nothing");
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
    let upgraded = moved(&entries, None).expect("there is an entry to move");
    assert_eq!(
        upgraded,
        [entry("us", "Apply", None), entries[1].clone(), entries[2].clone()]
    );
}

#[test]
fn an_older_entry_next_to_an_apply_entry_is_dropped() {
    let entries = [entry("us", "Apply", None), entry("us", "Update", None)];
    assert_eq!(moved(&entries, None), Some(vec![entries[0].clone()]));
}

#[test]
fn an_applied_object_needs_no_upgrade() {
    assert_eq!(
        moved(
            &[entry("us", "Apply", None), entry("kubectl", "Update", None)],
            None
        ),
        None
    );
}
