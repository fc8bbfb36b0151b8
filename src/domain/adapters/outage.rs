//! Whether the API of a server has failed often enough, and for long enough, to be reported as unreachable. Pure.

use std::time::Duration;

use jiff::Timestamp;

/// Failed calls in a row after which the API may be reported as unreachable.
const FAILURES: u32 = 3;
/// Time from the first failed call after which the API may be reported as unreachable. A starting server is asked often, and fails
/// several calls within seconds.
pub const UNREACHABLE_AFTER: Duration = Duration::from_secs(90);

/// How the calls to one server ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calls {
    /// Failed calls in a row.
    failures: u32,
    /// When the first of them failed.
    failing_since: Option<Timestamp>,
    /// The last answer.
    pub last_success: Option<Timestamp>,
    /// Time from the first failed call after which the API may be reported as unreachable.
    unreachable_after: Duration,
}

impl Calls {
    /// No call was made. `unreachable_after` is [`UNREACHABLE_AFTER`], or shorter in tests.
    #[must_use]
    pub fn new(unreachable_after: Duration) -> Self {
        Self {
            failures: 0,
            failing_since: None,
            last_success: None,
            unreachable_after,
        }
    }

    /// A call was answered.
    pub fn succeeded(&mut self, now: Timestamp) {
        self.forget_failures();
        self.last_success = Some(now);
    }

    /// A call failed.
    pub fn failed(&mut self, now: Timestamp) {
        self.failures = self.failures.saturating_add(1);
        self.failing_since.get_or_insert(now);
    }

    /// The failures say nothing about the next call: another process answers it.
    pub fn forget_failures(&mut self) {
        self.failures = 0;
        self.failing_since = None;
    }

    /// Whether the last call failed.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.failures > 0
    }

    /// Whether so many calls failed, for so long, that the API is unreachable.
    #[must_use]
    pub fn is_outage(&self, now: Timestamp) -> bool {
        let lasts = self.failing_since.is_some_and(|since| {
            let passed = Duration::try_from(now.duration_since(since));
            passed.is_ok_and(|passed| passed >= self.unreachable_after)
        });
        lasts && self.failures >= FAILURES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn failing(seconds: &[i64]) -> Calls {
        let mut calls = Calls::new(UNREACHABLE_AFTER);
        for second in seconds {
            calls.failed(at(*second));
        }
        calls
    }

    #[test]
    fn an_outage_needs_three_failures_and_ninety_seconds() {
        for (failed, now, is_outage) in [
            (&[][..], 1000, false),
            (&[0, 2, 4], 4, false),
            (&[0, 2, 6, 14, 30, 60], 89, false),
            (&[0, 2, 6, 14, 30, 60, 90], 90, true),
            (&[0, 300], 300, false),
            (&[0, 60, 180], 180, true),
            // The clock was set back.
            (&[1000, 1002, 10], 10, false),
        ] {
            assert_eq!(
                failing(failed).is_outage(at(now)),
                is_outage,
                "{failed:?} at {now}"
            );
        }
    }

    #[test]
    fn an_answer_or_another_process_ends_an_outage() {
        let mut calls = failing(&[0, 60, 180]);
        calls.succeeded(at(200));
        assert_eq!((calls.is_failing(), calls.last_success), (false, Some(at(200))));
        for second in [300, 302, 304] {
            calls.failed(at(second));
        }
        assert!(
            !calls.is_outage(at(304)),
            "the time counts from the first new failure"
        );
        calls.forget_failures();
        assert!(!calls.is_failing() && !calls.is_outage(at(1000)));
    }
}
