//! The scenarios, each in its file. `place` is the world that most of them share: everything is in place there.

pub mod cold_start;
pub mod deleted_children;
pub mod edit_all;
pub mod edit_one;
pub mod mass_delete;
pub mod place;
pub mod rest;
pub mod restart;

use crate::figures::Repetition;

/// The namespace of the operator.
pub const OURS: &str = "ours";
/// The namespace of the bare client.
pub const BARE: &str = "bare";

/// A line of progress.
pub fn announce(scenario: &str, servers: usize, repetition: usize, result: &Repetition) {
    let Repetition { ours, bare } = result;
    println!(
        "{scenario}, {servers} servers, repetition {}: operator {:.2} s (CPU {:.2} s, {} MiB, {} writes, {} reads), bare client {bare:.2} s",
        repetition + 1,
        ours.seconds,
        ours.cpu,
        ours.settled_kib / 1024,
        ours.writes,
        ours.reads,
    );
}
