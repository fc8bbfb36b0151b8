//! What the conditions are judged by, gathered from the steps before.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetStatus};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::{Resource, ResourceExt};

use crate::api::percona::PerconaPGCluster;
use crate::api::{DittoServer, names, reasons};
use crate::domain::applied::{Applied, Outcome, Step};
use crate::domain::cleanup;
use crate::domain::conditions::pod_cause::{PodCause, pod_cause};
use crate::domain::data_home;
use crate::domain::desired::Desired;
use crate::domain::observed::{Observed, Read};
use crate::domain::ownership::{Owner, owner};
use crate::domain::validate::{
    Concern, PodGate, Severity, Verdict, Violation, conflict_message, database_problem, most_telling_first,
};
use crate::domain::volumes::{self, Growth};
use crate::domain::workload::pods::is_ready;
use crate::domain::workload::rollout;

/// A child as it stands after the apply.
#[derive(Clone, Debug, PartialEq)]
pub enum Child<K> {
    /// It is there and ours.
    Ours(Arc<K>),
    /// It is not there. One that belonged to a deleted server of the same name counts as gone.
    Absent,
    /// Its name is taken by an object of somebody else. The text says whose.
    Foreign(String),
    /// The API server did not say. The text is its error.
    Unreadable(String),
}

impl<K: Resource> Child<K> {
    fn of(read: &Read<Arc<K>>, server: &DittoServer) -> Self {
        match read {
            Read::Missing => Self::Absent,
            Read::Unreadable(error) => Self::Unreadable(error.clone()),
            Read::Found(object) => match owner(object.meta(), server) {
                Owner::Us | Owner::Orphan => Self::Ours(Arc::clone(object)),
                Owner::Predecessor => Self::Absent,
                Owner::Other(whom) => Self::Foreign(whom),
            },
        }
    }

    /// The child, if it is there and ours.
    #[must_use]
    pub fn ours(&self) -> Option<&K> {
        match self {
            Self::Ours(object) => Some(object),
            Self::Absent | Self::Foreign(_) | Self::Unreadable(_) => None,
        }
    }
}

/// What the conditions are judged by. Plain data; every check reads it and nothing else.
#[derive(Debug)]
pub struct Inputs<'a> {
    /// The server.
    pub server: &'a DittoServer,
    /// What is wrong, the most telling first. What is said of the database is what holds after the apply.
    pub violations: Vec<Violation>,
    /// Whether the pod template may be written; `None` where no child can be built.
    pub gate: Option<PodGate>,
    /// Why the children could not be built.
    pub build_error: Option<String>,
    /// Why the server stays on SQLite although its spec asks for Percona, if it does.
    pub migration: Option<String>,
    /// The configuration as it should be; `None` where the present one is to stay.
    pub rendered: Option<&'a str>,
    /// The ConfigMap after the apply.
    pub config_map: Child<ConfigMap>,
    /// The StatefulSet after the apply.
    pub stateful_set: Child<StatefulSet>,
    /// The database cluster after the apply.
    pub database: Option<Arc<PerconaPGCluster>>,
    /// What became of each child.
    pub steps: &'a [Step],
    /// The server's pods.
    pub pods: &'a Read<Vec<Arc<Pod>>>,
    /// Volumes that are not as the spec asks.
    pub growths: Vec<Growth>,
    /// The finalizer, and the cleanup of a deleted server.
    pub cleanup: cleanup::Progress,
    /// Whether a user has paused the operator's work on the server. A deletion is work that goes on.
    pub is_paused: bool,
    /// Why the pod does not serve.
    pub pod_cause: Option<PodCause>,
    /// What a rollout waits for, other than the pod.
    pub rollout_waits: Option<String>,
    /// Since when the pod is there, or is to go.
    pub pod_since: Option<Timestamp>,
}

/// A user who updates pods by hand, or a claim that cannot be made for an added volume.
fn rollout_waits(observed: &Observed, stateful_set: &StatefulSet) -> Option<String> {
    let name = observed.server.name_any();
    if !rollout::rolls_by_itself(stateful_set) {
        let pod = names::pod(&name);
        return Some(format!(
            "its update strategy leaves the pod to you: kubectl delete pod {pod} when it suits you"
        ));
    }
    let missing = volumes::missing_claims(observed, stateful_set)?;
    (!missing.is_empty()).then(|| {
        format!(
            "PersistentVolumeClaim {} is not there yet, and the pod is left as it is; if this stays, kubectl describe statefulset {} says what refuses it",
            missing.join(", "),
            names::stateful_set(&name)
        )
    })
}

/// How a message begins that says why a child could not be written.
#[must_use]
pub fn failed(kind: &str, name: &str) -> String {
    format!("Failed to reconcile {kind} {name}: ")
}

