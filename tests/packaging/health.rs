//! Argo CD's health script, run with Lua on the objects that the real operator writes.

use dittofs_operator::api::DittoServer;
use k8s_openapi::api::core::v1::Service;
use mlua::serde::SerializeOptions;
use mlua::{Lua, LuaSerdeExt, Table};
use serde_json::{Value, json};

use super::read;
use crate::support::{World, fixtures, wait};

/// Status and message.
fn health(object: &Value) -> (String, String) {
    let lua = Lua::new();
    // Argo CD passes no nulls.
    let options = SerializeOptions::new()
        .serialize_none_to_null(false)
        .serialize_unit_to_null(false);
    let object = lua.to_value_with(object, options).expect("a table");
    lua.globals().set("obj", object).expect("a global");
    let result: Table = lua
        .load(read("config/argocd/health.lua"))
        .eval()
        .expect("the script runs");
    (
        result.get("status").expect("a status"),
        result.get("message").expect("a message"),
    )
}

fn health_of(server: &DittoServer) -> (String, String) {
    health(&serde_json::to_value(server).expect("JSON"))
}

#[test]
fn argo_cds_config_map_holds_the_tested_script() {
    let map: Value = serde_yaml::from_str(&read("config/argocd/argocd-cm.yaml")).expect("YAML");
    let script = map["data"]["resource.customizations.health.dittofs.dittofs.com_DittoServer"].as_str();
    assert_eq!(script, Some(read("config/argocd/health.lua").as_str()));
}

#[test]
fn argo_cd_shows_a_server_that_the_operator_has_not_observed_as_progressing() {
    for object in [
        json!({"metadata": {"generation": 1}}),
        json!({"metadata": {"generation": 1}, "status": {"observedGeneration": -1}}),
        json!({"metadata": {"generation": 1}, "status": null}),
        json!({"metadata": {"generation": 2}, "status": {
            "observedGeneration": 1, "phase": "Running", "conditions": [{"type": "Ready", "status": "True"}],
        }}),
        json!({"metadata": {"generation": 2}, "status": {"observedGeneration": 1, "phase": "Failed"}}),
    ] {
        assert_eq!(health(&object).0, "Progressing", "{object}");
    }
}

#[test]
fn a_server_that_needs_manual_action_or_exceeded_its_deadline_is_degraded_even_if_it_serves() {
    for (phase, progressing, reason) in [
        ("Failed", "False", "ProgressDeadlineExceeded"),
        ("Running", "False", "ProgressDeadlineExceeded"),
        ("Running", "False", "Blocked"),
        ("Running", "True", "ResourceConflict"),
        ("Running", "True", "ApplyFailed"),
        ("Stopped", "True", "ApplyFailed"),
        ("Failed", "Unknown", "Paused"),
    ] {
        let object = json!({"metadata": {"generation": 1}, "status": {
            "observedGeneration": 1,
            "phase": phase,
            "conditions": [
                {"type": "Ready", "status": "False", "message": "Not ready: [StillProgressing]: m"},
                {"type": "Progressing", "status": progressing, "reason": reason},
                {"type": "Stalled", "status": "True", "message": "m"},
            ],
        }});
        assert_eq!(
            health(&object),
            ("Degraded".into(), "m".into()),
            "{phase} {reason}"
        );
    }
}

#[test]
fn a_failed_call_that_is_retried_leaves_a_server_progressing() {
    let object = json!({"metadata": {"generation": 1}, "status": {
        "observedGeneration": 1,
        "phase": "Running",
        "conditions": [
            {"type": "Ready", "status": "False", "message": "m"},
            {"type": "Progressing", "status": "True", "reason": "ApplyFailed"},
        ],
    }});
    assert_eq!(health(&object), ("Progressing".into(), "m".into()));
}

#[test]
fn a_server_with_unreadable_objects_is_progressing() {
    let unknown = json!({"metadata": {"generation": 1}, "status": {
        "observedGeneration": 1, "phase": "Running", "conditions": [{"type": "Ready", "status": "Unknown", "message": "m"}],
    }});
    assert_eq!(health(&unknown), ("Progressing".into(), "m".into()));
}

#[test]
fn a_paused_server_whose_pod_is_not_available_is_degraded() {
    let health_with = |available: &str, phase: &str| {
        health(&json!({"metadata": {"generation": 1}, "status": {
            "observedGeneration": 1,
            "phase": phase,
            "conditions": [
                {"type": "Available", "status": available, "message": "the pod crashes"},
                {"type": "Progressing", "status": "False", "reason": "Paused", "message": "paused"},
                {"type": "Ready", "status": "Unknown", "message": "m"},
            ],
        }}))
    };
    assert_eq!(
        health_with("False", "Pending"),
        ("Degraded".into(), "the pod crashes".into())
    );
    assert_eq!(
        health_with("True", "Running"),
        ("Suspended".into(), "paused".into())
    );
    assert_eq!(
        health_with("True", "Stopped"),
        ("Suspended".into(), "paused".into())
    );
}

