//! One server that is polled: when the next call is due, and what is known. Pure.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::domain::adapters::{Failure, Row, ServerReport, learn};
use crate::domain::server_api::{STARTING, Target};
use crate::domain::server_settings::{Declared, Outcome};

/// Pause between two calls to a server that is starting.
const FAST: Duration = Duration::from_secs(2);
/// Pause before a call to a server of which something has changed.
pub(super) const SOON: Duration = Duration::from_millis(200);
/// Longest pause after failures.
const LONGEST: Duration = Duration::from_secs(300);

/// What is known of one server.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) target: Target,
    pub(super) report: Arc<ServerReport>,
    /// The report that a reconcile read last, or for which it was asked.
    pub(super) reconciled: Arc<ServerReport>,
    /// Failed calls in a row.
    failures: u32,
    last_success: Option<Timestamp>,
    /// The settings that the server has.
    applied: Option<Declared>,
    /// When they are compared again.
    compare_at: Option<Timestamp>,
    /// Time between two comparisons.
    compare_every: Duration,
}

/// What one call found out.
pub(super) struct Answer {
    pub(super) adapters: Result<Vec<Row>, Failure>,
    /// The settings that were compared, if that was due.
    pub(super) settings: Option<(Declared, Outcome)>,
}

impl Answer {
    pub(super) fn of_adapters(adapters: Result<Vec<Row>, Failure>) -> Self {
        Self {
            adapters,
            settings: None,
        }
    }
}

impl Entry {
    pub(super) fn new(target: Target, compare_every: Duration) -> Self {
        Self {
            target,
            report: Arc::default(),
            reconciled: Arc::default(),
            failures: 0,
            last_success: None,
            applied: None,
            compare_at: None,
            compare_every,
        }
    }

    /// Replaces the target. Returns whether the server must be asked soon: another pod serves, or at another address.
    pub(super) fn retarget(&mut self, target: Target) -> bool {
        if self.target.server != target.server {
            *self = Self::new(target, self.compare_every);
            return true;
        }
        let is_other = self.target.pod != target.pod
            || self.target.url != target.url
            || self.target.started != target.started;
        let is_changed = self.target.key != target.key || self.target.trust != target.trust;
        self.target = target;
        if is_other {
            // What the former pod said of its listeners says nothing about this one.
            self.report = Arc::new(self.report.of_another_pod());
            self.failures = 0;
            self.applied = None;
        }
        is_other || is_changed || self.has_new_settings()
    }

    /// The settings to compare with those of the server. `None` if they were compared a short time ago.
    pub(super) fn due_settings(&self, now: Timestamp) -> Option<Declared> {
        let declared = &self.target.declared;
        let is_time = self.compare_at.is_some_and(|at| at <= now) && !declared.is_empty();
        let is_new = self.has_new_settings();
        (is_time || is_new).then(|| Declared {
            is_unchanged: !is_new,
            ..declared.clone()
        })
    }

    /// Whether the spec declares settings that were not compared yet.
    fn has_new_settings(&self) -> bool {
        let declared = &self.target.declared;
        match &self.applied {
            Some(applied) => !declared.is_same(applied),
            None => !declared.is_empty(),
        }
    }

    /// Sets the time of the next comparison. The first is at any time of the interval, so that after a start of the operator the
    /// comparisons of all servers are spread over it; `random` is from 0 to 1.
    fn schedule_comparison(&mut self, now: Timestamp, random: f64) {
        let pause = match self.compare_at {
            Some(_) => self.compare_every,
            None => self.compare_every.mul_f64(random),
        };
        let pause = SignedDuration::try_from(pause).unwrap_or(SignedDuration::MAX);
        self.compare_at = now.checked_add(pause).ok();
    }

    /// Takes in an answer. Returns whether a reconcile could decide otherwise now. `random` is from 0 to 1.
    pub(super) fn learn(&mut self, answer: Answer, now: Timestamp, random: f64) -> bool {
        let Answer {
            adapters: answer,
            settings,
        } = answer;
        if answer.is_ok() {
            self.failures = 0;
            self.last_success = Some(now);
        } else {
            self.failures = self.failures.saturating_add(1);
        }
        let mut report = learn(&self.report, answer, self.failures, self.last_success, now);
        if let Some((declared, outcome)) = settings {
            self.applied = outcome.is_complete().then_some(declared);
            report.settings = Some(outcome);
            self.schedule_comparison(now, random);
        }
        if *self.report != report {
            self.report = Arc::new(report);
        }
        let is_news = self.report.is_news(&self.reconciled, &self.target.exposed);
        if is_news {
            self.reconciled = Arc::clone(&self.report);
        }
        is_news
    }

    /// Pause before the first call. After a start of the operator the calls are spread over the interval; `random` is from 0 to 1.
    pub(super) fn first_pause(&self, now: Timestamp, random: f64) -> Duration {
        let has_request = !self.target.declared.restarts.is_empty();
        if self.is_starting(now) || has_request {
            SOON
        } else {
            self.target.interval.mul_f64(random)
        }
    }

    /// Pause before the next call.
    pub(super) fn pause(&self, now: Timestamp) -> Duration {
        let settings = self.report.settings.as_ref();
        let has_stopped_adapter = settings.is_some_and(|settings| settings.has_stopped_adapter);
        if self.is_starting(now) || (has_stopped_adapter && self.failures == 0) {
            return FAST;
        }
        let interval = self.target.interval;
        let backed_off = interval.saturating_mul(2_u32.saturating_pow(self.failures.min(16)));
        backed_off.min(LONGEST.max(interval))
    }

    /// Whether the pod became ready a moment ago and does not yet serve files.
    fn is_starting(&self, now: Timestamp) -> bool {
        let adapters = &self.report.enabled;
        let serves = !adapters.is_empty() && adapters.values().all(|adapter| adapter.is_healthy);
        let is_new = self.target.ready_since.is_some_and(|since| {
            let age = now.duration_since(since);
            Duration::try_from(age).is_ok_and(|age| age < STARTING)
        });
        let is_answered = self.report.has_answer() && self.failures == 0;
        is_new && !(serves && is_answered)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use super::*;
    use crate::domain::adapters::FailureKind;
    use crate::domain::secrets::Confidential;

    const INTERVAL: Duration = Duration::from_secs(30);
    const COMPARE_EVERY: Duration = Duration::from_secs(600);

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
        Entry::new(target(pod, ready_since), COMPARE_EVERY)
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
        Answer::of_adapters(Ok(vec![row("nfs", is_healthy)]))
    }

    fn both() -> Answer {
        Answer::of_adapters(Ok(vec![row("nfs", true), row("smb", true)]))
    }

    fn smb() -> Answer {
        Answer::of_adapters(Ok(vec![row("smb", true)]))
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
}
