//! How much of the CPU time other programs used: the figures of a busy machine say little.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::figures::real;
use crate::kernel::{Process, TICK, pids, process};

/// Pause between two looks. A program that starts and ends in between is not seen.
const LOOK: Duration = Duration::from_secs(1);

/// Watches the other programs until the bench ends.
pub struct Neighbours {
    ticks: Arc<AtomicU32>,
    began: Instant,
}

impl Neighbours {
    /// Starts to watch.
    pub fn watch() -> Self {
        let ticks = Arc::<AtomicU32>::default();
        let count = Arc::clone(&ticks);
        std::thread::spawn(move || {
            let mut before = all();
            loop {
                std::thread::sleep(LOOK);
                let now = all();
                count.fetch_add(used(&before, &now), Ordering::Relaxed);
                before = now;
            }
        });
        Self {
            ticks,
            began: Instant::now(),
        }
    }

    /// Their part of the CPU time of all cores since the start, from 0 to 1.
    pub fn share(&self) -> f64 {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let used = real(self.ticks.load(Ordering::Relaxed)) * TICK.as_secs_f64();
        used / (self.began.elapsed().as_secs_f64() * real(cores))
    }
}

type Processes = HashMap<u32, Process>;

fn all() -> Processes {
    pids()
        .into_iter()
        .filter_map(|pid| Some((pid, process(pid)?)))
        .collect()
}

/// What the processes of others used between two looks.
fn used(before: &Processes, now: &Processes) -> u32 {
    let others = now.iter().filter(|(pid, _)| !is_own(**pid, now));
    let used = others.map(|(pid, process)| {
        let earlier = before.get(pid).map_or(0, |process| process.ticks);
        process.ticks.saturating_sub(earlier)
    });
    used.sum()
}

/// Whether a process is the bench, or was started by it.
fn is_own(pid: u32, all: &Processes) -> bool {
    let own = std::process::id();
    let mut ancestors = std::iter::successors(Some(pid), |pid| {
        let parent = all.get(pid)?.parent;
        (parent > 1).then_some(parent)
    });
    ancestors.any(|ancestor| ancestor == own)
}
