#![expect(clippy::cast_precision_loss, reason = "the server computes in the same way")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;

use super::shares::{GrantChange, LiveGrant, LiveShare, export_update, grant_changes, member_kind, update};
use super::stores::{LiveStore, OwnStore, Sent};
use super::users::LiveUser;
use super::*;
use crate::domain::testing;

mod status;

const SPEC: &str = r"
storage: {metadataSize: 1Gi, contentSize: 1Gi}
groups: [{name: staff, gid: 2000}]
users:
  - {name: alice, uid: 1000, groups: [staff], passwordSecretRef: {name: alice, key: password}}
remoteStores:
  - {name: cold, s3: {bucket: files, region: eu-1, credentialsSecretRef: {name: s3}}}
shares:
  - {name: export, owner: alice, quota: 10Gi, permissions: {users: {alice: admin}}, nfs: {allowedClients: [10.0.0.0/8]}}
";

fn secret(version: &str, pairs: &[(&str, &str)]) -> Read<SecretData> {
    let data: BTreeMap<String, String> = pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), base64(value)))
        .collect();
    let secret: k8s_openapi::api::core::v1::Secret = serde_json::from_value(json!({
        "metadata": {"name": "any", "uid": "abc-1", "resourceVersion": version},
        "data": data,
    }))
    .unwrap();
    Read::Found(SecretData::of(&secret))
}

fn base64(value: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(value)
}

fn observed(spec: &str) -> Observed {
    let mut observed = testing::nothing(spec);
    observed.secrets = [
        ("alice".to_owned(), secret("7", &[("password", "a long secret")])),
        (
            "s3".to_owned(),
            secret("9", &[("accessKeyID", "the id"), ("secretAccessKey", "the key")]),
        ),
    ]
    .into();
    observed
}

fn share(yaml: &str) -> ShareSpec {
    serde_yaml::from_str(yaml).unwrap()
}

#[test]
fn a_server_that_declares_nothing_and_of_which_nothing_is_known_is_not_asked() {
    assert_eq!(
        Content::of(&testing::nothing("storage: {metadataSize: 1Gi}")),
        None
    );
    assert!(Content::of(&observed(SPEC)).is_some());
}

// invariant: 5
#[test]
fn no_value_of_a_secret_is_in_debug_output_or_in_a_digest() {
    let content = Content::of(&observed(SPEC)).unwrap();
    let text = format!("{content:?}");
    for value in ["a long secret", "the id", "the key"] {
        assert!(!text.contains(value), "{text}");
    }
    let mut other = observed(SPEC);
    other
        .secrets
        .insert("alice".into(), secret("7", &[("password", "another secret")]));
    let other = Content::of(&other).unwrap();
    assert_eq!(content.users[0].digest, other.users[0].digest);
    assert_eq!(content.confidential().count(), 3);
}

#[test]
fn a_password_that_the_server_would_refuse_is_not_sent() {
    for (password, expected) in [("short", "has 5 bytes"), (&"x".repeat(73), "has 73 bytes")] {
        let mut observed = observed(SPEC);
        observed
            .secrets
            .insert("alice".into(), secret("7", &[("password", password)]));
        let why = Content::of(&observed).unwrap().users[0]
            .password
            .clone()
            .unwrap_err();
        assert!(why.contains(expected) && !why.contains(password), "{why}");
    }
    let mut missing = observed(SPEC);
    missing.secrets.insert("alice".into(), Read::Missing);
    let why = Content::of(&missing).unwrap().users[0]
        .password
        .clone()
        .unwrap_err();
    assert!(why.contains("Secret alice does not exist"), "{why}");
}

#[test]
fn a_password_is_sent_when_the_version_of_its_secret_is_not_the_one_in_the_status() {
    let content = Content::of(&observed(SPEC)).unwrap();
    let with = |version: Option<&str>| content.users[0].is_password_sent(version.map(str::to_owned).as_ref());
    assert!(!with(None) && !with(Some("abc/6")));
    assert!(with(Some("abc/7")));
}

