use super::*;
use crate::domain::testing;

fn declared(spec: &str) -> Declared {
    Declared::of(&testing::ready(spec), || false)
}

fn live(policies: &[(&str, &str)]) -> BTreeMap<String, Policy> {
    let parse = |json: &str| serde_json::from_str(json).unwrap();
    policies
        .iter()
        .map(|(share, json)| ((*share).to_owned(), parse(json)))
        .collect()
}

const DAILY: &str = "snapshotPolicies: [{share: archive, interval: '@daily', keepLast: 7, ttl: 720h}]";

#[test]
fn a_policy_in_the_servers_notation_is_not_written_again() {
    let same = live(&[(
        "/archive",
        r#"{"share": "/archive", "enabled": true, "interval": "24h0m0s", "keep_last": 7, "ttl": "720h0m0s"}"#,
    )]);
    assert_eq!(changes(&declared(DAILY), &same), []);
}

#[test]
fn a_missing_or_different_policy_is_written_whole() {
    let policy = Policy {
        interval: "@daily".into(),
        keep_last: 7,
        ttl: "720h".into(),
        name_prefix: String::new(),
        enabled: true,
    };
    let put = Change::Put {
        share: "/archive".into(),
        policy,
    };
    let mut announced = declared(DAILY);
    announced.made.insert("/archive".into());
    assert_eq!(changes(&announced, &live(&[])), std::slice::from_ref(&put));
    for other in [
        r#"{"interval": "24h0m0s", "keep_last": 7, "ttl": "720h0m0s", "enabled": false}"#,
        r#"{"interval": "24h0m0s", "keep_last": 8, "ttl": "720h0m0s"}"#,
        r#"{"interval": "24h0m0s", "keep_last": 7}"#,
        r#"{"interval": "1h0m0s", "keep_last": 7, "ttl": "720h0m0s"}"#,
    ] {
        assert_eq!(
            changes(&declared(DAILY), &live(&[("/archive", other)])),
            std::slice::from_ref(&put),
            "{other}"
        );
    }
}

#[test]
fn a_policy_is_made_once_the_status_says_that_the_operator_makes_it() {
    let steps = changes(&declared(DAILY), &live(&[]));
    assert_eq!(steps, [Change::Announce("/archive".into())]);
}

#[test]
fn what_the_status_announces_is_written_at_once() {
    let status = |text: &str| serde_json::from_str::<DittoServerStatus>(text).unwrap();
    let before = DittoServerStatus::default();
    for announced in [
        r#"{"snapshotPolicies": [{"share": "/a", "made": true}]}"#,
        r#"{"identityProviders": [{"type": "ldap"}]}"#,
        r#"{"adapterRestarts": [{"adapter": "nfs", "required": true, "message": "on at the next start"}]}"#,
        r#"{"identityProviders": [{"type": "kerberos", "applied": true, "appliedFingerprint": "a"}]}"#,
    ] {
        let after = status(announced);
        assert_eq!(recheck_in(&before, &after), Some(Duration::ZERO), "{announced}");
        assert_eq!(recheck_in(&after, &after), None);
    }
    let refused = status(r#"{"snapshotPolicies": [{"share": "/a", "message": "no answer"}]}"#);
    assert_eq!(recheck_in(&before, &refused), None);
}

#[test]
fn a_comparison_that_began_before_a_policy_was_announced_does_not_take_that_back() {
    let policy = |made| SnapshotPolicyStatus {
        share: "/archive".into(),
        applied: false,
        made,
        message: Some("no answer".into()),
    };
    let mut server = testing::ready(DAILY).server.as_ref().clone();
    let unanswered = Outcome {
        policies: vec![policy(false)],
        ..Outcome::default()
    };
    assert_eq!(status(&server, Some(&unanswered)), [policy(false)]);
    let announced = server.status.get_or_insert_default();
    announced.snapshot_policies = vec![policy(true)];
    assert_eq!(status(&server, Some(&unanswered)), [policy(true)]);
    assert_eq!(status(&server, Some(&Outcome::default())), []);
}

#[test]
fn only_a_policy_that_this_operator_made_is_removed() {
    let both = live(&[("/a", r#"{"interval": "1h"}"#), ("/b", r#"{"interval": "1h"}"#)]);
    let mut declared = declared("");
    assert_eq!(changes(&declared, &both), []);
    declared.made.insert("/a".into());
    assert_eq!(changes(&declared, &both), [Change::Delete("/a".into())]);
    assert_eq!(changes(&declared, &live(&[])), []);
}

#[test]
fn while_nothing_is_compared_there_is_nothing_new() {
    let before = declared(DAILY);
    assert!(Declared::held().is_same(&before) && Declared::held().is_empty());
    assert!(before.is_same(&before));
    assert!(!declared("").is_same(&before));
}
