//! The kubelet's delay between restarts. Pure.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(300);
/// A container that ran for so long starts afresh.
const FORGIVEN: Duration = Duration::from_secs(600);

/// The first restart comes immediately, then after 10 seconds, 20, 40 and so on up to five minutes.
#[derive(Default)]
pub(super) struct Backoff {
    next: Duration,
}

impl Backoff {
    /// How long to wait after a life of this length.
    pub(super) fn after(&mut self, life: Duration) -> Duration {
        if life >= FORGIVEN {
            self.next = Duration::ZERO;
        }
        let delay = self.next;
        self.next = (delay * 2).clamp(FIRST, LONGEST);
        delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_doubles_up_to_five_minutes_and_a_long_life_resets_it() {
        let mut backoff = Backoff::default();
        let short = Duration::from_secs(1);
        let delays: Vec<_> = (0..8).map(|_| backoff.after(short).as_secs()).collect();
        assert_eq!(delays, [0, 10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(backoff.after(FORGIVEN), Duration::ZERO);
    }
}
