//! `Progressing`: the cluster does not yet hold what the spec asks for, or the rollout is not done.
//!
//! True also while a child cannot be written or its name is taken: the work is not complete and is tried again. False
//! means complete (`ReconcileComplete`), or that nothing moves until a person acts (`Blocked`); another condition, and
//! so `Ready`, is then not True.
//!
//! While a server is paused, the reason is `Paused`: `Unknown` while something is not done, for nobody knows when it will
//! be (as in a paused Deployment), and False where the cluster holds what the spec asks for, so that `Ready` stays.

use k8s_openapi::api::apps::v1::StatefulSetStatus;

use super::available::unreadable;
use super::storage;
use super::{Check, Child, Inputs, Judgement, Truth, failed, objection, reasons};
use crate::api::names;
use crate::domain::applied::{Outcome, Step};
use crate::domain::validate::{Concern, PodGate, Severity, Violation};
use crate::domain::workload::rollout;

const CHECKS: [Check; 13] = [
    deleting,
    namespace_terminating,
    conflict,
    failure,
    terminating,
    unreadable,
    waiting,
    not_created,
    not_seen_by_controller,
    rolling_out,
    scaling,
    not_updated,
    storage::growing,
];

pub(super) fn judge(inputs: &Inputs<'_>) -> Judgement {
    let judgement = objection(&CHECKS, inputs).unwrap_or_else(|| settled(inputs));
    if inputs.is_paused && !inputs.is_deleting() {
        paused(inputs, &judgement)
    } else {
        judgement
    }
}

fn paused(inputs: &Inputs<'_>, judgement: &Judgement) -> Judgement {
    let annotation = names::PAUSED_ANNOTATION;
    let withheld = inputs.withheld();
    if withheld.is_empty() && judgement.truth == Truth::False {
        let message = format!("Paused by the annotation {annotation}. {}", judgement.message);
        return Judgement::no(reasons::PAUSED, message);
    }
    let mut message = format!("Paused by the annotation {annotation}: only the status is written");
    if !withheld.is_empty() {
        message.push_str("; to be written: ");
        message.push_str(&withheld.join(", "));
    }
    if judgement.reason != reasons::RECONCILE_COMPLETE {
        message.push_str(". ");
        message.push_str(&judgement.message);
    }
    Judgement::unknown(reasons::PAUSED, message)
}

fn settled(inputs: &Inputs<'_>) -> Judgement {
    let cause = inputs
        .violations
        .iter()
        .find(|violation| is_terminal(violation))
        .map(|violation| &violation.message);
    match cause.or(inputs.build_error.as_ref()) {
        Some(cause) => Judgement::no(
            reasons::BLOCKED,
            format!("Nothing moves until this is corrected: {cause}"),
        ),
        None => storage::stuck(inputs)
            .unwrap_or_else(|| Judgement::no(reasons::RECONCILE_COMPLETE, "All resources are up to date")),
    }
}

fn is_terminal(violation: &Violation) -> bool {
    violation.severity == Severity::Terminal
}

fn deleting(inputs: &Inputs<'_>) -> Option<Judgement> {
    let message = match &inputs.cleanup.pending {
        Some(left) => format!("DittoServer is being deleted; it waits for {left}"),
        None => "DittoServer is being deleted".into(),
    };
    inputs
        .is_deleting()
        .then(|| Judgement::yes(reasons::DELETING, message))
}

fn namespace_terminating(inputs: &Inputs<'_>) -> Option<Judgement> {
    let is_refused = |step: &Step| matches!(step.outcome, Outcome::NamespaceTerminating);
    inputs.steps.iter().any(is_refused).then(|| {
        Judgement::yes(
            reasons::NAMESPACE_TERMINATING,
            "The namespace is being deleted, and the DittoServer with it",
        )
    })
}

fn conflict(inputs: &Inputs<'_>) -> Option<Judgement> {
    inputs
        .conflict(|_| true)
        .map(|message| Judgement::yes(reasons::RESOURCE_CONFLICT, message))
}

fn failure(inputs: &Inputs<'_>) -> Option<Judgement> {
    inputs
        .failure(|_| true)
        .or_else(|| finalizer_error(inputs))
        .map(|message| Judgement::yes(reasons::APPLY_FAILED, message))
}

/// Without its finalizer a server would go and leave what it is to take along.
fn finalizer_error(inputs: &Inputs<'_>) -> Option<String> {
    let error = inputs.cleanup.finalizer_error.as_ref()?;
    let name = inputs.server.metadata.name.as_deref().unwrap_or_default();
    Some(format!("{}{error}", failed("DittoServer", name)))
}

