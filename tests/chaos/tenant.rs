//! A tenant who changes and deletes children again and again while the operator works.

use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::support::{Kind, World};

/// Pause between two edits. No timer of the operator has this period, so the edits come at all points of its work.
const PAUSE: Duration = Duration::from_millis(130);

/// Every so many edits, two children are deleted.
const DELETES_EVERY: usize = 9;

/// Edits children until the time is over. What does not exist, or refuses an edit, is left.
pub async fn edit(world: &World, time: Duration) {
    let end = Instant::now() + time;
    for number in 1.. {
        if Instant::now() >= end {
            return;
        }
        let data = json!({"data": {"config.yaml": format!("nonsense: {number}")}});
        set::<ConfigMap>(world, "files-config", data).await;
        let port = json!([{"name": "api", "port": 9999, "targetPort": 9999, "protocol": "TCP"}]);
        set::<Service>(world, "files-api", json!({"spec": {"ports": port}})).await;
        let labels = json!({"app.kubernetes.io/managed-by": "tenant"});
        let scaled = json!({"metadata": {"labels": labels}, "spec": {"replicas": 0}});
        set::<StatefulSet>(world, "files", scaled).await;
        if number % DELETES_EVERY == 0 {
            delete::<Service>(world, "files-headless").await;
            delete::<ConfigMap>(world, "files-config").await;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Whether what a run did to an object depends on the tenant: its deletes, and the pod of the StatefulSet that it scales.
pub fn concerns(what: &str) -> bool {
    [
        "create services files-headless",
        "create configmaps files-config",
        "restart of the pod",
    ]
    .contains(&what)
}

async fn set<K: Kind>(world: &World, name: &str, patch: Value) {
    let params = PatchParams {
        field_manager: Some("tenant".into()),
        ..PatchParams::default()
    };
    let _ = world.api::<K>().patch(name, &params, &Patch::Merge(patch)).await;
}

async fn delete<K: Kind>(world: &World, name: &str) {
    let _ = world.api::<K>().delete(name, &DeleteParams::default()).await;
}
