//! The StatefulSet and its pods.

use std::fmt::Write;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use super::{foreign, missing, unreadable};
use crate::api::names;
use crate::domain::conditions::pod_cause::pod_cause;
use crate::domain::observed::{Observed, Read};
use crate::domain::workload::pods::is_ready;
use crate::plugin::status::view::{ChildHealth, ChildView};

pub(super) fn stateful_set(observed: &Observed) -> ChildView {
    let (server, kind) = (&observed.server, "StatefulSet");
    let name = names::stateful_set(&server.name_any());
    let set = match &observed.stateful_set {
        Read::Found(set) => set,
        Read::Missing => return missing(kind, &name),
        Read::Unreadable(error) => {
            let mut node = unreadable(kind, &name, error);
            node.children = pods(observed);
            return node;
        }
    };
    if let Some(whose) = foreign(set.as_ref(), server) {
        return ChildView::new(kind, name, ChildHealth::Bad, whose);
    }
    let mut node = set_view(set, &name);
    node.children = pods(observed);
    node
}

fn set_view(set: &StatefulSet, name: &str) -> ChildView {
    let wanted = set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let status = set.status.clone().unwrap_or_default();
    let ready = status.ready_replicas.unwrap_or_default();
    let is_rolling = status.update_revision != status.current_revision
        && status.updated_replicas.unwrap_or_default() < wanted;
    let (health, mut summary) = match (wanted, ready) {
        (0, 0) => (ChildHealth::Waiting, "stopped".to_owned()),
        (0, _) => (ChildHealth::Waiting, "stopping".to_owned()),
        (wanted, ready) if ready >= wanted => (ChildHealth::Good, format!("{ready}/{wanted} ready")),
        (wanted, ready) => (ChildHealth::Waiting, format!("{ready}/{wanted} ready")),
    };
    if is_rolling {
        summary.push_str(", rolling out a new revision");
    }
    ChildView::new(
        "StatefulSet",
        name,
        if is_rolling { ChildHealth::Waiting } else { health },
        summary,
    )
    .fact("wanted", Some(wanted))
    .fact("ready", Some(ready))
    .fact("updateRevision", status.update_revision)
}

fn pods(observed: &Observed) -> Vec<ChildView> {
    let name = names::pod(&observed.server.name_any());
    let cause = pod_cause(observed).map(|cause| {
        let prefix = format!("pod {name}: ");
        let message = cause.message.strip_prefix(&prefix).unwrap_or(&cause.message);
        (message.to_owned(), cause.is_fault)
    });
    let found = match &observed.pods {
        Read::Found(found) => found.as_slice(),
        Read::Missing => &[],
        Read::Unreadable(error) => return vec![unreadable("Pod", &name, error)],
    };
    if found.is_empty() {
        return cause
            .into_iter()
            .map(|(cause, _)| ChildView::new("Pod", &name, ChildHealth::Waiting, cause))
            .collect();
    }
    found.iter().map(|pod| pod_node(pod, cause.clone())).collect()
}

fn pod_node(pod: &Pod, cause: Option<(String, bool)>) -> ChildView {
    let status = pod.status.clone().unwrap_or_default();
    let containers = status.container_statuses.unwrap_or_default();
    let restarts: i32 = containers.iter().map(|container| container.restart_count).sum();
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
    let (health, mut summary) = match &cause {
        None if is_ready(pod) => (ChildHealth::Good, "ready".to_owned()),
        None => (ChildHealth::Waiting, "not ready".to_owned()),
        Some((cause, true)) => (ChildHealth::Bad, cause.clone()),
        Some((cause, false)) => (ChildHealth::Waiting, cause.clone()),
    };
    if let Some(node) = &node {
        let _ = write!(summary, ", on {node}");
    }
    // The cause contains the number of restarts.
    if restarts > 0 && cause.is_none() {
        let _ = write!(summary, ", {restarts} restarts");
    }
    let image = containers
        .iter()
        .find(|container| container.name == names::CONTAINER);
    ChildView::new("Pod", pod.name_any(), health, summary)
        .fact("ready", Some(is_ready(pod)))
        .fact("restarts", Some(restarts))
        .fact("node", node)
        .fact("image", image.map(|container| container.image.clone()))
        .fact("cause", cause.map(|(cause, _)| cause))
}
