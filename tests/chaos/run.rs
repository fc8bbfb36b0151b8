//! One run of a scenario with a fault, compared with the run without faults.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use local_control_plane::ControlPlane;

use super::api_proxy::Counts;
use super::fault::Fault;
use super::operator::Runs;
use super::scenario::{LONGEST, Scenario, until};
use super::snapshot::{Holders, Snapshot, holders};
use super::stage::Stage;
use crate::support;

/// What a run without faults did. Every other run of the scenario is compared with it.
#[derive(Debug)]
pub struct Expected {
    pub(super) end: Snapshot,
    pub(super) counts: Counts,
    pub(super) kept: BTreeMap<String, bool>,
    /// How many writes it took.
    pub writes: usize,
}

/// Runs a scenario without faults.
pub async fn without_faults(scenario: &Scenario) -> Expected {
    let control_plane = support::control_plane().await;
    let (stage, running) = Stage::set(control_plane, scenario, Runs::Inside, 0).await;
    stage.arm(&running, Fault::None).await;
    stage.act().await;
    stage.settle().await;
    let writes = running.proxy.plan().writes();
    let mut broken: Vec<String> = stage.end(running).await.into_iter().collect();
    broken.extend(stage.inconsistent(Fault::None));
    assert!(broken.is_empty(), "without faults: {broken:?}");
    Expected {
        end: stage.snapshot().await,
        counts: stage.counts(),
        kept: stage.kept().await,
        writes,
    }
}

/// Runs a scenario with a fault. How long after the last thing that went wrong the end was reached; `None` if nothing did.
///
/// # Errors
/// What differs from the run without faults.
pub async fn with_fault(
    scenario: &Scenario,
    runs: Runs,
    fault: Fault,
    seed: u64,
    expected: &Expected,
) -> Result<Option<Duration>, String> {
    let control_plane = support::control_plane().await;
    let (stage, mut running) = Stage::set(control_plane, scenario, runs, seed).await;
    let second = match fault {
        Fault::SecondOperator => Some(stage.operator(runs, seed).await),
        _ => None,
    };
    stage.arm(&running, fault).await;
    let (mut at_kill, mut last) = (Holders::new(), None);
    let lived = async {
        let ((), end) = futures::join!(stage.act(), stage.interfere(fault));
        (stage.reaches(&expected.end, fault.lasts()).await, end)
    };
    let mut lived = Box::pin(lived);
    let (reached, interfered) = tokio::select! {
        lived = &mut lived => lived,
        () = running.proxy.killed() => {
            (at_kill, last) = (holders(&stage.world).await, Some(Instant::now()));
            running = stage.operator(runs, seed).await;
            lived.as_mut().await
        }
    };
    drop(lived);
    let hits = [running.proxy.plan().last_hit(), stage.api.last_hit(), interfered];
    let late = hits
        .into_iter()
        .flatten()
        .chain(last)
        .max()
        .map(|last| last.elapsed());
    if let Some(second) = second {
        if reached.is_ok() {
            stage.agree([&running, &second]).await?;
        }
        second.stop().await;
    }
    stage.judge(running, reached, expected, (fault, &at_kill)).await?;
    Ok(late)
}

/// Runs a scenario while something happens to the control plane, after the operator's second write. How long after
/// that the end was reached.
///
/// # Errors
/// What differs from the run without faults.
pub async fn while_disturbed(
    control_plane: &Arc<ControlPlane>,
    scenario: &Scenario,
    disturb: impl AsyncFn(&ControlPlane),
    expected: &Expected,
) -> Result<Option<Duration>, String> {
    let (stage, running) = Stage::set(Arc::clone(control_plane), scenario, Runs::Inside, 0).await;
    stage.arm(&running, Fault::None).await;
    stage.act().await;
    until("writing", LONGEST, async || running.proxy.plan().writes() >= 2).await;
    disturb(control_plane).await;
    let end = Instant::now();
    let reached = stage.reaches(&expected.end, Duration::ZERO).await;
    let late = end.elapsed();
    let undisturbed = (Fault::None, &Holders::new());
    stage.judge(running, reached, expected, undisturbed).await?;
    Ok(Some(late))
}
