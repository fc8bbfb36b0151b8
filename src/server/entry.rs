//! One server that is polled: when the next call is due, and what is known. Pure.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::domain::adapters::{Calls, Failure, Listed, ServerReport, UNREACHABLE_AFTER, Unread, learn};
use crate::domain::server_api::{STARTING, Target};
use crate::domain::server_settings::{Declared, Outcome};

/// Pause between two calls to a server that is starting.
const FAST: Duration = Duration::from_secs(2);
/// Pause before a call to a server of which something has changed.
pub(super) const SOON: Duration = Duration::from_millis(200);
/// Longest pause after failures.
const LONGEST: Duration = Duration::from_secs(300);

/// Time after which the settings of a server are compared with the spec again, since a person may have changed them on the server
/// (`dfsctl`). That costs a few reads for each kind of setting that the spec declares, and a write only where something differs.
const COMPARE_EVERY: Duration = Duration::from_secs(600);

/// Times that are the same for all servers. Tests have shorter ones.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Time between two comparisons of the settings of a server.
    pub compare_every: Duration,
    /// Time from the first failed call after which an API may be reported as unreachable.
    pub unreachable_after: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            compare_every: COMPARE_EVERY,
            unreachable_after: UNREACHABLE_AFTER,
        }
    }
}

/// Largest number of rows of one answer that are logged.
const LOGGED_MAX: usize = 5;

/// What is known of one server.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) target: Target,
    pub(super) report: Arc<ServerReport>,
    /// The report that a reconcile read last, or for which it was asked.
    pub(super) reconciled: Arc<ServerReport>,
    calls: Calls,
    /// The types of the rows that could not be read, as they were logged last.
    logged: BTreeSet<Option<String>>,
    /// Pause after the last call, if it failed.
    backoff: Option<Duration>,
    /// The settings that the server has.
    applied: Option<Declared>,
    /// When they are compared again.
    compare_at: Option<Timestamp>,
    /// Settings that the server does not have yet, although nothing new is declared: when they are tried again, and the pause until then.
    retry: Option<(Declared, Timestamp, Duration)>,
    pace: Pace,
}

/// What one call found out.
pub(super) struct Answer {
    pub(super) adapters: Result<Listed, Failure>,
    /// The settings that were compared, if that was due.
    pub(super) settings: Option<(Declared, Outcome)>,
}

impl Answer {
    pub(super) fn of_adapters(adapters: Result<Listed, Failure>) -> Self {
        Self {
            adapters,
            settings: None,
        }
    }
}

impl Entry {
    pub(super) fn new(target: Target, pace: Pace) -> Self {
        Self {
            target,
            report: Arc::default(),
            reconciled: Arc::default(),
            calls: Calls::new(pace.unreachable_after),
            logged: BTreeSet::new(),
            backoff: None,
            applied: None,
            compare_at: None,
            retry: None,
            pace,
        }
    }

    /// Replaces the target. Returns whether the server must be asked soon: another pod serves, or at another address.
    pub(super) fn retarget(&mut self, target: Target) -> bool {
        if self.target.server != target.server {
            *self = Self::new(target, self.pace);
            return true;
        }
        let is_other = self.target.pod != target.pod
            || self.target.url != target.url
            || self.target.started != target.started;
        let is_changed = self.target.key != target.key || self.target.trust != target.trust;
        let is_ready_again = self.target.ready_since != target.ready_since;
        self.target = target;
        if is_other || is_ready_again {
            // Nobody was asked while no pod was ready.
            self.calls.forget_failures();
            self.backoff = None;
        }
        if is_other {
            // What the former pod said of its listeners says nothing about this one.
            self.report = Arc::new(self.report.of_another_pod());
            self.applied = None;
            self.retry = None;
        }
        is_other || is_changed || self.has_new_settings()
    }

