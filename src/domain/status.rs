//! Step 6, status: the new status, and whether it differs from the stored one.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;

use crate::api::{DittoServerStatus, Phase, names, reasons};
use crate::domain::conditions::{Child, Inputs, OURS};
use crate::domain::workload::pod_template::config_hash;

/// A condition of the Go operator that this one does not have. On a migrated server it would stay outdated.
const AUTHENTICATED: &str = "Authenticated";

/// The status of a server, from what was applied or observed, never from what was merely built.
///
/// If the StatefulSet could not be read, the numbers about it stay: a number cannot be `Unknown`. The conditions report it.
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
            || {
                inputs
                    .stateful_set
                    .ours()
                    .and_then(config_hash)
                    .map(str::to_owned)
            },
            |known| known.config_hash.clone(),
        ),
        percona_cluster_name: inputs.has_database().then(|| names::percona_cluster(&name)),
        endpoints: inputs.endpoints.clone(),
        api: inputs.api.clone(),
        certificates: inputs.certificates.clone(),
        adapter_restarts: inputs.adapter_restarts.clone(),
        snapshot_policies: inputs.snapshot_policies.clone(),
        identity_providers: inputs.identity_providers.clone(),
        ready_shares: inputs.content.ready_shares(),
        shares: inputs.content.shares.clone(),
        users: inputs.content.users.clone(),
        groups: inputs.content.groups.clone(),
        remote_stores: inputs.content.remote_stores.clone(),
        uploads: inputs.uploads.status.clone(),
        settings: inputs.settings.clone(),
        conditions,
    }
}

/// The first phase that applies, in this order. A stopped server is not failed, and neither is a running one that cannot be updated.
fn phase(inputs: &Inputs<'_>, conditions: &[Condition], ready: i32) -> Phase {
    let wanted = inputs.desired_replicas();
    if inputs.is_deleting() {
        Phase::Deleting
    } else if wanted == 0 {
        Phase::Stopped
    } else if ready == wanted {
        Phase::Running
    } else if inputs.needs_manual_action() || is_overdue(conditions) {
        Phase::Failed
    } else {
        Phase::Pending
    }
}

/// Whether a start or a rollout exceeded its deadline.
fn is_overdue(conditions: &[Condition]) -> bool {
    let is_overdue = |condition: &Condition| condition.reason == reasons::PROGRESS_DEADLINE_EXCEEDED;
    conditions.iter().any(is_overdue)
}

/// Whether a status must be written. The order of the conditions does not matter, nor do conditions of other programs. A condition
/// of this operator or the Go operator that no longer exists does matter.
#[must_use]
pub fn changed(before: &DittoServerStatus, after: &DittoServerStatus) -> bool {
    own(before) != own(after)
}

/// A status with the conditions of this operator only, sorted.
fn own(status: &DittoServerStatus) -> DittoServerStatus {
    let mut own = status.clone();
    own.conditions.retain(|condition| is_ours(&condition.type_));
    own.conditions.sort_by(|one, other| one.type_.cmp(&other.type_));
    own
}

/// Whether this operator writes or removes the condition.
#[must_use]
pub fn is_ours(type_: &str) -> bool {
    type_ == AUTHENTICATED || OURS.contains(&type_)
}

#[cfg(test)]
mod tests;
