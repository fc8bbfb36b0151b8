//! An operator starts, and everything is in place.

use super::place::Place;
use super::{in_turns, of_one_size};
use crate::api::{
    BUDGETS, CLAIMS, CONFIG_MAPS, Call, NETWORK_POLICIES, PODS, SECRETS, SERVERS, SERVICES, STATEFUL_SETS,
};
use crate::cli::Flags;
use crate::error::Result;
use crate::figures::{Figures, Row};
use crate::operator::Setup;
use crate::session::Session;
use crate::world::{Kind, OURS, World};

/// What the operator lists when it starts, and is installed.
const LISTED: [crate::api::Resource; 9] = [
    SERVERS,
    STATEFUL_SETS,
    CONFIG_MAPS,
    SERVICES,
    NETWORK_POLICIES,
    BUDGETS,
    PODS,
    CLAIMS,
    SECRETS,
];

/// Restarts the operator of a world in which everything is in place.
pub async fn run(place: &Place<'_>, repetitions: usize) -> Result<Row> {
    let repeat = async |repetition| in_turns(repetition, operate(place), bare(place)).await;
    of_one_size("restart", place.servers, repetitions, repeat).await
}

/// Time and CPU until every server has been reconciled; calls and memory until every API has been asked, and the operator rests.
async fn operate(place: &Place<'_>) -> Result<Figures> {
    let mut session = place.operator()?;
    let end = session.reconciled(place.servers).await?;
    let reconciled = session.figures(end)?;
    place.asked().await?;
    session.settle().await?;
    let rested = session.figures(end)?;
    session.operator.stop().await?;
    Ok(Figures {
        cpu: reconciled.cpu,
        ..rested
    })
}

/// Reads each list once, all at the same time, and does not parse them.
async fn bare(place: &Place<'_>) -> Result<f64> {
    let list = |resource: crate::api::Resource| {
        vec![Call::get(format!("{}?resourceVersion=0", resource.path(OURS)))]
    };
    let time = place.world.api.all(LISTED.len(), LISTED.map(list)).await?;
    Ok(time.as_secs_f64())
}

/// The resident memory of an operator without servers, in KiB.
pub async fn memory_without_servers(flags: &Flags) -> Result<u64> {
    const EMPTY: &str = "empty";
    let world = World::start().await?;
    let kind = Kind {
        secrets: flags.secrets,
        deletes_volumes: false,
    };
    world.fill(EMPTY, 0, kind).await?;
    let setup = Setup {
        namespaces: &[EMPTY],
        server_url_template: "http://127.0.0.1:1",
        flags: &flags.operator_flag,
    };
    let mut session = Session::start(&world, &setup)?;
    session.reconciled(0).await?;
    session.settle().await?;
    let memory = session.operator.memory()?;
    session.operator.stop().await?;
    Ok(memory)
}
