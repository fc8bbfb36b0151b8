//! Volume claim templates of the StatefulSet.
//!
//! They are immutable, down to their order. A StatefulSet that exists keeps its own, whatever the spec says by now;
//! growing a volume means growing its claims, which is not done here.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::api::ObjectMeta;

use crate::api::{StorageSpec, names};
use crate::quantity;

/// Key of a claim's size.
const STORAGE: &str = "storage";

/// The templates: those of the live StatefulSet, or new ones from the spec.
pub(super) fn build(storage: &StorageSpec, live: Option<&StatefulSet>) -> Vec<PersistentVolumeClaim> {
    let wanted = from_spec(storage);
    match live.and_then(|live| live.spec.as_ref()) {
        Some(live) => live
            .volume_claim_templates
            .iter()
            .flatten()
            .map(|template| as_applied(template, &wanted))
            .collect(),
        None => wanted,
    }
}

/// Whether there is a claim for file content.
pub(super) fn have_content(claims: &[PersistentVolumeClaim]) -> bool {
    named(claims, names::CONTENT_VOLUME).is_some()
}

fn from_spec(storage: &StorageSpec) -> Vec<PersistentVolumeClaim> {
    let sizes = [
        (names::METADATA_VOLUME, Some(storage.metadata_size.as_str())),
        (names::CONTENT_VOLUME, storage.content_size()),
        (names::CONTROL_PLANE_VOLUME, Some(storage.control_plane_size())),
    ];
    let present = sizes.into_iter().filter_map(|(name, size)| Some((name, size?)));
    present
        .map(|(name, size)| template(name, size, storage.storage_class_name()))
        .collect()
}

fn template(name: &str, size: &str, class: Option<&str>) -> PersistentVolumeClaim {
    PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        spec: Some(claim_spec(size, class)),
        ..PersistentVolumeClaim::default()
    }
}

/// A claim that one node writes.
pub(super) fn claim_spec(size: &str, class: Option<&str>) -> PersistentVolumeClaimSpec {
    PersistentVolumeClaimSpec {
        access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
        resources: Some(VolumeResourceRequirements {
            requests: Some(BTreeMap::from([(STORAGE.to_owned(), Quantity(size.to_owned()))])),
            ..VolumeResourceRequirements::default()
        }),
        storage_class_name: class.map(str::to_owned),
        ..PersistentVolumeClaimSpec::default()
    }
}

/// The size that a claim asks for.
pub(super) fn size(claim: &PersistentVolumeClaimSpec) -> Option<&str> {
    Some(
        claim
            .resources
            .as_ref()?
            .requests
            .as_ref()?
            .get(STORAGE)?
            .0
            .as_str(),
    )
}

/// A live template as it was applied: without what the API server added, and with the size in the spec's notation if it
/// is the same. So the first look at a StatefulSet that was just made finds nothing to write.
fn as_applied(live: &PersistentVolumeClaim, wanted: &[PersistentVolumeClaim]) -> PersistentVolumeClaim {
    let mut template = PersistentVolumeClaim {
        status: None,
        ..live.clone()
    };
    template.metadata.creation_timestamp = None;
    let Some(spec) = &mut template.spec else {
        return template;
    };
    if spec.volume_mode.as_deref() == Some("Filesystem") {
        spec.volume_mode = None;
    }
    let name = live.metadata.name.as_deref().unwrap_or_default();
    let same_size = named(wanted, name)
        .and_then(|wanted| wanted.spec.as_ref())
        .and_then(size)
        .filter(|wanted| size(spec).is_some_and(|size| quantity::nanos(size) == quantity::nanos(wanted)));
    let requests = spec
        .resources
        .as_mut()
        .and_then(|resources| resources.requests.as_mut());
    if let (Some(size), Some(requests)) = (same_size, requests) {
        requests.insert(STORAGE.to_owned(), Quantity(size.to_owned()));
    }
    template
}

fn named<'c>(claims: &'c [PersistentVolumeClaim], name: &str) -> Option<&'c PersistentVolumeClaim> {
    claims
        .iter()
        .find(|claim| claim.metadata.name.as_deref() == Some(name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn storage(content: Option<&str>) -> StorageSpec {
        StorageSpec {
            metadata_size: "1024Mi".into(),
            content_size: content.map(str::to_owned),
            ..StorageSpec::default()
        }
    }

    fn live(templates: &[PersistentVolumeClaim]) -> StatefulSet {
        serde_json::from_value(json!({"spec": {"volumeClaimTemplates": templates}})).expect("a StatefulSet")
    }

    fn names_of(claims: &[PersistentVolumeClaim]) -> Vec<&str> {
        claims
            .iter()
            .filter_map(|claim| claim.metadata.name.as_deref())
            .collect()
    }

    /// What the API server makes of templates.
    fn stored(templates: Vec<PersistentVolumeClaim>) -> Vec<PersistentVolumeClaim> {
        let stored = templates.into_iter().map(|mut template| {
            let spec = template.spec.as_mut().unwrap();
            spec.volume_mode = Some("Filesystem".into());
            let requests = spec.resources.as_mut().unwrap().requests.as_mut().unwrap();
            if requests[STORAGE].0 == "1024Mi" {
                requests.insert(STORAGE.into(), Quantity("1Gi".into()));
            }
            template.status = serde_json::from_value(json!({"phase": "Pending"})).unwrap();
            template
        });
        stored.collect()
    }

    #[test]
    fn the_order_is_metadata_content_controlplane() {
        assert_eq!(
            names_of(&build(&storage(Some("5Gi")), None)),
            ["metadata", "content", "controlplane"]
        );
        assert_eq!(
            names_of(&build(&storage(None), None)),
            ["metadata", "controlplane"]
        );
    }

    #[test]
    fn a_stateful_set_that_was_just_made_is_as_desired() {
        let storage = storage(Some("5Gi"));
        let wanted = build(&storage, None);
        assert_eq!(build(&storage, Some(&live(&stored(wanted.clone())))), wanted);
    }

    #[test]
    fn a_live_stateful_set_keeps_its_sizes_its_class_and_its_volumes() {
        let before = build(&storage(None), None);
        let changed = StorageSpec {
            metadata_size: "7Gi".into(),
            content_size: Some("9Gi".into()),
            storage_class_name: Some("fast".into()),
            ..StorageSpec::default()
        };
        let after = build(&changed, Some(&live(&stored(before))));
        assert_eq!(names_of(&after), ["metadata", "controlplane"]);
        assert!(!have_content(&after));
        let metadata = after[0].spec.as_ref().unwrap();
        assert_eq!(
            (size(metadata), metadata.storage_class_name.as_deref()),
            (Some("1Gi"), None)
        );
    }

    #[test]
    fn a_content_volume_that_left_the_spec_stays() {
        let before = build(&storage(Some("5Gi")), None);
        assert!(have_content(&build(&storage(None), Some(&live(&stored(before))))));
    }
}
