//! Whether the StatefulSet may be made again for its new claim templates: not while its pod comes or goes. Pure.
//!
//! It is deleted with its pod orphaned, and two controllers take part in that. The StatefulSet's makes a pod for one that it
//! has not yet seen go; the garbage collector orphans only the pods that it has seen. Either pod would be collected and made
//! again, a restart for nothing. So the StatefulSet waits; the claims do not.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use crate::api::names;
use crate::domain::observed::{Observed, Read};
use crate::domain::workload::{pods, rollout};

/// Age at which the garbage collector is taken to have seen a pod and its owner. Its watch takes a moment, more on a busy control plane.
const SEEN_AFTER: SignedDuration = SignedDuration::from_secs(10);

/// Whether the pod of a StatefulSet is where it will stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It is.
    Now,
    /// It will be after this time, and nothing in the cluster tells of it.
    In(Duration),
    /// The cluster tells when it is.
    NotYet,
}

/// Judges what was observed.
#[must_use]
pub fn settled(observed: &Observed) -> Settled {
    let Read::Found(live) = &observed.stateful_set else {
        return Settled::Now;
    };
    let name = names::pod(&observed.server.name_any());
    let is_stopped = rollout::replicas(live) == 0;
    let pod = match &observed.pods {
        _ if !rollout::is_seen(live) => return Settled::NotYet,
        Read::Found(all) => all.iter().find(|pod| pod.name_any() == name),
        Read::Missing => None,
        // Whoever may not read pods has the StatefulSet's word.
        Read::Unreadable(_) if rollout::is_done(live) => return Settled::Now,
        Read::Unreadable(_) => return Settled::NotYet,
    };
    match pod {
        None if is_stopped => Settled::Now,
        Some(pod) if !is_stopped && stays(pod, live) => seen(pod, live, observed.at),
        None | Some(_) => Settled::NotYet,
    }
}

fn stays(pod: &Pod, live: &StatefulSet) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    let has_ended = matches!(phase, Some("Failed" | "Succeeded"));
    pod.metadata.deletion_timestamp.is_none()
        && pods::is_of(pod, live)
        && !has_ended
        && !(rollout::is_outdated(pod, live) && rollout::rolls_by_itself(live))
}

/// A StatefulSet that was just made adopts a pod that is there, and the collector has to see that as well.
///
/// The API server dates both, and the operator's clock may differ. By more than the wait itself, it says nothing.
fn seen(pod: &Pod, live: &StatefulSet, now: Timestamp) -> Settled {
    let made = [&pod.metadata, &live.metadata].map(|metadata| metadata.creation_timestamp.as_ref());
    let Some(latest) = made.into_iter().flatten().max() else {
        return Settled::Now;
    };
    let age = now.duration_since(latest.0);
    match Duration::try_from(SEEN_AFTER - age) {
        Ok(left) if !left.is_zero() && age > -SEEN_AFTER => Settled::In(left),
        Ok(_) | Err(_) => Settled::Now,
    }
}

#[cfg(test)]
mod tests;
