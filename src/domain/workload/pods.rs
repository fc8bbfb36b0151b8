//! What a pod reports about itself.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;

use crate::domain::observed::Read;
use crate::domain::ownership;

/// Whether the kubelet reports the pod as ready.
#[must_use]
pub fn is_ready(pod: &Pod) -> bool {
    condition(pod, "Ready").is_some_and(|(status, _)| status == "True")
}

/// Whether the pod is ready and not being deleted.
#[must_use]
pub fn serves(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_none() && is_ready(pod)
}

/// A pod that serves, if the pods could be read and there is one.
#[must_use]
pub fn serving(pods: &Read<Vec<Arc<Pod>>>) -> Option<&Pod> {
    let mut pods = pods.found()?.iter();
    pods.find(|pod| serves(pod)).map(AsRef::as_ref)
}

/// Since when the pod is ready. `None` if it is not, or if its kubelet has not said so.
#[must_use]
pub fn ready_since(pod: &Pod) -> Option<Timestamp> {
    readiness_since(pod, true)
}

/// Since when the pod is not ready. `None` if it is ready, or if its kubelet has not said so.
#[must_use]
pub fn not_ready_since(pod: &Pod) -> Option<Timestamp> {
    readiness_since(pod, false)
}

fn readiness_since(pod: &Pod, is_ready: bool) -> Option<Timestamp> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let ready = conditions.iter().find(|condition| condition.type_ == "Ready")?;
    let since = ready.last_transition_time.as_ref()?;
    ((ready.status == "True") == is_ready).then_some(since.0)
}

/// When the process of a container started. `None` if it does not run.
#[must_use]
pub fn started(pod: &Pod, container: &str) -> Option<Timestamp> {
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    let status = statuses.iter().find(|status| status.name == container)?;
    let running = status.state.as_ref()?.running.as_ref()?;
    Some(running.started_at.as_ref()?.0)
}

/// Status and message of a condition.
#[must_use]
pub fn condition<'a>(pod: &'a Pod, type_: &str) -> Option<(&'a str, Option<&'a str>)> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let found = conditions.iter().find(|condition| condition.type_ == type_)?;
    Some((&found.status, found.message.as_deref()))
}

/// Whether the pod is controlled by this StatefulSet, and not by an earlier one of its name.
#[must_use]
pub fn is_of(pod: &Pod, stateful_set: &StatefulSet) -> bool {
    let uid = stateful_set.metadata.uid.as_deref();
    let owner = ownership::controller(&pod.metadata);
    uid.is_some() && owner.map(|owner| owner.uid.as_str()) == uid
}
