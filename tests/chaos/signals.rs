//! Signals to the processes of the control plane. Only in `make chaos`: each run has to wait until they are ready again.

use std::sync::Arc;
use std::time::Duration;

use dittofs_operator::api;
use local_control_plane::{Component, ControlPlane, Options, percona};

use super::is_all;
use super::run::while_disturbed;
use super::scenario::Scenario;
use super::table::{Row, Table, caught};
use crate::support::install_crd;
use crate::support::recorder::recorded;

/// What happens to a process.
#[derive(Clone, Copy, Debug)]
enum Signal {
    /// SIGSTOP, and SIGCONT after this time: connections stay open, and nothing is answered.
    Paused(Duration),
    /// SIGKILL, and a new start after this time.
    Killed(Duration),
}

const SIGNALS: [Signal; 4] = [
    Signal::Paused(Duration::from_secs(5)),
    Signal::Paused(Duration::from_secs(20)),
    Signal::Paused(Duration::from_secs(60)),
    Signal::Killed(Duration::from_secs(5)),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_server_or_etcd_that_is_paused_or_killed_changes_nothing_in_the_end() {
    if !is_all() {
        println!("not run: only `make chaos` pauses and kills the API server and etcd");
        return;
    }
    let control_plane = own(Options::full()).await;
    let mut table = Table::default();
    for scenario in ["create", "edit"].map(Scenario::named) {
        let Some(expected) = table.expected(scenario).await else {
            continue;
        };
        for component in [Component::ApiServer, Component::Etcd] {
            for signal in SIGNALS {
                let disturb =
                    async |control_plane: &ControlPlane| send(control_plane, component, signal).await;
                let run = while_disturbed(&control_plane, scenario, disturb, &expected);
                let result = caught(run).await;
                table.add(Row {
                    scenario: scenario.name,
                    fault: format!("{component:?}: {signal:?}"),
                    seed: String::new(),
                    runs: 1,
                    slowest: result.clone().ok().flatten(),
                    failures: result.err().into_iter().collect(),
                });
            }
        }
    }
    table.finish();
}

/// A full control plane for this test alone.
pub async fn own(options: Options) -> Arc<ControlPlane> {
    let control_plane = ControlPlane::start(recorded(options)).await;
    let control_plane = control_plane.expect("the control plane starts");
    let client = control_plane.client().expect("a client");
    install_crd(&client, api::crd()).await;
    percona::install_crd(&client).await.expect("the CRD is installed");
    Arc::new(control_plane)
}

async fn send(control_plane: &ControlPlane, component: Component, signal: Signal) {
    match signal {
        Signal::Paused(time) => {
            control_plane.pause(component).expect("it runs");
            tokio::time::sleep(time).await;
            control_plane.resume(component).await.expect("it goes on");
        }
        Signal::Killed(time) => {
            control_plane.kill(component).await.expect("it runs");
            tokio::time::sleep(time).await;
            let started = control_plane.start_component(component).await;
            started.expect("it starts again");
        }
    }
}
