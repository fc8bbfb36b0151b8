//! What a StatefulSet reports about its rollout.

use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetStatus};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

/// Label of a pod: the revision of its StatefulSet from which it was created.
const REVISION_LABEL: &str = "controller-revision-hash";

/// How many pods it wants. The API server's default is 1.
#[must_use]
pub fn replicas(stateful_set: &StatefulSet) -> i32 {
    let spec = stateful_set.spec.as_ref();
    spec.and_then(|spec| spec.replicas).unwrap_or(1)
}

/// Whether its controller has observed its current generation.
#[must_use]
pub fn is_seen(stateful_set: &StatefulSet) -> bool {
    let status = stateful_set.status.as_ref();
    status.is_some_and(|status| status.observed_generation >= stateful_set.metadata.generation)
}

/// Whether its controller has tried to create its pod, and there is none.
#[must_use]
pub fn failed_to_create_pod(stateful_set: &StatefulSet) -> bool {
    let existing = stateful_set.status.as_ref().map(|status| status.replicas);
    is_seen(stateful_set) && replicas(stateful_set) > 0 && existing == Some(0)
}

/// The revision that its pod should have, once its controller has named it.
#[must_use]
pub fn update_revision(stateful_set: &StatefulSet) -> Option<&str> {
    let revision = stateful_set.status.as_ref()?.update_revision.as_deref()?;
    (!revision.is_empty()).then_some(revision)
}

/// Whether it has as many pods as it wants, all of its newest revision, according to its controller.
#[must_use]
pub fn is_done(stateful_set: &StatefulSet) -> bool {
    let wanted = replicas(stateful_set);
    let has_all = stateful_set.status.as_ref().is_some_and(|status| {
        status.replicas == wanted
            && (status.current_revision == status.update_revision || all_updated(status, wanted))
    });
    has_all && is_seen(stateful_set)
}

/// Whether all of the wanted pods have the newest revision. `currentRevision` does not show that: with the update strategy `OnDelete`,
/// Kubernetes 1.33 to 1.36 never updates it (kubernetes/kubernetes#136833).
#[must_use]
pub fn all_updated(status: &StatefulSetStatus, wanted: i32) -> bool {
    status.updated_replicas.unwrap_or(0) >= wanted
}

/// The revision from which a pod was created.
#[must_use]
pub fn revision(pod: &Pod) -> Option<&str> {
    pod.labels().get(REVISION_LABEL).map(String::as_str)
}

/// Whether a pod has another revision than its StatefulSet wants.
#[must_use]
pub fn is_outdated(pod: &Pod, stateful_set: &StatefulSet) -> bool {
    match (revision(pod), update_revision(stateful_set)) {
        (Some(present), Some(wanted)) => present != wanted,
        _ => false,
    }
}

/// Who replaces a pod of another revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateMode {
    /// The StatefulSet's controller.
    Automatic,
    /// The user, who deletes the pod: the update strategy is `OnDelete`.
    OnDelete,
    /// Nobody, while the update strategy has this partition: a pod that is deleted starts again with the old revision.
    Partition(i32),
}

/// The update mode of a StatefulSet. A user who changed it wants to decide manually when the pod is replaced.
#[must_use]
pub fn update_mode(stateful_set: &StatefulSet) -> UpdateMode {
    let spec = stateful_set.spec.as_ref();
    let Some(strategy) = spec.and_then(|spec| spec.update_strategy.as_ref()) else {
        return UpdateMode::Automatic;
    };
    let rolling = strategy.rolling_update.as_ref();
    match rolling.and_then(|rolling| rolling.partition).unwrap_or(0) {
        _ if strategy.type_.as_deref() == Some("OnDelete") => UpdateMode::OnDelete,
        0 => UpdateMode::Automatic,
        partition => UpdateMode::Partition(partition),
    }
}

/// Whether the StatefulSet's controller replaces a pod of another revision.
#[must_use]
pub fn is_automatic(stateful_set: &StatefulSet) -> bool {
    update_mode(stateful_set) == UpdateMode::Automatic
}