impl<'a> Inputs<'a> {
    /// Gathers the inputs. `desired` is what was built, `None` where the verdict forbade it, or why it could not be built.
    #[must_use]
    pub fn new(
        observed: &'a Observed,
        verdict: &Verdict<'_>,
        desired: Result<&'a Option<Desired>, String>,
        applied: &'a Applied,
        cleanup: cleanup::Progress,
    ) -> Self {
        let server = observed.server.as_ref();
        let (desired, build_error) = match desired {
            Ok(desired) => (desired.as_ref(), None),
            Err(error) => (None, Some(error)),
        };
        Self {
            server,
            violations: violations_after(observed, verdict, &applied.database),
            gate: verdict.valid.as_ref().map(|valid| valid.pod),
            build_error,
            migration: data_home::is_pending(observed).then(|| pending_message(observed, &applied.database)),
            rendered: desired
                .and_then(|desired| desired.config_map.as_ref())
                .and_then(config),
            config_map: Child::of(&applied.config_map, server),
            stateful_set: Child::of(&applied.stateful_set, server),
            database: applied.database.found().cloned(),
            steps: &applied.steps,
            pods: &observed.pods,
            growths: volumes::differences(observed),
            cleanup,
            is_paused: server.is_paused(),
            pod_cause: pod_cause(observed),
            rollout_waits: applied
                .stateful_set
                .found()
                .and_then(|stateful_set| rollout_waits(observed, stateful_set)),
            pod_since: pod_since(observed),
        }
    }

    /// Number of pods that are wanted.
    #[must_use]
    pub fn desired_replicas(&self) -> i32 {
        self.server.spec.desired_replicas()
    }

    /// Number of pods that are ready. A StatefulSet that was just made again for other claim templates does not know its
    /// pod yet; then the pod speaks for itself.
    #[must_use]
    pub fn ready_replicas(&self) -> i32 {
        let seen = |status: &&StatefulSetStatus| status.observed_generation.is_some_and(|seen| seen > 0);
        match self.workload_status().filter(seen) {
            Some(status) => status.ready_replicas.unwrap_or(0),
            None if self.stateful_set.ours().is_some() => self.ready_pods(),
            None => 0,
        }
    }

    fn ready_pods(&self) -> i32 {
        let pods = self.pods.found().map(Vec::as_slice).unwrap_or_default();
        let ready = pods.iter().filter(|pod| serves(pod)).count();
        i32::try_from(ready).unwrap_or(i32::MAX)
    }

    /// Whether there is a PostgreSQL cluster to speak of.
    #[must_use]
    pub fn has_database(&self) -> bool {
        self.server.spec.percona_enabled()
    }

    /// Whether the server is being deleted.
    #[must_use]
    pub fn is_deleting(&self) -> bool {
        self.server.metadata.deletion_timestamp.is_some()
    }

    /// Whether the user replaces the pod by hand. That may take as long as it takes.
    pub(super) fn is_held(&self) -> bool {
        let stateful_set = self.stateful_set.ours();
        stateful_set.is_some_and(|stateful_set| !rollout::rolls_by_itself(stateful_set))
    }

    /// Whether nothing will move without a person's help.
    #[must_use]
    pub fn needs_a_person(&self) -> bool {
        let is_refused =
            |step: &Step| matches!(&step.outcome, Outcome::Failed(error) if error.needs_manual_action());
        let is_terminal = |violation: &Violation| violation.severity == Severity::Terminal;
        self.build_error.is_some()
            || self.conflict(|_| true).is_some()
            || self.violations.iter().any(is_terminal)
            || self.steps.iter().any(is_refused)
    }

    pub(super) fn workload_status(&self) -> Option<&StatefulSetStatus> {
        self.stateful_set.ours()?.status.as_ref()
    }

    pub(super) fn violation(&self, concern: Concern) -> Option<&Violation> {
        self.violations
            .iter()
            .find(|violation| violation.concern == concern)
    }

    /// The first child of a chosen kind whose name is taken, told in full.
    pub(super) fn conflict(&self, of_kind: impl Fn(&str) -> bool) -> Option<String> {
        // What validation says of a database cluster says more: how to adopt it.
        let is_database = |violation: &&Violation| {
            violation.concern == Concern::Database && of_kind(PerconaPGCluster::KIND)
        };
        let conflicts = || {
            self.violations
                .iter()
                .filter(|violation| violation.reason == reasons::RESOURCE_CONFLICT)
        };
        if let Some(violation) = conflicts().find(is_database) {
            return Some(violation.message.clone());
        }
        let name = self.server.name_any();
        let refused = self.steps.iter().find_map(|step| match &step.outcome {
            Outcome::Foreign(whom) if of_kind(step.kind) => {
                Some(conflict_message(step.kind, &step.name, whom))
            }
            _ => None,
        });
        let config_map = || match &self.config_map {
            Child::Foreign(whom) if of_kind("ConfigMap") => {
                Some(conflict_message("ConfigMap", &names::config_map(&name), whom))
            }
            _ => None,
        };
        let stateful_set = || match &self.stateful_set {
            Child::Foreign(whom) if of_kind("StatefulSet") => {
                Some(conflict_message("StatefulSet", &names::stateful_set(&name), whom))
            }
            _ => None,
        };
        refused.or_else(config_map).or_else(stateful_set)
    }

