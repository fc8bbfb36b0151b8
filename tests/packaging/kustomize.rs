//! The kustomize manifests install the same as the chart.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::generated::{kept, of_kustomize, of_kustomize_namespaced, without_helm};
use super::{VERSION, identity, kustomized, objects, one, read, root};

/// The objects by identity, without what only Helm writes, and without the namespace, which Helm does not create.
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
            .map(|(name, object)| {
                (
                    name.clone(),
                    object["spec"].clone(),
                    object["metadata"]["annotations"].clone(),
                )
            })
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
    let folders = ["config/crd", "config/namespaced", "config/monitoring"];
    let kustomize = folders.map(kustomized).concat();
    same(
        normalised(objects(&of_kustomize_namespaced())),
        normalised(kustomize),
    );
}

#[test]
fn argo_cd_and_flux_keep_the_crd_and_the_namespace() {
    let objects = kustomized("config/default");
    let wanted = json!({
        "argocd.argoproj.io/sync-options": "Prune=false,Delete=false",
        "kustomize.toolkit.fluxcd.io/prune": "disabled",
    });
    assert_eq!(kept(&super::objects(&json!({}))), wanted);
    for kind in ["CustomResourceDefinition", "Namespace"] {
        assert_eq!(one(&objects, kind)["metadata"]["annotations"], wanted, "{kind}");
    }
}

/// The overlay of docs/install.md for a team, with the manifests of this checkout, in a folder of this name.
pub fn overlay(name: &str, team: &str) -> String {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).expect("a folder");
    let folder = folder.canonicalize().expect("a path");
    // Kustomize accepts no absolute path.
    let up = "../".repeat(folder.components().count() - 1);
    let here = root().canonicalize().expect("a path");
    let here = format!("{up}{}", here.strip_prefix("/").expect("a path").display());
    let page = read("docs/install.md");
    let mut blocks = page
        .split("```yaml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next());
    let shown = blocks
        .find(|block| block.contains("kind: Kustomization"))
        .expect("an overlay");
    let remote = "https://github.com/marmos91/dittofs/";
    assert!(shown.contains(remote) && shown.contains("?ref=v"), "{shown}");
    let local = shown
        .replace(remote, &here)
        .replace(&format!("?ref=v{VERSION}"), "");
    std::fs::write(folder.join("kustomization.yaml"), local.replace("team-a", team)).expect("a file");
    folder.to_str().expect("a path of text").to_owned()
}

#[test]
fn the_documented_overlay_contains_only_objects_of_the_team() {
    let of_team = kustomized(&overlay("overlay-shown", "team-a"));
    let of_other = kustomized(&overlay("overlay-other", "team-b"));
    assert!(of_team.len() > 5, "{}", of_team.len());
    for object in &of_team {
        assert_eq!(object["metadata"]["namespace"], "team-a", "{}", identity(object));
        for subject in object["subjects"].as_array().into_iter().flatten() {
            assert_eq!(subject["namespace"], "team-a", "{}", identity(object));
        }
        let is_shared = of_other.iter().any(|theirs| identity(theirs) == identity(object));
        assert!(!is_shared, "{}", identity(object));
    }
    let image = &one(&of_team, "Deployment")["spec"]["template"]["spec"]["containers"][0]["image"];
    assert_eq!(*image, format!("registry.example.com/dittofs-operator:{VERSION}"));
}

#[test]
fn the_documented_removal_leaves_only_the_crd_and_the_namespace() {
    let page = read("docs/install.md");
    let commands = page
        .lines()
        .filter_map(|line| line.strip_prefix("kubectl delete -k "));
    let folders: Vec<&str> = commands
        .filter_map(|rest| rest.split_whitespace().next())
        .collect();
    let removed: Vec<String> = folders
        .iter()
        .flat_map(|folder| kustomized(folder))
        .map(|object| identity(&object))
        .collect();
    let mut left: Vec<String> = kustomized("config/default").iter().map(identity).collect();
    left.retain(|object| !removed.contains(object));
    left.sort();
    assert_eq!(
        left,
        [
            "CustomResourceDefinition /dittoservers.dittofs.dittofs.com",
            "Namespace /dittofs-system",
        ],
        "{folders:?}"
    );
}

#[test]
fn kustomize_and_chart_install_the_same_deletion_protection() {
    let mut chart = normalised(objects(&json!({"deletionProtection": {"enabled": true}})));
    chart.retain(|name, _| name.starts_with("ValidatingAdmissionPolicy"));
    for object in chart.values_mut() {
        // The repository's file is applied manually, so it has no labels.
        object["metadata"]
            .as_object_mut()
            .expect("metadata")
            .remove("labels");
    }
    assert_eq!(chart.len(), 4);
    assert_eq!(chart, normalised(kustomized("config/admission")));
}

#[test]
fn the_samples_kustomization_lists_every_sample() {
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
