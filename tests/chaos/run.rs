//! One run of a scenario with a fault, and what must hold after it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use dittofs_operator::api::DittoServer;
use k8s_openapi::api::apps::v1::StatefulSet;
use local_control_plane::ControlPlane;
use local_control_plane::percona::PerconaSimulator;
use serde_json::json;

use super::fault::Fault;
use super::operator::{Running, Runs};
use super::proxy::Statuses;
use super::scenario::{LONGEST, NAME, Scenario, until};
use super::snapshot::{Holders, Snapshot, difference, holders, snapshot};
use super::status::inconsistent;
use crate::support::restarts::Restarts;
use crate::support::{self, World, wait};

/// What a run without faults did. Every other run of the scenario is compared with it.
#[derive(Debug)]
pub struct Expected {
    end: Snapshot,
    counts: BTreeMap<String, usize>,
    kept: BTreeMap<String, bool>,
    /// How many writes it took.
    pub writes: usize,
}

/// A world in which a scenario is about to begin.
struct Stage<'a> {
    scenario: &'a Scenario,
    world: World,
    simulator: Option<PerconaSimulator>,
    statuses: Statuses,
    holders: Holders,
    /// Audited writes and restarts of the pod before.
    writes: usize,
    restarts: Restarts,
}

/// Runs a scenario without faults.
pub async fn without_faults(scenario: &Scenario) -> Expected {
    let control_plane = support::control_plane().await;
    let (stage, running) = Stage::set(control_plane, scenario, Runs::Inside, 0).await;
    running.proxy.arm(Fault::None).await;
    stage.act().await;
    stage.settle().await;
    let writes = running.proxy.plan().writes();
    let mut broken: Vec<String> = stage.end(running).await.into_iter().collect();
    broken.extend(stage.inconsistent());
    assert!(broken.is_empty(), "without faults: {broken:?}");
    Expected {
        end: snapshot(&stage.world).await,
        counts: stage.counts(),
        kept: stage.kept().await,
        writes,
    }
}

/// Runs a scenario with a fault. Whether there was a request that went wrong.
///
/// # Errors
/// What differs from the run without faults.
pub async fn with_fault(
    scenario: &Scenario,
    runs: Runs,
    fault: Fault,
    seed: u64,
    expected: &Expected,
) -> Result<bool, String> {
    let control_plane = support::control_plane().await;
    let (stage, mut running) = Stage::set(control_plane, scenario, runs, seed).await;
    running.proxy.arm(fault).await;
    let mut at_kill = Holders::new();
    let lived = async {
        stage.act().await;
        stage.reaches(&expected.end, fault.lasts()).await
    };
    let mut lived = Box::pin(lived);
    let reached = tokio::select! {
        reached = &mut lived => reached,
        () = running.proxy.killed() => {
            at_kill = holders(&stage.world).await;
            running = Running::start(&stage.world, runs, seed, &stage.statuses).await;
            lived.as_mut().await
        }
    };
    drop(lived);
    let is_hit = !at_kill.is_empty() || running.proxy.plan().hits() > 0;
    stage.judge(running, reached, expected, &at_kill).await?;
    Ok(is_hit)
}

/// Runs a scenario while something happens to the control plane, after the operator's second write.
///
/// # Errors
/// What differs from the run without faults.
pub async fn while_disturbed(
    control_plane: &Arc<ControlPlane>,
    scenario: &Scenario,
    disturb: impl AsyncFn(&ControlPlane),
    expected: &Expected,
) -> Result<bool, String> {
    let (stage, running) = Stage::set(Arc::clone(control_plane), scenario, Runs::Inside, 0).await;
    running.proxy.arm(Fault::None).await;
    stage.act().await;
    until("writing", LONGEST, async || running.proxy.plan().writes() >= 2).await;
    disturb(control_plane).await;
    let reached = stage.reaches(&expected.end, Duration::ZERO).await;
    stage.judge(running, reached, expected, &Holders::new()).await?;
    Ok(true)
}

impl<'a> Stage<'a> {
    /// Prepares the world, with an operator and no faults.
    async fn set(
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
        let statuses = Statuses::default();
        let running = Running::start(&world, runs, seed, &statuses).await;
        let mut stage = Self {
            restarts: Restarts::of(&world),
            scenario,
            simulator,
            statuses,
            holders: Holders::new(),
            writes: 0,
            world,
        };
        if scenario.exists {
            scenario.create(&stage.world).await;
            stage.settle().await;
            stage.fence("31s").await;
            stage.fence("32s").await;
        }
        stage.holders = holders(&stage.world).await;
        stage.writes = stage.world.audit().writes().len();
        stage.restarts = Restarts::of(&stage.world);
        (stage, running)
    }

    async fn act(&self) {
        for act in self.scenario.acts {
            self.scenario
                .act(*act, &self.world, self.simulator.as_ref())
                .await;
        }
    }

