//! The inputs of the conditions, gathered from the previous steps.

mod messages;

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetStatus};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::ResourceExt;

use self::messages::{config_notes, pending_message, rollout_waits};
use super::child::{Child, Conflict, conflicts};
use crate::api::percona::PerconaPGCluster;
use crate::api::{
    AdapterRestartStatus, ApiStatus, CertificateStatus, DittoServer, Endpoint, IdentityProviderStatus,
    SettingsStatus, SnapshotPolicyStatus, names,
};
use crate::domain::adapters;
use crate::domain::applied::{Applied, Outcome, Step};
use crate::domain::certificates;
use crate::domain::cleanup;
use crate::domain::conditions::pod_cause::{PodCause, pod_cause};
use crate::domain::content::{self, status::ContentStatus};
use crate::domain::data_home;
use crate::domain::desired::{self, Desired};
use crate::domain::load_balancers;
use crate::domain::monitoring;
use crate::domain::observed::{Observed, Read};
use crate::domain::server_settings;
use crate::domain::uploads;
use crate::domain::validate::{Concern, PodGate, Severity, Verdict, Violation, cluster_problem};
use crate::domain::volumes::{self, Expansion};
use crate::domain::workload::pods;
use crate::domain::workload::rollout;

/// The inputs of the conditions. Plain data; every check reads it and nothing else.
#[derive(Debug)]
pub struct Inputs<'a> {
    /// The server.
    pub server: &'a DittoServer,
    /// What is wrong, the most informative first. The database cluster is judged as it is after the apply.
    pub violations: Vec<Violation>,
    /// Whether the pod template may be written; `None` where no child can be built.
    pub gate: Option<PodGate>,
    /// Why the children could not be built.
    pub build_error: Option<String>,
    /// Why the server stays on SQLite although its spec asks for Percona, if it does.
    pub migration: Option<String>,
    /// The desired configuration; `None` where the present one must stay.
    pub rendered: Option<&'a str>,
    /// The ConfigMap after the apply.
    pub config_map: Child<ConfigMap>,
    /// The StatefulSet after the apply.
    pub stateful_set: Child<StatefulSet>,
    /// The database cluster after the apply.
    pub database: Option<Arc<PerconaPGCluster>>,
    /// The outcome for each child.
    pub steps: &'a [Step],
    /// The children whose names other objects use.
    pub(super) conflicts: Vec<Conflict>,
    /// The server's pods.
    pub pods: &'a Read<Vec<Arc<Pod>>>,
    /// Volumes that are not as the spec asks.
    pub expansions: Vec<Expansion>,
    /// The finalizer, and the cleanup of a deleted server.
    pub cleanup: cleanup::Progress,
    /// Whether the user has paused the server. A deletion continues all the same.
    pub is_paused: bool,
    /// Why the pod does not serve.
    pub pod_cause: Option<PodCause>,
    /// What a rollout waits for, other than the pod.
    pub rollout_waits: Option<String>,
    /// When the pod was created, lost its readiness, or must be gone.
    pub pod_since: Option<Timestamp>,
    /// What a user should know about a valid configuration.
    pub config_notes: Vec<String>,
    /// Why the ServiceMonitor that the spec asks for does not exist, if its kind is not installed.
    pub monitoring_note: Option<String>,
    /// Where clients reach the adapters.
    pub endpoints: Vec<Endpoint>,
    /// Whether the operator reaches the API of the server.
    pub api: Option<ApiStatus>,
    /// The certificates of the API.
    pub certificates: Vec<CertificateStatus>,
    /// The adapters that were restarted, or must be.
    pub adapter_restarts: Vec<AdapterRestartStatus>,
    /// What became of the snapshot policies.
    pub snapshot_policies: Vec<SnapshotPolicyStatus>,
    /// What became of the identity providers.
    pub identity_providers: Vec<IdentityProviderStatus>,
    /// Users, groups, remote stores and shares.
    pub content: ContentStatus,
    /// The uploads before the server ends.
    pub uploads: uploads::Plan,
    /// The settings that the server keeps in its database.
    pub settings: Option<SettingsStatus>,
    /// Why no adapter serves, although a pod does.
    pub adapters_unavailable: Option<String>,
    /// The load balancers that have had no address for too long.
    pub load_balancers: Vec<String>,
}

