//! Deletes a pod that blocks the rollout of its StatefulSet. `domain::workload::stuck_pod` decides which.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use kube::ResourceExt;

use std::sync::Arc;

use super::Step;
use super::write::Writer;
use crate::api::names;
use crate::cluster::cache::Lookedup;
use crate::cluster::client::params::delete_unchanged;
use crate::domain::observed::Read;
use crate::domain::workload::stuck_pod;

/// Deletes the pod of a StatefulSet if it stands in the way. `None` if there is nothing to do.
///
/// The UID and the resource version of the pod that was looked at are named. So a pod is deleted at most once, and never
/// one that has become ready in the meantime: then the API server refuses, and the change of the pod asks for another look.
pub(super) async fn replace(writer: &Writer<'_>, stateful_set: &Read<Arc<StatefulSet>>) -> Option<Step> {
    let name = names::pod(&writer.server.name_any());
    let Lookedup::Found(pod) = writer.context.caches.pods.get(writer.namespace(), &name) else {
        return None;
    };
    let why = stuck_pod::reason(stateful_set.found()?, &pod, Timestamp::now())?;
    let outcome = writer
        .replace_pod(&pod, &delete_unchanged(&pod.metadata), why)
        .await?;
    Some(Step {
        kind: "Pod",
        name,
        outcome,
    })
}
