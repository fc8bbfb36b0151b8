//! Whether the StatefulSet may be re-created for new claim templates: not while its pod is being created or deleted.
//!
//! The StatefulSet is deleted and its pod orphaned, and two controllers take part. The StatefulSet controller creates a
//! replacement for a pod whose deletion it has not seen yet; the garbage collector orphans only the pods that it has seen. In both
//! cases a pod would be collected and created again: a restart without need. So the StatefulSet waits; the claims do not.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use crate::api::names;
use crate::domain::observed::{Observed, Read};
use crate::domain::workload::{pods, rollout};

/// Age after which the garbage collector has surely seen a pod and its owner. Its watch takes a moment, and longer on a busy
/// control plane.
const SEEN_AFTER: SignedDuration = SignedDuration::from_secs(10);

/// Whether the pod of a StatefulSet keeps running as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stability {
    /// It does.
    Stable,
    /// It does after this time. No change in the cluster announces that.
    StableIn(Duration),
    /// Not yet. A change in the cluster announces when it does.
    NotYet,
}

/// Judges an observation.
#[must_use]
pub fn stability(observed: &Observed) -> Stability {
    let Read::Found(live) = &observed.stateful_set else {
        return Stability::Stable;
    };
    let name = names::pod(&observed.server.name_any());
    let is_stopped = rollout::replicas(live) == 0;
    let pod = match &observed.pods {
        _ if !rollout::is_seen(live) => return Stability::NotYet,
        Read::Found(all) => all.iter().find(|pod| pod.name_any() == name),
        Read::Missing => None,
        // Without the right to read pods, the status of the StatefulSet decides.
        Read::Unreadable(_) if rollout::is_done(live) => return Stability::Stable,
        Read::Unreadable(_) => return Stability::NotYet,
    };
    match pod {
        None if is_stopped => Stability::Stable,
        Some(pod) if !is_stopped && keeps_running(pod, live) => seen(pod, live, observed.at),
        None | Some(_) => Stability::NotYet,
    }
}

fn keeps_running(pod: &Pod, live: &StatefulSet) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    let has_ended = matches!(phase, Some("Failed" | "Succeeded"));
    pod.metadata.deletion_timestamp.is_none()
        && pods::is_of(pod, live)
        && !has_ended
        && !(rollout::is_outdated(pod, live) && rollout::is_automatic(live))
}

/// A StatefulSet that was just created adopts an existing pod, and the garbage collector must see that, too.
///
/// The API server dates both, and the operator's clock may differ. A difference of more than the wait itself is ignored.
fn seen(pod: &Pod, live: &StatefulSet, now: Timestamp) -> Stability {
    let created = [&pod.metadata, &live.metadata].map(|metadata| metadata.creation_timestamp.as_ref());
    let Some(latest) = created.into_iter().flatten().max() else {
        return Stability::Stable;
    };
    let age = now.duration_since(latest.0);
    match Duration::try_from(SEEN_AFTER - age) {
        Ok(left) if !left.is_zero() && age > -SEEN_AFTER => Stability::StableIn(left),
        Ok(_) | Err(_) => Stability::Stable,
    }
}

#[cfg(test)]
mod tests;
