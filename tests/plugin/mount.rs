//! The manifests for pods that use a share: those that `mount` prints, and those in docs/files.md.

use std::path::Path;

use dittofs_operator::api::DittoServer;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use serde_json::json;

use super::{plugin, run_with_input};
use crate::support::{World, fixtures, wait};

/// The manifests in the section about pods of docs/files.md.
fn of_page(namespace: &str) -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/files.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let (_, section) = page.split_once("\n## 7. ").expect("the section");
    let section = section.split("\n## ").next().unwrap_or_default();
    let blocks = section.split("```yaml\n").skip(1);
    let manifests = blocks.map(|block| block.split("```").next().unwrap_or_default());
    manifests
        .map(|manifest| manifest.replace("NAMESPACE", namespace))
        .collect()
}

/// As `kubectl create` with a check of all fields.
async fn create(world: &World, manifests: String) {
    let mut kubectl = world.control_plane().kubectl();
    kubectl.args(["-n", &world.namespace, "create", "--validate=strict", "-f", "-"]);
    let created = run_with_input(kubectl, manifests.clone()).await;
    assert_eq!(created.code, Some(0), "{manifests}: {}", created.error);
}

#[tokio::test]
async fn the_manifests_for_pods_that_use_a_share_are_accepted_and_the_claim_is_bound_to_its_volume() {
    let world = World::new("mount").await;
    let spec = json!({"adapterServices": {"type": "ClusterIP"}});
    world.create(&fixtures::server("files", spec)).await;
    world
        .server_until("files", "with an address of NFS", |server: &DittoServer| {
            let endpoints = server.status.iter().flat_map(|status| &status.endpoints);
            endpoints
                .into_iter()
                .any(|endpoint| endpoint.protocol == "nfs" && endpoint.cluster_ip.is_some())
        })
        .await;
    let mount = ["mount", "files", "--share", "export"];
    for output in [&["-o", "pv", "--size", "100Gi"][..], &["-o", "storageclass"]] {
        let printed = plugin(&world, &[&mount[..], output].concat()).await;
        assert_eq!(printed.code, Some(0), "{}", printed.error);
        create(&world, printed.text).await;
    }
    let manifests = of_page(&world.namespace);
    assert_eq!(manifests.len(), 2, "{manifests:?}");
    for manifest in manifests {
        create(&world, manifest).await;
    }
    let claims = world.api::<PersistentVolumeClaim>();
    wait::until(claims, "files-export", "bound", |claim| {
        let phase = claim.status.as_ref().and_then(|status| status.phase.as_deref());
        phase == Some("Bound")
    })
    .await;
    let claim = world.get::<PersistentVolumeClaim>("one-directory").await;
    let class = claim.spec.and_then(|spec| spec.storage_class_name);
    assert_eq!(class, Some(format!("{}-files-export", world.namespace)));
    world.get::<Pod>("with-share").await;
}