/// The beginning of a message about a child that could not be written.
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
        let (built, build_error) = match desired {
            Ok(desired) => (desired.as_ref(), None),
            Err(error) => (None, Some(error)),
        };
        let violations = violations(observed, verdict, &applied.database);
        let config_map = Child::of(&applied.config_map, server);
        let stateful_set = Child::of(&applied.stateful_set, server);
        Self {
            server,
            gate: verdict.valid.as_ref().map(|valid| valid.pod),
            build_error,
            migration: data_home::is_pending(observed).then(|| pending_message(observed, &applied.database)),
            rendered: built
                .and_then(|desired| desired.config_map.as_ref())
                .and_then(config),
            conflicts: conflicts(server, &violations, &applied.steps, &config_map, &stateful_set),
            violations,
            config_map,
            stateful_set,
            database: applied.database.found().cloned(),
            steps: &applied.steps,
            pods: &observed.pods,
            endpoints: adapters::endpoints(observed),
            api: adapters::api_status(observed),
            certificates: certificates::status(observed),
            adapter_restarts: server_settings::restarts::status(server, observed.report.settings.as_ref()),
            snapshot_policies: server_settings::status(server, observed.report.settings.as_ref()),
            identity_providers: server_settings::provider_status(server, observed.report.settings.as_ref()),
            content: content::status::states(server, found_content(observed), has_ended(observed)),
            uploads: desired::uploads(observed, built),
            settings: server_settings::settings_status(server, observed.report.settings.as_ref()),
            adapters_unavailable: adapters::unavailable(observed),
            expansions: volumes::differences(observed),
            cleanup,
            is_paused: server.is_paused(),
            pod_cause: pod_cause(observed),
            rollout_waits: applied
                .stateful_set
                .found()
                .and_then(|stateful_set| rollout_waits(observed, stateful_set)),
            pod_since: pod_since(observed),
            config_notes: config_notes(observed),
            monitoring_note: monitoring::not_installed(observed),
            load_balancers: load_balancers::overdue(observed),
        }
    }

    /// Number of pods that are wanted.
    #[must_use]
    pub fn desired_replicas(&self) -> i32 {
        self.server.spec.desired_replicas()
    }

    /// Number of pods that are ready. The status of the pod counts where the StatefulSet does not know its pod: it was just re-created
    /// for other claim templates, or is being deleted without its pod.
    #[must_use]
    pub fn ready_replicas(&self) -> i32 {
        let Some(set) = self.stateful_set.ours() else {
            return 0;
        };
        let knows_its_pod = |status: &&StatefulSetStatus| {
            status.observed_generation.is_some_and(|seen| seen > 0)
                && set.metadata.deletion_timestamp.is_none()
        };
        match set.status.as_ref().filter(knows_its_pod) {
            Some(status) => status.ready_replicas.unwrap_or(0),
            None => self.ready_pods(),
        }
    }

    fn ready_pods(&self) -> i32 {
        let pods = self.pods.found().map(Vec::as_slice).unwrap_or_default();
        let ready = pods.iter().filter(|pod| pods::serves(pod)).count();
        i32::try_from(ready).unwrap_or(i32::MAX)
    }

    /// Whether the server has a PostgreSQL cluster.
    #[must_use]
    pub fn has_database(&self) -> bool {
        self.server.spec.percona_enabled()
    }

    /// Whether the server is being deleted.
    #[must_use]
    pub fn is_deleting(&self) -> bool {
        self.server.metadata.deletion_timestamp.is_some()
    }

    /// Whether only the user's decision to replace a pod is missing, while the old pod serves. That may take any time.
    pub(super) fn waits_for_user(&self) -> bool {
        self.is_updated_manually() && self.ready_replicas() >= self.desired_replicas()
    }

    /// Whether the user decides when a pod of another revision is replaced.
    pub(super) fn is_updated_manually(&self) -> bool {
        let stateful_set = self.stateful_set.ours();
        stateful_set.is_some_and(|stateful_set| !rollout::is_automatic(stateful_set))
    }

    /// Whether a pod of another revision than the wanted one exists and is not being deleted.
    pub(super) fn has_outdated_pod(&self) -> bool {
        let Some(stateful_set) = self.stateful_set.ours() else {
            return false;
        };
        let mut pods = self.pods.found().into_iter().flatten();
        pods.any(|pod| {
            pod.metadata.deletion_timestamp.is_none()
                && pods::is_of(pod, stateful_set)
                && rollout::is_outdated(pod, stateful_set)
        })
    }

    /// Whether nothing changes without manual action.
    #[must_use]
    pub fn needs_manual_action(&self) -> bool {
        let is_refused =
            |step: &Step| matches!(&step.outcome, Outcome::Failed(error) if error.needs_manual_action());
        let is_terminal = |violation: &Violation| violation.severity == Severity::Terminal;
        self.build_error.is_some()
            || !self.conflicts.is_empty()
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

    /// The message about the first child of a kind whose name another object uses.
    pub(super) fn conflict(&self, of_kind: impl Fn(&str) -> bool) -> Option<String> {
        let mut conflicts = self.conflicts.iter();
        let conflict = conflicts.find(|conflict| of_kind(conflict.kind))?;
        Some(conflict.message.clone())
    }

    /// The message about the first child of a kind that could not be written.
    pub(super) fn failure(&self, of_kind: impl Fn(&str) -> bool) -> Option<String> {
        self.steps
            .iter()
            .filter(|step| of_kind(step.kind))
            .find_map(|step| match &step.outcome {
                Outcome::Failed(error) => Some(format!("{}{error}", failed(step.kind, &step.name))),
                _ => None,
            })
    }

    /// A message, with the reason why the pod does not serve, unless the pod is only starting.
    pub(super) fn with_pod_fault(&self, message: String) -> String {
        match &self.pod_cause {
            Some(cause) if cause.is_fault => format!("{message}; {}", cause.message),
            _ => message,
        }
    }

    /// Whether something is wrong with the pod, and it is not only starting.
    pub(super) fn has_faulty_pod(&self) -> bool {
        self.pod_cause.as_ref().is_some_and(|cause| cause.is_fault)
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

    /// The message about the first child of a kind whose predecessor still exists.
    pub(super) fn terminating(&self, of_kind: impl Fn(&str) -> bool) -> Option<String> {
        let step = self
            .steps
            .iter()
            .find(|step| matches!(step.outcome, Outcome::Terminating) && of_kind(step.kind))?;
        Some(format!(
            "{} {} is still being deleted. A new one is created afterwards",
            step.kind, step.name
        ))
    }
}

/// What the server said last of users, groups, remote stores and shares. While no pod serves, what it said of a former one does not count.
fn found_content(observed: &Observed) -> Option<&ContentStatus> {
    pods::serving(&observed.pods)?;
    observed.report.settings.as_ref()?.content.as_ref()
}

/// Whether no pod serves, as far as is known.
fn has_ended(observed: &Observed) -> bool {
    !matches!(observed.pods, Read::Unreadable(_)) && pods::serving(&observed.pods).is_none()
}

/// When the present pod was created, or when it lost its readiness; for one that is being deleted, when it must be gone.
fn pod_since(observed: &Observed) -> Option<Timestamp> {
    let name = names::pod(&observed.server.name_any());
    let pods = observed.pods.found()?;
    let pod = pods.iter().find(|pod: &&Arc<Pod>| pod.name_any() == name)?;
    if let Some(deleted) = &pod.metadata.deletion_timestamp {
        return Some(deleted.0);
    }
    let created = pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
    created.max(pods::not_ready_since(pod))
}

/// The key `config.yaml` of a ConfigMap.
pub(super) fn config(config_map: &ConfigMap) -> Option<&str> {
    config_map
        .data
        .as_ref()?
        .get(names::CONFIG_KEY)
        .map(String::as_str)
}

/// The violations, with the database cluster as it is after the apply, which may just have created it.
fn violations(
    observed: &Observed,
    verdict: &Verdict<'_>,
    database: &Read<Arc<PerconaPGCluster>>,
) -> Vec<Violation> {
    if data_home::is_pending(observed) {
        // The pod does not use the cluster, and the message about the migration has its state.
        let of_config = |violation: &&Violation| violation.concern == Concern::Config;
        return verdict.violations.iter().filter(of_config).cloned().collect();
    }
    let cluster = cluster_problem(observed, database);
    verdict.with_cluster(cluster.filter(|_| verdict.valid.is_some()))
}
