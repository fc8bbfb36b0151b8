//! Random sequences of changes to a server. Whatever happens in between, the cluster ends in the state that a new server with the
//! final spec has, nothing that holds data is lost, and a restarted operator does nothing twice.
//!
//! Each sequence is generated from a seed, which a failure names. It runs twice: with an operator that keeps running,
//! and with one that is restarted during its work, or is down during the changes. `MODEL_SEQUENCES` sets how many sequences run
//! (16 if unset), `MODEL_SEED` the first seed (1 if unset). `make soak` runs 500.

mod life;
mod step;

use std::collections::BTreeMap;

use self::life::Life;
use self::step::{Step, sequence};
use crate::support::audit::AuditLog;
use crate::support::sequences;

// invariant: 6
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_sequence_of_changes_ends_like_a_new_server_with_the_final_spec_and_loses_no_data() {
    sequences::live_all("MODEL", 16, live_twice).await;
}

/// Runs a sequence twice: with an operator that keeps running, and with one that does not.
async fn live_twice(seed: u64) {
    let steps = sequence(seed);
    println!("model: seed {seed}: {steps:?}");
    let (calm, calm_log) = live(seed, &steps, Operator::Runs).await;
    let how = if seed.is_multiple_of(2) {
        Operator::IsDown
    } else {
        Operator::Restarts
    };
    let (restarted, log) = live(seed, &steps, how).await;
    if restarted != calm {
        let [history, calm_history] = [log, calm_log].map(|log| log.write_history());
        panic!(
            "creates and deletes of each object, with an operator that {how:?}: {restarted:#?}\nand one that runs: {calm:#?}\n{steps:?}\n\
             {history}\n\n{calm_history}"
        );
    }
}

/// What the operator does at each step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Runs,
    /// It is stopped right after the step, during its work, and started again.
    Restarts,
    /// It is down during the step.
    IsDown,
}

/// Runs one sequence. Returns how often the operator created and deleted each object, and the audit log for details.
async fn live(seed: u64, steps: &[Step], operator: Operator) -> (BTreeMap<String, usize>, AuditLog) {
    let mut life = Life::begin(seed).await;
    for step in steps {
        if operator == Operator::IsDown {
            life.stop_operator().await;
        }
        life.take(*step).await;
        if operator == Operator::Restarts {
            life.stop_operator().await;
        }
        if operator != Operator::Runs {
            life.start_operator().await;
        }
        life.settle().await;
        life.settled(*step);
        life.assert_nothing_lost(*step).await;
    }
    life.assert_as_fresh().await;
    life.end().await
}