    /// The first child of a chosen kind that could not be written, told in full.
    pub(super) fn failure(&self, of_kind: impl Fn(&str) -> bool) -> Option<String> {
        self.steps
            .iter()
            .filter(|step| of_kind(step.kind))
            .find_map(|step| match &step.outcome {
                Outcome::Failed(error) => Some(format!("{}{error}", failed(step.kind, &step.name))),
                _ => None,
            })
    }

    /// A message, with what keeps the pod from serving, if that is more than a start that takes its time.
    pub(super) fn with_pod_fault(&self, message: String) -> String {
        match &self.pod_cause {
            Some(cause) if cause.is_fault => format!("{message}; {}", cause.message),
            _ => message,
        }
    }

    /// The children that differ from what is desired and are not written while the server is paused.
    pub(super) fn withheld(&self) -> Vec<String> {
        let withheld = self
            .steps
            .iter()
            .filter(|step| matches!(step.outcome, Outcome::Withheld));
        withheld
            .map(|step| format!("{} {}", step.kind, step.name))
            .collect()
    }

    /// The first child of a chosen kind whose predecessor is still there.
    pub(super) fn terminating(&self, of_kind: impl Fn(&str) -> bool) -> Option<String> {
        let step = self
            .steps
            .iter()
            .find(|step| matches!(step.outcome, Outcome::Terminating) && of_kind(step.kind))?;
        Some(format!(
            "{} {} is still being deleted; a new one follows",
            step.kind, step.name
        ))
    }
}

/// Whether a pod is ready and stays.
fn serves(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_none() && is_ready(pod)
}

/// When the present pod was made; for one that is being deleted, when it has to be gone.
fn pod_since(observed: &Observed) -> Option<Timestamp> {
    let name = names::pod(&observed.server.name_any());
    let pods = observed.pods.found()?;
    let metadata = &pods
        .iter()
        .find(|pod: &&Arc<Pod>| pod.name_any() == name)?
        .metadata;
    let time = metadata
        .deletion_timestamp
        .as_ref()
        .or(metadata.creation_timestamp.as_ref());
    time.map(|time| time.0)
}

/// The key `config.yaml` of a ConfigMap.
pub(super) fn config(config_map: &ConfigMap) -> Option<&str> {
    config_map
        .data
        .as_ref()?
        .get(names::CONFIG_KEY)
        .map(String::as_str)
}

/// What to do about data that is still in SQLite, and what the cluster does meanwhile.
fn pending_message(observed: &Observed, database: &Read<Arc<PerconaPGCluster>>) -> String {
    let name = observed.server.name_any();
    let cluster = names::percona_cluster(&name);
    let problem = database_problem(&observed.server, &observed.database.kind, database);
    let state = problem.map_or_else(
        || format!("PostgreSQL cluster {cluster} is ready"),
        |problem| problem.message,
    );
    let remedy = data_home::remedy(&observed.server);
    format!(
        "The control-plane data (users, share definitions) is in the SQLite file on volume {}, and the server stays on it, although spec.percona is enabled. {remedy} (docs/migrate.md). Meanwhile: {state}",
        names::claim(names::CONTROL_PLANE_VOLUME, &name),
    )
}

/// The violations, with what is wrong with the database cluster judged anew: the apply may just have created it.
fn violations_after(
    observed: &Observed,
    verdict: &Verdict<'_>,
    database: &Read<Arc<PerconaPGCluster>>,
) -> Vec<Violation> {
    let kind = &observed.database.kind;
    if data_home::is_pending(observed) {
        // The pod does not use the cluster; `DatabaseReady` tells what is wrong with it.
        let of_config = |violation: &&Violation| violation.concern == Concern::Config;
        return verdict.violations.iter().filter(of_config).cloned().collect();
    }
    let before = database_problem(&observed.server, kind, &observed.database.cluster);
    let after = database_problem(&observed.server, kind, database);
    // First among those of the same severity: without a cluster, the rest of the database cannot be.
    let mut violations: Vec<Violation> = after.filter(|_| verdict.valid.is_some()).into_iter().collect();
    violations.extend(
        verdict
            .violations
            .iter()
            .filter(|violation| Some(*violation) != before.as_ref())
            .cloned(),
    );
    most_telling_first(&mut violations);
    violations
}
