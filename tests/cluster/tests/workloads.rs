//! What the full size does with workloads.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::Client;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kube::runtime::wait::{await_condition, conditions};
use serde_json::{Value, json};

use crate::support::{PATIENCE, full, namespace, until};

fn stateful_set(class: &str) -> StatefulSet {
    serde_json::from_value(json!({
        "metadata": {"name": "web"},
        "spec": {
            "serviceName": "web",
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [
                    {"name": "web", "image": "web:1", "volumeMounts": [{"name": "data", "mountPath": "/data"}]},
                ]},
            },
            "volumeClaimTemplates": [{
                "metadata": {"name": "data"},
                "spec": {
                    "accessModes": ["ReadWriteOnce"],
                    "storageClassName": class,
                    "resources": {"requests": {"storage": "1Gi"}},
                },
            }],
        },
    }))
    .unwrap()
}

fn has_ready(replicas: i32) -> impl Fn(Option<&StatefulSet>) -> bool {
    move |set| {
        let status = set.and_then(|set| set.status.as_ref());
        status.is_some_and(|status| status.ready_replicas.unwrap_or(0) == replicas)
    }
}

fn annotate(value: &Value) -> Patch<Value> {
    Patch::Merge(json!({"metadata": {"annotations": {"local-control-plane/ready": value}}}))
}

#[tokio::test]
async fn a_statefulset_with_a_volume_becomes_ready_and_follows_its_pod() {
    let client = full().await.client().unwrap();
    let namespace = namespace(&client, "ready").await;
    let sets = Api::<StatefulSet>::namespaced(client.clone(), &namespace);
    let pods = Api::<Pod>::namespaced(client, &namespace);
    sets.create(&PostParams::default(), &stateful_set("standard"))
        .await
        .unwrap();
    until(&sets, "web", has_ready(1)).await;

    let params = PatchParams::default();
    pods.patch("web-0", &params, &annotate(&json!("false")))
        .await
        .unwrap();
    until(&sets, "web", has_ready(0)).await;
    pods.patch("web-0", &params, &annotate(&Value::Null))
        .await
        .unwrap();
    until(&sets, "web", has_ready(1)).await;
}

#[tokio::test]
async fn the_kubelets_terminate_only_deleted_pods() {
    let control_plane = full().await;
    let client = control_plane.client().unwrap();
    let namespace = namespace(&client, "ends").await;
    let pods = Api::<Pod>::namespaced(client, &namespace);
    let pod =
        json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "server:1"}]}});
    pods.create(&PostParams::default(), &serde_json::from_value(pod).unwrap())
        .await
        .unwrap();
    let mut config = control_plane.client_config();
    config.auth_info.impersonate = Some("system:kwok".into());
    config.auth_info.impersonate_groups = Some(vec!["system:masters".into()]);
    let kwok = Api::<Pod>::namespaced(Client::try_from(config).unwrap(), &namespace);
    let asked = DeleteParams::default().dry_run();
    // The API server takes a new policy up by a watch of its own.
    let refused = loop {
        match kwok.delete("p", &asked).await {
            Ok(_) => tokio::task::yield_now().await,
            Err(error) => break error.to_string(),
        }
    };
    assert!(refused.contains("nobody has deleted this pod"), "{refused}");
    let deleted = pods.delete("p", &DeleteParams::default()).await.unwrap();
    let uid = deleted.left().and_then(|pod| pod.metadata.uid).unwrap();
    let gone = await_condition(pods, "p", conditions::is_deleted(&uid));
    tokio::time::timeout(PATIENCE, gone).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_pod_with_the_image_tag_crash_is_in_a_crash_loop() {
    let client = full().await.client().unwrap();
    let namespace = namespace(&client, "crash").await;
    let pods = Api::<Pod>::namespaced(client, &namespace);
    let pod = json!({
        "metadata": {"name": "broken"},
        "spec": {"containers": [{"name": "c", "image": "server:crash"}]},
    });
    pods.create(&PostParams::default(), &serde_json::from_value(pod).unwrap())
        .await
        .unwrap();
    until(&pods, "broken", |pod: Option<&Pod>| {
        let status = serde_json::to_value(pod.and_then(|pod| pod.status.as_ref())).unwrap();
        status["containerStatuses"][0]["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    })
    .await;
}

#[tokio::test]
async fn a_claim_is_expanded_only_if_its_class_allows_it() {
    let client = full().await.client().unwrap();
    for (class, grows) in [("standard", true), ("fixed", false)] {
        let namespace = namespace(&client, class).await;
        let sets = Api::<StatefulSet>::namespaced(client.clone(), &namespace);
        sets.create(&PostParams::default(), &stateful_set(class))
            .await
            .unwrap();
        until(&sets, "web", has_ready(1)).await;
        let claims = Api::<PersistentVolumeClaim>::namespaced(client.clone(), &namespace);
        let patch = Patch::Merge(json!({"spec": {"resources": {"requests": {"storage": "2Gi"}}}}));
        let answer = claims.patch("data-web-0", &PatchParams::default(), &patch).await;
        assert_eq!(answer.is_ok(), grows, "{class}: {answer:?}");
        if grows {
            until(&claims, "data-web-0", |claim: Option<&PersistentVolumeClaim>| {
                let claim = serde_json::to_value(claim).unwrap();
                claim["status"]["capacity"]["storage"] == "2Gi"
            })
            .await;
        }
    }
}
