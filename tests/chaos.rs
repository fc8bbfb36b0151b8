//! Faults between the operator and the API server, during everything that users do. Whatever goes wrong, the cluster ends as without
//! faults, each object is created and deleted as often, nothing that holds data is lost, and every status is consistent.
//!
//! | file | what is in it |
//! |---|---|
//! | `fault.rs` | the faults, as data, and which request they hit |
//! | `proxy.rs`, `watch_stream.rs` | the proxy that carries them out |
//! | `operator.rs` | an operator behind the proxy, inside the test or as a process |
//! | `scenario.rs` | what users and the cluster do, as data |
//! | `run.rs` | one scenario with one fault, and what must hold after it |
//! | `outage.rs`, `signals.rs` | refused connections; signals to the API server and etcd |
//! | `snapshot.rs`, `status.rs` | the state of a namespace; whether a status is consistent |
//! | `table.rs` | many runs, and the table of their results |
//!
//! `make test` runs a selection, `make chaos` all of it (`CHAOS=all`). `CHAOS=edit` runs everything of the scenario `edit`.

pub mod fault;
mod operator;
mod outage;
pub mod proxy;
mod run;
pub mod scenario;
mod signals;
mod snapshot;
mod status;
mod table;
mod watch_stream;

use std::time::Duration;

use self::fault::{Fault, Rate, WatchFault};
use self::scenario::Scenario;
use self::table::Table;

/// Whether all of it is asked for.
fn is_all() -> bool {
    std::env::var_os("CHAOS").is_some()
}

/// The scenarios: those of the selection, or all, or the one of this name.
fn scenarios(selection: &[&str]) -> Vec<&'static Scenario> {
    match std::env::var("CHAOS").as_deref() {
        Err(_) => selection.iter().map(|name| Scenario::named(name)).collect(),
        Ok("all") => scenario::ALL.iter().collect(),
        Ok(name) => vec![Scenario::named(name)],
    }
}

// invariant: 6
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_killed_at_any_write_ends_as_without_and_does_nothing_twice() {
    let mut table = Table::default();
    let faults = [Fault::KilledBefore, Fault::KilledAfter, Fault::ReplyLost];
    for scenario in scenarios(&["create", "delete"]) {
        if is_all() {
            table.every_write(scenario, &faults).await;
        } else {
            table.every_write_in_turn(scenario, &faults).await;
        }
    }
    table.finish();
}

// invariant: 6
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_process_that_is_killed_ends_as_without() {
    let mut table = Table::default();
    let numbers: &[usize] = if is_all() {
        &[1, 3, 5, 7, 9, 11, 13, 15]
    } else {
        &[4, 11]
    };
    for scenario in scenarios(&["create"]) {
        table.killed_processes(scenario, numbers).await;
    }
    table.finish();
}

// invariant: 6
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_fail_or_lose_their_reply_change_nothing_in_the_end() {
    let mut table = Table::default();
    let rate = |percent| Rate { percent, at_most: 20 };
    let statuses = [409, 429, 500, 503, 504];
    for scenario in scenarios(&["create"]) {
        let faults: Vec<Fault> = if is_all() {
            let of_status = statuses
                .into_iter()
                .flat_map(|status| [1, 10, 50].map(|percent| Fault::Status(status, rate(percent))));
            let lost = [1, 10, 50].map(|percent| Fault::RepliesLost(rate(percent)));
            of_status.chain(lost).collect()
        } else {
            vec![Fault::Status(500, rate(30)), Fault::RepliesLost(rate(30))]
        };
        table.seeds(scenario, &faults, if is_all() { 3 } else { 1 }).await;
    }
    table.finish();
}

// invariant: 6
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watches_that_break_change_nothing_in_the_end() {
    let mut table = Table::default();
    for scenario in scenarios(&["edit"]) {
        let late = WatchFault::Late(Duration::from_millis(700));
        let mut faults = vec![
            Fault::Watches(WatchFault::Cut, 24),
            Fault::Watches(WatchFault::HalfLine, 24),
            Fault::Watches(WatchFault::Expired, 24),
            Fault::Watches(late, usize::MAX),
        ];
        if is_all() {
            faults.push(Fault::Watches(WatchFault::BlackHole, 4));
        }
        table.seeds(scenario, &faults, if is_all() { 3 } else { 1 }).await;
    }
    table.finish();
}
