//! The pod and the claims of a volume that was added to a running server.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use super::kept_claim;
use crate::api::names;
use crate::domain::observed::Observed;
use crate::domain::workload::{pods, rollout, stuck_pod};

/// The pod that runs without a volume that its StatefulSet has by now.
///
/// The StatefulSet's controller creates the claim, and then fails to add it to the running pod: pods are immutable there. So the
/// operator must delete that pod. It does so only once the claim exists, because otherwise no new pod could start, only where the
/// update strategy replaces pods automatically, and not while the pod is starting.
#[must_use]
pub fn pod_without_volume<'a>(observed: &'a Observed, stateful_set: &StatefulSet) -> Option<&'a Arc<Pod>> {
    let may_restart = rollout::is_automatic(stateful_set)
        && missing_claims(observed, stateful_set).is_some_and(|missing| missing.is_empty());
    let lacks_one = |pod: &Pod| template_names(stateful_set).any(|volume| !mounts_claim(pod, volume));
    let mut pods = observed.pods.found()?.iter();
    pods.find(|pod| {
        may_restart
            && pod.metadata.deletion_timestamp.is_none()
            && pods::is_of(pod, stateful_set)
            && lacks_one(pod)
            && stuck_pod::starts_for(pod, observed.at).is_none()
    })
}

/// The names of the claims that a StatefulSet needs and that do not exist. `None` where the claims could not be read.
#[must_use]
pub fn missing_claims(observed: &Observed, stateful_set: &StatefulSet) -> Option<Vec<String>> {
    let claims = observed.claims.found()?;
    let server = observed.server.name_any();
    let exists = |name: &String| kept_claim(claims, name).is_some();
    let needed = template_names(stateful_set).map(|volume| names::claim(volume, &server));
    Some(needed.filter(|name| !exists(name)).collect())
}

pub(super) fn template_names(stateful_set: &StatefulSet) -> impl Iterator<Item = &str> {
    let spec = stateful_set.spec.as_ref();
    let templates = spec.and_then(|spec| spec.volume_claim_templates.as_ref());
    templates
        .into_iter()
        .flatten()
        .filter_map(|template| template.metadata.name.as_deref())
}

fn mounts_claim(pod: &Pod, volume: &str) -> bool {
    let volumes = pod.spec.as_ref().and_then(|spec| spec.volumes.as_deref());
    volumes
        .unwrap_or_default()
        .iter()
        .any(|mounted| mounted.name == volume && mounted.persistent_volume_claim.is_some())
}
