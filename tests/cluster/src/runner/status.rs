//! The status of a pod from the states of its containers. Pure.

use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateRunning, ContainerStateWaiting, ContainerStatus, HostIP, Pod, PodCondition,
    PodIP, PodStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// The address of the node: this machine.
pub(super) const HOST: &str = "127.0.0.1";

/// How a container is before its process runs.
pub(super) fn waiting(reason: &str, message: Option<String>) -> ContainerState {
    ContainerState {
        waiting: Some(ContainerStateWaiting {
            reason: Some(reason.to_owned()),
            message,
        }),
        ..ContainerState::default()
    }
}

pub(super) fn running(since: Time) -> ContainerState {
    ContainerState {
        running: Some(ContainerStateRunning {
            started_at: Some(since),
        }),
        ..ContainerState::default()
    }
}

/// What the API server is told about a pod.
pub(super) fn of(pod: &Pod, containers: Vec<ContainerStatus>, address: &str, now: &Time) -> PodStatus {
    let known = pod.status.clone().unwrap_or_default();
    let phase = phase(pod, &containers);
    let is_over = matches!(phase, "Succeeded" | "Failed");
    let unready: Vec<_> = containers
        .iter()
        .filter(|of| !of.ready)
        .map(|of| of.name.as_str())
        .collect();
    let ready = !is_over && unready.is_empty();
    let because = (!ready).then(|| format!("containers with unready status: [{}]", unready.join(" ")));
    let gates = gates_are_open(pod);
    let condition = |kind: &str, holds: bool, message: Option<&String>| PodCondition {
        type_: kind.to_owned(),
        status: if holds { "True" } else { "False" }.to_owned(),
        reason: (!holds).then(|| "ContainersNotReady".to_owned()),
        message: message.cloned(),
        last_transition_time: Some(since(&known, kind, holds, now)),
        ..PodCondition::default()
    };
    let conditions = vec![
        condition("PodReadyToStartContainers", true, None),
        condition("Initialized", true, None),
        condition("ContainersReady", ready, because.as_ref()),
        condition("Ready", ready && gates, because.as_ref()),
    ];
    PodStatus {
        phase: Some(phase.to_owned()),
        conditions: Some(conditions),
        container_statuses: Some(containers),
        host_ip: Some(HOST.to_owned()),
        host_ips: Some(vec![HostIP { ip: HOST.to_owned() }]),
        pod_ip: Some(address.to_owned()),
        pod_ips: Some(vec![PodIP {
            ip: address.to_owned(),
        }]),
        start_time: known.start_time.or_else(|| Some(now.clone())),
        ..PodStatus::default()
    }
}

/// When a condition took its present status.
fn since(known: &PodStatus, kind: &str, holds: bool, now: &Time) -> Time {
    let status = if holds { "True" } else { "False" };
    let mut conditions = known.conditions.iter().flatten();
    conditions
        .find(|condition| condition.type_ == kind && condition.status == status)
        .and_then(|condition| condition.last_transition_time.clone())
        .unwrap_or_else(|| now.clone())
}

fn gates_are_open(pod: &Pod) -> bool {
    let gates = pod
        .spec
        .iter()
        .flat_map(|spec| spec.readiness_gates.iter().flatten());
    let conditions = pod
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_deref())
        .unwrap_or_default();
    gates.into_iter().all(|gate| {
        let mut of_gate = conditions
            .iter()
            .filter(|condition| condition.type_ == gate.condition_type);
        of_gate.any(|condition| condition.status == "True")
    })
}

/// As the kubelet's `getPhase`.
fn phase(pod: &Pod, containers: &[ContainerStatus]) -> &'static str {
    let state = |container: &ContainerStatus| container.state.clone().unwrap_or_default();
    let ended = |container: &ContainerStatus| state(container).terminated.map(|end| end.exit_code);
    let never_ran = |container: &ContainerStatus| {
        let last = container
            .last_state
            .as_ref()
            .and_then(|last| last.terminated.as_ref());
        state(container).waiting.is_some() && last.is_none()
    };
    if containers.iter().any(never_ran) {
        return "Pending";
    }
    let policy = pod.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref());
    let is_final = |container: &ContainerStatus| {
        matches!(
            (policy, ended(container)),
            (Some("Never"), Some(_)) | (Some("OnFailure"), Some(0))
        )
    };
    if !containers.iter().all(is_final) {
        return "Running";
    }
    if containers.iter().all(|container| ended(container) == Some(0)) {
        "Succeeded"
    } else {
        "Failed"
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::jiff::Timestamp;
    use serde_json::{Value, json};

    use super::*;

    fn status(policy: &str, container: &Value) -> PodStatus {
        let pod = json!({
            "metadata": {"name": "p"},
            "spec": {"restartPolicy": policy, "containers": [{"name": "c"}]},
            "status": {"conditions": [
                {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"},
            ]},
        });
        let mut container = container.clone();
        for (name, value) in [
            ("name", json!("c")),
            ("image", json!("")),
            ("imageID", json!("")),
            ("restartCount", json!(0)),
        ] {
            container[name] = value;
        }
        let container = serde_json::from_value(container).unwrap();
        let pod = serde_json::from_value(pod).unwrap();
        of(&pod, vec![container], "127.64.0.1", &Time(Timestamp::UNIX_EPOCH))
    }

    #[test]
    fn the_phase_follows_the_containers_and_the_restart_policy() {
        let runs = json!({"ready": true, "state": {"running": {}}});
        let waits = json!({"ready": false, "state": {"waiting": {"reason": "ContainerCreating"}}});
        let crashed = json!({
            "ready": false, "state": {"waiting": {}}, "lastState": {"terminated": {"exitCode": 1}},
        });
        let done = json!({"ready": false, "state": {"terminated": {"exitCode": 0}}});
        let failed = json!({"ready": false, "state": {"terminated": {"exitCode": 1}}});
        let cases = [
            ("Always", &runs, "Running"),
            ("Always", &waits, "Pending"),
            ("Always", &crashed, "Running"),
            ("Always", &done, "Running"),
            ("OnFailure", &done, "Succeeded"),
            ("OnFailure", &failed, "Running"),
            ("Never", &failed, "Failed"),
        ];
        for (policy, container, phase) in cases {
            assert_eq!(
                status(policy, container).phase.as_deref(),
                Some(phase),
                "{policy} {container}"
            );
        }
    }

    #[test]
    fn a_condition_keeps_its_time_while_its_status_stays() {
        let ready = |container: &Value| {
            let conditions = status("Always", container).conditions.unwrap();
            let condition = conditions
                .into_iter()
                .find(|condition| condition.type_ == "Ready")
                .unwrap();
            (condition.status, condition.last_transition_time.unwrap().0)
        };
        let (status, time) = ready(&json!({"ready": true, "state": {"running": {}}}));
        assert_eq!(
            (status.as_str(), time.to_string().as_str()),
            ("True", "2026-01-01T00:00:00Z")
        );
        let (status, time) = ready(&json!({"ready": false, "state": {"running": {}}}));
        assert_eq!((status.as_str(), time), ("False", Timestamp::UNIX_EPOCH));
    }
}
