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
    let put = |is_new| Change::Put {
        share: "/archive".into(),
        policy: policy.clone(),
        is_new,
    };
    assert_eq!(changes(&declared(DAILY), &live(&[])), [put(true)]);
    for other in [
        r#"{"interval": "24h0m0s", "keep_last": 7, "ttl": "720h0m0s", "enabled": false}"#,
        r#"{"interval": "24h0m0s", "keep_last": 8, "ttl": "720h0m0s"}"#,
        r#"{"interval": "24h0m0s", "keep_last": 7}"#,
        r#"{"interval": "1h0m0s", "keep_last": 7, "ttl": "720h0m0s"}"#,
    ] {
        assert_eq!(
            changes(&declared(DAILY), &live(&[("/archive", other)])),
            [put(false)],
            "{other}"
        );
    }
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
