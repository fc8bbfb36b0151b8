//! How a cluster moves between its states. Pure: the time is an argument.

use std::time::{Duration, Instant};

use kube::ResourceExt;

use super::Behaviour;
use super::cluster::{InstanceStatus, PerconaPGCluster, PerconaPGClusterStatus, PodCount, PostgresStatus};

/// Where a cluster should get to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// Run, as the behaviour says.
    Run(Behaviour),
    /// Stop: `spec.pause`.
    Pause,
}

/// Where a cluster is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It makes no progress.
    Down(&'static str),
    /// It is ready at that time.
    Starting(Instant),
    Ready,
    /// It is paused at that time.
    Stopping(Instant),
    Paused,
}

/// The delays between the phases.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delays {
    pub startup: Duration,
    pub shutdown: Duration,
}

impl Phase {
    /// The phase that follows. A fixpoint stays as it is.
    pub(super) fn next(self, goal: Goal, now: Instant, delays: Delays) -> Self {
        match (goal, self) {
            (Goal::Run(Behaviour::Ready), Self::Starting(until)) if now >= until => Self::Ready,
            (Goal::Run(Behaviour::Ready), Self::Starting(_) | Self::Ready) => self,
            (Goal::Run(Behaviour::Ready), _) => Self::Starting(now + delays.startup),
            (Goal::Run(Behaviour::Stuck), _) => Self::Down("initializing"),
            (Goal::Run(Behaviour::Failing), _) => Self::Down("error"),
            (Goal::Pause, Self::Stopping(until)) if now >= until => Self::Paused,
            (Goal::Pause, Self::Stopping(_) | Self::Paused) => self,
            (Goal::Pause, _) => Self::Stopping(now + delays.shutdown),
        }
    }

    /// When to look again.
    pub(super) fn due(self) -> Option<Instant> {
        match self {
            Self::Starting(until) | Self::Stopping(until) => Some(until),
            _ => None,
        }
    }

    /// `status.state` as Percona's operator names it.
    pub(super) const fn state(self) -> &'static str {
        match self {
            Self::Down(state) => state,
            Self::Starting(_) => "initializing",
            Self::Ready => "ready",
            Self::Stopping(_) => "stopping",
            Self::Paused => "paused",
        }
    }
}

/// The status that a cluster shows in a phase.
pub(super) fn status(cluster: &PerconaPGCluster, phase: Phase) -> PerconaPGClusterStatus {
    let runs = phase == Phase::Ready;
    let ready = |size: i32| if runs { size } else { 0 };
    let instances: Vec<_> = cluster
        .spec
        .instances
        .iter()
        .map(|instance| {
            let size = if phase == Phase::Paused {
                0
            } else {
                instance.replicas.unwrap_or(1)
            };
            InstanceStatus {
                name: instance.name.clone(),
                size,
                ready: ready(size),
            }
        })
        .collect();
    let size = instances.iter().map(|instance| instance.size).sum();
    let bouncers = cluster
        .spec
        .proxy
        .as_ref()
        .and_then(|proxy| proxy.pg_bouncer.as_ref());
    let bouncers = bouncers.map_or(0, |bouncer| bouncer.replicas.unwrap_or(1));
    let pgbouncer = if phase == Phase::Paused { 0 } else { bouncers };
    // Clients are sent to pgBouncer where there is one.
    let service = if bouncers > 0 { "pgbouncer" } else { "primary" };
    let (name, namespace) = (cluster.name_any(), cluster.namespace().unwrap_or_default());
    PerconaPGClusterStatus {
        state: phase.state().to_owned(),
        host: format!("{name}-{service}.{namespace}.svc"),
        observed_generation: cluster.metadata.generation.unwrap_or_default(),
        postgres: PostgresStatus {
            size,
            ready: ready(size),
            version: cluster.spec.postgres_version.unwrap_or_default(),
            instances,
        },
        pgbouncer: PodCount {
            size: pgbouncer,
            ready: ready(pgbouncer),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Behaviour, Delays, Goal, Phase};

    const DELAYS: Delays = Delays {
        startup: Duration::from_secs(8),
        shutdown: Duration::from_secs(2),
    };

    #[test]
    fn a_cluster_starts_and_is_ready_after_the_delay() {
        let now = Instant::now();
        let goal = Goal::Run(Behaviour::Ready);
        let starting = Phase::Down("initializing").next(goal, now, DELAYS);
        assert_eq!(starting, Phase::Starting(now + DELAYS.startup));
        assert_eq!(
            starting.next(goal, now + Duration::from_secs(1), DELAYS),
            starting
        );
        assert_eq!(starting.next(goal, now + DELAYS.startup, DELAYS), Phase::Ready);
        assert_eq!(
            Phase::Ready.next(goal, now + DELAYS.startup, DELAYS),
            Phase::Ready
        );
    }

    #[test]
    fn a_pause_stops_the_cluster_before_it_is_paused() {
        let now = Instant::now();
        let stopping = Phase::Ready.next(Goal::Pause, now, DELAYS);
        assert_eq!(stopping.state(), "stopping");
        assert_eq!(stopping.next(Goal::Pause, now, DELAYS), stopping);
        let paused = stopping.next(Goal::Pause, now + DELAYS.shutdown, DELAYS);
        assert_eq!(paused, Phase::Paused);
        assert_eq!(
            paused.next(Goal::Pause, now + DELAYS.shutdown, DELAYS),
            Phase::Paused
        );
        assert_eq!(
            paused.next(Goal::Run(Behaviour::Ready), now, DELAYS).state(),
            "initializing"
        );
    }

    #[test]
    fn an_outage_takes_a_ready_cluster_back_to_initializing() {
        let now = Instant::now();
        assert_eq!(
            Phase::Ready
                .next(Goal::Run(Behaviour::Stuck), now, DELAYS)
                .state(),
            "initializing"
        );
        assert_eq!(
            Phase::Ready
                .next(Goal::Run(Behaviour::Failing), now, DELAYS)
                .state(),
            "error"
        );
    }
}
