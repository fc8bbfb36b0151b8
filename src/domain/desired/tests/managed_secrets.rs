//! What becomes of the Secrets that the operator keeps for a server.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::Resource;

use crate::api::{DittoServer, names};
use crate::domain::desired::{Desired, SecretAction, SecretChange, desired};
use crate::domain::observed::{Observed, Read};
use crate::domain::secrets::SecretData;
use crate::domain::settings::Settings;
use crate::domain::testing;
use crate::domain::validate::PodGate;
use crate::domain::validate::fixtures::claim;

const JWT: &str = "files-jwt-secret";
const ADMIN: &str = "files-admin-bootstrap-credentials";
const LEGACY: &str = "files-admin-credentials";

fn children(observed: &Observed) -> Desired {
    desired(&testing::valid(observed, PodGate::Open), &Settings::default()).expect("children")
}

fn made(observed: &Observed) -> Vec<String> {
    let secrets = children(observed).secrets;
    secrets
        .into_iter()
        .filter_map(|secret| secret.metadata.name)
        .collect()
}

fn changes(observed: &Observed) -> Vec<SecretChange> {
    children(observed).secret_changes
}

fn ask(observed: &mut Observed, value: &str) {
    let annotation = (names::ROTATE_SECRETS_ANNOTATION.to_owned(), value.to_owned());
    Arc::make_mut(&mut observed.server).metadata.annotations = Some([annotation].into());
}

fn describe(observed: &mut Observed, secret: &str, metadata: ObjectMeta) {
    let read = observed.secrets.get_mut(secret).expect("the Secret");
    if let Read::Found(data) = read {
        *data = std::mem::take(data).with_metadata(metadata);
    }
}

fn owned_by(server: &DittoServer, kind: &str, version: &str) -> ObjectMeta {
    let reference = OwnerReference {
        api_version: version.into(),
        kind: kind.into(),
        name: "files".into(),
        uid: server.meta().uid.clone().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    };
    ObjectMeta {
        uid: Some("s1".into()),
        resource_version: Some("7".into()),
        owner_references: Some(vec![reference]),
        ..ObjectMeta::default()
    }
}

fn owned(observed: &Observed) -> ObjectMeta {
    owned_by(&observed.server, "DittoServer", "dittofs.dittofs.com/v1alpha1")
}

fn answered(value: &str) -> ObjectMeta {
    let annotation = (names::ROTATED_FOR_ANNOTATION.to_owned(), value.to_owned());
    ObjectMeta {
        annotations: Some(BTreeMap::from([annotation])),
        ..ObjectMeta::default()
    }
}

// invariant: 16
#[test]
fn if_volumes_exist_only_a_requested_key_is_generated() {
    let mut observed = testing::nothing("");
    for volume in ["metadata", "content", "controlplane"] {
        observed.claims = Read::Found(vec![Arc::new(claim(volume, &[]))]);
        assert_eq!(made(&observed), Vec::<String>::new(), "{volume}");
        let mut asked = observed.clone();
        ask(&mut asked, "monday");
        assert_eq!(made(&asked), [JWT], "{volume}");
    }
    observed.claims = Read::Found(vec![Arc::new(claim("scratch", &[]))]);
    assert_eq!(made(&observed), [JWT, ADMIN], "a claim of no volume of ours");
}

#[test]
fn a_database_counts_as_data_and_one_of_another_owner_does_not() {
    let mut observed = testing::nothing("percona: {enabled: true}");
    let mut cluster = testing::percona("{postgresVersion: 17}", &serde_json::json!({}));
    observed.database.cluster = Read::Found(Arc::new(cluster.clone()));
    assert_eq!(made(&observed), [JWT, ADMIN], "somebody else's");
    cluster.metadata.labels =
        Some([(names::MANAGED_BY_LABEL.to_owned(), names::MANAGED_BY.to_owned())].into());
    observed.database.cluster = Read::Found(Arc::new(cluster));
    assert_eq!(made(&observed), [JWT]);
    observed.database.cluster = Read::Missing;
    testing::set(&mut observed, "files-postgres-pguser-dittofs", "host", b"h");
    assert_eq!(made(&observed), [JWT], "the user's Secret outlives its cluster");
}

