//! All servers are edited at the same time: an annotation of the Service of their API.

use serde_json::json;

use super::edit_one::{EDIT, edit};
use super::place::{Place, child};
use super::{in_turns, of_one_size};
use crate::api::{Call, SERVERS, SERVICES};
use crate::error::{Error, Result};
use crate::figures::{Figures, Row};
use crate::session::Session;
use crate::world::{BARE, OURS, name};

/// Edits all servers again and again. The first edit of a child costs more calls, so it is a row of its own.
pub async fn run(
    place: &Place<'_>,
    session: &mut Session,
    repetitions: usize,
    concurrency: usize,
) -> Result<[Row; 2]> {
    let repeat = async |repetition| {
        let value = format!("all-{repetition}");
        let ours = operate(place, session, &value, concurrency);
        in_turns(repetition, ours, bare(place, &value, concurrency)).await
    };
    let mut first = of_one_size("edit of all", place.servers, repetitions + 1, repeat).await?;
    let later = Row {
        servers: place.servers,
        repetitions: first.repetitions.split_off(1),
    };
    Ok([first, later])
}

async fn operate(
    place: &Place<'_>,
    session: &mut Session,
    value: &str,
    concurrency: usize,
) -> Result<Figures> {
    session.begin()?;
    let jobs = (0..place.servers).map(|number| vec![edit(OURS, number, value)]);
    let edits = place.world.api.all(concurrency, jobs.collect::<Vec<_>>());
    let follow = session.until("edited children", place.servers, |call| {
        call.has_written("services")
    });
    tokio::try_join!(edits, follow)?;
    session.settle().await?;
    let services = place.world.api.list(SERVICES, OURS).await?;
    let is_edited = |service: &&serde_json::Value| service["metadata"]["annotations"][EDIT] == json!(value);
    let edited = services.iter().filter(is_edited).count();
    if edited < place.servers {
        return Err(Error::Failed(format!(
            "{edited} of {} children have the edit",
            place.servers
        )));
    }
    let end = session.last_write("services")?;
    session.figures(end)
}

/// The edit, the child, and the status.
async fn bare(place: &Place<'_>, value: &str, concurrency: usize) -> Result<f64> {
    let job = |number| {
        let annotation = json!({"metadata": {"annotations": {EDIT: value}}});
        let status = json!({"status": {"configHash": value}});
        vec![
            edit(BARE, number, value),
            Call::merge(SERVICES, BARE, &child(number), &annotation),
            Call::merge(SERVERS, BARE, &format!("{}/status", name(number)), &status),
        ]
    };
    let jobs: Vec<_> = (0..place.servers).map(job).collect();
    let time = place.world.api.all(concurrency, jobs).await?;
    Ok(time.as_secs_f64())
}
