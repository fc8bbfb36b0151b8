//! A limit on what runs at the same time. Work that waits for something slow does not use it up for the rest.

use std::pin::pin;
use std::time::Duration;

use tokio::sync::Semaphore;

/// Slots for quick work, and more of them for work that turns out to be slow.
///
/// Work begins in a slot for quick work. After a time it moves to a slot for slow work, if one is free. So servers that do not answer
/// delay others by that time at most, until all slots for slow work are in use as well.
#[derive(Debug)]
pub struct Slots {
    quick: Semaphore,
    slow: Semaphore,
    slow_after: Duration,
}

impl Slots {
    /// So many slots of each kind. Work is slow after `slow_after`.
    #[must_use]
    pub fn new(quick: usize, slow: usize, slow_after: Duration) -> Self {
        Self {
            quick: Semaphore::new(quick),
            slow: Semaphore::new(slow),
            slow_after,
        }
    }

    /// Does the work as soon as a slot is free.
    pub async fn run<T>(&self, work: impl Future<Output = T>) -> T {
        // The semaphores are never closed.
        let quick = self.quick.acquire().await;
        let mut work = pin!(work);
        if let Ok(done) = tokio::time::timeout(self.slow_after, &mut work).await {
            return done;
        }
        tokio::select! {
            done = &mut work => done,
            _slow = self.slow.acquire() => {
                drop(quick);
                work.await
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::Arc;

    use super::*;

    const SLOW_AFTER: Duration = Duration::from_millis(10);

    /// Slots in which so much work runs that never ends.
    async fn with_endless(quick: usize, slow: usize, endless: usize) -> Arc<Slots> {
        let slots = Arc::new(Slots::new(quick, slow, SLOW_AFTER));
        for _ in 0..endless {
            let slots = Arc::clone(&slots);
            tokio::spawn(async move { slots.run(pending::<()>()).await });
        }
        tokio::task::yield_now().await;
        slots
    }

    #[tokio::test]
    async fn work_that_never_ends_holds_no_slot_that_other_work_needs() {
        let slots = with_endless(2, 4, 4).await;
        for number in 0..100 {
            assert_eq!(slots.run(async { number }).await, number);
        }
    }

    #[tokio::test]
    async fn all_slots_together_are_a_limit() {
        let slots = with_endless(2, 4, 6).await;
        let other = slots.run(async {});
        assert!(tokio::time::timeout(20 * SLOW_AFTER, other).await.is_err());
    }

    #[tokio::test]
    async fn slow_work_ends_whether_or_not_a_slot_for_slow_work_is_free() {
        for endless in 0..=1 {
            let slots = with_endless(2, 1, endless).await;
            slots.run(tokio::time::sleep(3 * SLOW_AFTER)).await;
        }
    }
}
