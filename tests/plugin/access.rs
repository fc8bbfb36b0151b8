//! The plugin in the hands of somebody who may not read everything.

use serde_json::json;

use super::{Limited, applied, fed, manifest, run};
use crate::support::{World, fixtures};

#[tokio::test]
async fn who_may_not_read_secrets_is_not_told_that_the_pod_runs_on() {
    let world = World::new("access").await;
    applied(&world, json!({"image": "example.org/dittofs:1"})).await;
    let somebody = Limited::without(&world, &["secrets"], json!([])).await;
    let mut command = somebody.command(&world);
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
async fn who_may_not_list_pods_is_not_told_that_there_is_none() {
    let world = World::new("access").await;
    applied(&world, json!({})).await;
    let somebody = Limited::without(&world, &["pods"], json!([])).await;
    let mut command = somebody.command(&world);
    command.args(["diff", "files"]);
    let said = run(command).await;
    assert_eq!(said.code, Some(2), "{}{}", said.text, said.error);
    assert!(
        said.text.contains(r#"cannot list resource "pods""#),
        "{}",
        said.text
    );
    assert!(!said.text.contains("There is no pod"), "{}", said.text);

    let mut command = somebody.command(&world);
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
async fn who_may_not_write_is_told_what_that_takes() {
    let world = World::new("access").await;
    applied(&world, json!({"image": "example.org/dittofs:1"})).await;
    let reader = json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": ["*"], "resources": ["dittoservers"], "verbs": ["patch"]}]);
    let somebody = Limited::new(&world, reader).await;
    let mut command = somebody.command(&world);
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
async fn a_refused_list_is_an_answer_and_the_permission_is_named() {
    let world = World::without_operator("access").await;
    world.create(&fixtures::minimal("files")).await;
    let get =
        json!([{"apiGroups": ["dittofs.dittofs.com"], "resources": ["dittoservers"], "verbs": ["get"]}]);
    let somebody = Limited::new(&world, get).await;
    let mut command = somebody.command(&world);
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
async fn to_get_one_server_is_enough_if_its_children_may_be_listed() {
    let world = World::new("access").await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    let get =
        json!([{"apiGroups": ["dittofs.dittofs.com"], "resources": ["dittoservers"], "verbs": ["get"]}]);
    let somebody = Limited::without(&world, &["dittoservers"], get).await;
    let mut command = somebody.command(&world);
    command.args(["status", "files"]);
    let said = run(command).await;
    assert_eq!(said.code, Some(0), "{}{}", said.text, said.error);
    assert_eq!(said.error, "");
    assert!(!said.text.contains('?'), "{}", said.text);
}