#[test]
fn each_request_gives_one_new_key_and_the_hash_of_it() {
    let mut observed = testing::running("");
    let hash = |observed: &Observed| format!("{:?}", children(observed).workload);
    let before = hash(&observed);
    assert_eq!(changes(&observed), []);
    ask(&mut observed, "monday");
    let changes_of_monday = changes(&observed);
    let [SecretChange { name, action, .. }] = changes_of_monday.as_slice() else {
        panic!("one change: {changes_of_monday:?}");
    };
    let SecretAction::Patch {
        data, rotated_for, ..
    } = action
    else {
        panic!("a patch");
    };
    assert_eq!((name.as_str(), rotated_for.as_deref()), (JWT, Some("monday")));
    assert_eq!(data["jwt-secret"].0, observed.fresh.jwt_key.as_bytes());
    assert_ne!(hash(&observed), before, "the pod restarts on it");

    describe(&mut observed, JWT, answered("monday"));
    assert_eq!(changes(&observed), []);
    ask(&mut observed, "tuesday");
    assert_eq!(changes(&observed).len(), 1);
}

#[test]
fn a_pod_that_must_not_be_changed_keeps_its_key_and_so_does_a_users_own_secret() {
    let mut observed = testing::running("");
    ask(&mut observed, "monday");
    let held = testing::valid(&observed, PodGate::Closed);
    let held = desired(&held, &Settings::default()).expect("children");
    assert_eq!(held.secret_changes, []);

    let mut own = testing::running("identity: {jwt: {secretRef: {name: own, key: k}}}");
    ask(&mut own, "monday");
    assert_eq!(changes(&own), []);
}

#[test]
fn a_key_that_is_generated_after_the_request_answers_it() {
    let mut observed = testing::nothing("");
    ask(&mut observed, "monday");
    let secrets = children(&observed).secrets;
    let annotations = secrets[0].metadata.annotations.as_ref().expect("annotations");
    assert_eq!(annotations[names::ROTATED_FOR_ANNOTATION], "monday");
    assert_eq!(secrets[1].metadata.annotations, None);
}

#[test]
fn a_secret_loses_its_server_as_owner_and_nothing_else() {
    let mut observed = testing::running("");
    let metadata = owned(&observed);
    describe(&mut observed, JWT, metadata);
    let changes_made = changes(&observed);
    let [
        SecretChange {
            name,
            uid,
            resource_version,
            is_immutable: false,
            action,
        },
    ] = changes_made.as_slice()
    else {
        panic!("one change: {changes_made:?}");
    };
    assert_eq!(name, JWT);
    assert_eq!(
        (uid.as_deref(), resource_version.as_deref()),
        (Some("s1"), Some("7"))
    );
    let SecretAction::Patch {
        owner_references,
        data,
        rotated_for,
        ..
    } = action
    else {
        panic!("a patch");
    };
    assert_eq!(owner_references.as_deref(), Some(&[][..]));
    assert!(data.is_empty() && rotated_for.is_none());
}

#[test]
fn a_secret_with_another_controller_is_never_written() {
    let mut observed = testing::running("");
    ask(&mut observed, "monday");
    let metadata = owned_by(&observed.server, "ExternalSecret", "external-secrets.io/v1");
    describe(&mut observed, JWT, metadata);
    assert_eq!(changes(&observed), []);
}

