//! `make bench`: the operator with many servers, on etcd and kube-apiserver alone.
//!
//! | file | what is in it |
//! |---|---|
//! | `scenarios` | what is measured |
//! | `world`, `controllers`, `double` | the world: the control plane with its servers, the other controllers, the APIs of the servers |
//! | `operator`, `kernel`, `session`, `calls` | the operator's process, and what it costs |
//! | `bare`, `limit` | the bare client, which does the same work with the fewest calls |
//! | `figures`, `report`, `machine`, `neighbours`, `page` | from figures to `docs/performance.md` |

mod api;
mod bare;
mod calls;
mod cli;
mod controllers;
mod double;
mod error;
mod figures;
mod kernel;
mod limit;
mod machine;
mod neighbours;
mod operator;
mod page;
mod report;
mod scenarios;
mod session;
mod world;

use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Flags, Scenario};
use crate::double::Double;
use crate::error::Result;
use crate::limit::Limit;
use crate::machine::Machine;
use crate::page::Page;
use crate::scenarios::place::Place;
use crate::scenarios::{
    cold_start, deleted_children, edit_all, edit_one, isolation, mass_delete, rest, restart, shares,
};

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Flags::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// The scenarios that need a world in which everything is in place.
const IN_PLACE: [Scenario; 7] = [
    Scenario::Restart,
    Scenario::Isolation,
    Scenario::EditOne,
    Scenario::EditAll,
    Scenario::DeletedChildren,
    Scenario::AtRest,
    Scenario::Shares,
];
/// Those of them that share one life of the operator.
const SHARED: [Scenario; 4] = [
    Scenario::EditOne,
    Scenario::EditAll,
    Scenario::DeletedChildren,
    Scenario::AtRest,
];

async fn run(flags: &Flags) -> Result<()> {
    let machine = Machine::read()?;
    println!("{}", machine.line());
    let limit = Limit::find(flags).await?;
    let page = Page::new(flags, &machine, &limit);
    if flags.runs(Scenario::ColdStart) {
        let rows = cold_start::run(flags, &limit).await?;
        page.put(Scenario::ColdStart, &report::rows(&rows))?;
    }
    if flags.runs(Scenario::MassDelete) {
        let rows = mass_delete::run(flags, &limit).await?;
        page.put(Scenario::MassDelete, &report::rows(&rows))?;
    }
    if IN_PLACE.iter().any(|scenario| flags.runs(*scenario)) {
        Box::pin(run_in_place(flags, &limit, &page)).await?;
    }
    Ok(())
}

/// One world for each number of servers, in which all scenarios with this number run.
async fn run_in_place(flags: &Flags, limit: &Limit, page: &Page<'_>) -> Result<()> {
    let sizes: BTreeSet<usize> = IN_PLACE
        .iter()
        .flat_map(|scenario| flags.sizes(*scenario))
        .collect();
    let double = Double::start().await?;
    let without_servers = restart::memory_without_servers(flags).await?;
    let mut results = report::InPlace::new(without_servers);
    for servers in sizes {
        let place = Place::build(flags, &double, servers).await?;
        measure(flags, limit, &place, &mut results).await?;
        // After each size, because the next one takes long.
        results.put(page)?;
    }
    Ok(())
}

async fn measure(
    flags: &Flags,
    limit: &Limit,
    place: &Place<'_>,
    results: &mut report::InPlace,
) -> Result<()> {
    let repetitions = flags.repetitions(place.servers);
    let runs = |scenario| flags.sizes(scenario).contains(&place.servers);
    if runs(Scenario::Restart) {
        results.restart.push(restart::run(place, repetitions).await?);
    }
    if SHARED.iter().any(|scenario| runs(*scenario)) {
        measure_shared(flags, limit, place, results).await?;
    }
    // The last ones: they change the world.
    if runs(Scenario::Shares) {
        let row = shares::run(place, limit.concurrency, flags.rest()).await?;
        results.shares.push(row);
    }
    if runs(Scenario::Isolation) {
        let edits = flags.edits as usize;
        results
            .isolation
            .push(isolation::run(place, repetitions, edits).await?);
    }
    Ok(())
}

/// The scenarios in [`SHARED`].
async fn measure_shared(
    flags: &Flags,
    limit: &Limit,
    place: &Place<'_>,
    results: &mut report::InPlace,
) -> Result<()> {
    let servers = place.servers;
    let (repetitions, concurrency) = (flags.repetitions(servers), limit.concurrency);
    let runs = |scenario| flags.sizes(scenario).contains(&servers);
    let mut session = place.operator()?;
    session.reconciled(servers).await?;
    place.asked().await?;
    if runs(Scenario::AtRest) {
        results
            .rest
            .push(rest::run(place, &mut session, flags.rest()).await?);
    }
    if runs(Scenario::EditOne) {
        let [first, later] = edit_one::run(place, &mut session, flags.edits as usize).await?;
        results.edit_one.push([first, later]);
    }
    if runs(Scenario::EditAll) {
        let [first, later] = edit_all::run(place, &mut session, repetitions, concurrency).await?;
        results.first_edit_all.push(first);
        results.edit_all.push(later);
    }
    if runs(Scenario::DeletedChildren) {
        let row = deleted_children::run(place, &mut session, repetitions, concurrency).await?;
        results.deleted_children.push(row);
    }
    session.operator.stop().await
}
