//! `kubectl dittofs status`.

use dittofs_operator::api::DittoServer;
use k8s_openapi::api::core::v1::Event;
use regex::Regex;
use serde_json::{Value, json};

use super::{CommandOutput, command, plugin, run};
use crate::support::{World, fixtures, wait};

/// The tree and the conditions, with everything replaced that differs between runs. Events are left out.
fn stable(world: &World, output: &CommandOutput) -> String {
    let text = output.text.split("\nLast events").next().unwrap_or_default();
    let mut text = text.replace(&world.namespace, "NAMESPACE");
    for (pattern, name) in [
        (r"\d+[smhd] old", "AGE old"),
        (r"  [ \d]{3}[smhd]  ", "   AGE  "),
        (r"revision files-[0-9a-f]+", "revision REVISION"),
        (r"on kwok-[a-z0-9-]+|on node-[0-9]+", "on NODE"),
    ] {
        text = Regex::new(pattern)
            .expect("a pattern")
            .replace_all(&text, name)
            .into_owned();
    }
    text
}

#[tokio::test]
async fn a_ready_server_is_shown_without_a_cross_and_the_exit_status_is_0() {
    let world = World::new("status").await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    let output = plugin(&world, &["status", "files"]).await;
    assert_eq!(output.code, Some(0), "{}{}", output.text, output.error);
    insta::assert_snapshot!("ready", stable(&world, &output));
    assert!(output.text.contains("Last events"), "{}", output.text);
}

#[tokio::test]
async fn a_crashing_server_shows_the_cause_next_to_its_pod_and_the_exit_status_is_1() {
    let world = World::new("status").await;
    world
        .create(&fixtures::with_image("example.org/dittofs:crash"))
        .await;
    world
        .server_until("files", "telling the cause", |server| {
            wait::condition(server, "Available")
                .is_some_and(|condition| condition.message.contains("crashes in a loop"))
        })
        .await;
    let output = plugin(&world, &["status", "files"]).await;
    assert_eq!(output.code, Some(1), "{}{}", output.text, output.error);
    insta::assert_snapshot!("crashing", stable(&world, &output));
}

#[tokio::test]
async fn children_that_differ_from_the_spec_have_a_cross() {
    let world = World::new("status").await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    let bad = json!({"spec": {
        "logging": {"level": "DEBUG"},
        "resources": {"limits": {"example.org/device": "500m"}},
    }});
    world.merge::<DittoServer>("files", bad).await;
    world
        .server_until("files", "refused", |server| {
            wait::is(server, "ConfigReady", "False", "ConfigOutdated")
        })
        .await;
    let output = plugin(&world, &["status", "files"]).await;
    assert_eq!(output.code, Some(1), "{}{}", output.text, output.error);
    for (kind, summary) in [
        ("StatefulSet files ", "1/1 ready, differs from the spec"),
        (
            "ConfigMap files-config ",
            "the server's configuration, differs from the spec",
        ),
    ] {
        let mut lines = output.text.lines();
        let is_marked =
            lines.any(|line| line.contains(kind) && line.contains('✗') && line.ends_with(summary));
        assert!(is_marked, "{kind}: {}", output.text);
    }
}

#[tokio::test]
async fn a_missing_secret_is_named() {
    let world = World::new("status").await;
    let spec = json!({"identity": {"jwt": {"secretRef": {"name": "mine", "key": "jwt"}}}});
    world.create(&fixtures::server("files", spec)).await;
    world
        .server_until("files", "lacking it", |server| {
            wait::is(server, "ConfigReady", "False", "SecretNotFound")
        })
        .await;
    let output = plugin(&world, &["status", "files"]).await;
    assert_eq!(output.code, Some(1));
    assert!(output.text.contains("✗ Secret mine"), "{}", output.text);
    assert!(
        output
            .text
            .contains("named in spec.identity.jwt.secretRef, does not exist"),
        "{}",
        output.text
    );
}

#[tokio::test]
async fn a_stopped_server_is_ready_and_shows_that_it_is_stopped() {
    let world = World::new("status").await;
    world
        .create(&fixtures::server("files", json!({"replicas": 0})))
        .await;
    world.ready("files").await;
    let output = plugin(&world, &["status", "files"]).await;
    assert_eq!(output.code, Some(0), "{}{}", output.text, output.error);
    insta::assert_snapshot!("stopped", stable(&world, &output));
}