#[test]
fn only_declared_fields_that_differ_are_written() {
    let live = LiveShare {
        default_permission: "none".into(),
        quota_bytes: "10.00GiB".into(),
        trash_enabled: true,
        ..LiveShare::default()
    };
    let body = |yaml| serde_json::Value::Object(update(&share(yaml), &live, true));
    assert_eq!(body("{name: a}"), json!({}));
    assert_eq!(body("{name: a, quota: 10Gi, defaultPermission: none}"), json!({}));
    assert_eq!(
        body("{name: a, quota: 11Gi}"),
        json!({"quota_bytes": "11811160064"})
    );
    assert_eq!(body("{name: a, quota: '0'}"), json!({"quota_bytes": "0"}));
    assert_eq!(
        body("{name: a, readOnly: true, defaultPermission: read-write, trash: {enabled: false}}"),
        json!({"read_only": true, "default_permission": "read-write", "trash_enabled": false})
    );
    let user = &Content::of(&observed(SPEC)).unwrap().users[0];
    let live = LiveUser {
        username: "alice".into(),
        uid: Some(7),
        enabled: false,
        ..LiveUser::default()
    };
    assert_eq!(user.update(&live, true), Some(json!({"uid": 1000})));
    assert_eq!(user.update(&live, false), None, "another user has the number");
    let same = LiveUser {
        uid: Some(1000),
        ..live
    };
    assert_eq!(user.update(&same, true), None);
}

#[test]
fn permissions_are_given_only_once_the_status_names_them_and_only_those_are_taken_back() {
    let declared = share("{name: a, permissions: {users: {alice: read}, groups: {staff: admin}}}");
    let live = |pairs: &[(&str, &str, &str)]| -> Vec<LiveGrant> {
        let grants = pairs.iter().map(|(kind, name, level)| LiveGrant {
            kind: (*kind).to_owned(),
            name: (*name).to_owned(),
            level: (*level).to_owned(),
            is_group: false,
        });
        grants.collect()
    };
    let known = |names: &[&str]| -> Vec<String> { names.iter().map(|name| (*name).to_owned()).collect() };
    let announced = ["group/staff", "user/alice"].map(|grant| GrantChange::Announce(grant.into()));
    assert_eq!(grant_changes(&declared, &known(&[]), &[]), announced);
    // Those that a person gave are not named, and so they stay when they leave the spec.
    let manual = live(&[("group", "staff", "admin"), ("user", "alice", "read")]);
    assert_eq!(grant_changes(&declared, &known(&[]), &manual), []);
    let all = known(&["user/alice", "group/staff", "user/left", "user/gone"]);
    let found = live(&[
        ("user", "alice", "everything"),
        ("group", "staff", "admin"),
        ("user", "left", "read"),
        ("user", "manual", "read"),
    ]);
    let expected = [
        GrantChange::Remove("user/left".into()),
        GrantChange::Remove("user/gone".into()),
        GrantChange::Set("user/alice".into(), crate::api::PermissionLevel::Read),
    ];
    assert_eq!(grant_changes(&declared, &all, &found), expected);
}

#[test]
fn a_permission_of_a_name_of_a_directory_is_that_of_the_spec() {
    let declared =
        share("{name: a, permissions: {users: {alice@example.com: read}, groups: {Staff: admin}}}");
    let sid = |name: &str, level: &str, is_group| LiveGrant {
        kind: "sid".into(),
        name: name.into(),
        level: level.into(),
        is_group,
    };
    let known = ["user/alice@example.com".to_owned(), "group/Staff".to_owned()];
    let live = [sid("EXAMPLE\\Alice", "read", false), sid("staff", "admin", true)];
    assert_eq!(grant_changes(&declared, &known, &live), []);
}

#[test]
fn a_quota_of_less_than_a_byte_is_not_unlimited() {
    for (quota, expected) in [("0", "0"), ("0.5", "1"), ("1500m", "2"), ("1Ki", "1024")] {
        let body = update(
            &share(&format!("{{name: a, quota: '{quota}'}}")),
            &LiveShare::default(),
            false,
        );
        assert_eq!(body["quota_bytes"], expected, "{quota}");
    }
}

#[test]
fn a_quota_is_written_with_each_change_of_the_spec_because_the_server_shows_it_rounded() {
    let live = LiveShare {
        quota_bytes: "1.00TiB".into(),
        ..LiveShare::default()
    };
    let declared = share("{name: a, quota: 1028Gi}");
    assert!(update(&declared, &live, true).is_empty());
    assert_eq!(update(&declared, &live, false)["quota_bytes"], "1103806595072");
}

