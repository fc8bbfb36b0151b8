//! One child of every server is deleted: the Service of its API.

use super::place::{Place, child};
use super::{BARE, OURS, announce};
use crate::api::{Call, SERVICES};
use crate::bare::as_sent;
use crate::error::{Error, Result};
use crate::figures::{Figures, Repetition, Row};
use crate::session::Session;

/// Deletes one child of every server again and again.
pub async fn run(
    place: &Place<'_>,
    session: &mut Session,
    repetitions: usize,
    concurrency: usize,
) -> Result<Row> {
    let mut results = Vec::new();
    for repetition in 0..repetitions {
        let (ours, bare) = if repetition.is_multiple_of(2) {
            let ours = operate(place, session, concurrency).await?;
            (ours, bare(place, concurrency).await?)
        } else {
            let bare = bare(place, concurrency).await?;
            (operate(place, session, concurrency).await?, bare)
        };
        let result = Repetition { ours, bare };
        announce("deleted children", place.servers, repetition, &result);
        results.push(result);
    }
    Ok(Row {
        servers: place.servers,
        repetitions: results,
    })
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