#[tokio::test]
async fn status_prints_json_or_yaml_of_one_server_or_a_list_of_all() {
    let world = World::new("status").await;
    let simulator = world.percona().await;
    world
        .create(&fixtures::server("files", json!({"percona": {"enabled": true}})))
        .await;
    world.create(&fixtures::minimal("other")).await;
    world.ready("files").await;
    world.ready("other").await;

    let output = plugin(&world, &["status", "files", "-o", "json"]).await;
    let one: Value = serde_json::from_str(&output.text).expect("JSON");
    assert_eq!(one["ready"], true);
    assert_eq!(one["name"], "files");
    let child = |kind: &str| {
        let children = one["children"].as_array().expect("children");
        children
            .iter()
            .find(|child| child["kind"] == kind)
            .cloned()
            .unwrap_or_default()
    };
    assert_eq!(child("StatefulSet")["children"][0]["facts"]["ready"], "true");
    assert_eq!(child("PersistentVolumeClaim")["facts"]["phase"], "Bound");
    assert_eq!(child("PerconaPGCluster")["facts"]["state"], "ready");
    let conditions = one["conditions"].as_array().expect("conditions");
    assert!(
        conditions
            .iter()
            .any(|condition| condition["type"] == "DatabaseReady")
    );

    let all = plugin(&world, &["status", "-o", "yaml"]).await;
    let all: Value = serde_yaml::from_str(&all.text).expect("YAML");
    let names: Vec<&str> = all
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|one| one["name"].as_str())
        .collect();
    assert_eq!(names, ["files", "other"]);
    simulator.check().expect("the database operator lives");
}

#[tokio::test]
async fn colours_are_used_on_a_terminal_or_on_request() {
    let world = World::new("status").await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    let piped = plugin(&world, &["status", "files"]).await;
    let asked = plugin(&world, &["status", "files", "--color", "always"]).await;
    assert!(!piped.text.contains('\u{1b}'), "{}", piped.text);
    assert!(asked.text.contains("\u{1b}[32m"), "{}", asked.text);
}

#[tokio::test]
async fn a_missing_server_or_cluster_has_an_exit_status_and_a_remedy() {
    let world = World::without_operator("status").await;
    let output = plugin(&world, &["status", "nobody"]).await;
    assert_eq!(output.code, Some(3), "{}", output.error);
    assert!(
        output.error.contains("kubectl get dittoservers -A"),
        "{}",
        output.error
    );

    let output = plugin(&world, &["status", "nobody", "--context", "elsewhere"]).await;
    assert_eq!(output.code, Some(2), "{}", output.error);
    assert!(output.error.contains("--context"), "{}", output.error);

    let mut away = command(std::path::Path::new("/nonexistent"));
    away.args(["status", "nobody", "--kubeconfig", "/nonexistent/config"]);
    let output = run(away).await;
    assert_eq!(output.code, Some(2), "{}", output.error);
    assert!(output.error.contains("--kubeconfig"), "{}", output.error);

    let empty = plugin(&world, &["status"]).await;
    assert_eq!(empty.code, Some(0), "{}", empty.error);
    assert!(empty.error.contains("No DittoServer"), "{}", empty.error);
}

#[tokio::test]
async fn a_server_that_no_operator_has_observed_is_not_ready() {
    let world = World::without_operator("status").await;
    world.create::<DittoServer>(&fixtures::minimal("files")).await;
    let output = plugin(&world, &["status", "files"]).await;
    assert_eq!(output.code, Some(1), "{}", output.error);
    assert!(output.text.contains("Is the operator running"), "{}", output.text);
}

#[tokio::test]
async fn kubectl_finds_the_plugin_by_its_name() {
    let world = World::new("status").await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    let folder = std::env::temp_dir().join(format!("plugin-{}", world.namespace));
    std::fs::create_dir_all(&folder).expect("a folder");
    let link = folder.join("kubectl-dittofs");
    let _ = std::fs::remove_file(&link);
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_dittofs-operator"), &link).expect("a link");
    let path = std::env::var("PATH").unwrap_or_default();
    let mut kubectl = world.control_plane().kubectl();
    kubectl
        .env("PATH", format!("{}:{path}", folder.display()))
        .env("KUBECONFIG", world.control_plane().kubeconfig())
        .args(["dittofs", "status", "files", "-n", &world.namespace]);
    let output = run(kubectl).await;
    std::fs::remove_dir_all(&folder).expect("the folder goes");
    assert_eq!(output.code, Some(0), "{}", output.error);
    assert!(output.text.starts_with("DittoServer "), "{}", output.text);
}

#[tokio::test]
async fn terminal_commands_in_an_event_are_escaped() {
    let world = World::without_operator("status").await;
    world.create(&fixtures::minimal("files")).await;
    let event = json!({
        "metadata": {"name": "hostile"},
        "involvedObject": {"kind": "DittoServer", "name": "files", "namespace": world.namespace},
        "type": "Normal", "reason": "Hostile", "message": "a\u{1b}[2Jb\rc\nd\u{9b}31me\u{202e}f",
    });
    world
        .create::<Event>(&serde_json::from_value(event).expect("an Event"))
        .await;
    for color in ["always", "never"] {
        let output = plugin(&world, &["status", "files", "--color", color]).await;
        assert!(output.text.contains("a^[[2Jb c d"), "{color}: {:?}", output.text);
        for wrong in ["\u{1b}[2J", "\r", "\u{9b}", "\u{202e}"] {
            assert!(
                !output.text.contains(wrong),
                "{color}, {wrong:?}: {:?}",
                output.text
            );
        }
    }
    let output = plugin(&world, &["status", "files", "-o", "json"]).await;
    let printed: Value = serde_json::from_str(&output.text).expect("JSON");
    let message = printed["events"][0]["message"].as_str().unwrap_or_default();
    assert!(
        message.contains("\u{1b}[2J"),
        "programs get it as it is: {printed}"
    );
}