#[tokio::test]
async fn argo_cd_shows_the_right_health_from_creation_to_deletion() {
    let mut world = World::without_operator("argocd").await;
    let made = world.create(&fixtures::minimal("files")).await;
    assert_eq!(health_of(&made).0, "Progressing");
    world.start_operator().await;
    let ready = world.ready("files").await;
    assert_eq!(health_of(&ready), ("Healthy".into(), message(&ready, "Ready")));

    let identity = json!({"jwt": {"secretRef": {"name": "signing", "key": "key"}}});
    world
        .create(&fixtures::server("broken", json!({"identity": identity})))
        .await;
    let waiting = world
        .server_until("broken", "waiting for its Secret", |server| {
            reason(server, "Progressing") == "WaitingForSecrets"
        })
        .await;
    let (status, said) = health_of(&waiting);
    assert!(
        status == "Progressing" && said.contains("Secret signing not found"),
        "{status}: {said}"
    );
    world
        .create(&fixtures::secret("signing", &[("key", "too short")]))
        .await;
    let failed = world
        .server_until("broken", "phase Failed", |server| phase(server) == "Failed")
        .await;
    assert_eq!(health_of(&failed), ("Degraded".into(), message(&failed, "Ready")));

    // A running server that gets such a key keeps running, and is Degraded.
    world
        .merge::<DittoServer>("files", json!({"spec": {"identity": identity}}))
        .await;
    let blocked = world
        .server_until("files", "blocked", |server| {
            reason(server, "Progressing") == "Blocked"
        })
        .await;
    assert_eq!(phase(&blocked), "Running");
    assert_eq!(health_of(&blocked).0, "Degraded");
    world
        .merge::<DittoServer>("files", json!({"spec": {"identity": null}}))
        .await;
    world.ready("files").await;

    // So is a running server if an object of another owner has the name of a child.
    let taken: Service = serde_json::from_value(json!({
        "metadata": {"name": "files-metrics"},
        "spec": {"ports": [{"port": 1}]},
    }))
    .expect("a Service");
    world.create(&taken).await;
    world
        .merge::<DittoServer>("files", json!({"spec": {"metrics": {"enabled": true}}}))
        .await;
    let beside = world
        .server_until("files", "running beside it", |server| {
            phase(server) == "Running" && reason(server, "Progressing") == "ResourceConflict"
        })
        .await;
    assert_eq!(
        health_of(&beside),
        ("Degraded".into(), message(&beside, "Stalled"))
    );
    world
        .merge::<DittoServer>("files", json!({"spec": {"metrics": null}}))
        .await;
    world.ready("files").await;

    let paused = json!({"metadata": {"annotations": {"dittofs.dittofs.com/paused": "true"}}});
    world.merge::<DittoServer>("files", paused).await;
    let paused = world
        .server_until("files", "paused", |server| {
            reason(server, "Progressing") == "Paused"
        })
        .await;
    assert_eq!(health_of(&paused).0, "Suspended");

    let stopped = json!({
        "metadata": {"annotations": {"dittofs.dittofs.com/paused": null}},
        "spec": {"replicas": 0},
    });
    let stopping = world.merge::<DittoServer>("files", stopped).await;
    assert_eq!(
        health_of(&stopping).0,
        "Progressing",
        "the operator has not seen the edit yet"
    );
    let stopped = world
        .server_until("files", "stopped", |server| {
            phase(server) == "Stopped" && is_ready(server)
        })
        .await;
    assert_eq!(health_of(&stopped).0, "Suspended");

    let mut going = stopped;
    going.metadata.deletion_timestamp = going.metadata.creation_timestamp.clone();
    assert_eq!(health_of(&going).0, "Progressing");
}

fn message(server: &DittoServer, kind: &str) -> String {
    wait::condition(server, kind)
        .expect("a condition")
        .message
        .clone()
}

fn reason(server: &DittoServer, kind: &str) -> String {
    wait::condition(server, kind)
        .map(|condition| condition.reason.clone())
        .unwrap_or_default()
}

fn is_ready(server: &DittoServer) -> bool {
    wait::condition(server, "Ready").is_some_and(|ready| ready.status == "True")
}

fn phase(server: &DittoServer) -> String {
    let value = serde_json::to_value(server).expect("JSON");
    value["status"]["phase"].as_str().unwrap_or_default().to_owned()
}
