//! Volumes are expanded in place, without a pod restart. Where that is impossible, everything else still works.

mod content;
mod expansion;
mod impossible;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::ResourceExt;
use serde_json::{Value, json};

use crate::support::{World, fixtures};

const CLAIM: &str = "metadata-files-0";

fn on_class(class: &str) -> Value {
    json!({"storage": {"metadataSize": "1Gi", "storageClassName": class}})
}

/// A world with the Ready server `files` on this StorageClass.
async fn running(name: &str, class: &str) -> World {
    let world = World::new(name).await;
    world.create(&fixtures::server("files", on_class(class))).await;
    world.ready("files").await;
    world
}

fn grow_to(size: &str) -> Value {
    json!({"spec": {"storage": {"metadataSize": size}}})
}

fn capacity(claim: &PersistentVolumeClaim) -> Option<&str> {
    Some(
        claim
            .status
            .as_ref()?
            .capacity
            .as_ref()?
            .get("storage")?
            .0
            .as_str(),
    )
}

fn request(claim: &PersistentVolumeClaim) -> Option<String> {
    let requests = claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?;
    Some(requests.get("storage")?.0.clone())
}

/// The size of a volume in the StatefulSet's template.
fn template(set: &StatefulSet, volume: &str) -> Option<String> {
    let templates = set.spec.as_ref()?.volume_claim_templates.as_ref()?;
    let template = templates
        .iter()
        .find(|template| template.metadata.name.as_deref() == Some(volume))?;
    request(template)
}

async fn pod_uid(world: &World) -> Option<String> {
    world.get::<Pod>("files-0").await.uid()
}
