//! The delay of watches that were interrupted.

use std::time::Duration;

use kube::runtime::utils::Backoff;

/// A short, flat delay: a test that restarts the API server waits for what comes after it.
pub(crate) struct Soon;

impl Iterator for Soon {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(Duration::from_millis(100))
    }
}

impl Backoff for Soon {
    fn reset(&mut self) {}
}
