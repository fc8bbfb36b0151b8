use std::sync::Arc;

use super::*;
use crate::domain::adapters::{FailureKind, Reachability, Row};
use crate::domain::secrets::Confidential;

const INTERVAL: Duration = Duration::from_secs(30);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn target(pod: &str, ready_since: i64) -> Target {
    Target {
        server: "server".into(),
        pod: pod.into(),
        started: None,
        ready_since: Some(at(ready_since)),
        url: "http://files".into(),
        key: Confidential(Arc::from(&b"key"[..])),
        trust: None,
        interval: INTERVAL,
        declared: Declared::default(),
        exposed: BTreeSet::from(["nfs".to_owned()]),
    }
}

fn entry(pod: &str, ready_since: i64) -> Entry {
    Entry::new(target(pod, ready_since), Pace::default())
}

/// Takes in an answer. Returns whether it is news.
fn learn(entry: &mut Entry, answer: Answer, second: i64) -> bool {
    entry.learn(answer, at(second), 0.5)
}

fn row(adapter_type: &str, is_healthy: bool) -> Row {
    Row {
        adapter_type: adapter_type.into(),
        is_enabled: true,
        port: 12049,
        is_healthy,
        message: None,
    }
}

fn healthy(is_healthy: bool) -> Answer {
    Answer::of_adapters(Ok(vec![row("nfs", is_healthy)].into()))
}

fn both() -> Answer {
    Answer::of_adapters(Ok(vec![row("nfs", true), row("smb", true)].into()))
}

fn smb() -> Answer {
    Answer::of_adapters(Ok(vec![row("smb", true)].into()))
}

fn failure() -> Answer {
    Answer::of_adapters(Err(Failure {
        kind: FailureKind::Connect,
        message: "refused".into(),
    }))
}

#[test]
fn a_starting_pod_is_asked_every_two_seconds_until_its_adapters_serve_or_a_minute_is_over() {
    let mut entry = entry("a", 0);
    assert_eq!(entry.first_pause(at(1), 0.9), SOON);
    learn(&mut entry, healthy(false), 2);
    assert_eq!((entry.pause(at(2)), entry.pause(at(61))), (FAST, INTERVAL));
    learn(&mut entry, healthy(true), 4);
    assert_eq!(entry.pause(at(4)), INTERVAL);
}

#[test]
fn after_a_restart_of_the_operator_the_first_calls_are_spread_over_the_interval() {
    let entry = entry("a", -3600);
    assert_eq!(entry.first_pause(at(0), 0.0), Duration::ZERO);
    assert_eq!(entry.first_pause(at(0), 0.5), INTERVAL / 2);
}

#[test]
fn failures_double_the_pause_up_to_five_minutes_and_an_answer_ends_that() {
    let mut entry = entry("a", -3600);
    let mut pauses = Vec::new();
    for second in 0..6 {
        learn(&mut entry, failure(), second);
        pauses.push(entry.pause(at(second)).as_secs());
    }
    assert_eq!(pauses, [60, 120, 240, 300, 300, 300]);
    learn(&mut entry, healthy(true), 9);
    assert_eq!(entry.pause(at(9)), INTERVAL);
}

#[test]
fn a_starting_pod_that_does_not_answer_is_asked_less_often_and_is_not_unreachable_before_ninety_seconds() {
    let mut entry = entry("a", 0);
    let (mut second, mut pauses, mut unreachable_at) = (0, Vec::new(), None);
    for _ in 0..9 {
        learn(&mut entry, failure(), second);
        if matches!(entry.report.api, Reachability::Unreachable { .. }) {
            unreachable_at.get_or_insert(second);
        }
        let pause = entry.pause(at(second)).as_secs();
        pauses.push(pause);
        second += i64::try_from(pause).unwrap();
    }
    assert_eq!(pauses, [2, 4, 8, 16, 30, 60, 120, 240, 300]);
    assert_eq!(unreachable_at, Some(120));
    learn(&mut entry, healthy(true), second);
    assert_eq!(entry.pause(at(second)), INTERVAL);
}

#[test]
fn a_short_interval_does_not_shorten_the_pauses_of_a_starting_pod() {
    let mut entry = entry("a", 0);
    entry.target.interval = Duration::from_millis(100);
    for second in [0, 2, 4] {
        learn(&mut entry, failure(), second);
        assert_eq!(entry.pause(at(second)), FAST);
    }
}

#[test]
fn failures_of_a_pod_that_is_ready_again_count_from_the_start() {
    let mut entry = entry("a", -3600);
    for second in [0, 60] {
        learn(&mut entry, failure(), second);
    }
    entry.retarget(target("a", 500));
    learn(&mut entry, failure(), 501);
    assert_eq!(entry.pause(at(501)), FAST);
    assert_eq!(entry.report.api, Reachability::Unknown);
}

#[test]
fn a_row_that_cannot_be_read_is_logged_once() {
    let broken = |types: &[Option<&str>]| {
        let unread = types.iter().map(|adapter_type| Unread {
            adapter_type: adapter_type.map(str::to_owned),
            error: "invalid port".into(),
        });
        Answer::of_adapters(Ok(Listed {
            rows: vec![row("nfs", true)],
            unread: unread.collect(),
        }))
    };
    let mut entry = entry("a", -3600);
    assert_eq!(entry.log_lines(&both()), Vec::<String>::new());
    assert_eq!(entry.log_lines(&broken(&[Some("smb")])), ["smb: invalid port"]);
    for answer in [broken(&[Some("smb")]), failure(), both(), broken(&[Some("smb")])] {
        assert_eq!(entry.log_lines(&answer), Vec::<String>::new());
    }
    let log = entry.log_lines(&broken(&[Some("smb"), None]));
    assert_eq!(log, ["smb: invalid port", "of an unknown type: invalid port"]);
}

