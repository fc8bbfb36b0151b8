//! The fuzz targets as tests: each runs for some seconds on random inputs, which begin with the same ones in each run.
//!
//! `FUZZ_SECONDS=600 cargo test --test fuzz -- TARGET` runs one longer, `FUZZ_SEED=7` with other inputs. A failure is reported with a
//! short input that fails. `make fuzz` runs the same targets with libFuzzer, which looks for inputs that reach new code.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a target panics if something does not hold"
)]
#![expect(
    clippy::too_many_lines,
    reason = "a state of the cluster reads best in one piece"
)]

#[path = "fuzz/targets/mod.rs"]
mod targets;

use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};

/// The longest input, in bytes.
const LONGEST: usize = 1500;

/// Longest search for a shorter input that fails, in milliseconds.
const SHRINKING: u32 = 5000;

fn number(variable: &str, default: u32) -> u32 {
    let text = std::env::var(variable).ok();
    text.map_or(default, |text| text.parse().expect("a number"))
}

/// Runs a target for some seconds, at least on one input.
fn run(target: fn(&[u8])) {
    let end = Instant::now() + Duration::from_secs(number("FUZZ_SECONDS", 4).into());
    let config = Config {
        cases: u32::MAX,
        rng_seed: RngSeed::Fixed(number("FUZZ_SEED", 1).into()),
        failure_persistence: None,
        max_shrink_time: SHRINKING,
        ..Config::default()
    };
    let mut runner = TestRunner::new(config);
    let inputs = prop::collection::vec(any::<u8>(), 0..LONGEST);
    loop {
        let input = inputs.new_tree(&mut runner).expect("an input");
        let outcome = runner.run_one(input, |input| {
            target(&input);
            Ok(())
        });
        if let Err(error) = outcome {
            panic!("{error}");
        }
        if Instant::now() > end {
            return;
        }
    }
}

#[test]
fn what_admission_accepts_is_valid_and_can_be_rendered() {
    run(targets::spec::specs);
}

#[test]
fn any_text_given_to_render_is_rendered_or_refused_with_a_message_without_values_of_secrets() {
    run(targets::manifest_text::manifest_texts);
}

// invariant: 5
#[test]
fn any_history_of_any_world_has_consistent_conditions_and_shows_no_value_of_a_secret() {
    run(targets::history::histories);
}

// invariant: 5
#[test]
fn any_answer_of_a_server_is_read_or_reported_in_a_short_message_without_confidential_values() {
    run(targets::answers::answers);
}

#[test]
fn most_generated_specs_are_accepted_so_that_the_targets_reach_more_than_the_refusals() {
    let accepted = targets::spec::accepted_of(60);
    assert!(accepted > 15, "{accepted} of 60");
}
