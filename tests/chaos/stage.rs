//! A world in which a scenario happens.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dittofs_operator::api::DittoServer;
use k8s_openapi::api::apps::v1::StatefulSet;
use local_control_plane::ControlPlane;
use local_control_plane::percona::PerconaSimulator;
use serde_json::json;

use super::api_proxy::ApiProxy;
use super::fault::Fault;
use super::operator::{Running, Runs};
use super::proxy::Statuses;
use super::scenario::{LONGEST, NAME, Scenario, until};
use super::snapshot::{Holders, Snapshot, difference, holders, snapshot, without_ports};
use super::tenant;
use crate::support::restarts::Restarts;
use crate::support::{World, wait};

/// A world in which a scenario is about to begin.
pub struct Stage<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) world: World,
    /// In front of the API of the server.
    pub(super) api: ApiProxy,
    simulator: Option<PerconaSimulator>,
    pub(super) statuses: Statuses,
    /// What held data before.
    pub(super) holders: Holders,
    /// Audited writes and restarts of the pod before.
    pub(super) writes: usize,
    pub(super) restarts: Restarts,
}

impl<'a> Stage<'a> {
    /// Prepares the world, with an operator and no faults.
    pub async fn set(
        control_plane: Arc<ControlPlane>,
        scenario: &'a Scenario,
        runs: Runs,
        seed: u64,
    ) -> (Self, Running) {
        let world = World::on(control_plane, "chaos").await;
        let simulator = if scenario.has_database() {
            Some(world.percona().await)
        } else {
            None
        };
        let mut stage = Self {
            restarts: Restarts::of(&world),
            api: ApiProxy::start(&scenario.server_url_template().await, seed).await,
            scenario,
            simulator,
            statuses: Statuses::default(),
            holders: Holders::new(),
            writes: 0,
            world,
        };
        let running = stage.operator(runs, seed).await;
        if scenario.exists {
            scenario.create(&stage.world).await;
            stage.settle().await;
            stage.fence(1).await;
            stage.fence(2).await;
        }
        stage.holders = holders(&stage.world).await;
        stage.writes = stage.world.audit().writes().len();
        stage.restarts = Restarts::of(&stage.world);
        (stage, running)
    }

    /// Starts an operator.
    pub async fn operator(&self, runs: Runs, seed: u64) -> Running {
        Running::start(&self.world, runs, seed, &self.statuses, &self.api.template()).await
    }

    /// The fault begins, and the one before ends.
    pub async fn arm(&self, running: &Running, fault: Fault) {
        self.api.arm(fault);
        running.proxy.arm(fault).await;
        if let Fault::EventsWithheld(..) | Fault::OlderLists(_) = fault {
            until("behind", LONGEST, async || running.proxy.plan().hits() > 0).await;
        }
    }

    /// Does what others do meanwhile. When they have stopped.
    pub async fn interfere(&self, fault: Fault) -> Option<Instant> {
        match fault {
            Fault::Tenant(time) => tenant::edit(&self.world, time).await,
            Fault::SecondOperator => {}
            _ => return None,
        }
        Some(Instant::now())
    }

    pub async fn act(&self) {
        for act in self.scenario.acts {
            self.scenario
                .act(*act, &self.world, self.simulator.as_ref())
                .await;
        }
    }

    /// Waits until nothing is left to do, in a run without faults.
    pub async fn settle(&self) {
        let world = &self.world;
        if world.lacks::<DittoServer>(NAME).await {
            return until("empty", LONGEST, async || self.snapshot().await.is_empty()).await;
        }
        world.ready(NAME).await;
        world
            .server_until(NAME, "with what it declares inside", has_content)
            .await;
        if self.scenario.is_real() {
            // Its listeners may move to other ports of the machine once, some seconds after its start.
            world.server_until(NAME, "serving", serves).await;
        }
        wait::until(world.api::<StatefulSet>(), NAME, "rolled out", |set| {
            let status = set.status.clone().unwrap_or_default();
            status.observed_generation == set.metadata.generation
                && status.current_revision == status.update_revision
                && Some(status.replicas) == set.spec.as_ref().and_then(|spec| spec.replicas)
        })
        .await;
    }

    /// What the namespace holds.
    pub async fn snapshot(&self) -> Snapshot {
        let mut all = snapshot(&self.world).await;
        if self.scenario.is_real() {
            all.values_mut().for_each(without_ports);
        }
        all
    }

    /// Waits until the world is like the end of the run without faults.
    pub async fn reaches(&self, end: &Snapshot, lasts: Duration) -> Result<(), String> {
        let deadline = Instant::now() + lasts + LONGEST;
        loop {
            let server = self.world.api::<DittoServer>().get_opt(NAME).await;
            let server = server.expect("an answer");
            let is_near = server.is_some() == self.scenario.remains()
                && server.iter().all(|server| {
                    wait::condition(server, "Ready").is_some_and(|ready| ready.status == "True")
                });
            let is_late = Instant::now() > deadline;
            if is_near || is_late {
                match difference(end, &self.snapshot().await) {
                    None => return Ok(()),
                    Some(difference) if is_late => return Err(difference),
                    Some(_) => {}
                }
            }
            tokio::time::sleep(super::scenario::PAUSE).await;
        }
    }

    /// Makes one harmless change and waits until the operator has handled it. Then it has handled everything before as well.
    /// Each one needs another number. The interval is short, so that the API of the server is asked often.
    pub(super) async fn fence(&self, number: u32) {
        let interval = format!("{}ms", 2000 + number);
        let edit = json!({"spec": {"adapterDiscovery": {"pollingInterval": interval}}});
        self.world.merge::<DittoServer>(NAME, edit).await;
        let is_observed = async || {
            let server: DittoServer = self.world.get(NAME).await;
            server.status.and_then(|status| status.observed_generation) == server.metadata.generation
        };
        until("observed", LONGEST, is_observed).await;
    }
}

/// Whether the server has everything that the spec declares inside it.
fn has_content(server: &DittoServer) -> bool {
    let (spec, status) = (&server.spec, server.status.clone().unwrap_or_default());
    let policies = status.snapshot_policies.iter().filter(|policy| policy.applied);
    let shares = status.shares.iter().filter(|share| share.ready);
    policies.count() == spec.snapshot_policies.len() && shares.count() == spec.shares.len()
}

/// Whether every adapter that is known serves.
fn serves(server: &DittoServer) -> bool {
    let endpoints = server.status.as_ref().map(|status| status.endpoints.as_slice());
    endpoints.is_some_and(|all| all.len() == 2 && all.iter().all(|endpoint| endpoint.ready))
}
