//! One version everywhere, and documents that match the files.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

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
fn the_changelog_begins_with_the_unreleased_changes() {
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
fn every_rbac_rule_has_its_reason_in_the_documents() {
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
fn the_documents_name_the_role_for_prometheus_as_it_is_rendered() {
    let objects = objects(&json!({"metrics": {"secure": true}}));
    let mut names = objects
        .iter()
        .filter(|object| object["kind"] == "ClusterRole")
        .filter_map(|role| role["metadata"]["name"].as_str());
    let reader = names
        .find(|name| name.ends_with("-metrics-reader"))
        .expect("a role");
    for page in ["docs/operations.md", "docs/rbac.md"] {
        assert!(read(page).contains(reader), "{page}: {reader}");
    }
}

/// Runs a script with `engine` instead of each container engine, and returns the calls.
fn scripted(name: &str, arguments: &[&str], engine: &str) -> String {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).expect("a folder");
    let program = folder.join(engine);
    let _ = std::fs::remove_file(&program);
    std::os::unix::fs::symlink(root().join("tests/packaging/engine"), &program).expect("a link");
    let calls = folder.join("calls");
    std::fs::write(&calls, "").expect("a file");
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new(root().join("scripts").join(arguments[0]))
        .args(&arguments[1..])
        .env("PATH", format!("{}:{path}", folder.display()))
        .env("CALLS", &calls)
        .env("ENGINE", engine)
        .env_remove("FEATURES")
        .output()
        .expect("the script runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    std::fs::read_to_string(calls).expect("the calls")
}

#[test]
fn an_image_for_several_platforms_is_a_manifest_list_and_not_the_last_image() {
    let name = format!("docker.io/marmos91c/dittofs-operator:{VERSION}");
    let (one, both) = ("--platform=linux/arm64", "--platform=linux/amd64,linux/arm64");
    for (engine, platform, called, with) in [
        ("buildah", one, "buildah build", "--tag"),
        ("buildah", both, "buildah build", "--manifest"),
        ("podman", both, "podman build", "--manifest"),
        ("docker", one, "docker build", "--tag"),
        ("docker", both, "docker buildx build", "--tag"),
    ] {
        let calls = scripted(&format!("image-{engine}"), &["image", platform], engine);
        let build = calls.lines().last().expect("a build");
        assert!(build.starts_with(called) && build.contains(platform), "{calls}");
        assert!(build.contains(&format!(" {with} {name} ")), "{calls}");
        assert_eq!(build.matches(&name).count(), 1, "{calls}");
        let is_fresh = calls.contains(&format!("manifest rm {name}"));
        assert_eq!(is_fresh, with == "--manifest", "{calls}");
    }
    let twice = ["image", "--platform", "linux/amd64", "--platform", "linux/arm64"];
    let calls = scripted("image-twice", &twice, "buildah");
    assert!(calls.contains(&format!(" --manifest {name} ")), "{calls}");
}

#[test]
fn the_published_checksums_are_those_of_the_binaries_in_the_pushed_image() {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("checksums");
    let path = out.to_str().expect("a path of text");
    let script = ["image-checksums", "example.com/operator:1", path];
    let calls = scripted("image-checksums", &script, "podman");
    for architecture in ["amd64", "arm64"] {
        let create = format!("create --pull always --platform linux/{architecture} example.com/operator:1");
        assert!(calls.contains(&create), "{calls}");
        let binary = std::fs::read_to_string(out.join(format!("dittofs-operator-linux-{architecture}")));
        assert_eq!(
            binary.expect("a binary").trim_end(),
            format!("of-linux/{architecture}:/dittofs-operator")
        );
    }
    let sums = std::fs::read_to_string(out.join("dittofs-operator.sha256")).expect("checksums");
    let names: Vec<_> = sums
        .lines()
        .filter_map(|line| line.split_whitespace().nth(1))
        .collect();
    assert_eq!(
        names,
        ["dittofs-operator-linux-amd64", "dittofs-operator-linux-arm64"]
    );
}
