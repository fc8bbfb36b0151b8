//! Every rule of the chart is needed, and none is missing.
//!
//! This test checks a run of all `behaviours`, in which the operator uses the chart's service account. Cargo runs it after
//! them, in alphabetical order. If a right that a call used is removed, the call is refused. So
//! "each one was used" and "none was refused" together show that the removal of any right would be noticed.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a failed test panics, and the shared helpers are not marked `#[test]`"
)]

#[path = "support/chart.rs"]
mod chart;
#[path = "support/record.rs"]
mod record;

use std::collections::BTreeSet;
use std::fs::{self, File};

use local_control_plane::rights::Right;
use local_control_plane::rights::findings::Findings;
use local_control_plane::rights::usage::Usage;

/// The chart's rights that the API server's admission checks, so that no call shows them: docs/rbac.md.
fn unseen() -> BTreeSet<Right> {
    let unseen = [("update", "dittofs.dittofs.com", "dittoservers/finalizers")];
    let right = |(verb, group, resource): (&str, &str, &str)| Right {
        group: group.to_owned(),
        resource: resource.to_owned(),
        verb: verb.to_owned(),
        name: None,
    };
    unseen.into_iter().map(right).collect()
}

/// The calls of the operator in the audit logs of the last complete run.
fn usage() -> Usage {
    let folder = record::folder();
    let logs = fs::read_dir(&folder).unwrap_or_else(|error| {
        panic!(
            "{}: {error}; run `cargo test --test behaviours` before, all of it",
            folder.display()
        )
    });
    let mut usage = Usage::default();
    for log in logs {
        let log = File::open(log.expect("an entry").path()).expect("an audit log");
        usage
            .read(log, &chart::account(chart::NAMESPACE))
            .expect("an audit log");
    }
    usage
}

// invariant: 19
#[test]
fn every_right_of_the_chart_is_used_by_a_test_and_none_is_missing() {
    // A partial run shows nothing about the other behaviours. To run only this test means to check the last complete run.
    let is_meant = std::env::args().any(|argument| argument == "--exact");
    if !is_meant && !record::is_whole(std::env::args().skip(1)) {
        println!("not looked at: only some behaviours ran");
        return;
    }
    let findings = Findings::of(&chart::granted(), usage(), &unseen());
    assert!(findings.is_empty(), "\n{findings}");
}
