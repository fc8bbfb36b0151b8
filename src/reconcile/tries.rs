//! When this process first tried to clean up a server.
//!
//! The time limit of a cleanup counts from the deletion. But if the operator did not run for a while, or its clock is ahead, one
//! failed call would end the cleanup. So it also counts from the first try of this process.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The first try for each server, by UID.
#[derive(Debug, Default)]
pub struct Tries(Mutex<HashMap<String, Instant>>);

impl Tries {
    /// Notes a try. Returns the time since the first one.
    pub(super) fn since_first(&self, uid: &str, now: Instant) -> Duration {
        let mut tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = *tries.entry(uid.to_owned()).or_insert(now);
        now.saturating_duration_since(first)
    }

    /// Forgets a server whose finalizer is removed.
    pub(super) fn forget(&self, uid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_counts_from_the_first_try_of_this_process() {
        let (tries, start) = (Tries::default(), Instant::now());
        assert_eq!(tries.since_first("a", start), Duration::ZERO);
        let later = start + Duration::from_secs(5);
        assert_eq!(tries.since_first("a", later), Duration::from_secs(5));
        assert_eq!(tries.since_first("b", later), Duration::ZERO, "another server");
        tries.forget("a");
        assert_eq!(tries.since_first("a", later), Duration::ZERO);
    }
}
