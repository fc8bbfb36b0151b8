//! The pod: it is deleted if only a new one can have what is desired. Its StatefulSet then creates the new one.
//!
//! One case is a pod that blocks a rollout (`domain::workload::stuck_pod`), the other a pod without a volume that was added
//! (`domain::volumes`).

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::DeleteParams;

use super::live::Child;
use super::stateful_set::pod_check;
use super::writer::{Write, Writer};
use super::{Applied, Outcome, Step};
use crate::api::names;
use crate::cluster::cache::Lookup;
use crate::cluster::client::params::{delete_exactly, delete_unchanged};
use crate::domain::observed::Observed;
use crate::domain::ownership::{Owner, owner};
use crate::domain::volumes;
use crate::domain::workload::{rollout, stuck_pod};
use crate::reconcile::context::Context;

impl Child for Pod {
    const KIND: &'static str = "Pod";

    fn lookup(context: &Context, namespace: &str, name: &str) -> Lookup<Self> {
        context.caches.pods.get(namespace, name)
    }

    fn remember(self, context: &Context) {
        context.caches.pods.wrote(self);
    }
}

/// Deletes the pod of a StatefulSet if it blocks a rollout.
///
/// The delete names the UID and the resource version of the pod that was read. So a pod is deleted at most once, and never
/// one that has become ready in the meantime: then the API server refuses, and the change of the pod triggers a reconcile.
pub(super) async fn replace_stuck(writer: &Writer<'_>, applied: &mut Applied) {
    let name = names::pod(&writer.server.name_any());
    let pod = match Pod::lookup(writer.context, writer.namespace(), &name) {
        Lookup::Found(pod) => pod,
        Lookup::Missing => return explain_missing(writer, applied).await,
        Lookup::Unknown(_) => return,
    };
    let stateful_set = applied.stateful_set.found();
    if let Some(why) = stateful_set.and_then(|set| stuck_pod::reason(set, &pod, Timestamp::now())) {
        delete(writer, applied, &pod, &delete_unchanged(&pod.metadata), why).await;
    }
}

/// Asks by a dry run why the controller of a StatefulSet could not create its pod, and reports a refusal as the outcome of the
/// StatefulSet. A quota may refuse the pod; and Kubernetes before 1.34 accepts a StatefulSet with an invalid pod template.
async fn explain_missing(writer: &Writer<'_>, applied: &mut Applied) {
    let Some(stateful_set) = applied.stateful_set.found().map(Arc::clone) else {
        return;
    };
    if !rollout::failed_to_create_pod(&stateful_set) {
        return;
    }
    if let Err(refused) = pod_check::first(writer, &stateful_set).await {
        let mut steps = applied.steps.iter_mut();
        if let Some(step) = steps.find(|step| step.kind == StatefulSet::KIND) {
            step.outcome = refused.into();
        }
    }
}

/// Deletes a pod to which its StatefulSet cannot add a volume.
pub(super) async fn replace_without_volume(writer: &Writer<'_>, applied: &mut Applied, observed: &Observed) {
    let Some(stateful_set) = applied.stateful_set.found().map(Arc::clone) else {
        return;
    };
    if owner(&stateful_set.metadata, writer.server) != Owner::Us {
        return;
    }
    if let Some(pod) = volumes::pod_without_volume(observed, &stateful_set) {
        let why = format!(
            "Deleted pod {}, which runs without a volume that was added: only a new pod can mount it",
            pod.name_any()
        );
        delete(writer, applied, pod, &delete_exactly(&pod.metadata), why).await;
    }
}

/// Deletes the pod that `params` name. There is no step if it is gone, or has changed since it was read.
async fn delete(writer: &Writer<'_>, applied: &mut Applied, pod: &Pod, params: &DeleteParams, why: String) {
    let name = pod.name_any();
    let outcome = match writer.send::<Pod>(&name, Write::Delete { params }).await {
        Ok(_) => Outcome::Replaced(why),
        Err(error) if matches!(error.code(), Some(404 | 409)) => return,
        Err(error) => error.into(),
    };
    applied.steps.push(Step {
        kind: Pod::KIND,
        name,
        outcome,
    });
}
