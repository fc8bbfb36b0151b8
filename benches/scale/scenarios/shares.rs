//! All servers get a user and a share, which the operator makes through their APIs; then nothing happens.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::place::Place;
use super::rest::{self, Rest};
use crate::api::{Call, SECRETS, SERVERS};
use crate::calls::Counts;
use crate::error::{Error, Result};
use crate::figures::Figures;
use crate::world::{OURS, name};

/// The Secret with the passwords of all users.
const PASSWORDS: &str = "bench-passwords";

/// Pause between two looks at what is made.
const LOOK: Duration = Duration::from_millis(100);
/// How long the operator may take for all shares.
const LATE: Duration = Duration::from_secs(900);

/// What the shares cost.
#[derive(Clone, Debug)]
pub struct Shares {
    /// The number of servers, each with one share.
    pub servers: usize,
    /// From the first edit until the last status.
    pub figures: Figures,
    /// The calls to the APIs of the servers meanwhile, without the regular ones.
    pub server_calls: Counts,
    /// The time after that.
    pub rest: Rest,
}

/// Declares the shares of all servers, waits until all are ready, and lets the operator rest.
pub async fn run(place: &Place<'_>, concurrency: usize, time: Duration) -> Result<Shares> {
    let api = &place.world.api;
    let passwords = json!({"metadata": {"name": PASSWORDS}, "stringData": {"alice": "a long password"}});
    api.send(Call::create(SECRETS, OURS, &passwords)).await?;
    let mut session = place.operator()?;
    session.reconciled(place.servers).await?;
    place.asked().await?;
    session.settle().await?;

    session.begin()?;
    place.double.forget();
    let declare = |number| vec![Call::merge(SERVERS, OURS, &name(number), &declared())];
    api.all(concurrency, (0..place.servers).map(declare).collect::<Vec<_>>())
        .await?;
    made(place).await?;
    session.settle().await?;
    let end = session.last_write("dittoservers/status")?;
    let figures = session.figures(end)?;
    let mut server_calls = place.double.calls();
    server_calls.remove("GET adapters");
    check(place).await?;
    println!("{} shares after {:.1} s", place.servers, figures.seconds);

    let rest = rest::run(place, &mut session, time).await?;
    session.operator.stop().await?;
    Ok(Shares {
        servers: place.servers,
        figures,
        server_calls,
        rest,
    })
}

/// Waits until all shares are made.
async fn made(place: &Place<'_>) -> Result<()> {
    let began = Instant::now();
    loop {
        let made = place.double.calls().get("POST shares").copied();
        let made = made.unwrap_or_default();
        if made >= place.servers {
            return Ok(());
        }
        if began.elapsed() > LATE {
            return Err(Error::Failed(format!("only {made} shares were made")));
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn declared() -> Value {
    json!({"spec": {
        "users": [{
            "name": "alice", "uid": 1000, "gid": 1000,
            "passwordSecretRef": {"name": PASSWORDS, "key": "alice"},
        }],
        "shares": [{"name": "export", "owner": "alice", "defaultPermission": "read-write"}],
    }})
}

async fn check(place: &Place<'_>) -> Result<()> {
    let servers = place.world.api.list(SERVERS, OURS).await?;
    let is_ready = |server: &&Value| server["status"]["readyShares"] == "1/1";
    match servers.iter().find(|server| !is_ready(server)) {
        None => Ok(()),
        Some(server) => Err(Error::Failed(format!(
            "the share of {} is not ready: {}",
            server["metadata"]["name"], server["status"]["shares"]
        ))),
    }
}
