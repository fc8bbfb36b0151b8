//! Plays the controllers of Kubernetes: gives each StatefulSet its claims and its pod, as they are in a running cluster.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::api::{CLAIMS, Call, PODS, STATEFUL_SETS};
use crate::error::Result;
use crate::world::{BUILDERS, World};

/// How long the pods are ready already: the operator asks young servers more often.
const READY_FOR: SignedDuration = SignedDuration::from_hours(1);

/// Creates claims and pods for all StatefulSets of a namespace, with the status that a cluster would write.
pub async fn play(world: &World, namespace: &str) -> Result<()> {
    let sets = world.api.list(STATEFUL_SETS, namespace).await?;
    let jobs = sets.iter().map(|set| job(namespace, set));
    world.api.all(BUILDERS, jobs.collect::<Vec<_>>()).await?;
    Ok(())
}

fn job(namespace: &str, set: &Value) -> Vec<Call> {
    let pod = pod(set);
    let pod_name = text(&pod["metadata"]["name"]);
    let mut calls: Vec<Call> = templates(set)
        .flat_map(|template| {
            let claim = claim(set, template);
            let status = format!("{}/status", text(&claim["metadata"]["name"]));
            let bound = Call::merge(CLAIMS, namespace, &status, &bound(&claim));
            [Call::create(CLAIMS, namespace, &claim), bound]
        })
        .collect();
    calls.push(Call::create(PODS, namespace, &pod));
    let running = &running(&pod);
    calls.push(Call::merge(
        PODS,
        namespace,
        &format!("{pod_name}/status"),
        running,
    ));
    let name = text(&set["metadata"]["name"]);
    calls.push(Call::merge(
        STATEFUL_SETS,
        namespace,
        &format!("{name}/status"),
        &complete(set),
    ));
    calls
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn templates(set: &Value) -> impl Iterator<Item = &Value> {
    set["spec"]["volumeClaimTemplates"]
        .as_array()
        .into_iter()
        .flatten()
}

fn revision(set: &Value) -> String {
    format!("{}-6d5f8c7b9d", text(&set["metadata"]["name"]))
}

fn claim_name(set: &Value, template: &Value) -> String {
    let (volume, name) = (
        text(&template["metadata"]["name"]),
        text(&set["metadata"]["name"]),
    );
    format!("{volume}-{name}-0")
}

fn claim(set: &Value, template: &Value) -> Value {
    let mut spec = template["spec"].clone();
    spec["volumeName"] = json!(format!("pvc-{}", text(&set["metadata"]["uid"])));
    spec["storageClassName"] = json!("standard");
    json!({
        "metadata": {
            "name": claim_name(set, template),
            "labels": set["spec"]["selector"]["matchLabels"],
            "annotations": {
                "pv.kubernetes.io/bind-completed": "yes",
                "pv.kubernetes.io/bound-by-controller": "yes",
            },
            "finalizers": ["kubernetes.io/pvc-protection"],
        },
        "spec": spec,
    })
}

fn bound(claim: &Value) -> Value {
    let spec = &claim["spec"];
    json!({"status": {
        "phase": "Bound",
        "accessModes": spec["accessModes"],
        "capacity": spec["resources"]["requests"],
    }})
}

fn pod(set: &Value) -> Value {
    let name = text(&set["metadata"]["name"]);
    let template = &set["spec"]["template"];
    let mut labels = template["metadata"]["labels"].clone();
    labels["controller-revision-hash"] = json!(revision(set));
    labels["statefulset.kubernetes.io/pod-name"] = json!(format!("{name}-0"));
    let mut spec = template["spec"].clone();
    let claims = templates(set).map(|template| {
        json!({
            "name": template["metadata"]["name"],
            "persistentVolumeClaim": {"claimName": claim_name(set, template)},
        })
    });
    let volumes = spec["volumes"].as_array().cloned().unwrap_or_default();
    spec["volumes"] = volumes.into_iter().chain(claims).collect();
    spec["hostname"] = json!(format!("{name}-0"));
    spec["subdomain"] = set["spec"]["serviceName"].clone();
    spec["nodeName"] = json!("node-1");
    json!({
        "metadata": {
            "name": format!("{name}-0"),
            "labels": labels,
            "annotations": template["metadata"]["annotations"],
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "StatefulSet", "name": name,
                "uid": set["metadata"]["uid"], "controller": true, "blockOwnerDeletion": true,
            }],
        },
        "spec": spec,
    })
}

fn running(pod: &Value) -> Value {
    let since = (Timestamp::now() - READY_FOR)
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string();
    let types = [
        "PodReadyToStartContainers",
        "Initialized",
        "Ready",
        "ContainersReady",
        "PodScheduled",
    ];
    let conditions: Vec<Value> = types
        .iter()
        .map(|kind| json!({"type": kind, "status": "True", "lastTransitionTime": since}))
        .collect();
    let container = &pod["spec"]["containers"][0];
    json!({"status": {
        "phase": "Running",
        "conditions": conditions,
        "hostIP": "192.0.2.1",
        "podIP": "10.0.0.1",
        "podIPs": [{"ip": "10.0.0.1"}],
        "startTime": since,
        "qosClass": "BestEffort",
        "containerStatuses": [{
            "name": container["name"], "image": container["image"],
            "imageID": "docker.io/marmos91c/dittofs@sha256:0000000000000000000000000000000000000000000000000000000000000000",
            "containerID": "containerd://0000000000000000000000000000000000000000000000000000000000000000",
            "ready": true, "started": true, "restartCount": 0, "state": {"running": {"startedAt": since}},
        }],
    }})
}

fn complete(set: &Value) -> Value {
    json!({"status": {
        "observedGeneration": set["metadata"]["generation"],
        "replicas": 1, "readyReplicas": 1, "availableReplicas": 1, "currentReplicas": 1, "updatedReplicas": 1,
        "currentRevision": revision(set), "updateRevision": revision(set), "collisionCount": 0,
    }})
}
