//! The termination message of a container.

use std::fs;
use std::path::Path;

use k8s_openapi::api::core::v1::Container;

use crate::text::last_lines;

/// The kubelet's limits of the message file and of what it takes from the log.
const FILE_BYTES: usize = 4096;
const LOG_BYTES: usize = 2048;
const LOG_LINES: usize = 80;

/// What the container wrote to its termination message file, or the end of its log, if the policy says so and it failed.
pub(super) fn of(container: &Container, code: i32, log: &Path, file: &Path) -> Option<String> {
    let written = text(file);
    if !written.is_empty() {
        return Some(end(&written, FILE_BYTES).to_owned());
    }
    let policy = container.termination_message_policy.as_deref();
    if policy != Some("FallbackToLogsOnError") || code == 0 {
        return None;
    }
    let lines = last_lines(&text(log), LOG_LINES);
    let words = end(&lines, LOG_BYTES);
    (!words.is_empty()).then(|| words.to_owned())
}

fn text(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

/// The last bytes of a text, from a whole character on.
fn end(text: &str, bytes: usize) -> &str {
    let mut start = text.len().saturating_sub(bytes);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_speaks_only_for_a_failure_and_only_if_the_policy_says_so() {
        let directory = tempfile::tempdir().unwrap();
        let (log, file) = (directory.path().join("log"), directory.path().join("message"));
        fs::write(&log, "first\nlast\n").unwrap();
        let container = |policy: &str| Container {
            termination_message_policy: Some(policy.to_owned()),
            ..Container::default()
        };
        let falls_back = container("FallbackToLogsOnError");
        assert_eq!(of(&falls_back, 1, &log, &file).as_deref(), Some("first\nlast"));
        assert_eq!(of(&falls_back, 0, &log, &file), None);
        assert_eq!(of(&container("File"), 1, &log, &file), None);
        fs::write(&file, "said").unwrap();
        assert_eq!(of(&container("File"), 0, &log, &file).as_deref(), Some("said"));
    }

    #[test]
    fn a_long_message_keeps_its_end() {
        assert_eq!(end("größer", 4), "ßer");
        assert_eq!(end("größer", 3), "er");
    }
}
