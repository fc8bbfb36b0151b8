//! Metadata that all children share.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::ObjectMeta;
use kube::{Resource, ResourceExt};

use crate::api::{DittoServer, names};

/// Metadata of a child that is deleted with its server.
///
/// A server that was read from a file has no UID. Then there is no owner reference (`render`).
pub(super) fn owned(server: &DittoServer, name: String) -> ObjectMeta {
    let controller = server.controller_owner_ref(&()).map(|owner| OwnerReference {
        block_owner_deletion: Some(true),
        ..owner
    });
    ObjectMeta {
        owner_references: controller.map(|owner| vec![owner]),
        ..kept(server, name)
    }
}

/// Metadata of a child that outlives its server, because data depends on it.
pub(super) fn kept(server: &DittoServer, name: String) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: server.namespace(),
        labels: Some(names::labels(&server.name_any())),
        ..ObjectMeta::default()
    }
}

/// Metadata with one more label, whose value is `true`.
pub(super) fn with_label(mut metadata: ObjectMeta, label: &str) -> ObjectMeta {
    metadata
        .labels
        .get_or_insert_default()
        .insert(label.to_owned(), "true".to_owned());
    metadata
}

/// The map, or `None` if it is empty: the API server drops empty maps, and the desired object must equal the stored one.
pub(super) fn unless_empty(map: BTreeMap<String, String>) -> Option<BTreeMap<String, String>> {
    Some(map).filter(|map| !map.is_empty())
}

/// The annotations of the user, and the list of their keys. A copy of the child, made by another field manager, is then known to
/// have them from the spec, and they go when they leave the spec.
pub(super) fn recorded(mut annotations: BTreeMap<String, String>) -> BTreeMap<String, String> {
    if !annotations.is_empty() {
        let keys: Vec<&str> = annotations.keys().map(String::as_str).collect();
        let keys = keys.join(",");
        annotations.insert(names::MANAGED_ANNOTATIONS_ANNOTATION.to_owned(), keys);
    }
    annotations
}
