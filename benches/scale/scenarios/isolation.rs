//! One server among many is edited. One in ten of all servers is poisoned: something is wrong with it. In a clean run, the operator does
//! not watch the namespaces of the poisoned servers, and nobody fights.

use jiff::Timestamp;

use super::edit_one::{Edits, edit_each, some_of};
use super::place::Place;
use super::poison::{self, NAMESPACES};
use crate::error::Result;
use crate::session::Session;

/// Healthy servers for each poisoned one.
const HEALTHY: usize = 9;

/// The edits of healthy servers.
#[derive(Clone, Debug, Default)]
pub struct Isolation {
    /// The number of healthy servers.
    pub servers: usize,
    /// The number of poisoned servers.
    pub poisoned: usize,
    /// The clean runs.
    pub clean: Vec<Edits>,
    /// The runs with poisoned servers.
    pub with_poisoned: Vec<Edits>,
}

/// Runs with and without poisoned servers take turns, and in who is first.
pub async fn run(place: &Place<'_>, repetitions: usize, edits: usize) -> Result<Isolation> {
    let numbers = some_of(place.servers, edits);
    let mut result = Isolation {
        servers: place.servers,
        poisoned: place.servers.div_ceil(HEALTHY),
        ..Isolation::default()
    };
    poison::build(place, result.poisoned).await?;
    // The first edit of each child costs more calls. It does not count.
    clean(place, &numbers, "isolation").await?;
    for repetition in 0..2 * repetitions {
        let value = format!("isolation-{repetition}");
        if matches!(repetition % 4, 0 | 3) {
            result.clean.push(clean(place, &numbers, &value).await?);
        } else {
            let edits = with_poisoned(place, result.poisoned, &numbers, &value).await?;
            result.with_poisoned.push(edits);
        }
    }
    Ok(result)
}

async fn clean(place: &Place<'_>, numbers: &[usize], value: &str) -> Result<Edits> {
    let mut session = place.operator()?;
    started(place, &mut session, place.servers).await?;
    measure(place, session, numbers, value).await
}

async fn with_poisoned(place: &Place<'_>, poisoned: usize, numbers: &[usize], value: &str) -> Result<Edits> {
    let edits = async {
        let mut session = place.operator_of(&NAMESPACES)?;
        started(place, &mut session, place.servers + poisoned).await?;
        measure(place, session, numbers, value).await
    };
    tokio::select! {
        edits = edits => edits,
        ended = poison::fight(place, poisoned) => match ended {
            Ok(never) => match never {},
            Err(error) => Err(error),
        },
    }
}

/// Waits until all servers have been reconciled, and the APIs of the healthy ones asked.
async fn started(place: &Place<'_>, session: &mut Session, servers: usize) -> Result<()> {
    session.reconciled(servers).await?;
    place.asked().await
}

async fn measure(place: &Place<'_>, mut session: Session, numbers: &[usize], value: &str) -> Result<Edits> {
    session.begin()?;
    let mut edits = Edits {
        servers: place.servers,
        ..Edits::default()
    };
    edit_each(place, numbers, value, &mut edits).await?;
    let cost = session.figures(Timestamp::now())?;
    println!(
        "{value}: {} edits in {:.0} s, CPU {:.2} s, {} writes, {} reads",
        numbers.len(),
        cost.seconds,
        cost.cpu,
        cost.writes,
        cost.reads
    );
    edits.calls = cost.calls;
    session.operator.stop().await?;
    Ok(edits)
}