#[test]
fn the_first_password_is_copied_from_its_former_secret_which_then_goes() {
    let mut observed = testing::nothing("");
    observed.claims = Read::Found(vec![Arc::new(claim("controlplane", &[]))]);
    testing::set(&mut observed, LEGACY, "password", b"of the old operator");
    let metadata = owned(&observed);
    describe(&mut observed, LEGACY, metadata);
    let desired = children(&observed);
    let copy = desired
        .secrets
        .iter()
        .find(|secret| secret.metadata.name.as_deref() == Some(ADMIN));
    let data = copy.and_then(|secret| secret.data.as_ref()).expect("a copy");
    assert_eq!(data["password"].0, b"of the old operator");
    assert_eq!(data["username"].0, b"admin");
    assert_eq!(desired.secret_changes, [], "it stays until the copy is there");

    testing::set(&mut observed, ADMIN, "password", b"of the old operator");
    let changes_made = changes(&observed);
    assert_eq!(changes_made.len(), 1, "{changes_made:?}");
    assert_eq!(changes_made[0].name, LEGACY);
    assert!(matches!(changes_made[0].action, SecretAction::Delete));

    testing::set(&mut observed, ADMIN, "password", b"another");
    assert_eq!(changes(&observed), [], "what was not copied is not deleted");
}

#[test]
fn a_former_secret_without_an_owner_is_copied_and_kept() {
    let mut observed = testing::nothing("");
    observed.secrets.insert(
        LEGACY.into(),
        Read::Found(SecretData::new(BTreeMap::from([(
            "password".into(),
            b"old password".to_vec(),
        )]))),
    );
    assert_eq!(made(&observed), [JWT, ADMIN]);
    testing::set(&mut observed, ADMIN, "password", b"old password");
    assert_eq!(changes(&observed), []);
}

#[test]
fn no_change_prints_a_value() {
    let mut observed = testing::running("");
    ask(&mut observed, "monday");
    let printed = format!("{:?}", changes(&observed));
    assert!(
        !printed.contains(&observed.fresh.jwt_key) && printed.contains("monday"),
        "{printed}"
    );
}

#[test]
fn a_key_that_was_restored_manually_is_not_replaced_for_an_old_request() {
    let mut observed = testing::running("");
    ask(&mut observed, "monday");
    let Read::Found(live) = &mut observed.stateful_set else {
        panic!("a StatefulSet");
    };
    let answered = (names::ROTATED_FOR_ANNOTATION.to_owned(), "monday".to_owned());
    Arc::make_mut(live).metadata.annotations = Some([answered].into());
    assert_eq!(
        changes(&observed),
        [],
        "the Secret has no note, the StatefulSet has"
    );
    ask(&mut observed, "tuesday");
    assert_eq!(changes(&observed).len(), 1);

    observed.stateful_set = Read::Missing;
    assert_eq!(changes(&observed), [], "a restored key beside no server");
}

#[test]
fn a_request_without_a_server_replaces_a_key_that_was_generated() {
    let generated = |annotations: Option<BTreeMap<String, String>>| ObjectMeta {
        labels: Some(names::labels("files")),
        annotations,
        ..ObjectMeta::default()
    };
    let mut observed = testing::running("");
    observed.stateful_set = Read::Missing;
    describe(&mut observed, JWT, generated(None));
    assert_eq!(changes(&observed), [], "nothing is asked for");
    ask(&mut observed, "monday");
    assert_eq!(changes(&observed).len(), 1, "it answers no request yet");
    for (note, due) in [("monday", 0), ("sunday", 1)] {
        describe(&mut observed, JWT, generated(answered(note).annotations));
        assert_eq!(changes(&observed).len(), due, "answered {note}");
    }
}

#[test]
fn claims_that_are_being_deleted_are_not_data_and_passwords_that_are_not_generated_are_reported() {
    let mut observed = testing::nothing("");
    let mut going = claim("metadata", &[]);
    observed.claims = Read::Found(vec![Arc::new(going.clone())]);
    assert_eq!(children(&observed).not_generated, [ADMIN]);
    going.metadata.deletion_timestamp = serde_json::from_str("\"2026-01-01T00:00:00Z\"").ok();
    observed.claims = Read::Found(vec![Arc::new(going)]);
    assert_eq!(made(&observed), [JWT, ADMIN]);
    assert_eq!(children(&observed).not_generated, Vec::<String>::new());
}