    /// Waits until nothing is left to do, in a run without faults.
    async fn settle(&self) {
        let world = &self.world;
        if world.lacks::<DittoServer>(NAME).await {
            return until("empty", LONGEST, async || snapshot(world).await.is_empty()).await;
        }
        world.ready(NAME).await;
        let is_written = |server: &DittoServer| {
            let status = server.status.clone().unwrap_or_default();
            let declared = server.spec.snapshot_policies.len();
            status
                .snapshot_policies
                .iter()
                .filter(|policy| policy.applied)
                .count()
                == declared
        };
        world.server_until(NAME, "with its policies", is_written).await;
        wait::until(world.api::<StatefulSet>(), NAME, "rolled out", |set| {
            let status = set.status.clone().unwrap_or_default();
            status.observed_generation == set.metadata.generation
                && status.current_revision == status.update_revision
                && Some(status.replicas) == set.spec.as_ref().and_then(|spec| spec.replicas)
        })
        .await;
    }

    /// Waits until the world is like the end of the run without faults.
    async fn reaches(&self, end: &Snapshot, lasts: Duration) -> Result<(), String> {
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
                match difference(end, &snapshot(&self.world).await) {
                    None => return Ok(()),
                    Some(difference) if is_late => return Err(difference),
                    Some(_) => {}
                }
            }
            tokio::time::sleep(super::scenario::PAUSE).await;
        }
    }

    /// Makes one harmless change and waits until the operator has handled it. Then it has handled everything before as well.
    async fn fence(&self, interval: &str) {
        let edit = json!({"spec": {"adapterDiscovery": {"pollingInterval": interval}}});
        self.world.merge::<DittoServer>(NAME, edit).await;
        let is_observed = async || {
            let server: DittoServer = self.world.get(NAME).await;
            server.status.and_then(|status| status.observed_generation) == server.metadata.generation
        };
        until("observed", LONGEST, is_observed).await;
    }

    /// Ends the faults, and then the operator. Nothing may be written for a server that is stable.
    async fn end(&self, running: Running) -> Option<String> {
        running.proxy.arm(Fault::None).await;
        let mut surplus = None;
        if self.scenario.remains() {
            self.fence("33s").await;
            let before = running.proxy.plan().writes();
            self.fence("34s").await;
            let writes = running.proxy.plan().writes() - before;
            surplus = (writes != 1).then(|| format!("{writes} writes for a change that needs 1, a status"));
        }
        running.stop().await;
        surplus
    }

    /// Everything that must hold after a run.
    async fn judge(
        &self,
        running: Running,
        reached: Result<(), String>,
        expected: &Expected,
        at_kill: &Holders,
    ) -> Result<(), String> {
        let mut broken: Vec<String> = reached.err().into_iter().collect();
        if broken.is_empty() {
            broken.extend(self.end(running).await);
            broken.extend(self.compare(expected, at_kill).await);
        }
        broken.extend(self.inconsistent());
        if broken.is_empty() {
            return Ok(());
        }
        let mut text = broken.join("\n  ");
        let _ = write!(text, "\n  {}", self.world.audit().write_history());
        Err(text)
    }

    async fn compare(&self, expected: &Expected, at_kill: &Holders) -> Vec<String> {
        let mut broken = Vec::new();
        broken.extend(difference(&expected.end, &snapshot(&self.world).await));
        let counts = self.counts();
        if counts != expected.counts {
            broken.push(format!(
                "creates and deletes: {counts:?}\n  without faults: {:?}",
                expected.counts
            ));
        }
        let kept = self.kept().await;
        if kept != expected.kept {
            broken.push(format!(
                "kept as it was: {kept:?}\n  without faults: {:?}",
                expected.kept
            ));
        }
        if self.scenario.remains() {
            let now = holders(&self.world).await;
            let lost = at_kill.iter().filter(|(name, held)| now.get(*name) != Some(held));
            broken.extend(
                lost.map(|(name, _)| format!("{name} is not what it was when the operator was killed")),
            );
        }
        broken
    }

    /// How often the operator created and deleted each object, and how often the pod was restarted by anybody.
    fn counts(&self) -> BTreeMap<String, usize> {
        let mut calls = self.world.audit().writes().split_off(self.writes);
        calls.retain(|call| matches!(call.verb.as_str(), "create" | "delete") && call.code < 300);
        let mut counts = BTreeMap::new();
        for call in calls {
            let name = format!("{} {} {}", call.verb, call.resource, call.name);
            *counts.entry(name).or_insert(0) += 1;
        }
        counts.insert("restart of the pod".to_owned(), self.restarts.count());
        counts
    }

    /// Which holders of data from before the faults are still the same.
    async fn kept(&self) -> BTreeMap<String, bool> {
        let now = holders(&self.world).await;
        let kept = self.holders.iter();
        kept.map(|(name, held)| (name.clone(), now.get(name) == Some(held)))
            .collect()
    }

    fn inconsistent(&self) -> Vec<String> {
        let statuses = self.statuses.lock().unwrap_or_else(PoisonError::into_inner);
        inconsistent(&statuses)
    }
}
