//! Random lives of a server: whatever happens on the way, the cluster settles to what a fresh create of the final spec
//! gives, nothing that holds data is lost, and a restarted operator does nothing twice.
//!
//! Each sequence is drawn from a seed, which a failure names. It is lived through twice: with an operator that runs,
//! and with one that is restarted in the middle of its work, or is down while things happen. `MODEL_SEQUENCES` sets how many (16 if unset); `MODEL_SEED` the first seed (1 if unset).

mod life;
mod step;

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;

use futures::{FutureExt, StreamExt, future, stream};

use self::life::Life;
use self::step::{Step, sequence};
use crate::support::audit::AuditLog;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

/// How many sequences are lived at once: the control plane is shared, and the machine is small.
const AT_ONCE: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_life_settles_to_a_fresh_create_of_the_final_spec_and_loses_no_data() {
    let (first, count) = (setting("MODEL_SEED", 1), setting("MODEL_SEQUENCES", 16));
    println!("model: seeds {first} to {}", first + count - 1);
    // One that fails does not end the others, which would then be shown as if they had failed.
    let failures: Vec<String> = stream::iter(first..first + count)
        .map(|seed| {
            AssertUnwindSafe(live_twice(seed))
                .catch_unwind()
                .map(move |lived| failure(seed, lived))
        })
        .buffer_unordered(AT_ONCE)
        .filter_map(future::ready)
        .collect()
        .await;
    assert!(
        failures.is_empty(),
        "{} of {count} failed\n{}",
        failures.len(),
        failures.join("\n")
    );
}

fn failure(seed: u64, lived: Result<(), Box<dyn Any + Send>>) -> Option<String> {
    let panic = lived.err()?;
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or(panic.downcast_ref::<&str>().copied());
    Some(format!("seed {seed}: {}", text.unwrap_or("a panic without text")))
}

/// Lives a sequence with an operator that runs, and with one that does not always.
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
        let [story, calm_story] = [log, calm_log].map(|log| log.story());
        panic!(
            "creates and deletes of each object, with an operator that {how:?}: {restarted:#?}\nand one that runs: {calm:#?}\n{steps:?}\n\
             {story}\n\n{calm_story}"
        );
    }
}

/// What the operator does at each step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Runs,
    /// It is stopped right after the step, in the middle of its work, and started again.
    Restarts,
    /// It is down while the step is taken.
    IsDown,
}

/// Lives one sequence. Returns how often each object was created and deleted by the operator, and the audit log, which has more to tell.
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
