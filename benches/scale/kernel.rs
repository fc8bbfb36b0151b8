//! CPU time of processes, as the kernel counts it.

use std::time::Duration;

/// The kernel counts CPU time for programs in units of 10 ms on every common architecture (`USER_HZ`).
pub const TICK: Duration = Duration::from_millis(10);

/// One process.
#[derive(Clone, Copy, Debug)]
pub struct Process {
    /// Its parent.
    pub parent: u32,
    /// User and system time so far, in [`TICK`]s.
    pub ticks: u32,
}

/// A process by its id. `None` if there is none.
pub fn process(pid: u32) -> Option<Process> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the name of the program, in parentheses. The fourth is the parent, and the times are fields 14 and 15.
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u32>().ok();
    Some(Process {
        parent: number(1)?,
        ticks: number(11)? + number(12)?,
    })
}

/// The ids of all processes.
pub fn pids() -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}
