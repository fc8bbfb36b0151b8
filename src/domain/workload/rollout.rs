//! What a StatefulSet reports about its rollout.

use k8s_openapi::api::apps::v1::StatefulSet;
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

/// The revision that its pod should have, once its controller has named it.
#[must_use]
pub fn update_revision(stateful_set: &StatefulSet) -> Option<&str> {
    let revision = stateful_set.status.as_ref()?.update_revision.as_deref()?;
    (!revision.is_empty()).then_some(revision)
}

/// Whether it has as many pods as it wants, all of its newest revision, according to its controller.
#[must_use]
pub fn is_done(stateful_set: &StatefulSet) -> bool {
    let status = stateful_set.status.as_ref();
    let has_all = status.is_some_and(|status| {
        status.replicas == replicas(stateful_set) && status.current_revision == status.update_revision
    });
    has_all && is_seen(stateful_set)
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

/// Whether its controller replaces a pod of another revision. A user who chose `OnDelete`, or who blocks the rollout by a
/// partition, wants to decide that manually.
#[must_use]
pub fn is_automatic(stateful_set: &StatefulSet) -> bool {
    let spec = stateful_set.spec.as_ref();
    let strategy = spec.and_then(|spec| spec.update_strategy.as_ref());
    strategy.is_none_or(|strategy| {
        let rolling = strategy.rolling_update.as_ref();
        let partition = rolling.and_then(|rolling| rolling.partition);
        strategy.type_.as_deref() != Some("OnDelete") && partition.unwrap_or(0) == 0
    })
}