#[test]
fn an_export_keeps_what_the_spec_does_not_declare() {
    let live = json!({"squash": "none", "anonymous_uid": 5, "netgroup": "manual", "require_kerberos": false});
    let nfs = share("{name: a, nfs: {squash: all_to_guest, anonymousUid: 5}}")
        .nfs
        .unwrap();
    let body = serde_json::Value::Object(export_update(&nfs, None, &live));
    assert_eq!(body, json!({"squash": "all_to_guest"}));
    for (client, kind) in [
        ("10.1.2.3", "ip"),
        ("fd00::1", "ip"),
        ("10.0.0.0/8", "cidr"),
        ("*.example.com", "hostname"),
    ] {
        assert_eq!(member_kind(client), kind, "{client}");
    }
}

#[test]
fn the_place_of_blocks_never_changes_on_the_server() {
    let store = &Content::of(&observed(SPEC)).unwrap().remote_stores[0];
    let live = |config| LiveStore {
        name: "cold".into(),
        config: serde_json::from_value(config).unwrap(),
        ..LiveStore::default()
    };
    let moved = store.moved(&live(json!({"bucket": "other"}))).unwrap();
    assert!(moved.contains("another bucket"), "{moved}");
    let moved = store
        .moved(&live(json!({"bucket": "files", "prefix": "a/"})))
        .unwrap();
    assert!(moved.contains("another prefix"), "{moved}");
    let known = live(
        json!({"bucket": "files", "region": "eu-1", "secret_access_key": "********", "parallel_uploads": 4}),
    );
    assert_eq!(store.moved(&known), None);
    let body = store.update(&known, Sent::Unknown).unwrap();
    let config: serde_json::Value = serde_json::from_str(body["config"].as_str().unwrap()).unwrap();
    assert_eq!(
        config["parallel_uploads"], 4,
        "what the spec does not declare stays"
    );
    assert_eq!(config["secret_access_key"], "the key");
    assert_eq!(store.update(&known, Sent::Current), None);
}

#[test]
fn the_operator_uses_its_own_stores_or_durable_ones_of_a_person() {
    let store = |name: &str, kind: &str| LiveStore {
        id: name.into(),
        name: name.into(),
        kind: kind.into(),
        ..LiveStore::default()
    };
    let at = |name: &str, path: &str| LiveStore {
        config: serde_json::from_value(json!({"path": path})).unwrap(),
        ..store(name, "badger")
    };
    let chosen = |stores: &[LiveStore]| OwnStore::choose(stores).map(|store| store.id.clone());
    assert_eq!(chosen(&[]), None);
    assert_eq!(chosen(&[store("quick", "memory")]), None);
    for path in ["/tmp/meta", "/data/store/metadata-of-another", "meta"] {
        assert_eq!(chosen(&[at("a", path)]), None, "{path} ends with the pod");
    }
    assert_eq!(
        chosen(&[at("a", "/tmp/meta"), at("b", "/data/store/metadata/b")]).as_deref(),
        Some("b")
    );
    assert_eq!(
        chosen(&[store("quick", "memory"), store("meta", "badger")]).as_deref(),
        Some("meta")
    );
    assert_eq!(
        chosen(&[store("meta", "badger"), store("default", "badger")]).as_deref(),
        Some("default")
    );
}

proptest! {
    // The server shows a quota rounded to hundredths of its unit.
    #[test]
    fn a_quota_that_the_server_has_is_not_written_again(bytes in 1_u64..1 << 50) {
        let declared = share(&format!("{{name: a, quota: '{bytes}'}}"));
        let shown = match bytes {
            _ if bytes >= 1 << 40 => format!("{:.2}TiB", bytes as f64 / f64::from(1 << 20) / f64::from(1 << 20)),
            _ if bytes >= 1 << 30 => format!("{:.2}GiB", bytes as f64 / f64::from(1 << 30)),
            _ if bytes >= 1 << 20 => format!("{:.2}MiB", bytes as f64 / f64::from(1 << 20)),
            _ if bytes >= 1 << 10 => format!("{:.2}KiB", bytes as f64 / f64::from(1 << 10)),
            _ => format!("{bytes}B"),
        };
        let live = LiveShare { quota_bytes: shown, ..LiveShare::default() };
        prop_assert!(update(&declared, &live, true).is_empty());
    }
}
