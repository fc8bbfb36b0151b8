//! The three durations of the leader election, and their validation.

use std::time::Duration;

use thiserror::Error;

/// What jitter may add to the retry period in client-go. The renew deadline must leave room for one retry.
const JITTER: f64 = 1.2;
/// A Lease stores its duration in whole seconds.
const SHORTEST_LEASE: Duration = Duration::from_secs(1);

/// Why the durations are invalid.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Error {
    /// The lease would expire before its holder stops.
    #[error(
        "--leader-elect-lease-duration ({0:?}) must be longer than --leader-elect-renew-deadline ({1:?}): the old \
         leader must have stopped before another candidate may acquire the lease"
    )]
    Lease(Duration, Duration),
    /// There is no time for a second attempt.
    #[error(
        "--leader-elect-renew-deadline ({0:?}) must be longer than 1.2 × --leader-elect-retry-period ({1:?}): a failed \
         renewal needs time for another attempt"
    )]
    Renew(Duration, Duration),
    /// A period of zero would call the API server without a pause.
    #[error("--leader-elect-retry-period must be longer than 0")]
    Retry,
    /// The Lease stores whole seconds.
    #[error(
        "--leader-elect-lease-duration ({0:?}) must be whole seconds, at least 1s: a Lease stores whole seconds"
    )]
    Whole(Duration),
}

/// The durations of an election. Defaults: 15 s, 10 s and 2 s, as in client-go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Time since the last observed change of the Lease after which a candidate may acquire it.
    pub lease: Duration,
    /// Time without a successful renewal after which the leader stops.
    pub renew: Duration,
    /// The pause between two attempts.
    pub retry: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(15),
            renew: Duration::from_secs(10),
            retry: Duration::from_secs(2),
        }
    }
}

impl Timing {
    /// Validates the durations.
    ///
    /// # Errors
    /// When two leaders could be active at the same time, or when there is no time for a second attempt.
    pub fn new(lease: Duration, renew: Duration, retry: Duration) -> Result<Self, Error> {
        if retry.is_zero() {
            return Err(Error::Retry);
        }
        if lease.subsec_nanos() != 0 || lease < SHORTEST_LEASE {
            return Err(Error::Whole(lease));
        }
        if lease <= renew {
            return Err(Error::Lease(lease, renew));
        }
        if renew <= retry.mul_f64(JITTER) {
            return Err(Error::Renew(renew, retry));
        }
        Ok(Self { lease, renew, retry })
    }

    /// The deadline of one call for the Lease: two calls fit into the renew deadline.
    #[must_use]
    pub fn call(&self) -> Duration {
        self.renew / 2
    }

    /// Time after a renewal was sent in which writes are sent. It ends before the renew deadline, so that the API server has more time for
    /// each of them, and after the next renewal, which is due after the retry period.
    #[must_use]
    pub fn writes(&self) -> Duration {
        (self.retry + self.renew) / 2
    }

    /// Time between the last moment at which a leader sends a write and the moment at which a successor may start. Every write must have
    /// ended within it.
    #[must_use]
    pub fn margin(&self) -> Duration {
        self.lease.saturating_sub(self.writes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timing(lease: u64, renew: u64, retry: u64) -> Result<Timing, Error> {
        Timing::new(
            Duration::from_millis(lease),
            Duration::from_millis(renew),
            Duration::from_millis(retry),
        )
    }

    #[test]
    fn the_durations_of_client_go_are_accepted() {
        assert!(timing(15_000, 10_000, 2_000).is_ok());
    }

    #[test]
    fn writes_are_sent_between_the_next_renewal_and_the_renew_deadline() {
        let timing = Timing::default();
        assert_eq!(timing.writes(), Duration::from_secs(6));
        assert_eq!(timing.margin(), Duration::from_secs(9));
    }

    #[test]
    fn durations_that_allow_two_leaders_or_a_single_attempt_are_refused_with_the_flags_named() {
        for (durations, flags) in [
            ((10, 10, 2), ["lease-duration", "renew-deadline"]),
            ((15, 2, 2), ["renew-deadline", "retry-period"]),
        ] {
            let refused = timing(durations.0 * 1000, durations.1 * 1000, durations.2 * 1000).unwrap_err();
            for flag in flags {
                assert!(refused.to_string().contains(flag), "{refused}");
            }
        }
        assert_eq!(timing(15_000, 10_000, 0), Err(Error::Retry));
        assert!(matches!(timing(1_500, 1_000, 200), Err(Error::Whole(_))));
        assert!(
            timing(2_000, 1_200, 1_000).is_err(),
            "exactly 1.2 × leaves no room"
        );
    }
}
