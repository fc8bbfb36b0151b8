//! Volume claim templates of the StatefulSet.
//!
//! They are immutable, including their order. So they change in two cases only: a volume was expanded, and a claim that is created
//! from the template must have the size in the spec; or a volume was added. Class and existing volumes stay.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::api::ObjectMeta;

use crate::api::{StorageSpec, names, quantity};
use crate::domain::volumes::{self, STORAGE};

/// The templates: those of the live StatefulSet, expanded and completed as the spec says, or new ones from the spec.
/// `may_expand` says whether the template of a volume may have the size in the spec.
pub(super) fn build(
    storage: &StorageSpec,
    live: Option<&StatefulSet>,
    may_expand: impl Fn(&str) -> bool,
) -> Vec<PersistentVolumeClaim> {
    let wanted = from_spec(storage);
    let Some(live) = live.and_then(|live| live.spec.as_ref()) else {
        return wanted;
    };
    let live = live.volume_claim_templates.iter().flatten();
    let mut templates: Vec<_> = live
        .map(|template| as_applied(template, &wanted, &may_expand))
        .collect();
    for (place, template) in wanted.into_iter().enumerate() {
        let name = template.metadata.name.as_deref().unwrap_or_default();
        if named(&templates, name).is_none() {
            templates.insert(place.min(templates.len()), template);
        }
    }
    templates
}

/// Whether there is a claim for file content.
pub(super) fn have_content(claims: &[PersistentVolumeClaim]) -> bool {
    named(claims, names::CONTENT_VOLUME).is_some()
}

fn from_spec(storage: &StorageSpec) -> Vec<PersistentVolumeClaim> {
    volumes::volumes(storage)
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

/// A claim that one node can write.
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

/// The size that a claim requests.
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

/// A live template as it was applied: without what the API server added, and with the size as the spec writes it if it is equal
/// or must be expanded. So the first reconcile after the creation of a StatefulSet finds nothing to write.
fn as_applied(
    live: &PersistentVolumeClaim,
    wanted: &[PersistentVolumeClaim],
    may_expand: impl Fn(&str) -> bool,
) -> PersistentVolumeClaim {
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
    let before = size(spec).and_then(quantity::nanos);
    let is_used = |wanted: &&str| match quantity::nanos(wanted).cmp(&before) {
        Ordering::Less => false,
        Ordering::Equal => true,
        Ordering::Greater => may_expand(name),
    };
    let new_size = named(wanted, name)
        .and_then(|wanted| wanted.spec.as_ref())
        .and_then(size)
        .filter(is_used);
    let requests = spec
        .resources
        .as_mut()
        .and_then(|resources| resources.requests.as_mut());
    if let (Some(size), Some(requests)) = (new_size, requests) {
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

    /// Templates as the API server stores them.
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
            names_of(&build(&storage(Some("5Gi")), None, expands)),
            ["metadata", "content", "controlplane"]
        );
        assert_eq!(
            names_of(&build(&storage(None), None, expands)),
            ["metadata", "controlplane"]
        );
    }

    #[test]
    fn a_stateful_set_that_was_just_created_is_as_desired() {
        let storage = storage(Some("5Gi"));
        let wanted = build(&storage, None, expands);
        assert_eq!(
            build(&storage, Some(&live(&stored(wanted.clone()))), expands),
            wanted
        );
    }

    fn expands(_: &str) -> bool {
        true
    }

    fn size_of<'c>(claims: &'c [PersistentVolumeClaim], name: &str) -> Option<&'c str> {
        size(named(claims, name)?.spec.as_ref()?)
    }

    #[test]
    fn a_template_is_expanded_when_it_may_be_never_shrinks_and_keeps_its_class() {
        let before = live(&stored(build(&storage(None), None, expands)));
        let with = |size: &str| StorageSpec {
            metadata_size: size.into(),
            storage_class_name: Some("fast".into()),
            ..StorageSpec::default()
        };
        let expanded = build(&with("7Gi"), Some(&before), expands);
        assert_eq!(size_of(&expanded, "metadata"), Some("7Gi"));
        assert_eq!(
            expanded[0]
                .spec
                .as_ref()
                .and_then(|spec| spec.storage_class_name.as_ref()),
            None
        );
        assert_eq!(
            size_of(&build(&with("7Gi"), Some(&before), |_| false), "metadata"),
            Some("1Gi")
        );
        assert_eq!(
            size_of(&build(&with("1Mi"), Some(&before), expands), "metadata"),
            Some("1Gi")
        );
    }

    #[test]
    fn a_content_volume_that_is_added_is_inserted_between_the_others() {
        let before = live(&stored(build(&storage(None), None, expands)));
        let after = build(&storage(Some("9Gi")), Some(&before), |_| false);
        assert_eq!(names_of(&after), ["metadata", "content", "controlplane"]);
        assert!(have_content(&after));
    }

    #[test]
    fn a_content_volume_that_was_removed_from_the_spec_is_kept() {
        let before = build(&storage(Some("5Gi")), None, expands);
        assert!(have_content(&build(
            &storage(None),
            Some(&live(&stored(before))),
            expands
        )));
    }
}
