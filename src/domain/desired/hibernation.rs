//! Whether the database is paused with its server (`percona.hibernate: whenStopped`).
//!
//! They stop and start in opposite order: the database is paused once the pod of the server is gone, and the server stays stopped
//! until the database serves again (`validate::prevents_start`). Otherwise `spec.pause` is omitted, so that it is not our field: a
//! user can pause the cluster manually.

use k8s_openapi::api::apps::v1::StatefulSet;

use crate::api::percona::PerconaPGClusterSpec;
use crate::domain::observed::{Observed, Read};
use crate::domain::workload::rollout;

/// `spec.pause` of the cluster, which has this spec now.
pub(super) fn pause(observed: &Observed, live: Option<&PerconaPGClusterSpec>) -> Option<bool> {
    if !observed.server.spec.hibernates() {
        return None;
    }
    let is_paused = live.and_then(|live| live.pause) == Some(true);
    let has_stopped = match (&observed.stateful_set, &observed.pods) {
        (Read::Found(stateful_set), Read::Found(pods)) => pods.is_empty() && runs_nothing(stateful_set),
        // A new server: its database is created first, and paused once the StatefulSet exists.
        _ => false,
    };
    // A paused database stays paused: an edit of a stopped server is not a reason to start it.
    (is_paused || has_stopped).then_some(true)
}

/// Whether the StatefulSet wants no pod, and its controller has observed that.
fn runs_nothing(stateful_set: &StatefulSet) -> bool {
    let status = stateful_set.status.as_ref();
    let has_none = status.is_some_and(|status| status.replicas == 0);
    rollout::replicas(stateful_set) == 0 && rollout::is_seen(stateful_set) && has_none
}