fn terminating(inputs: &Inputs<'_>) -> Option<Judgement> {
    inputs
        .terminating(|_| true)
        .map(|message| Judgement::yes(reasons::RESOURCE_TERMINATING, message))
}

/// The pod template is held for something that may come by itself.
fn waiting(inputs: &Inputs<'_>) -> Option<Judgement> {
    if inputs.gate != Some(PodGate::Closed) || inputs.violations.iter().any(is_terminal) {
        return None;
    }
    let first = inputs.violations.first()?;
    let reason = match first.concern {
        Concern::Config => reasons::WAITING_FOR_SECRETS,
        Concern::Database => reasons::WAITING_FOR_DATABASE,
    };
    // Whether there is anything to wait for is not known where it could not be read.
    let judgement = if first.severity == Severity::Unknown {
        Judgement::unknown
    } else {
        Judgement::yes
    };
    Some(judgement(reason, first.message.clone()))
}

/// A StatefulSet that is to be there and is not. While it is blocked, nothing is on its way.
fn not_created(inputs: &Inputs<'_>) -> Option<Judgement> {
    let is_coming = inputs.gate == Some(PodGate::Open) && inputs.build_error.is_none();
    let is_absent = matches!(inputs.stateful_set, Child::Absent);
    (is_coming && is_absent).then(|| {
        Judgement::yes(
            reasons::STATEFUL_SET_UPDATING,
            "StatefulSet has not been created yet",
        )
    })
}

fn not_seen_by_controller(inputs: &Inputs<'_>) -> Option<Judgement> {
    let stateful_set = inputs.stateful_set.ours()?;
    let seen = inputs
        .workload_status()
        .and_then(|status| status.observed_generation)
        .unwrap_or(-1);
    let is_behind = stateful_set
        .metadata
        .generation
        .is_some_and(|generation| seen < generation);
    is_behind.then(|| Judgement::yes(reasons::STATEFUL_SET_UPDATING, "StatefulSet is being updated"))
}

/// The revision differs from the running one. A stopped server has no pod that could be behind.
fn rolling_out(inputs: &Inputs<'_>) -> Option<Judgement> {
    let status = inputs.workload_status()?;
    let wanted = inputs.desired_replicas();
    let (current, update) = (
        revision(status.current_revision.as_ref())?,
        revision(status.update_revision.as_ref())?,
    );
    (wanted > 0 && current != update).then(|| rollout(inputs, status, wanted, update))
}

fn revision(name: Option<&String>) -> Option<&str> {
    name.map(String::as_str).filter(|name| !name.is_empty())
}

fn rollout(inputs: &Inputs<'_>, status: &StatefulSetStatus, wanted: i32, update: &str) -> Judgement {
    let (updated, ready) = (
        status.updated_replicas.unwrap_or(0),
        status.ready_replicas.unwrap_or(0),
    );
    let waits = inputs.rollout_waits.as_ref().filter(|_| updated < wanted);
    let waits = waits.map(|waits| format!("; {waits}")).unwrap_or_default();
    let message =
        format!("Rolling out revision {update}: {updated}/{wanted} updated, {ready}/{wanted} ready{waits}");
    Judgement::yes(reasons::ROLLOUT_IN_PROGRESS, inputs.with_pod_fault(message))
}

fn scaling(inputs: &Inputs<'_>) -> Option<Judgement> {
    let stateful_set = inputs.stateful_set.ours()?;
    let (ready, wanted) = (inputs.ready_replicas(), inputs.desired_replicas());
    let existing = inputs.workload_status().map_or(0, |status| status.replicas);
    let is_settled = ready == wanted && existing == wanted && rollout::replicas(stateful_set) == wanted;
    let message = format!("Scaling: {ready}/{wanted} replicas ready");
    (!is_settled).then(|| Judgement::yes(reasons::SCALING_REPLICAS, inputs.with_pod_fault(message)))
}

/// All pods are ready, but one is not of the update revision: a rollout that somebody has paused by a partition.
fn not_updated(inputs: &Inputs<'_>) -> Option<Judgement> {
    let status = inputs.workload_status()?;
    let wanted = inputs.desired_replicas();
    let update = revision(status.update_revision.as_ref()).unwrap_or("not yet named");
    (status.updated_replicas.unwrap_or(0) < wanted).then(|| rollout(inputs, status, wanted, update))
}
