//! Exponential backoff with jitter, for each object and for each watch.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::runtime::utils::Backoff;

/// Pauses that double from `first` to `longest`, each shortened by up to a quarter at random.
///
/// The jitter prevents that many objects that failed together are retried together.
#[derive(Clone, Debug)]
pub struct Exponential {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Exponential {
    /// Starts at `first`; never longer than `longest`.
    #[must_use]
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            failures: 0,
        }
    }
}

impl Iterator for Exponential {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let pause = pause(self.first, self.longest, self.failures);
        self.failures = self.failures.saturating_add(1);
        Some(jittered(pause, random()))
    }
}

impl Backoff for Exponential {
    fn reset(&mut self) {
        self.failures = 0;
    }
}

/// Counts the failures in a row of each object. Clones share the counts.
#[derive(Clone, Debug)]
pub struct PerObject<Key> {
    first: Duration,
    longest: Duration,
    failures: Arc<Mutex<HashMap<Key, u32>>>,
}

impl<Key: Eq + std::hash::Hash + Clone> PerObject<Key> {
    /// Starts at `first` for each object; never longer than `longest`.
    #[must_use]
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            failures: Arc::default(),
        }
    }

    /// Records a failure and returns the pause before the next try.
    pub fn failed(&self, key: Key) -> Duration {
        let mut failures = self.lock();
        let count = failures.entry(key).or_insert(0);
        let pause = pause(self.first, self.longest, *count);
        *count = count.saturating_add(1);
        jittered(pause, random())
    }

    /// Resets the failures of an object that succeeded or was deleted.
    pub fn forget(&self, key: &Key) {
        self.lock().remove(key);
    }

    /// Whether the last try of an object failed.
    #[must_use]
    pub fn is_failing(&self, key: &Key) -> bool {
        self.lock().contains_key(key)
    }

    /// The objects whose last try failed.
    #[must_use]
    pub fn failing(&self) -> Vec<Key> {
        self.lock().keys().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, u32>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn pause(first: Duration, longest: Duration, failures: u32) -> Duration {
    first
        .saturating_mul(2_u32.saturating_pow(failures.min(20)))
        .min(longest)
}

/// Shortens by up to a quarter; `random` is any number.
fn jittered(pause: Duration, random: u64) -> Duration {
    let thousandths = u32::try_from(random % 250).unwrap_or(0);
    pause * (1000 - thousandths) / 1000
}

/// Shortens a pause by up to a quarter at random, so that many waiters do not continue at the same time.
#[must_use]
pub fn jitter(pause: Duration) -> Duration {
    jittered(pause, random())
}

/// A random number from 0 up to 1.
#[must_use]
pub fn fraction() -> f64 {
    f64::from(u32::try_from(random() >> 32).unwrap_or(0)) / f64::from(u32::MAX)
}

/// Jitter needs no good randomness: the standard library's seed for hash maps is enough.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(60);

    proptest! {
        #[test]
        fn a_pause_lies_between_three_quarters_and_the_whole_of_its_step(failures in 0_u32..200, random: u64) {
            let whole = pause(FIRST, LONGEST, failures);
            let jittered = jittered(whole, random);
            prop_assert!(jittered <= whole && jittered >= whole * 3 / 4);
            prop_assert!(whole <= LONGEST);
        }
    }

    #[test]
    fn pauses_double_until_the_longest() {
        let steps: Vec<_> = (0..12)
            .map(|failures| pause(FIRST, LONGEST, failures).as_millis())
            .collect();
        assert_eq!(steps[..4], [100, 200, 400, 800]);
        assert_eq!(steps[11], LONGEST.as_millis());
    }

    // invariant: 8
    #[test]
    fn one_object_does_not_lengthen_the_pause_of_another() {
        let backoff = PerObject::new(FIRST, LONGEST);
        for _ in 0..8 {
            backoff.failed("a");
        }
        assert!(backoff.failed("b") <= FIRST);
        backoff.forget(&"a");
        assert_eq!(backoff.failing(), ["b"]);
        assert!(backoff.failed("a") <= FIRST);
    }
}
