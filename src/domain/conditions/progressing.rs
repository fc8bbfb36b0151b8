//! `Progressing`: the cluster does not yet have what the spec asks for, or the rollout is not complete.
//!
//! Also True while a child cannot be written or another object uses its name: the work is not complete and is retried. False
//! means complete (`ReconcileComplete`), or that it needs manual action (`Blocked`); then another condition, and so `Ready`, is
//! not True.
//!
//! While a server is paused, the reason is `Paused`. The status is `Unknown` while something is not complete, because the end is
//! unknown (as in a paused Deployment), and False where the cluster has what the spec asks for, so that `Ready` stays True.

use k8s_openapi::api::apps::v1::StatefulSetStatus;

use super::available::unreadable;
use super::{Check, Child, Inputs, Judgement, Truth, failed, first_failure, reasons};
use crate::api::{DrainBefore, names};
use crate::domain::applied::{Outcome, Step};
use crate::domain::content;
use crate::domain::validate::{Concern, PodGate, Severity, Violation};
use crate::domain::workload::rollout;

const CHECKS: [Check; 17] = [
    deleting,
    namespace_terminating,
    conflict,
    failure,
    super::drift::contested,
    terminating,
    recreating,
    draining,
    unreadable,
    waiting,
    not_created,
    not_seen_by_controller,
    rolling_out,
    scaling,
    not_updated,
    super::volumes::expanding,
    shares_pending,
];

pub(super) fn judge(inputs: &Inputs<'_>) -> Judgement {
    let judgement = first_failure(&CHECKS, inputs).unwrap_or_else(|| at_rest(inputs));
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
        message.push_str("; not written: ");
        message.push_str(&withheld.join(", "));
    }
    if judgement.reason != reasons::RECONCILE_COMPLETE {
        message.push_str(". ");
        message.push_str(&judgement.message);
    }
    Judgement::unknown(reasons::PAUSED, message)
}

/// What the pod of the server waits for, whatever else is reported about its other children.
pub(super) fn of_workload(inputs: &Inputs<'_>) -> Option<Judgement> {
    first_failure(
        &[not_seen_by_controller, rolling_out, scaling, not_updated],
        inputs,
    )
}

/// Nothing is in progress: everything is as desired, or it needs manual action.
fn at_rest(inputs: &Inputs<'_>) -> Judgement {
    let cause = inputs
        .violations
        .iter()
        .find(|violation| is_terminal(violation))
        .map(|violation| &violation.message);
    match cause.or(inputs.build_error.as_ref()) {
        Some(cause) => Judgement::no(
            reasons::BLOCKED,
            format!("Nothing changes until this is corrected: {cause}"),
        ),
        None => super::volumes::blocked(inputs)
            .or_else(|| super::drift::overridden(inputs))
            .unwrap_or_else(|| Judgement::no(reasons::RECONCILE_COMPLETE, "All resources are up to date")),
    }
}

fn is_terminal(violation: &Violation) -> bool {
    violation.severity == Severity::Terminal
}

