//! The scenarios, each in its file. `place` is the world that most of them share: everything is in place there.

pub mod cold_start;
pub mod deleted_children;
pub mod edit_all;
pub mod edit_one;
pub mod isolation;
pub mod mass_delete;
pub mod place;
pub mod poison;
pub mod rest;
pub mod restart;
pub mod shares;

use crate::cli::{Flags, Scenario};
use crate::error::Result;
use crate::figures::{Figures, Repetition, Row};

/// A line of progress.
fn announce(scenario: &str, servers: usize, repetition: usize, result: &Repetition) {
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

/// Measures all sizes of a scenario in which each repetition makes its own world. `repeat` gets the number of servers and that of the
/// repetition.
pub async fn of_all_sizes(
    flags: &Flags,
    scenario: Scenario,
    name: &str,
    repeat: impl AsyncFn(usize, usize) -> Result<Repetition>,
) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for servers in flags.sizes(scenario) {
        let repetitions = flags.repetitions(servers);
        let repeat = async |repetition| repeat(servers, repetition).await;
        rows.push(of_one_size(name, servers, repetitions, repeat).await?);
    }
    Ok(rows)
}

/// Repeats a scenario, and prints each result.
pub async fn of_one_size(
    name: &str,
    servers: usize,
    repetitions: usize,
    mut repeat: impl AsyncFnMut(usize) -> Result<Repetition>,
) -> Result<Row> {
    let mut results = Vec::new();
    for repetition in 0..repetitions {
        let result = repeat(repetition).await?;
        announce(name, servers, repetition, &result);
        results.push(result);
    }
    Ok(Row {
        servers,
        repetitions: results,
    })
}

/// One repetition. The operator and the bare client take turns in who is first.
pub async fn in_turns(
    repetition: usize,
    ours: impl Future<Output = Result<Figures>>,
    bare: impl Future<Output = Result<f64>>,
) -> Result<Repetition> {
    let (ours, bare) = if repetition.is_multiple_of(2) {
        let ours = ours.await?;
        (ours, bare.await?)
    } else {
        let bare = bare.await?;
        (ours.await?, bare)
    };
    Ok(Repetition { ours, bare })
}
