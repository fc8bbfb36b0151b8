//! etcd is out of space: it refuses every write until an administrator has made room. Only in `make chaos`: it needs a control plane of
//! its own.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, ListParams, ObjectMeta, PostParams};
use local_control_plane::{Component, ControlPlane, Options};

use super::fault::Fault;
use super::is_all;
use super::operator::Runs;
use super::run::Expected;
use super::scenario::{LONGEST, Scenario, until};
use super::signals::own;
use super::snapshot::Holders;
use super::stage::Stage;
use super::table::{Row, Table, caught};
use crate::support::World;

/// Room for a control plane and some tests.
const QUOTA: &str = "--quota-backend-bytes=33554432";

/// Size of what fills it. etcd accepts 1.5 MiB at once.
const PIECE: usize = 900_000;

/// Writes of the operator that etcd must have refused.
const REFUSED: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_etcd_that_is_out_of_space_for_a_while_changes_nothing_in_the_end() {
    if !is_all() {
        println!("not run: only `make chaos` fills an etcd");
        return;
    }
    let mut table = Table::default();
    for scenario in ["create", "edit", "delete"].map(Scenario::named) {
        let Some(expected) = table.expected(scenario).await else {
            continue;
        };
        let run = caught(without_space(scenario, &expected)).await;
        table.add(Row {
            scenario: scenario.name,
            fault: "etcd out of space".into(),
            seed: String::new(),
            runs: 1,
            slowest: run.as_ref().ok().copied(),
            failures: run.err().into_iter().collect(),
        });
    }
    table.finish();
}

/// Runs a scenario. From the operator's first write on, etcd is full, until it has refused some writes. How long after that the end was
/// reached.
async fn without_space(scenario: &Scenario, expected: &Expected) -> Result<Duration, String> {
    let options = Options {
        extra_args: vec![(Component::Etcd, QUOTA.into())],
        ..Options::full()
    };
    let control_plane = own(options).await;
    let filler = World::on(control_plane.clone(), "filler").await;
    let (stage, running) = Stage::set(control_plane.clone(), scenario, Runs::Inside, 0).await;
    stage.arm(&running, Fault::KilledBefore(1)).await;
    let lived = async {
        stage.act().await;
        stage.reaches(&expected.end, LONGEST).await
    };
    let outage = async {
        running.proxy.killed().await;
        fill(&filler).await;
        running.proxy.open().await;
        let is_refused = async || running.proxy.plan().writes() > REFUSED;
        until("refused", LONGEST, is_refused).await;
        empty(&control_plane, &filler).await;
        Instant::now()
    };
    let (reached, end) = futures::join!(lived, outage);
    let late = end.elapsed();
    stage
        .judge(running, reached, expected, (Fault::None, &Holders::new()))
        .await?;
    Ok(late)
}

/// Stores objects until etcd has no space for another one.
async fn fill(filler: &World) {
    for number in 0.. {
        let piece = ConfigMap {
            metadata: ObjectMeta {
                name: Some(format!("filler-{number}")),
                ..ObjectMeta::default()
            },
            data: Some([("filler".to_owned(), "x".repeat(PIECE))].into()),
            ..ConfigMap::default()
        };
        let stored = filler.api().create(&PostParams::default(), &piece).await;
        match stored {
            Ok(_) => {}
            Err(error) if error.to_string().contains("space exceeded") => return,
            Err(error) => panic!("{error}"),
        }
    }
}

async fn empty(control_plane: &ControlPlane, filler: &World) {
    let pieces = filler.api::<ConfigMap>();
    let deleted = pieces
        .delete_collection(&DeleteParams::default(), &ListParams::default())
        .await;
    deleted.expect("etcd without space lets objects be deleted");
    let reclaimed = control_plane.reclaim_space().await;
    reclaimed.expect("etcd gives its space back");
}
