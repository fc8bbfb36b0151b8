//! Whether the database is paused with its server (`percona.hibernate: whenStopped`).
//!
//! They stop in one order and start in the other: the database is paused once the server's pod is gone, and the server stays
//! stopped until the database serves again (`validate::holds_start`). Otherwise `spec.pause` is left out, so that it is not
//! ours: whoever pauses the cluster by hand is not overruled.

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
        // A server that was never there: its database is made first, and pauses once the StatefulSet exists.
        _ => false,
    };
    // What is paused stays so: an edit of a stopped server is no reason to wake its database.
    (is_paused || has_stopped).then_some(true)
}

/// Whether the StatefulSet wants no pod, and its controller knows.
fn runs_nothing(stateful_set: &StatefulSet) -> bool {
    let status = stateful_set.status.as_ref();
    let has_none = status.is_some_and(|status| status.replicas == 0);
    rollout::replicas(stateful_set) == 0 && rollout::is_seen(stateful_set) && has_none
}
