//! The three times of an election, and what they must satisfy.

use std::time::Duration;

use thiserror::Error;

/// What jitter may add to the retry period in client-go. The renew deadline must leave room for one retry.
const JITTER: f64 = 1.2;
/// A Lease states its duration in whole seconds.
const SHORTEST_LEASE: Duration = Duration::from_secs(1);

/// Why the times do not go together.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Error {
    /// The lease would run out while its holder still counts on it.
    #[error(
        "--leader-elect-lease-duration ({0:?}) must be longer than --leader-elect-renew-deadline ({1:?}): a leader must \
         have stopped before another may follow it"
    )]
    Lease(Duration, Duration),
    /// There is no time for a second try.
    #[error(
        "--leader-elect-renew-deadline ({0:?}) must be longer than 1.2 × --leader-elect-retry-period ({1:?}): a renewal \
         that fails must have time for another try"
    )]
    Renew(Duration, Duration),
    /// A period of nothing would call the API server without a pause.
    #[error("--leader-elect-retry-period must be longer than 0")]
    Retry,
    /// The Lease cannot state it.
    #[error(
        "--leader-elect-lease-duration ({0:?}) must be whole seconds, at least 1s: a Lease states no others"
    )]
    Whole(Duration),
}

/// The times of an election. 15 s, 10 s and 2 s unless the user says otherwise, as client-go has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How long a candidate waits, from when it saw the Lease change, before it takes the Lease.
    pub lease: Duration,
    /// How long a leader goes on without a renewal.
    pub renew: Duration,
    /// The pause between two tries.
    pub retry: Duration,
}

impl Timing {
    /// Checks the times against each other.
    ///
    /// # Errors
    /// When a leader could act while another one does, or could not try twice.
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

    /// The deadline of one call about the Lease: two of them fit between two renewals that are due.
    #[must_use]
    pub fn call(&self) -> Duration {
        self.renew / 2
    }

    /// What is left between a leader's last moment and its successor's first. What the leader has sent must have been
    /// answered within it.
    #[must_use]
    pub fn margin(&self) -> Duration {
        self.lease.saturating_sub(self.renew)
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
    fn the_times_of_client_go_are_accepted() {
        assert!(timing(15_000, 10_000, 2_000).is_ok());
    }

    #[test]
    fn times_that_would_allow_two_leaders_or_a_single_try_are_refused_by_name() {
        for (times, flags) in [
            ((10, 10, 2), ["lease-duration", "renew-deadline"]),
            ((15, 2, 2), ["renew-deadline", "retry-period"]),
        ] {
            let refused = timing(times.0 * 1000, times.1 * 1000, times.2 * 1000).unwrap_err();
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
