//! A new operator version must not restart servers.
//!
//! A pod restarts when its template changes, and the template holds a hash of the configuration and of the Secrets that the
//! server reads at start. `tests/golden/<version>/<sample>.yaml` keeps, for each version of the operator, each sample as it
//! was then and the pod template (with that hash) and configuration that the version rendered.
//!
//! - A *released* version (one with a heading in CHANGELOG.md) is what existing servers run on. What today's code renders
//!   of its samples must be the same, or the difference must be declared: a line with **restarts servers** in a section of
//!   CHANGELOG.md above that version. Then users know before they upgrade.
//! - The version in Cargo.toml that is not released yet must hold what today's code makes: `make golden` writes it. It
//!   refuses to touch a released one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use dittofs_operator::api::DittoServer;
use dittofs_operator::domain::secrets;
use dittofs_operator::domain::settings::Settings;
use dittofs_operator::plugin::render;
use kube::ResourceExt;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const MARK: &str = "**restarts servers**";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// One sample, and what it renders to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Golden {
    /// The sample in that version.
    manifest: String,
    /// For each server in it: what restarts the server when it changes.
    servers: BTreeMap<String, Restarting>,
}

/// What restarts a server when it changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Restarting {
    config: String,
    template: Value,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|file| !file.ends_with("kustomization.yaml"));
    files.sort();
    files
}

fn name(path: &Path) -> String {
    path.file_name().expect("a name").to_string_lossy().into_owned()
}

/// What the current code renders for a manifest.
fn made_of(manifest: &str) -> Golden {
    let input = format!("{manifest}\n{}", secrets_of(manifest));
    let rendered = render::manifests(&input, &Settings::default()).expect("a sample renders");
    let children: Vec<Value> = serde_yaml::from_multiple(&rendered).expect("YAML");
    let child = |kind: &str, name: &str| {
        let found = children
            .iter()
            .find(|child| child["kind"] == kind && child["metadata"]["name"] == name);
        found.cloned().unwrap_or_else(|| panic!("no {kind} {name}"))
    };
    let sets = children.iter().filter(|child| child["kind"] == "StatefulSet");
    let servers = sets.map(|set| {
        let server = set["metadata"]["name"].as_str().expect("a name").to_owned();
        let config = child("ConfigMap", &format!("{server}-config"))["data"]["config.yaml"].clone();
        let restarting = Restarting {
            config: config.as_str().expect("a configuration").to_owned(),
            template: set["spec"]["template"].clone(),
        };
        (server, restarting)
    });
    Golden {
        servers: servers.collect(),
        manifest: manifest.to_owned(),
    }
}

/// Every Secret that the servers use, with fixed values: only then is the hash on the template known.
fn secrets_of(manifest: &str) -> String {
    let documents: Vec<Value> = serde_yaml::from_multiple(manifest).expect("YAML");
    let present: Vec<&Value> = documents
        .iter()
        .filter(|document| document["kind"] == "Secret")
        .collect();
    let mut data: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for document in documents
        .iter()
        .filter(|document| document["kind"] == "DittoServer")
    {
        let server: DittoServer = serde_json::from_value(document.clone()).expect("a DittoServer");
        for used in secrets::uses(&server) {
            let value = format!("value of {} for {}", used.key, server.name_any());
            data.entry(used.secret).or_default().insert(used.key, value);
        }
    }
    data.retain(|secret, _| {
        !present
            .iter()
            .any(|document| document["metadata"]["name"] == *secret)
    });
    let texts = data.into_iter().map(|(secret, data)| {
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": secret}, "stringData": data})
    });
    let texts: Vec<String> = texts.map(|secret| format!("---\n{secret}\n")).collect();
    texts.concat()
}

/// The sections of a changelog, newest first: heading and text.
fn sections(changelog: &str) -> Vec<(&str, &str)> {
    let sections = changelog.split("\n## ").skip(1);
    sections.filter_map(|section| section.split_once('\n')).collect()
}

/// `## [1.2.3] - 2026-01-01` and `## 1.2.3` are headings of version 1.2.3.
fn is_heading_of(heading: &str, version: &str) -> bool {
    let first = heading.split_whitespace().next().unwrap_or_default();
    first.trim_matches(['[', ']']) == version
}

fn is_released(changelog: &str, version: &str) -> bool {
    sections(changelog)
        .iter()
        .any(|(heading, _)| is_heading_of(heading, version))
}

/// Whether a section above the one of `version` says that servers restart.
fn declares_restart(changelog: &str, version: &str) -> bool {
    let newer = sections(changelog)
        .into_iter()
        .take_while(|(heading, _)| !is_heading_of(heading, version));
    newer.into_iter().any(|(_, text)| text.contains(MARK))
}

