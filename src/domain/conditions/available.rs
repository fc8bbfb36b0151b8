//! `Available`: a pod is ready, or no pod is wanted.

use super::{Check, Child, Inputs, Judgement, first_failure, reasons};

const CHECKS: [Check; 4] = [conflict, unreadable, no_replicas, no_adapter];

pub(super) fn judge(inputs: &Inputs<'_>) -> Judgement {
    let judgement = first_failure(&CHECKS, inputs).unwrap_or_else(|| available(inputs));
    judgement.with_sentences(&inputs.load_balancers)
}

fn available(inputs: &Inputs<'_>) -> Judgement {
    let (ready, wanted) = (inputs.ready_replicas(), inputs.desired_replicas());
    if wanted == 0 {
        // True although no pod serves: docs/adr/0003-ready-while-stopped.md.
        return Judgement::yes(reasons::STOPPED, "DittoServer is stopped (replicas=0)");
    }
    let message = format!("StatefulSet has {ready}/{wanted} ready replicas");
    Judgement::yes(reasons::MINIMUM_REPLICAS_AVAILABLE, message)
}

fn conflict(inputs: &Inputs<'_>) -> Option<Judgement> {
    let message = inputs.conflict(|kind| kind == "StatefulSet")?;
    Some(Judgement::no(reasons::RESOURCE_CONFLICT, message))
}

pub(super) fn unreadable(inputs: &Inputs<'_>) -> Option<Judgement> {
    let Child::Unreadable(error) = &inputs.stateful_set else {
        return None;
    };
    let message = format!("StatefulSet cannot be read: {error}");
    Some(Judgement::unknown(reasons::STATEFUL_SET_UNREADABLE, message))
}

fn no_replicas(inputs: &Inputs<'_>) -> Option<Judgement> {
    let (ready, wanted) = (inputs.ready_replicas(), inputs.desired_replicas());
    let created = match inputs.stateful_set {
        Child::Ours(_) => "",
        Child::Absent => "; the StatefulSet has not been created yet",
        Child::Foreign(_) | Child::Unreadable(_) => return None,
    };
    let message = format!("Waiting for replicas: {ready}/{wanted} ready{created}");
    (wanted > 0 && ready < 1)
        .then(|| Judgement::no(reasons::NO_REPLICAS_AVAILABLE, inputs.with_pod_fault(message)))
}

/// The pod serves its API, but clients reach no file.
fn no_adapter(inputs: &Inputs<'_>) -> Option<Judgement> {
    let message = inputs.adapters_unavailable.clone()?;
    Some(Judgement::no(reasons::ADAPTERS_UNAVAILABLE, message))
}
