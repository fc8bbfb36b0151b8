//! An operator starts, and no server has children. Each repetition has a control plane of its own.

use super::{in_turns, of_all_sizes};
use crate::api::{Call, Resource, SERVERS};
use crate::bare::uids;
use crate::cli::{Flags, Scenario};
use crate::error::{Error, Result};
use crate::figures::{Figures, Repetition, Row};
use crate::limit::Limit;
use crate::operator::Setup;
use crate::session::Session;
use crate::world::{BARE, Kind, OURS, World};

/// Runs all sizes.
pub async fn run(flags: &Flags, limit: &Limit) -> Result<Vec<Row>> {
    let repeat = async |servers, repetition| repeat(flags, limit, servers, repetition).await;
    of_all_sizes(flags, Scenario::ColdStart, "cold start", repeat).await
}

async fn repeat(flags: &Flags, limit: &Limit, servers: usize, repetition: usize) -> Result<Repetition> {
    let kind = Kind {
        secrets: flags.secrets,
        deletes_volumes: false,
    };
    let world = World::of_both(servers, kind).await?;
    let jobs = limit.sample.jobs(BARE, &uids(&world.api, BARE).await?);
    let bare = async {
        let time = world.api.all(limit.concurrency, jobs).await?;
        Ok(time.as_secs_f64())
    };
    let result = in_turns(repetition, operate(&world, flags, servers), bare).await?;
    for namespace in [OURS, BARE] {
        check(&world, limit, namespace, servers).await?;
    }
    Ok(result)
}

async fn operate(world: &World, flags: &Flags, servers: usize) -> Result<Figures> {
    let setup = Setup {
        namespaces: &[OURS],
        // There are no pods, so no API is asked.
        server_url_template: "http://127.0.0.1:1",
        flags: &flags.operator_flag,
    };
    let mut session = Session::start(world, &setup)?;
    // The status is the last thing that a reconcile writes.
    let end = session
        .until("first statuses", servers, |call| {
            call.has_written("dittoservers/status")
        })
        .await?;
    session.settle().await?;
    let figures = session.figures(end)?;
    session.operator.stop().await?;
    Ok(figures)
}

/// Every child exists, and every status is that of the spec.
async fn check(world: &World, limit: &Limit, namespace: &str, servers: usize) -> Result<()> {
    for (resource, of_each) in limit.sample.by_kind() {
        let found = number(world, resource, namespace).await?;
        // The namespace has one Secret of the user.
        if found < servers * of_each {
            let kind = resource.plural;
            return Err(Error::Failed(format!(
                "{found} {kind} in {namespace} for {servers} servers"
            )));
        }
    }
    let all = world.api.list(SERVERS, namespace).await?;
    let is_current = |server: &&serde_json::Value| {
        server["status"]["observedGeneration"] == server["metadata"]["generation"]
    };
    let current = all.iter().filter(is_current).count();
    if current == servers {
        return Ok(());
    }
    Err(Error::Failed(format!(
        "{current} of {servers} statuses in {namespace} are current"
    )))
}

/// How many objects there are. The API server counts those that it does not send.
async fn number(world: &World, resource: Resource, namespace: &str) -> Result<usize> {
    let list = Call::get(format!("{}?limit=1", resource.path(namespace)));
    let list = world.api.json(list).await?;
    let shown = list["items"].as_array().map_or(0, Vec::len);
    let rest = list["metadata"]["remainingItemCount"]
        .as_u64()
        .unwrap_or_default();
    Ok(shown + usize::try_from(rest).unwrap_or(usize::MAX))
}
