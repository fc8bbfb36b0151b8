//! Waits until a process that was started serves.

use std::path::Path;
use std::time::{Duration, Instant};
use std::{fs, io};

use crate::leash::Leash;
use crate::text::last_lines;

const LONGEST_START: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);
/// Lines of the log that an error quotes.
const QUOTED_LINES: usize = 20;

/// Waits until `is_serving`. Returns the end of the log if the process has ended, or takes too long.
pub(crate) async fn until_serving(
    leash: &mut Leash,
    log: &Path,
    is_serving: impl Fn() -> bool,
) -> io::Result<Option<String>> {
    let deadline = Instant::now() + LONGEST_START;
    while !is_serving() {
        if leash.exited()?.is_some() || Instant::now() > deadline {
            let log = fs::read_to_string(log).unwrap_or_default();
            return Ok(Some(last_lines(&log, QUOTED_LINES)));
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(None)
}
