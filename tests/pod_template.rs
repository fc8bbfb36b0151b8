//! Additions to the pod of a server: they appear, and leave with the spec; what others set stays.

use dittofs_operator::api::DittoServer;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;
use serde_json::{Value, json};

use crate::support::{World, fixtures, wait};

fn container<'p>(pod: &'p Value, name: &str) -> &'p Value {
    let containers = pod["spec"]["containers"].as_array().expect("containers");
    let found = containers.iter().find(|container| container["name"] == name);
    found.unwrap_or(&Value::Null)
}

async fn ready_pod(world: &World) -> Value {
    world.ready("files").await;
    serde_json::to_value(world.ready_pod("files-0").await).expect("a pod")
}

#[tokio::test]
async fn additions_to_the_pod_appear_and_leave_with_the_spec_and_what_others_set_stays() {
    let world = World::new("additions").await;
    let additions = json!({
        "labels": {"team": "files"},
        "annotations": {"example.org/mesh": "on"},
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "env": [{"name": "TZ", "value": "UTC"}],
        "volumes": [{"name": "scratch", "emptyDir": {}}],
        "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
        "sidecars": [{"name": "backup", "image": "example.org/backup:1"}],
    });
    let spec = json!({"replicas": 1, "podTemplate": additions});
    world.create(&fixtures::server("files", spec)).await;
    let pod = ready_pod(&world).await;
    assert_eq!(pod["metadata"]["labels"]["team"], "files");
    assert_eq!(pod["metadata"]["labels"]["app"], "dittofs-server");
    assert_eq!(pod["metadata"]["annotations"]["example.org/mesh"], "on");
    assert_eq!(pod["spec"]["nodeSelector"]["kubernetes.io/os"], "linux");
    assert_eq!(container(&pod, "backup")["image"], "example.org/backup:1");
    let ours = container(&pod, "dittofs");
    assert!(
        ours["env"].to_string().contains("\"TZ\"") && ours["volumeMounts"].to_string().contains("/scratch")
    );

    let by_another = json!({"spec": {"template": {"spec": {"priorityClassName": ""}, "metadata": {"labels": {"other": "x"}}}}});
    world.merge::<StatefulSet>("files", by_another).await;
    let without = json!({"spec": {"podTemplate": null}});
    world.merge::<DittoServer>("files", without).await;
    wait::until(world.api::<StatefulSet>(), "files", "without additions", |set| {
        let template = serde_json::to_value(set).expect("a StatefulSet")["spec"]["template"].take();
        container(&template, "backup").is_null()
    })
    .await;
    let set = world.get::<StatefulSet>("files").await;
    let template = serde_json::to_value(&set).expect("a StatefulSet")["spec"]["template"].take();
    assert_eq!(
        template["metadata"]["labels"],
        json!({"app": "dittofs-server", "instance": "files", "other": "x"})
    );
    assert!(template["spec"].get("nodeSelector").is_none());
    assert!(
        template["metadata"]["annotations"]
            .get("example.org/mesh")
            .is_none()
    );
    let ours = container(&template, "dittofs");
    for (list, gone) in [("env", "\"TZ\""), ("volumeMounts", "/scratch")] {
        assert!(!ours[list].to_string().contains(gone), "{}", ours[list]);
    }
    assert!(!template["spec"]["volumes"].to_string().contains("scratch"));
}

#[tokio::test]
async fn a_budget_protects_the_pod_while_the_spec_asks_for_it_and_is_corrected() {
    let world = World::new("budget").await;
    let on = json!({"podDisruptionBudget": {"enabled": true}});
    world.create(&fixtures::server("files", on)).await;
    world.ready("files").await;
    let budget = serde_json::to_value(world.get::<PodDisruptionBudget>("files").await).expect("a budget");
    assert_eq!(budget["spec"]["maxUnavailable"], 0);
    assert_eq!(
        budget["spec"]["selector"]["matchLabels"],
        json!({"app": "dittofs-server", "instance": "files"})
    );
    assert_eq!(budget["metadata"]["ownerReferences"][0]["kind"], "DittoServer");

    let edited = json!({"spec": {"maxUnavailable": 1}});
    world.merge::<PodDisruptionBudget>("files", edited).await;
    let budgets = world.api::<PodDisruptionBudget>();
    wait::until(budgets, "files", "corrected", |budget| {
        let spec = budget.spec.as_ref();
        spec.and_then(|spec| spec.max_unavailable.as_ref()) == Some(&IntOrString::Int(0))
    })
    .await;

    let off = json!({"spec": {"podDisruptionBudget": {"enabled": false}}});
    world.merge::<DittoServer>("files", off).await;
    world.ready("files").await;
    let left = world.api::<PodDisruptionBudget>().get_opt("files").await;
    assert_eq!(left.expect("an answer"), None);
}

#[tokio::test]
async fn an_addition_that_is_not_of_a_pod_is_named_and_the_pod_keeps_running() {
    let world = World::new("additions").await;
    world.create(&fixtures::minimal("files")).await;
    world.ready("files").await;
    let before = world.get::<Pod>("files-0").await.uid();
    for (additions, named) in [
        (
            json!({"sidecars": [{"name": "a", "imag": "x"}]}),
            "spec.podTemplate.sidecars[a].imag",
        ),
        (
            json!({"sidecars": [{"name": "a", "image": "x", "ports": [{"containerPort": 8080}]}]}),
            "has the port 8080",
        ),
    ] {
        world
            .merge::<DittoServer>("files", json!({"spec": {"podTemplate": additions}}))
            .await;
        world
            .server_until("files", "refused", |server| {
                let condition = wait::condition(server, "ConfigReady");
                condition.is_some_and(|condition| {
                    condition.message.contains(named) && condition.reason == "InvalidSpec"
                })
            })
            .await;
    }
    // What only the API server knows is refused by it, before the pod is replaced.
    let missing = json!({"spec": {"podTemplate": {"sidecars": null, "volumeMounts": [{"name": "nowhere", "mountPath": "/x"}]}}});
    world.merge::<DittoServer>("files", missing).await;
    world
        .server_until("files", "refused by the API server", |server| {
            let condition = wait::condition(server, "Ready");
            condition
                .is_some_and(|condition| condition.status == "False" && condition.message.contains("nowhere"))
        })
        .await;
    assert_eq!(world.get::<Pod>("files-0").await.uid(), before);
}