/// The differences to a golden file that the changelog does not declare.
fn undeclared_difference(version: &str, then: &Golden, now: &Golden, changelog: &str) -> Option<String> {
    if then.servers == now.servers {
        return None;
    }
    let difference = || {
        let changed = then
            .servers
            .iter()
            .filter(|(server, was)| now.servers.get(*server) != Some(*was));
        let shown = changed
            .map(|(server, was)| format!("{server}\nthen: {was:#?}\nnow: {:#?}", now.servers.get(server)));
        shown.collect::<Vec<String>>().join("\n")
    };
    if !is_released(changelog, version) {
        return Some(format!(
            "not what the code makes now; if that is intended, run `make golden`:\n{}",
            difference()
        ));
    }
    let how = format!(
        "version {version} is released, and an upgrade to this code would restart its servers. If that cannot be avoided, say so in CHANGELOG.md, \
         under Unreleased, in a line with {MARK} and the reason"
    );
    (!declares_restart(changelog, version)).then(|| format!("{how}:\n{}", difference()))
}

fn changelog() -> String {
    std::fs::read_to_string(root().join("CHANGELOG.md")).expect("CHANGELOG.md")
}

fn write_goldens() {
    let folder = root().join("tests/golden").join(VERSION);
    assert!(
        !is_released(&changelog(), VERSION),
        "version {VERSION} is released: its golden files stay. Raise the version in Cargo.toml first"
    );
    std::fs::create_dir_all(&folder).expect("a folder");
    for sample in files(&root().join("config/samples")) {
        let golden = made_of(&std::fs::read_to_string(&sample).expect("a sample"));
        let text = serde_yaml::to_string(&golden).expect("YAML");
        std::fs::write(folder.join(name(&sample)), text).expect("a file");
    }
}

#[test]
fn no_sample_would_restart_on_an_upgrade_unless_the_changelog_says_so() {
    if std::env::var_os("GOLDEN_WRITE").is_some() {
        write_goldens();
    }
    let (changelog, mut problems) = (changelog(), Vec::new());
    for version in files(&root().join("tests/golden")) {
        for file in files(&version) {
            let text = std::fs::read_to_string(&file).expect("a golden file");
            let then: Golden = serde_yaml::from_str(&text).expect("a golden file");
            let now = made_of(&then.manifest);
            let undeclared_difference = undeclared_difference(&name(&version), &then, &now, &changelog);
            problems.extend(
                undeclared_difference
                    .map(|undeclared_difference| format!("{}: {undeclared_difference}", file.display())),
            );
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
}

#[test]
fn every_sample_has_a_golden_file_in_this_version() {
    let folder = root().join("tests/golden").join(VERSION);
    let samples = files(&root().join("config/samples"));
    assert!(samples.len() >= 6, "{samples:?}");
    for sample in samples {
        let text = std::fs::read_to_string(folder.join(name(&sample)));
        let text = text.unwrap_or_else(|error| panic!("{}: {error}; run `make golden`", name(&sample)));
        let golden: Golden = serde_yaml::from_str(&text).expect("a golden file");
        let is_released = is_released(&changelog(), VERSION);
        let manifest = std::fs::read_to_string(&sample).expect("a sample");
        assert!(
            is_released || golden.manifest == manifest,
            "{}: run `make golden`",
            name(&sample)
        );
        let hash = |server: &Restarting| {
            server.template["metadata"]["annotations"]["dittofs.io/config-hash"].clone()
        };
        let is_known = |hash: Value| hash.as_str().is_some_and(|hash| hash.len() == 64);
        assert!(
            golden.servers.values().map(hash).all(is_known),
            "{}: the hash is not known",
            name(&sample)
        );
    }
}

#[test]
fn a_difference_to_a_released_version_fails_unless_the_changelog_declares_it() {
    let manifest = std::fs::read_to_string(root().join("config/samples/minimal.yaml")).expect("a sample");
    let (now, mut then) = (made_of(&manifest), made_of(&manifest));
    let old = then.servers.values_mut().next().expect("a server");
    old.template["spec"]["terminationGracePeriodSeconds"] = json!(30);
    let silent = "# Changelog\nwith **restarts servers** explained\n\n## Unreleased\n\n- A fix.\n\n## [0.1.0] - 2026-01-01\n\n- First. **restarts servers**\n";
    let declared = silent.replace("- A fix.", "- Longer grace period: **restarts servers** once.");
    let found = undeclared_difference("0.1.0", &then, &now, silent).expect("a difference");
    assert!(
        found.contains("CHANGELOG.md") && found.contains("terminationGracePeriodSeconds"),
        "{found}"
    );
    assert_eq!(undeclared_difference("0.1.0", &then, &now, &declared), None);
    assert_eq!(undeclared_difference("0.1.0", &now, &now, silent), None);
    let unreleased = undeclared_difference("0.2.0", &then, &now, &declared).expect("a difference");
    assert!(unreleased.contains("make golden"), "{unreleased}");
}

#[test]
fn a_changed_configuration_changes_the_pod_template() {
    let manifest = |level: &str| {
        format!(
            "apiVersion: dittofs.dittofs.com/v1alpha1\nkind: DittoServer\nmetadata: {{name: a}}\nspec: {{storage: {{metadataSize: 1Gi}}, logging: {{level: {level}}}}}\n"
        )
    };
    let templates = ["INFO", "DEBUG"].map(|level| made_of(&manifest(level)).servers["a"].template.clone());
    assert_ne!(templates[0], templates[1], "the hash covers the configuration");
}
