//! All servers are deleted. Their deletion deletes their volumes, so that each has the operator's finalizer.

use dittofs_operator::api::names::FINALIZER;
use serde_json::json;

use super::{in_turns, of_all_sizes};
use crate::api::{Call, SERVERS};
use crate::cli::{Flags, Scenario};
use crate::error::{Error, Result};
use crate::figures::{Figures, Repetition, Row};
use crate::limit::Limit;
use crate::operator::Setup;
use crate::session::Session;
use crate::world::{BARE, BUILDERS, Kind, OURS, World, name};

/// Runs all sizes.
pub async fn run(flags: &Flags, limit: &Limit) -> Result<Vec<Row>> {
    let repeat = async |servers, repetition| repeat(flags, limit, servers, repetition).await;
    of_all_sizes(flags, Scenario::MassDelete, "mass delete", repeat).await
}

async fn repeat(flags: &Flags, limit: &Limit, servers: usize, repetition: usize) -> Result<Repetition> {
    let kind = Kind {
        secrets: flags.secrets,
        deletes_volumes: true,
    };
    let world = World::of_both(servers, kind).await?;
    let finalizer = json!({"metadata": {"finalizers": [FINALIZER]}});
    let protect = (0..servers).map(|number| vec![Call::merge(SERVERS, BARE, &name(number), &finalizer)]);
    world.api.all(BUILDERS, protect.collect::<Vec<_>>()).await?;
    let mut session = started(&world, flags, servers).await?;
    let bare = async {
        let finish = json!({"metadata": {"finalizers": null}});
        let delete = |number| {
            let name = name(number);
            vec![
                Call::delete(SERVERS, BARE, &name),
                Call::merge(SERVERS, BARE, &name, &finish),
            ]
        };
        let jobs = (0..servers).map(delete).collect::<Vec<_>>();
        let time = world.api.all(limit.concurrency, jobs).await?;
        Ok(time.as_secs_f64())
    };
    let ours = delete(&world, limit, &mut session, servers);
    let result = in_turns(repetition, ours, bare).await?;
    session.operator.stop().await?;
    Ok(result)
}

/// An operator that has reconciled all servers.
async fn started(world: &World, flags: &Flags, servers: usize) -> Result<Session> {
    let setup = Setup {
        namespaces: &[OURS],
        server_url_template: "http://127.0.0.1:1",
        flags: &flags.operator_flag,
    };
    let mut session = Session::start(world, &setup)?;
    session
        .until("first statuses", servers, |call| {
            call.has_written("dittoservers/status")
        })
        .await?;
    session.settle().await?;
    Ok(session)
}

async fn delete(world: &World, limit: &Limit, session: &mut Session, servers: usize) -> Result<Figures> {
    session.begin()?;
    let jobs = (0..servers).map(|number| vec![Call::delete(SERVERS, OURS, &name(number))]);
    let deletes = world.api.all(limit.concurrency, jobs.collect::<Vec<_>>());
    let finish = session.until("finalizers", servers, |call| call.has_written("dittoservers"));
    let (_, end) = tokio::try_join!(deletes, finish)?;
    session.settle().await?;
    let figures = session.figures(end)?;
    let left = world.api.list(SERVERS, OURS).await?.len();
    if left > 0 {
        return Err(Error::Failed(format!("{left} servers are left")));
    }
    Ok(figures)
}
