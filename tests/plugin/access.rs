//! The plugin for a user without the right to read everything.

use serde_json::json;

use super::{Limited, applied, fed, manifest, run};
use crate::support::{World, fixtures};

#[tokio::test]
async fn without_the_right_to_read_secrets_diff_does_not_say_that_the_pod_keeps_running() {
    let world = World::new("access").await;
    applied(&world, json!({"image": "example.org/dittofs:1"})).await;
    let user = Limited::without(&world, &["secrets"], json!([])).await;
    let mut command = user.command(&world);
    command.args(["diff", "-f", "-"]);
    let said = fed(command, manifest(json!({"image": "example.org/dittofs:2"}))).await;
    assert_eq!(said.code, Some(2), "{}{}", said.text, said.error);
    for wanted in [
        "Whether the pod restarts is not known",
        "files-jwt-secret",
        "`get` on secrets in the namespace",
    ] {
        assert!(said.text.contains(wanted), "{wanted}: {}", said.text);
    }
    for wrong in ["does not restart", "No change.", "the operator may get"] {
        assert!(!said.text.contains(wrong), "{wrong}: {}", said.text);
    }
}

#[tokio::test]
async fn without_the_right_to_list_pods_status_does_not_say_that_there_is_none() {
    let world = World::new("access").await;
    applied(&world, json!({})).await;
    let user = Limited::without(&world, &["pods"], json!([])).await;
    let mut command = user.command(&world);
    command.args(["diff", "files"]);
    let said = run(command).await;
    assert_eq!(said.code, Some(2), "{}{}", said.text, said.error);
    assert!(
        said.text.contains(r#"cannot list resource "pods""#),
        "{}",
        said.text
    );
    assert!(!said.text.contains("There is no pod"), "{}", said.text);

    let mut command = user.command(&world);
    command.args(["status", "files"]);
    let said = run(command).await;
    assert!(said.text.contains("? Pod files-0"), "{}", said.text);
    assert!(
        said.text.contains(r#"cannot list resource "pods""#),
        "{}",
        said.text
    );
}

#[tokio::test]
async fn without_the_right_to_write_diff_names_the_missing_permission() {
    let world = World::new("access").await;
    applied(&world, json!({"image": "example.org/dittofs:1"})).await;
    let reader = json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": ["*"], "resources": ["dittoservers"], "verbs": ["patch"]}]);
    let user = Limited::new(&world, reader).await;
    let mut command = user.command(&world);
    command.args(["diff", "-f", "-"]);
    let grown = json!({"image": "example.org/dittofs:1", "storage": {"metadataSize": "2Gi"}});
    let said = fed(command, manifest(grown)).await;
    assert_eq!(said.code, Some(2), "{}{}", said.text, said.error);
    assert!(
        said.text
            .contains(r#"cannot patch resource "persistentvolumeclaims""#),
        "{}",
        said.text
    );
}

#[tokio::test]
async fn a_refused_list_is_reported_with_the_missing_permission() {
    let world = World::without_operator("access").await;
    world.create(&fixtures::minimal("files")).await;
    let get =
        json!([{"apiGroups": ["dittofs.dittofs.com"], "resources": ["dittoservers"], "verbs": ["get"]}]);
    let user = Limited::new(&world, get).await;
    let mut command = user.command(&world);
    command.args(["status", "files"]);
    let said = run(command).await;
    assert_eq!(said.code, Some(1), "{}{}", said.text, said.error);
    assert_eq!(said.error, "", "nothing was slow");
    for kind in [
        "pods",
        "services",
        "networkpolicies",
        "persistentvolumeclaims",
        "events",
    ] {
        let wanted = format!("cannot list resource \"{kind}\"");
        assert!(said.text.contains(&wanted), "{wanted}: {}", said.text);
    }
    assert!(!said.text.contains("Failing"), "{}", said.text);
}

#[tokio::test]
async fn the_rights_to_get_one_server_and_to_list_its_children_are_enough() {
    let world = World::new("access").await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    let get =
        json!([{"apiGroups": ["dittofs.dittofs.com"], "resources": ["dittoservers"], "verbs": ["get"]}]);
    let user = Limited::without(&world, &["dittoservers"], get).await;
    let mut command = user.command(&world);
    command.args(["status", "files"]);
    let said = run(command).await;
    assert_eq!(said.code, Some(0), "{}{}", said.text, said.error);
    assert_eq!(said.error, "");
    assert!(!said.text.contains('?'), "{}", said.text);
}
