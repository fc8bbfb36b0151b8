//! Random sequences of changes to users, groups, permissions, shares and snapshot policies: by the spec, and by hand through the API of
//! the server. The operator is killed at any call, the server is restarted at any call, and passwords change. Whatever happens, the server
//! ends as declared and nothing more is written, what a person gave stays, no user, group, share or store is deleted, and a file that was
//! written at the start can be read at the end.
//!
//! | file | what is in it |
//! |---|---|
//! | `step.rs` | what happens, drawn from a seed |
//! | `goal.rs` | what the spec declares |
//! | `hand.rs` | what a person does through the API, and remembers |
//! | `operator.rs` | an operator that is killed, and a server that is restarted, at a call |
//! | `life.rs` | one server that lives through a sequence |
//! | `check.rs` | what must hold on the server |
//!
//! Each sequence has a server of its own. `SHARES_SEQUENCES` sets how many sequences run (1 if unset), `SHARES_SEED` the first seed (1 if
//! unset). `make soak` runs 200.

mod check;
mod goal;
mod hand;
mod life;
mod operator;
mod step;

use self::life::Life;
use self::step::sequence;
use crate::support::sequences;

// invariant: 3, 11
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_sequence_of_changes_to_shares_ends_as_declared_and_deletes_nothing() {
    sequences::live_all("SHARES", 1, live).await;
}

async fn live(seed: u64) {
    let steps = sequence(seed);
    println!("shares: seed {seed}: {steps:?}");
    let mut life = Life::begin(seed).await;
    for step in &steps {
        life.take(step).await;
        life.assert_nothing_deleted().await;
    }
    life.assert_as_declared().await;
}