    /// The settings to compare with those of the server. `None` if they were compared a short time ago.
    pub(super) fn due_settings(&self, now: Timestamp) -> Option<Declared> {
        let declared = &self.target.declared;
        let is_time = self.compare_at.is_some_and(|at| at <= now) && !declared.is_empty();
        let waits =
            |(tried, until, _): &(Declared, Timestamp, Duration)| *until > now && declared.is_same(tried);
        let is_new = self.has_new_settings();
        if is_new && self.retry.as_ref().is_some_and(waits) {
            return None;
        }
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
            Some(_) => self.pace.compare_every,
            None => self.pace.compare_every.mul_f64(random),
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
            self.calls.succeeded(now);
            self.backoff = None;
        } else {
            self.calls.failed(now);
            self.backoff = Some(self.longer_pause(now));
        }
        let mut report = learn(&self.report, answer, &self.calls, now);
        if let Some((declared, outcome)) = settings {
            self.note_retry(&declared, &outcome, now);
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

    /// What the server refuses today it refuses a moment later, too: what is tried again and again is tried more and more rarely. What the
    /// operator has announced follows at once.
    fn note_retry(&mut self, declared: &Declared, outcome: &Outcome, now: Timestamp) {
        let content = outcome.content.as_ref();
        let is_urgent = outcome.has_stopped_adapter
            || outcome.has_announced_restart
            || content.is_some_and(|content| content.has_announced);
        if is_urgent || outcome.is_complete() || outcome.is_progress(self.report.settings.as_ref()) {
            self.retry = None;
            return;
        }
        let pause = match &self.retry {
            Some((tried, _, pause)) if declared.is_same(tried) => pause.saturating_mul(2),
            _ => self.target.interval,
        };
        let pause = pause.min(LONGEST);
        let until = SignedDuration::try_from(pause).ok();
        let until = until.and_then(|pause| now.checked_add(pause).ok());
        self.retry = until.map(|until| (declared.clone(), until, pause));
    }

    /// What the log must say of the rows of an answer that cannot be read. It says it once, until others cannot be read.
    pub(super) fn log_lines(&mut self, answer: &Answer) -> Vec<String> {
        let rows = answer.adapters.as_ref().map(|listed| listed.unread.as_slice());
        let rows = rows.unwrap_or_default();
        let types: BTreeSet<_> = rows.iter().map(|row| row.adapter_type.clone()).collect();
        if rows.is_empty() || types == self.logged {
            return Vec::new();
        }
        self.logged = types;
        let text = |row: &Unread| {
            let adapter_type = row.adapter_type.as_deref().unwrap_or("of an unknown type");
            format!("{adapter_type}: {}", row.error)
        };
        rows.iter().take(LOGGED_MAX).map(text).collect()
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
        if let Some(backoff) = self.backoff {
            return backoff;
        }
        let settings = self.report.settings.as_ref();
        let has_stopped_adapter = settings.is_some_and(|settings| settings.has_stopped_adapter);
        if self.is_starting(now) || has_stopped_adapter {
            return FAST;
        }
        self.target.interval
    }

    /// Pause after a failure: twice the one before. It starts at [`FAST`] and ends at the interval while the server starts.
    fn longer_pause(&self, now: Timestamp) -> Duration {
        let interval = self.target.interval;
        let (first, longest) = if self.is_starting(now) {
            (FAST, interval.max(FAST))
        } else {
            (interval.saturating_mul(2), interval.max(LONGEST))
        };
        let doubled = self.backoff.map(|backoff| backoff.saturating_mul(2));
        doubled.unwrap_or(first).min(longest)
    }

    /// Whether the pod became ready a moment ago and does not yet serve files.
    fn is_starting(&self, now: Timestamp) -> bool {
        let adapters = &self.report.enabled;
        let serves = !adapters.is_empty() && adapters.values().all(|adapter| adapter.is_healthy);
        let is_new = self.target.ready_since.is_some_and(|since| {
            let age = now.duration_since(since);
            Duration::try_from(age).is_ok_and(|age| age < STARTING)
        });
        let is_answered = self.report.has_answer() && !self.calls.is_failing();
        is_new && !(serves && is_answered)
    }
}

#[cfg(test)]
mod tests;
