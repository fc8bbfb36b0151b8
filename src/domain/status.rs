//! Step 6, status: the status that is to be, and whether it differs from the one that is.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;

use crate::api::{DittoServerStatus, Phase, names, reasons};
use crate::domain::conditions::{Child, Inputs, OURS};

/// A condition of the Go operator that ours does not have. Left on a server that was taken over, it would be stale for
/// ever.
const AUTHENTICATED: &str = "Authenticated";

/// The status of a server, from what was applied or observed, never from what was merely built.
///
/// Where the StatefulSet could not be read, what is known of it by numbers stays: the numbers cannot say `Unknown`, and
/// the conditions do.
#[must_use]
pub fn next(inputs: &Inputs<'_>, conditions: Vec<Condition>) -> DittoServerStatus {
    let server = inputs.server;
    let name = server.name_any();
    let is_unread = matches!(inputs.stateful_set, Child::Unreadable(_));
    let known = server.status.as_ref().filter(|_| is_unread);
    let ready = known.map_or(Some(inputs.ready_replicas()), |known| known.ready_replicas);
    DittoServerStatus {
        observed_generation: server.metadata.generation,
        replicas: Some(inputs.desired_replicas()),
        ready_replicas: ready,
        available_replicas: ready,
        selector: Some(names::selector(&name)),
        phase: Some(phase(inputs, &conditions, ready.unwrap_or(0))),
        config_hash: known.map_or_else(
            || inputs.stateful_set.ours().and_then(config_hash),
            |known| known.config_hash.clone(),
        ),
        percona_cluster_name: inputs.has_database().then(|| names::percona_cluster(&name)),
        conditions,
    }
}

/// The first that fits, in this order: a stopped server is not failed, and a running one is not either, whatever keeps it
/// from following its spec.
fn phase(inputs: &Inputs<'_>, conditions: &[Condition], ready: i32) -> Phase {
    let wanted = inputs.desired_replicas();
    if inputs.is_deleting() {
        Phase::Deleting
    } else if wanted == 0 {
        Phase::Stopped
    } else if ready == wanted {
        Phase::Running
    } else if inputs.needs_a_person() || is_overdue(conditions) {
        Phase::Failed
    } else {
        Phase::Pending
    }
}

/// Whether a start or a rollout ran out of time.
fn is_overdue(conditions: &[Condition]) -> bool {
    let is_overdue = |condition: &Condition| condition.reason == reasons::PROGRESS_DEADLINE_EXCEEDED;
    conditions.iter().any(is_overdue)
}

/// The hash on the pod template that the cluster holds.
fn config_hash(stateful_set: &StatefulSet) -> Option<String> {
    let metadata = stateful_set.spec.as_ref()?.template.metadata.as_ref()?;
    metadata
        .annotations
        .as_ref()?
        .get(names::CONFIG_HASH_ANNOTATION)
        .cloned()
}

/// Whether a status is to be written. The order of the conditions says nothing, and neither do conditions that others
/// have added; one that was ours, or the Go operator's, and is no more does.
#[must_use]
pub fn changed(before: &DittoServerStatus, after: &DittoServerStatus) -> bool {
    own(before) != own(after)
}

/// A status with our conditions only, sorted.
fn own(status: &DittoServerStatus) -> DittoServerStatus {
    let mut own = status.clone();
    own.conditions.retain(|condition| is_ours(&condition.type_));
    own.conditions.sort_by(|one, other| one.type_.cmp(&other.type_));
    own
}

/// Whether a condition is for this operator to write, or to remove.
#[must_use]
pub fn is_ours(type_: &str) -> bool {
    type_ == AUTHENTICATED || OURS.contains(&type_)
}

#[cfg(test)]
mod tests;
