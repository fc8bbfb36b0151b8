//! Objects of other owners that have the name of a child.
//!
//! The caches contain only objects with the labels of this operator, so such an object looks like a missing child.

use k8s_openapi::api::core::v1::{ConfigMap, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{Api, DynamicObject, PartialObjectMeta};
use kube::core::ApiResource;
use kube::{Client, ResourceExt};

use super::children;
use super::view::ChildView;
use crate::api::{DittoServer, ServiceMonitor};

/// Reads every child that seems to be missing, and describes the object that has its name.
pub(super) async fn explain(client: &Client, server: &DittoServer, nodes: &mut [ChildView]) {
    for node in nodes.iter_mut().filter(|node| node.is_missing) {
        let Some(object) = read(client, server, node).await else {
            continue;
        };
        node.summary = children::foreign(&object, server)
            .unwrap_or_else(|| "exists without the labels of this operator".into());
    }
}

/// `None` if there is no such object, or it cannot be read.
async fn read(
    client: &Client,
    server: &DittoServer,
    node: &ChildView,
) -> Option<PartialObjectMeta<DynamicObject>> {
    let resource = match node.kind {
        "ConfigMap" => ApiResource::erase::<ConfigMap>(&()),
        "NetworkPolicy" => ApiResource::erase::<NetworkPolicy>(&()),
        "PodDisruptionBudget" => ApiResource::erase::<PodDisruptionBudget>(&()),
        "Service" => ApiResource::erase::<Service>(&()),
        "ServiceMonitor" => ApiResource::erase::<ServiceMonitor>(&()),
        _ => return None,
    };
    let namespace = server.namespace().unwrap_or_default();
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace, &resource);
    api.get_metadata_opt(&node.name).await.ok().flatten()
}
