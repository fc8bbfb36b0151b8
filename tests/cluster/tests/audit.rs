//! The audit log that tests count calls in.

use std::fs;

use http::HeaderValue;
use http::header::USER_AGENT;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, PostParams};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

use crate::support::{api, eventually, namespace};

#[tokio::test]
async fn the_audit_log_has_each_call_with_its_verb_and_user_agent() {
    let control_plane = api().await;
    let namespace = namespace(&control_plane.client().unwrap(), "audit").await;
    let mut config = control_plane.client_config();
    config
        .headers
        .push((USER_AGENT, HeaderValue::from_static("audited/1.0")));
    let maps = Api::<ConfigMap>::namespaced(Client::try_from(config).unwrap(), &namespace);
    let map = serde_json::from_value(json!({"metadata": {"name": "one"}})).unwrap();
    let created = maps.create(&PostParams::default(), &map).await.unwrap();
    maps.get(&created.name_any()).await.unwrap();

    let calls = eventually("both calls are in the audit log", async || {
        let log = fs::read_to_string(control_plane.audit_log()).unwrap();
        let calls: Vec<Value> = log
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .filter(|call: &Value| call["userAgent"] == "audited/1.0")
            .collect();
        (calls.len() >= 2).then_some(calls)
    })
    .await;
    let verbs: Vec<_> = calls.iter().map(|call| call["verb"].as_str().unwrap()).collect();
    assert_eq!(verbs, ["create", "get"]);
    assert!(
        calls
            .iter()
            .all(|call| call["objectRef"]["resource"] == "configmaps")
    );
}
