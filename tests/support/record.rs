//! What a run of all behaviours leaves for `tests/rights.rs`, which looks at it afterwards.

use std::path::{Path, PathBuf};

/// Arguments of a test program that leave no test out.
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
fn a_filter_makes_a_run_one_of_a_part() {
    let is_whole = |arguments: &[&str]| is_whole(arguments.iter().map(|&argument| argument.to_owned()));
    assert!(is_whole(&[]));
    assert!(is_whole(&["--nocapture", "--test-threads=1"]));
    for part in ["rollouts::", "--ignored", "--list", "--skip=leader::"] {
        assert!(!is_whole(&[part]), "{part}");
    }
}