#[test]
fn an_answer_that_says_nothing_new_is_no_news() {
    let mut entry = entry("a", -3600);
    assert!(learn(&mut entry, healthy(true), 0));
    for second in [30, 60] {
        assert!(!learn(&mut entry, healthy(true), second));
    }
    assert!(!learn(&mut entry, failure(), 90));
    assert!(!learn(&mut entry, healthy(true), 150));
    assert!(learn(&mut entry, healthy(false), 180));
}

#[test]
fn only_the_answer_that_decides_that_an_adapter_is_gone_is_news() {
    let mut entry = entry("a", -3600);
    learn(&mut entry, both(), 0);
    assert!(!learn(&mut entry, smb(), 30), "one answer decides nothing");
    assert!(!learn(&mut entry, both(), 60), "it is back");
    assert!(!learn(&mut entry, smb(), 90));
    assert!(learn(&mut entry, smb(), 120), "it is gone");
    assert!(entry.report.is_gone("nfs"));
    assert!(!learn(&mut entry, smb(), 150));
    assert!(learn(&mut entry, both(), 180), "it is back");
}

#[test]
fn an_adapter_that_is_back_is_news_if_a_reconcile_has_read_the_answer_without_it() {
    let mut entry = entry("a", -3600);
    learn(&mut entry, both(), 0);
    learn(&mut entry, smb(), 30);
    entry.reconciled = Arc::clone(&entry.report);
    assert!(learn(&mut entry, both(), 60));
}

#[test]
fn after_a_restart_of_the_operator_the_second_answer_is_news_only_for_an_adapter_that_is_gone() {
    let mut known = entry("a", -3600);
    assert!(learn(&mut known, smb(), 0));
    assert!(learn(&mut known, smb(), 30), "NFS has a Service and is gone");
    let mut unknown = entry("a", -3600);
    unknown.target.exposed = BTreeSet::new();
    assert!(learn(&mut unknown, smb(), 0));
    assert!(!learn(&mut unknown, smb(), 30));
}

#[test]
fn settings_are_compared_again_after_the_interval_and_the_first_time_at_any_time_in_it() {
    let mut entry = entry("a", -3600);
    entry.target.declared.nfs_v3_discovery = Some(true);
    let settings = entry.due_settings(at(0)).unwrap();
    let compared = || Answer {
        settings: Some((settings.clone(), Outcome::default())),
        ..healthy(true)
    };
    assert!(learn(&mut entry, compared(), 0));
    assert_eq!(entry.due_settings(at(299)), None);
    assert!(entry.due_settings(at(300)).is_some(), "half of the interval");
    assert!(!learn(&mut entry, compared(), 300), "nothing differs");
    assert_eq!(entry.due_settings(at(899)), None);
    assert!(entry.due_settings(at(900)).is_some(), "the whole interval");
    entry.target.declared = Declared::default();
    entry.applied = Some(Declared::default());
    assert_eq!(entry.due_settings(at(900)), None, "there is nothing to compare");
}

#[test]
fn another_server_of_the_same_name_is_not_known() {
    let mut entry = entry("a", -3600);
    learn(&mut entry, healthy(true), 0);
    let other = Target {
        server: "other".into(),
        ..target("b", 100)
    };
    assert!(entry.retarget(other));
    assert!(!entry.report.has_answer() && entry.report.enabled.is_empty());
}

#[test]
fn another_pod_is_asked_soon_and_the_adapters_that_are_known_stay() {
    let mut entry = entry("a", -3600);
    learn(&mut entry, healthy(true), 0);
    assert!(!entry.retarget(target("a", -3600)));
    assert!(entry.retarget(target("b", 100)));
    assert!(entry.report.enabled.contains_key("nfs"));
}

/// An answer after which the settings are not as declared.
fn refused(message: &str, has_stopped_adapter: bool) -> Answer {
    let mut answer = both();
    let outcome = Outcome {
        failure: Some(message.into()),
        has_stopped_adapter,
        ..Outcome::default()
    };
    answer.settings = Some((declared(), outcome));
    answer
}

fn declared() -> Declared {
    Declared {
        nfs_v3_discovery: Some(true),
        ..Declared::default()
    }
}

#[test]
fn settings_that_the_server_refuses_again_and_again_are_tried_more_and_more_rarely() {
    let mut entry = entry("a", 0);
    entry.target.declared = declared();
    let is_due = |entry: &Entry, second| entry.due_settings(at(second)).is_some();
    // Each new outcome is a reason to go on at once.
    learn(&mut entry, refused("one", false), 100);
    assert!(is_due(&entry, 101));
    learn(&mut entry, refused("two", false), 101);
    assert!(is_due(&entry, 102));
    let mut now = 102;
    for pause in [30, 60, 120, 240, 300, 300] {
        learn(&mut entry, refused("two", false), now);
        assert!(!is_due(&entry, now + pause - 1), "{pause}");
        now += pause;
        assert!(is_due(&entry, now), "{pause}");
    }
    // A change of the spec is tried at once, and so is what a person waits for.
    learn(&mut entry, refused("two", false), now);
    entry.target.declared.nfs_v3_discovery = Some(false);
    assert!(is_due(&entry, now + 1));
    entry.target.declared = declared();
    learn(&mut entry, refused("three", true), now);
    learn(&mut entry, refused("three", true), now);
    assert!(is_due(&entry, now + 1));
}