fn deleting(inputs: &Inputs<'_>) -> Option<Judgement> {
    let message = match &inputs.cleanup.pending {
        Some(left) => format!("DittoServer is being deleted and waits for {left}"),
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
        .or_else(|| finalizer_failure(inputs))
        .map(|message| Judgement::yes(reasons::APPLY_FAILED, message))
}

/// Without its finalizer a server could be deleted without the cleanup that its policy asks for.
fn finalizer_failure(inputs: &Inputs<'_>) -> Option<String> {
    let error = inputs.cleanup.finalizer_error.as_ref()?;
    let name = inputs.server.metadata.name.as_deref().unwrap_or_default();
    Some(format!("{}{error}", failed("DittoServer", name)))
}

fn terminating(inputs: &Inputs<'_>) -> Option<Judgement> {
    inputs
        .terminating(|_| true)
        .map(|message| Judgement::yes(reasons::RESOURCE_TERMINATING, message))
}

fn recreating(inputs: &Inputs<'_>) -> Option<Judgement> {
    let mut outcomes = inputs.steps.iter().map(|step| &step.outcome);
    outcomes.find_map(|outcome| match outcome {
        Outcome::Recreating(message) => Some(Judgement::yes(reasons::STATEFUL_SET_UPDATING, message.clone())),
        _ => None,
    })
}

/// The server uploads before its pod ends. The StatefulSet stays as it is meanwhile.
fn draining(inputs: &Inputs<'_>) -> Option<Judgement> {
    let status = inputs.uploads.status.as_ref().filter(|_| inputs.uploads.holds)?;
    let before = match status.before {
        DrainBefore::Stop => "it stops",
        DrainBefore::Rollout => "a new pod replaces this one",
        // Told by `deleting`.
        DrainBefore::Deletion => return None,
    };
    let seconds = inputs.server.spec.drain_timeout()?.as_secs();
    let message = format!(
        "The server uploads the blocks that only its volumes have, before {before}; at most {seconds} s (spec.uploads.drainTimeoutSeconds)"
    );
    Some(Judgement::yes(reasons::DRAINING_UPLOADS, message))
}

/// The StatefulSet is not updated until something exists that may appear without manual action.
fn waiting(inputs: &Inputs<'_>) -> Option<Judgement> {
    if inputs.gate != Some(PodGate::Closed) || inputs.violations.iter().any(is_terminal) {
        return None;
    }
    let first = inputs.violations.first()?;
    let reason = match first.concern {
        Concern::Config => reasons::WAITING_FOR_SECRETS,
        Concern::Database => reasons::WAITING_FOR_DATABASE,
    };
    // What could not be read may exist already, so it is unknown whether anything is waited for.
    let judgement = if first.severity == Severity::Unknown {
        Judgement::unknown
    } else {
        Judgement::yes
    };
    Some(judgement(reason, first.message.clone()))
}

/// A StatefulSet that should exist and does not. While it is blocked, nothing is in progress.
fn not_created(inputs: &Inputs<'_>) -> Option<Judgement> {
    let is_wanted = inputs.gate == Some(PodGate::Open) && inputs.build_error.is_none();
    let is_absent = matches!(inputs.stateful_set, Child::Absent);
    (is_wanted && is_absent).then(|| {
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

/// The revision differs from the running one. A stopped server has no outdated pod.
fn rolling_out(inputs: &Inputs<'_>) -> Option<Judgement> {
    let status = inputs.workload_status()?;
    let wanted = inputs.desired_replicas();
    let (current, update) = (
        revision(status.current_revision.as_ref())?,
        revision(status.update_revision.as_ref())?,
    );
    // After a manual rollout the two revisions may differ for ever, and a pod that is not ready is not a rollout.
    let is_ready = inputs.ready_replicas() >= wanted || inputs.is_updated_manually();
    let is_complete = rollout::all_updated(status, wanted) && is_ready && !inputs.has_outdated_pod();
    (wanted > 0 && current != update && !is_complete).then(|| rollout(inputs, status, wanted, update))
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
    let is_done = ready == wanted && existing == wanted && rollout::replicas(stateful_set) == wanted;
    let message = if wanted == 0 {
        "Scaling to 0: the pod is being stopped".to_owned()
    } else {
        format!("Scaling: {ready}/{wanted} replicas ready")
    };
    (!is_done).then(|| Judgement::yes(reasons::SCALING_REPLICAS, inputs.with_pod_fault(message)))
}

/// All pods are ready, but one does not have the update revision: a partition blocks the rollout.
fn not_updated(inputs: &Inputs<'_>) -> Option<Judgement> {
    let status = inputs.workload_status()?;
    let wanted = inputs.desired_replicas();
    let update = revision(status.update_revision.as_ref()).unwrap_or("not yet named");
    (!rollout::all_updated(status, wanted)).then(|| rollout(inputs, status, wanted, update))
}

/// The server does not have what the spec declares inside it. It is asked only while a pod runs.
fn shares_pending(inputs: &Inputs<'_>) -> Option<Judgement> {
    let is_wanted = inputs.desired_replicas() > 0 && inputs.gate == Some(PodGate::Open);
    let pending = content::status::pending(&inputs.server.spec, &inputs.content).filter(|_| is_wanted)?;
    Some(Judgement::yes(reasons::SHARES_PENDING, pending))
}
