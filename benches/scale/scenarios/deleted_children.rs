//! One child of every server is deleted: the Service of its API.

use super::place::{Place, child};
use super::{in_turns, of_one_size};
use crate::api::{Call, SERVICES};
use crate::bare::as_sent;
use crate::error::{Error, Result};
use crate::figures::{Figures, Row};
use crate::session::Session;
use crate::world::{BARE, OURS};

/// Deletes one child of every server again and again.
pub async fn run(
    place: &Place<'_>,
    session: &mut Session,
    repetitions: usize,
    concurrency: usize,
) -> Result<Row> {
    let repeat = async |repetition| {
        let ours = operate(place, session, concurrency);
        in_turns(repetition, ours, bare(place, concurrency)).await
    };
    of_one_size("deleted children", place.servers, repetitions, repeat).await
}

async fn operate(place: &Place<'_>, session: &mut Session, concurrency: usize) -> Result<Figures> {
    let before = place.world.api.list(SERVICES, OURS).await?.len();
    session.begin()?;
    let jobs = (0..place.servers).map(|number| vec![Call::delete(SERVICES, OURS, &child(number))]);
    let deletes = place.world.api.all(concurrency, jobs.collect::<Vec<_>>());
    let follow = session.until("created children", place.servers, |call| {
        call.verb == "create" && call.has_written("services")
    });
    let (_, end) = tokio::try_join!(deletes, follow)?;
    session.settle().await?;
    let after = place.world.api.list(SERVICES, OURS).await?.len();
    if after != before {
        return Err(Error::Failed(format!("{before} Services before, {after} after")));
    }
    session.figures(end)
}

async fn bare(place: &Place<'_>, concurrency: usize) -> Result<f64> {
    let services = place.world.api.list(SERVICES, BARE).await?;
    let job = |service: serde_json::Value| {
        let name = service["metadata"]["name"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        vec![
            Call::delete(SERVICES, BARE, &name),
            Call::create(SERVICES, BARE, &as_sent(service)),
        ]
    };
    let jobs: Vec<_> = services.into_iter().map(job).collect();
    let time = place.world.api.all(concurrency, jobs).await?;
    Ok(time.as_secs_f64())
}
