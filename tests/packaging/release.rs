//! One version everywhere, and documents that say what is so.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{VERSION, objects, one, read, root};

fn yaml(path: &str) -> Value {
    serde_yaml::from_str(&read(path)).expect("YAML")
}

#[test]
fn crate_chart_image_and_manifests_have_one_version() {
    let chart = yaml("charts/dittofs-operator/Chart.yaml");
    assert_eq!(chart["version"], VERSION);
    assert_eq!(chart["appVersion"], VERSION);
    let images = chart["annotations"]["artifacthub.io/images"]
        .as_str()
        .expect("images");
    let image = format!("docker.io/marmos91c/dittofs-operator:{VERSION}\n");
    assert!(images.contains(&image), "{images}");
    let deployment = yaml("config/manager/deployment.yaml");
    let pod = &deployment["spec"]["template"]["spec"];
    assert_eq!(pod["containers"][0]["image"], image.trim_end());
    assert!(
        read("docs/compatibility.md").contains(&format!("| {VERSION} |")),
        "docs/compatibility.md"
    );
    // The image gets it as an argument.
    assert!(!read("Dockerfile").contains(VERSION), "Dockerfile");
}

#[test]
fn the_image_is_built_by_the_toolchain_of_the_repository() {
    let toolchain = read("rust-toolchain.toml");
    let channel = toolchain.split('"').nth(1).expect("a channel");
    assert!(
        read("Dockerfile").contains(&format!("ARG BUILDER=docker.io/library/rust:{channel}-")),
        "{channel}"
    );
}

#[test]
fn the_image_runs_as_the_user_that_the_chart_names() {
    let objects = objects(&json!({}));
    let user = &one(&objects, "Deployment")["spec"]["template"]["spec"]["securityContext"]["runAsUser"];
    assert!(read("Dockerfile").contains(&format!("\nUSER {user}:{user}\n")));
}

#[test]
fn the_changelog_begins_with_what_is_not_released() {
    let changelog = read("CHANGELOG.md");
    let first = changelog.lines().find(|line| line.starts_with("## "));
    assert_eq!(first, Some("## Unreleased"));
}

/// `group/resource: verbs` of a role's rules, or of the table in docs/rbac.md.
fn described(rule: &Value) -> Vec<String> {
    let list = |key: &str| -> Vec<String> {
        let items = rule[key].as_array().cloned().unwrap_or_default();
        items
            .iter()
            .map(|item| item.as_str().unwrap_or_default().to_owned())
            .collect()
    };
    let verbs = list("verbs").join(", ");
    let names = list("resourceNames").join(", ");
    let groups = list("apiGroups");
    let group = groups
        .first()
        .filter(|group| !group.is_empty())
        .map_or("core", String::as_str);
    let describe = |resource: String| format!("{group} | {resource} | {verbs} | {names}");
    list("resources").into_iter().map(describe).collect()
}

#[test]
fn every_rule_has_its_reason_in_the_documents() {
    let secure = json!({"metrics": {"secure": true}});
    let rules: BTreeSet<String> = objects(&secure)
        .iter()
        .filter(|object| object["kind"].as_str().is_some_and(|kind| kind.ends_with("Role")))
        .filter(|role| {
            !role["metadata"]["name"]
                .as_str()
                .is_some_and(|name| name.contains("-dittoserver-"))
        })
        .flat_map(|role| role["rules"].as_array().cloned().unwrap_or_default())
        .flat_map(|rule| described(&rule))
        .collect();
    let text = read("docs/rbac.md");
    let rows: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"))
        .map(|row| {
            row.split(" | ")
                .map(|cell| cell.trim_matches('`'))
                .collect::<Vec<_>>()
        })
        .filter(|cells| cells.len() == 5 && cells[0] != "group")
        .inspect(|cells| assert!(cells[4].len() > 10, "{cells:?} has no reason"))
        .map(|cells| {
            cells[..4]
                .iter()
                .map(|cell| cell.replace('–', ""))
                .collect::<Vec<_>>()
                .join(" | ")
        })
        .collect();
    assert_eq!(rules, rows);
}

#[test]
fn every_file_that_a_page_of_the_packaging_names_exists() {
    for page in [
        "CONTRIBUTING.md",
        "SECURITY.md",
        "docs/install.md",
        "docs/rbac.md",
        "docs/compatibility.md",
        "docs/gitops.md",
    ] {
        let text = read(page);
        let folder = root().join(page);
        let folder = folder.parent().expect("a folder");
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split([')', '#']).next())
        {
            let is_file = !link.is_empty() && !link.starts_with("http");
            assert!(!is_file || folder.join(link).exists(), "{page}: {link}");
        }
    }
}
