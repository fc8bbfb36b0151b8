//! Nothing happens.

use std::time::Duration;

use super::place::Place;
use crate::calls::Counts;
use crate::error::Result;
use crate::figures::Figures;
use crate::session::Session;

/// What an operator did that rested for some time.
#[derive(Clone, Debug)]
pub struct Rest {
    /// The number of servers.
    pub servers: usize,
    /// How long it rested.
    pub time: Duration,
    /// What that cost.
    pub figures: Figures,
    /// Calls that the APIs of the servers got.
    pub server_calls: Counts,
}

/// Lets the operator rest.
pub async fn run(place: &Place<'_>, session: &mut Session, time: Duration) -> Result<Rest> {
    place.asked().await?;
    session.settle().await?;
    session.begin()?;
    place.double.forget();
    println!("at rest, {} servers: for {time:?}", place.servers);
    tokio::time::sleep(time).await;
    Ok(Rest {
        servers: place.servers,
        time,
        figures: session.figures(jiff::Timestamp::now())?,
        server_calls: place.double.calls(),
    })
}
