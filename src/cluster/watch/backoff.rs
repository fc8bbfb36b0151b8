//! Pauses between the attempts of a failing watch.

use std::time::Duration;

use kube::runtime::utils::{Backoff, ResetTimerBackoff};

use crate::base::backoff::Exponential;

/// First and longest pause between two attempts.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));
/// As [`RETRY`], while the API server cannot be reached: a refused connection costs it nothing, and the longest pause is how late the
/// operator goes on after an outage.
const RECONNECT: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(2));
/// Time after the longest pause without a failure, after which the pauses start over.
const RECOVERED: Duration = Duration::from_secs(60);
/// As [`RETRY`], while the kind is not installed and its CRD cannot be watched. The longest pause limits how late the operator notices
/// that the kind is installed. It is shorter than the age at which the alert on stale watches fires.
const MISSING: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(300));

/// The pauses of one watch.
///
/// A success does not reset them. A watcher returns `Init` before it lists, even if each list fails, and kube would count that as a
/// success. Only time without a failure resets them.
pub(super) struct WatchBackoff(ResetTimerBackoff<Exponential>);

impl WatchBackoff {
    pub(super) fn new() -> Self {
        Self::between(RETRY)
    }

    /// The pauses of a watch whose API server cannot be reached.
    pub(super) fn while_unreachable() -> Self {
        Self::between(RECONNECT)
    }

    /// The pauses of a kind that is not installed.
    pub(super) fn while_missing() -> Self {
        Self::between(MISSING)
    }

    /// The pauses start over after a time without a failure that is longer than the longest of them. So they never start over for a
    /// watch that always fails.
    fn between((first, longest): (Duration, Duration)) -> Self {
        Self(ResetTimerBackoff::new(
            Exponential::new(first, longest),
            longest + RECOVERED,
        ))
    }

    /// The next pause.
    pub(super) fn pause(&mut self) -> Duration {
        self.0.next().unwrap_or(RETRY.1)
    }
}

impl Iterator for WatchBackoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.0.next()
    }
}

impl Backoff for WatchBackoff {
    fn reset(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pauses_of_a_watch_that_always_fails_grow_although_each_attempt_starts_with_an_event() {
        let mut backoff = WatchBackoff::new();
        let mut last = None;
        for _ in 0..8 {
            // As kube's `StreamBackoff` does on `Ok(Event::Init)`.
            Backoff::reset(&mut backoff);
            last = backoff.next();
        }
        assert!(last >= Some(RETRY.1 * 3 / 4), "{last:?}");
    }

    #[test]
    fn a_kind_that_stays_missing_is_listed_every_few_minutes_and_one_that_is_installed_soon_is_noticed_soon()
    {
        let mut backoff = WatchBackoff::while_missing();
        let mut missing = Duration::ZERO;
        let mut last = Duration::ZERO;
        for _ in 0..14 {
            last = backoff.pause();
            assert!(last <= missing * 2 + MISSING.0, "{last:?} after {missing:?}");
            missing += last;
        }
        assert!(last >= MISSING.1 * 3 / 4, "{last:?}");
    }
}
