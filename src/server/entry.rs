//! One server that is polled: when the next call is due, and what is known. Pure.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

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
    /// Failed calls in a row.
    failures: u32,
    last_success: Option<Timestamp>,
    /// The settings that the server has.
    applied: Option<Declared>,
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
    pub(super) fn new(target: Target) -> Self {
        Self {
            target,
            report: Arc::default(),
            failures: 0,
            last_success: None,
            applied: None,
        }
    }

    /// Replaces the target. Returns whether the server must be asked soon: another pod serves, or at another address.
    pub(super) fn retarget(&mut self, target: Target) -> bool {
        let is_other = self.target.pod != target.pod || self.target.url != target.url;
        let is_changed = self.target.key != target.key || self.target.trust != target.trust;
        self.target = target;
        if is_other {
            // What the former pod said of its listeners says nothing about this one.
            self.report = Arc::new(self.report.of_another_pod());
            self.failures = 0;
            self.applied = None;
        }
        is_other || is_changed || self.due_settings().is_some()
    }

    /// The settings to compare with those of the server. `None` if they were compared already.
    pub(super) fn due_settings(&self) -> Option<Declared> {
        let declared = &self.target.declared;
        let is_known = match &self.applied {
            Some(applied) => declared.is_same(applied),
            None => declared.is_empty(),
        };
        (!is_known).then(|| declared.clone())
    }

    /// Takes in an answer. Returns whether anything is known that was not known before.
    pub(super) fn learn(&mut self, answer: Answer, now: Timestamp) -> bool {
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
        }
        let is_news = *self.report != report;
        if is_news {
            self.report = Arc::new(report);
        }
        is_news
    }

    /// Pause before the first call. After a start of the operator the calls are spread over the interval; `random` is from 0 to 1.
    pub(super) fn first_pause(&self, now: Timestamp, random: f64) -> Duration {
        if self.is_starting(now) {
            SOON
        } else {
            self.target.interval.mul_f64(random)
        }
    }

    /// Pause before the next call.
    pub(super) fn pause(&self, now: Timestamp) -> Duration {
        if self.is_starting(now) {
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
    use std::sync::Arc;

    use super::*;
    use crate::domain::adapters::FailureKind;
    use crate::domain::server_api::Confidential;

    const INTERVAL: Duration = Duration::from_secs(30);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn target(pod: &str, ready_since: i64) -> Target {
        Target {
            pod: pod.into(),
            ready_since: Some(at(ready_since)),
            url: "http://files".into(),
            key: Confidential(Arc::from(&b"key"[..])),
            trust: None,
            interval: INTERVAL,
            declared: Declared::default(),
        }
    }

    fn healthy(is_healthy: bool) -> Answer {
        Answer::of_adapters(Ok(vec![Row {
            adapter_type: "nfs".into(),
            is_enabled: true,
            port: 12049,
            is_healthy,
            message: None,
        }]))
    }

    fn failure() -> Answer {
        Answer::of_adapters(Err(Failure {
            kind: FailureKind::Connect,
            message: "refused".into(),
        }))
    }

    #[test]
    fn a_starting_pod_is_asked_every_two_seconds_until_its_adapters_serve_or_a_minute_is_over() {
        let mut entry = Entry::new(target("a", 0));
        assert_eq!(entry.first_pause(at(1), 0.9), SOON);
        entry.learn(healthy(false), at(2));
        assert_eq!((entry.pause(at(2)), entry.pause(at(61))), (FAST, INTERVAL));
        entry.learn(healthy(true), at(4));
        assert_eq!(entry.pause(at(4)), INTERVAL);
    }

    #[test]
    fn after_a_restart_of_the_operator_the_first_calls_are_spread_over_the_interval() {
        let entry = Entry::new(target("a", -3600));
        assert_eq!(entry.first_pause(at(0), 0.0), Duration::ZERO);
        assert_eq!(entry.first_pause(at(0), 0.5), INTERVAL / 2);
    }

    #[test]
    fn failures_double_the_pause_up_to_five_minutes_and_an_answer_ends_that() {
        let mut entry = Entry::new(target("a", -3600));
        let mut pauses = Vec::new();
        for second in 0..6 {
            entry.learn(failure(), at(second));
            pauses.push(entry.pause(at(second)).as_secs());
        }
        assert_eq!(pauses, [60, 120, 240, 300, 300, 300]);
        entry.learn(healthy(true), at(9));
        assert_eq!(entry.pause(at(9)), INTERVAL);
    }

    #[test]
    fn an_answer_that_says_nothing_new_is_no_news() {
        let mut entry = Entry::new(target("a", -3600));
        assert!(entry.learn(healthy(true), at(0)));
        // The second answer makes a later denial certain.
        assert!(entry.learn(healthy(true), at(30)));
        assert!(!entry.learn(healthy(true), at(60)));
        assert!(!entry.learn(failure(), at(90)));
        assert!(!entry.learn(healthy(true), at(150)));
    }

    #[test]
    fn another_pod_is_asked_soon_and_the_adapters_that_are_known_stay() {
        let mut entry = Entry::new(target("a", -3600));
        entry.learn(healthy(true), at(0));
        assert!(!entry.retarget(target("a", -3600)));
        assert!(entry.retarget(target("b", 100)));
        assert!(entry.report.enabled.contains_key("nfs"));
    }
}
