//! The plugin for a user without the right to read everything.

use serde_json::json;

use super::{LimitedUser, applied, manifest, run, run_with_input};
use crate::support::{World, fixtures};

#[tokio::test]
async fn without_the_right_to_read_secrets_diff_does_not_say_that_the_pod_keeps_running() {
    let world = World::new("access").await;
    applied(&world, json!({"image": "example.org/dittofs:1"})).await;
    let user = LimitedUser::without(&world, &["secrets"], json!([])).await;
    let mut command = user.command(&world);
    command.args(["diff", "-f", "-"]);
    let output = run_with_input(command, manifest(json!({"image": "example.org/dittofs:2"}))).await;
    assert_eq!(output.code, Some(2), "{}{}", output.text, output.error);
    for wanted in [
        "It is unknown whether the pod restarts",
        "files-jwt-secret",
        "`get` on secrets in the namespace",
    ] {
        assert!(output.text.contains(wanted), "{wanted}: {}", output.text);
    }
    for wrong in ["does not restart", "No change.", "the operator may get"] {
        assert!(!output.text.contains(wrong), "{wrong}: {}", output.text);
    }
}

#[tokio::test]
async fn without_the_right_to_list_pods_status_does_not_say_that_there_is_none() {
    let world = World::new("access").await;
    applied(&world, json!({})).await;
    let user = LimitedUser::without(&world, &["pods"], json!([])).await;
    let mut command = user.command(&world);
    command.args(["diff", "files"]);
    let output = run(command).await;
    assert_eq!(output.code, Some(2), "{}{}", output.text, output.error);
    assert!(
        output.text.contains(r#"cannot list resource "pods""#),
        "{}",
        output.text
    );
    assert!(!output.text.contains("There is no pod"), "{}", output.text);

    let mut command = user.command(&world);
    command.args(["status", "files"]);
    let output = run(command).await;
    assert!(output.text.contains("? Pod files-0"), "{}", output.text);
    assert!(
        output.text.contains(r#"cannot list resource "pods""#),
        "{}",
        output.text
    );
}

#[tokio::test]
async fn without_the_right_to_write_diff_names_the_missing_permission() {
    let world = World::new("access").await;
    applied(&world, json!({"image": "example.org/dittofs:1"})).await;
    let reader = json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": ["*"], "resources": ["dittoservers"], "verbs": ["patch"]}]);
    let user = LimitedUser::new(&world, reader).await;
    let mut command = user.command(&world);
    command.args(["diff", "-f", "-"]);
    let grown = json!({"image": "example.org/dittofs:1", "storage": {"metadataSize": "2Gi"}});
    let output = run_with_input(command, manifest(grown)).await;
    assert_eq!(output.code, Some(2), "{}{}", output.text, output.error);
    assert!(
        output
            .text
            .contains(r#"cannot patch resource "persistentvolumeclaims""#),
        "{}",
        output.text
    );
}

#[tokio::test]
async fn a_refused_list_is_reported_with_the_missing_permission() {
    let world = World::without_operator("access").await;
    world.create(&fixtures::minimal("files")).await;
    let get =
        json!([{"apiGroups": ["dittofs.dittofs.com"], "resources": ["dittoservers"], "verbs": ["get"]}]);
    let user = LimitedUser::new(&world, get).await;
    let mut command = user.command(&world);
    command.args(["status", "files"]);
    let output = run(command).await;
    assert_eq!(output.code, Some(1), "{}{}", output.text, output.error);
    assert_eq!(output.error, "", "nothing was slow");
    for kind in [
        "pods",
        "services",
        "networkpolicies",
        "persistentvolumeclaims",
        "events",
    ] {
        let wanted = format!("cannot list resource \"{kind}\"");
        assert!(output.text.contains(&wanted), "{wanted}: {}", output.text);
    }
    assert!(!output.text.contains("Failing"), "{}", output.text);
}

#[tokio::test]
async fn the_rights_to_get_one_server_and_to_list_its_children_are_enough() {
    let world = World::new("access").await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    let get =
        json!([{"apiGroups": ["dittofs.dittofs.com"], "resources": ["dittoservers"], "verbs": ["get"]}]);
    let user = LimitedUser::without(&world, &["dittoservers"], get).await;
    let mut command = user.command(&world);
    command.args(["status", "files"]);
    let output = run(command).await;
    assert_eq!(output.code, Some(0), "{}{}", output.text, output.error);
    assert_eq!(output.error, "");
    assert!(!output.text.contains('?'), "{}", output.text);
}
