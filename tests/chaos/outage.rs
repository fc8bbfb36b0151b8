//! All connections are refused for a while. Afterwards the operator must go on soon: with what it was doing, and with what happened
//! meanwhile.

use std::time::{Duration, Instant};

use dittofs_operator::api::DittoServer;
use futures::{StreamExt, stream};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Secret;
use serde_json::json;

use super::fault::Fault;
use super::operator::{Running, Runs};
use super::proxy::Statuses;
use super::scenario::until;
use super::table::{Row, Table};
use super::{is_all, scenario};
use crate::support::{World, fixtures, server_double};

/// How outages are tried.
struct Trial {
    /// How long the connections are refused.
    length: Duration,
    /// How many times.
    runs: usize,
    /// Time within which the operator must go on afterwards.
    limit: Duration,
}

/// In `make test`, next to other tests: they take time, too.
const SHORT: Trial = Trial {
    length: Duration::from_secs(9),
    runs: 2,
    limit: Duration::from_secs(15),
};
const LONG: Trial = Trial {
    length: Duration::from_secs(90),
    runs: 20,
    limit: Duration::from_secs(5),
};

/// How many runs are made at the same time. They mostly wait.
const AT_ONCE: usize = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_an_outage_of_the_api_server_an_operator_soon_goes_on() {
    let Trial { length, runs, limit } = if is_all() { LONG } else { SHORT };
    let late: Vec<Duration> = stream::iter(0..runs)
        .map(|_| outage(length))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let failures = late.iter().filter(|late| **late > limit);
    let mut table = Table::default();
    table.add(Row {
        scenario: "edit and create",
        fault: format!("connections refused for {} s", length.as_secs()),
        seed: String::new(),
        runs,
        slowest: late.iter().max().copied(),
        failures: failures
            .map(|late| format!("went on only after {late:?}"))
            .collect(),
    });
    table.finish();
}

/// One outage in the middle of an edit. Another server is created meanwhile. How long the operator took afterwards.
async fn outage(length: Duration) -> Duration {
    let world = World::without_operator("outage").await;
    let template = server_double::template();
    let running = Running::start(&world, Runs::Inside, 0, &Statuses::default(), &template).await;
    world.create(&fixtures::minimal(scenario::NAME)).await;
    world.ready(scenario::NAME).await;
    running.proxy.arm(Fault::KilledBefore(1)).await;
    let edit = json!({"spec": {"service": {"annotations": {"a": "b"}}, "image": "example.org/dittofs:2"}});
    world.merge::<DittoServer>(scenario::NAME, edit).await;
    running.proxy.killed().await;
    world.create(&fixtures::minimal("other")).await;
    tokio::time::sleep(length).await;

    running.proxy.open().await;
    let end = Instant::now();
    // The new server takes more writes than the edit. Its first one is enough.
    let is_reconciled = async || {
        let other = world.api::<Secret>().get_opt("other-jwt-secret").await;
        let other = other.expect("an answer");
        let set: StatefulSet = world.get(scenario::NAME).await;
        let template = set.spec.and_then(|spec| spec.template.spec);
        let image = template.and_then(|pod| pod.containers.into_iter().next()?.image);
        other.is_some() && image.as_deref() == Some("example.org/dittofs:2")
    };
    until("reconciled", scenario::LONGEST, is_reconciled).await;
    let late = end.elapsed();
    world.ready("other").await;
    world.ready(scenario::NAME).await;
    running.stop().await;
    late
}
