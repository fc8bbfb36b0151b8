//! What a run of all behaviours keeps for `tests/rights.rs`, which runs afterwards.

use std::path::{Path, PathBuf};

/// Arguments of a test program that skip no test.
const HARMLESS: [&str; 5] = [
    "--nocapture",
    "--no-capture",
    "--show-output",
    "--quiet",
    "--include-ignored",
];

/// The audit logs, one for each API server.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("audit")
}

/// Whether a test program with these arguments runs all of its tests. Cargo gives all of its programs the same ones.
pub fn is_whole(mut arguments: impl Iterator<Item = String>) -> bool {
    arguments.all(|argument| HARMLESS.contains(&argument.as_str()) || argument.starts_with("--test-threads="))
}

#[test]
fn a_run_with_a_filter_is_a_partial_run() {
    let is_whole = |arguments: &[&str]| is_whole(arguments.iter().map(|&argument| argument.to_owned()));
    assert!(is_whole(&[]));
    assert!(is_whole(&["--nocapture", "--test-threads=1"]));
    for part in ["rollouts::", "--ignored", "--list", "--skip=leader::"] {
        assert!(!is_whole(&[part]), "{part}");
    }
}
