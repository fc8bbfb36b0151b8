//! The kustomize manifests say what the chart says.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::generated::{of_kustomize, of_kustomize_namespaced, without_helm};
use super::{identity, kustomized, objects};

/// The objects by identity, without what only Helm writes, and without the namespace, which Helm does not make.
fn normalised(objects: Vec<Value>) -> BTreeMap<String, Value> {
    let normal = |object: Value| {
        let mut object = without_helm(object);
        let metadata = object["metadata"].as_object_mut().expect("metadata");
        // Empty and absent are the same.
        metadata.retain(|_, value| value.as_object().is_none_or(|map| !map.is_empty()));
        object
    };
    let objects = objects.into_iter().filter(|object| object["kind"] != "Namespace");
    objects
        .map(normal)
        .map(|object| (identity(&object), object))
        .collect()
}

#[track_caller]
fn same(chart: BTreeMap<String, Value>, mut kustomize: BTreeMap<String, Value>) {
    // The CRD of the repository has no labels.
    let crd = |objects: &BTreeMap<String, Value>| {
        objects
            .iter()
            .find(|(name, _)| name.starts_with("CustomResourceDefinition"))
            .map(|(name, object)| (name.clone(), object["spec"].clone()))
    };
    assert_eq!(crd(&chart), crd(&kustomize));
    let names = |objects: &BTreeMap<String, Value>| objects.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&chart), names(&kustomize));
    for (name, object) in chart {
        let other = kustomize.remove(&name).expect("the same names");
        if !name.starts_with("CustomResourceDefinition") {
            assert_eq!(object, other, "{name}");
        }
    }
}

#[test]
fn kustomize_and_chart_install_the_same() {
    let kustomize = [kustomized("config/default"), kustomized("config/monitoring")].concat();
    same(normalised(objects(&of_kustomize())), normalised(kustomize));
}

#[test]
fn kustomize_and_chart_install_the_same_for_one_namespace() {
    let kustomize = [kustomized("config/namespaced"), kustomized("config/monitoring")].concat();
    same(
        normalised(objects(&of_kustomize_namespaced())),
        normalised(kustomize),
    );
}

#[test]
fn kustomize_and_chart_protect_from_deletion_alike() {
    let mut chart = normalised(objects(&json!({"deletionProtection": {"enabled": true}})));
    chart.retain(|name, _| name.starts_with("ValidatingAdmissionPolicy"));
    for object in chart.values_mut() {
        // The repository's file is applied by hand, so it has no labels.
        object["metadata"]
            .as_object_mut()
            .expect("metadata")
            .remove("labels");
    }
    assert_eq!(chart.len(), 4);
    assert_eq!(chart, normalised(kustomized("config/admission")));
}

#[test]
fn the_samples_are_a_kustomization_that_holds_every_sample() {
    let files = std::fs::read_dir(super::root().join("config/samples")).expect("the samples");
    let listed = super::read("config/samples/kustomization.yaml");
    for file in files {
        let name = file.expect("an entry").file_name();
        let name = name.to_string_lossy();
        assert!(name == "kustomization.yaml" || listed.contains(&*name), "{name}");
    }
    let objects = kustomized("config/samples");
    assert!(
        objects
            .iter()
            .filter(|object| object["kind"] == "DittoServer")
            .count()
            >= 6
    );
}
