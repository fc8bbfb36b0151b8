use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::*;
use crate::domain::validate::fixtures::{secret, world};

/// The cause of a pod with this status.
fn cause(status: &Value) -> Option<PodCause> {
    let mut observed = world("");
    observed.pods = Read::Found(vec![started_now(&observed, status)]);
    pod_cause(&observed)
}

/// A pod that was started with the values that the Secrets have now.
fn started_now(observed: &Observed, status: &Value) -> Arc<Pod> {
    let mut pod = pod(status);
    let hash = wanted_hash(observed).unwrap_or_default();
    let annotation = (names::CONFIG_HASH_ANNOTATION.to_owned(), hash);
    Arc::make_mut(&mut pod).metadata.annotations = Some([annotation].into());
    pod
}

fn pod(status: &Value) -> Arc<Pod> {
    let claim = json!({"name": "metadata", "persistentVolumeClaim": {"claimName": "metadata-files-0"}});
    let pod = json!({
        "metadata": {"name": "files-0"},
        "spec": {"containers": [], "volumes": [{"name": "config"}, claim]},
        "status": status,
    });
    Arc::new(serde_json::from_value(pod).expect("a pod"))
}

fn container(state: &Value) -> Value {
    let mut container = json!({
        "name": "dittofs", "image": "example.org/dittofs:2", "imageID": "", "ready": false, "restartCount": 0,
    });
    for (key, value) in state.as_object().expect("a map") {
        container[key] = value.clone();
    }
    json!({"containerStatuses": [container]})
}

fn waiting(reason: &str, message: &str) -> Value {
    container(&json!({"state": {"waiting": {"reason": reason, "message": message}}}))
}

fn not_scheduled(message: &str) -> Value {
    json!({"conditions": [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message},
    ]})
}

#[test]
fn a_claim_that_cannot_be_created_is_reported_once_the_stateful_set_was_observed() {
    let message = |generation: i64| {
        let mut observed = world("");
        let set = json!({
            "metadata": {"name": "files", "generation": 2},
            "spec": {
                "serviceName": "files-headless", "selector": {}, "template": {},
                "volumeClaimTemplates": [{"metadata": {"name": "metadata"}}],
            },
            "status": {"replicas": 0, "observedGeneration": generation},
        });
        observed.stateful_set = Read::Found(Arc::new(serde_json::from_value(set).expect("a StatefulSet")));
        observed.claims = Read::Found(Vec::new());
        let cause = pod_cause(&observed).expect("a cause");
        (cause.message, cause.is_fault)
    };
    let early = "pod files-0: does not exist yet. If this lasts, the events of the StatefulSet show why";
    assert_eq!(message(1), (early.into(), false));
    let refused = "pod files-0: does not exist, because PersistentVolumeClaim metadata-files-0 was not created yet. kubectl describe statefulset files shows why it is refused";
    assert_eq!(message(2), (refused.into(), true));
}

#[test]
fn each_fault_is_described_in_one_line() {
    let crash = json!({
        "restartCount": 3,
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s restarting failed container"}},
        "lastState": {"terminated": {"exitCode": 1, "reason": "Error", "message": "bad\n  configuration: jwt\n"}},
    });
    let killed = json!({"state": {"terminated": {"exitCode": 137, "signal": 9, "reason": "OOMKilled"}}, "restartCount": 1});
    let table = [
        (
            waiting(
                "ImagePullBackOff",
                "Back-off pulling image \"example.org/dittofs:2\"",
            ),
            "image example.org/dittofs:2 cannot be pulled (ImagePullBackOff): Back-off pulling image \"example.org/dittofs:2\"",
        ),
        (
            waiting("ErrImagePull", ""),
            "image example.org/dittofs:2 cannot be pulled (ErrImagePull)",
        ),
        (
            waiting("InvalidImageName", "couldn't parse image name"),
            "image example.org/dittofs:2 cannot be pulled (InvalidImageName): couldn't parse image name",
        ),
        (
            waiting("CreateContainerConfigError", "secret \"tokens\" not found"),
            "container dittofs cannot be created (CreateContainerConfigError): secret \"tokens\" not found",
        ),
        (
            container(&crash),
            "container dittofs crashes in a loop (CrashLoopBackOff), exit code 1 (Error), last message \"bad configuration: jwt\", restarted 3 times",
        ),
        (
            container(&killed),
            "container dittofs has exited, exit code 137, signal 9 (OOMKilled), restarted once",
        ),
        (
            not_scheduled("0/1 nodes are available: 1 Insufficient memory."),
            "no node accepts it (Unschedulable): 0/1 nodes are available: 1 Insufficient memory.",
        ),
        (
            container(&json!({"state": {"running": {}}, "restartCount": 2})),
            "container dittofs runs but is not ready, restarted 2 times",
        ),
        (
            json!({"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."}),
            "has failed (Evicted): The node was low on resource: memory.",
        ),
    ];
    for (status, message) in table {
        let cause = cause(&status).expect("a cause");
        assert_eq!(
            (cause.message, cause.is_fault),
            (format!("pod files-0: {message}"), true)
        );
    }
}

#[test]
fn the_normal_phases_of_a_start_and_a_stop_are_not_faults() {
    let table = [
        (json!({}), "its containers are not started yet"),
        (
            waiting("ContainerCreating", ""),
            "container dittofs is being started",
        ),
        (
            json!({"conditions": [{"type": "PodScheduled", "status": "True"}]}),
            "its containers are not started yet",
        ),
    ];
    for (status, message) in table {
        let cause = cause(&status).expect("a cause");
        assert_eq!(
            (cause.message, cause.is_fault),
            (format!("pod files-0: {message}"), false)
        );
    }
    let mut observed = world("");
    let going = json!({"metadata": {"name": "files-0", "deletionTimestamp": "2026-01-01T00:00:00Z"}});
    observed.pods = Read::Found(vec![Arc::new(serde_json::from_value(going).expect("a pod"))]);
    let cause = pod_cause(&observed).expect("a cause");
    assert_eq!(
        (cause.message.as_str(), cause.is_fault),
        ("pod files-0: is being deleted", false)
    );
}

#[test]
fn a_ready_pod_and_a_stopped_server_have_no_cause() {
    assert_eq!(
        cause(&json!({"conditions": [{"type": "Ready", "status": "True"}]})),
        None
    );
    assert_eq!(pod_cause(&world("replicas: 0")), None);
    assert!(
        pod_cause(&world("")).is_some_and(|cause| !cause.is_fault),
        "a pod that is not there yet"
    );
}

#[test]
fn a_claim_without_volume_is_named() {
    let claim = |phase: &str| {
        let claim = json!({"metadata": {"name": "metadata-files-0"}, "status": {"phase": phase}});
        Arc::new(serde_json::from_value(claim).expect("a claim"))
    };
    let mut observed = world("");
    observed.pods = Read::Found(vec![pod(&not_scheduled(
        "unbound immediate PersistentVolumeClaims",
    ))]);
    observed.claims = Read::Found(vec![claim("Pending")]);
    assert_eq!(
        pod_cause(&observed).expect("a cause").message,
        "pod files-0: volume claims are not bound: metadata-files-0: unbound immediate PersistentVolumeClaims"
    );
    observed.claims = Read::Found(vec![claim("Bound")]);
    assert!(
        pod_cause(&observed)
            .expect("a cause")
            .message
            .contains("no node accepts it")
    );
}

#[test]
fn a_failing_init_container_comes_before_those_that_wait_for_it() {
    let mut status = waiting("PodInitializing", "");
    let init = container(&json!({"name": "mesh", "state": {"terminated": {"exitCode": 2}}}));
    status["initContainerStatuses"] = init["containerStatuses"].clone();
    assert_eq!(
        cause(&status).expect("a cause").message,
        "pod files-0: container mesh has exited, exit code 2"
    );
    status["initContainerStatuses"][0]["state"] = json!({"terminated": {"exitCode": 0}});
    assert!(!cause(&status).expect("a cause").is_fault, "it has done its work");
}

#[test]
fn last_messages_are_shortened_and_contain_no_secret() {
    let mut observed = world("identity: {jwt: {secretRef: {name: tokens, key: k}}}");
    let key = "a-signing-key-of-more-than-thirty-two-bytes";
    observed.secrets.insert("tokens".into(), secret(&[("k", key)]));
    // The key would be cut in its middle.
    let words = format!("{} {key}", "x".repeat(QUOTE_MAX - 20));
    let ended = json!({"state": {"terminated": {"exitCode": 1, "message": words}}});
    observed.pods = Read::Found(vec![started_now(&observed, &container(&ended))]);
    let message = pod_cause(&observed).expect("a cause").message;
    assert!(message.contains("xxx (redacted)"), "{message}");
    assert!(!message.contains("a-signing"), "{message}");
    let long = json!({"state": {"terminated": {"exitCode": 1, "message": "é".repeat(5000)}}});
    assert!(cause(&container(&long)).expect("a cause").message.len() < QUOTE_MAX + 100);
}

#[test]
fn a_secret_is_not_shown_in_a_uri_nor_line_by_line() {
    let mut observed = world("identity: {jwt: {secretRef: {name: tokens, key: k}}}");
    let key = "first/line+of-a-key\nsecond line of a key";
    observed.secrets.insert("tokens".into(), secret(&[("k", key)]));
    let words =
        "postgres://u:first%2Fline%2Bof-a-key%0Asecond%20line%20of%20a%20key@h and second line of a key.";
    let ended = json!({"state": {"terminated": {"exitCode": 1, "message": words}}});
    observed.pods = Read::Found(vec![started_now(&observed, &container(&ended))]);
    let message = pod_cause(&observed).expect("a cause").message;
    assert!(
        message.contains("postgres://u:(redacted)@h and (redacted)."),
        "{message}"
    );
}

#[test]
fn nothing_is_quoted_while_it_is_not_known_what_must_not_be() {
    for read in [Read::Missing, Read::Unreadable("timed out".into())] {
        let mut observed = world("identity: {jwt: {secretRef: {name: tokens, key: k}}}");
        observed.secrets.insert("tokens".into(), read);
        let ended = json!({"state": {"terminated": {"exitCode": 3, "message": "the key is hunter2"}}});
        observed.pods = Read::Found(vec![started_now(&observed, &container(&ended))]);
        let message = pod_cause(&observed).expect("a cause").message;
        assert!(
            message.contains("exit code 3") && !message.contains("hunter2"),
            "{message}"
        );
    }
}

#[test]
fn of_a_long_last_message_the_end_is_quoted_because_the_cause_is_there() {
    let mut observed = world("image: x");
    let words = format!("{}\nError: größer: no krb5.conf\n", "INFO started\n".repeat(40));
    let ended = json!({"state": {"terminated": {"exitCode": 1, "message": words}}});
    observed.pods = Read::Found(vec![started_now(&observed, &container(&ended))]);
    let message = pod_cause(&observed).expect("a cause").message;
    assert!(message.contains("last message \"..."), "{message}");
    assert!(
        message.contains("INFO started Error: größer: no krb5.conf\""),
        "{message}"
    );
}

#[test]
fn a_line_that_the_kubelet_may_have_cut_is_not_quoted() {
    let mut observed = world("identity: {jwt: {secretRef: {name: tokens, key: k}}}");
    let key = "a-signing-key-of-more-than-thirty-two-bytes";
    observed.secrets.insert("tokens".into(), secret(&[("k", key)]));
    // What is left of a log whose last 2048 bytes begin within the key.
    let rest = format!("{} was refused\n", &key[5..]);
    let words = format!(
        "{rest}goodbye{}",
        // White space is not quoted, so the whole text is short.
        " ".repeat(2048 - rest.len() - "goodbye".len())
    );
    let message = |words: &str| {
        let mut observed = observed.clone();
        let ended = json!({"state": {"terminated": {"exitCode": 1, "message": words}}});
        observed.pods = Read::Found(vec![started_now(&observed, &container(&ended))]);
        pod_cause(&observed).expect("a cause").message
    };
    let text = message(&words);
    assert!(
        text.contains("last message \"goodbye\"") && !text.contains("key"),
        "{text}"
    );
    let one_line = words.replace('\n', " ");
    assert!(
        !message(&one_line).contains("last message"),
        "{}",
        message(&one_line)
    );
}

#[test]
fn nothing_is_quoted_while_the_pod_was_started_with_other_values() {
    let mut observed = world("identity: {jwt: {secretRef: {name: tokens, key: k}}}");
    let yesterday = "yesterdays-signing-key-of-more-than-thirty-two-bytes";
    observed
        .secrets
        .insert("tokens".into(), secret(&[("k", yesterday)]));
    let words = format!("token of {yesterday} was refused");
    let ended = json!({"state": {"terminated": {"exitCode": 3, "message": words}}});
    observed.pods = Read::Found(vec![started_now(&observed, &container(&ended))]);
    let message = |observed: &Observed| pod_cause(observed).expect("a cause").message;
    assert!(
        message(&observed).contains("token of (redacted) was refused"),
        "{}",
        message(&observed)
    );
    let today = "todays-signing-key-of-more-than-thirty-two-bytes";
    observed.secrets.insert("tokens".into(), secret(&[("k", today)]));
    assert!(
        message(&observed).ends_with("exit code 3"),
        "{}",
        message(&observed)
    );
    observed.pods = Read::Found(vec![pod(&container(&ended))]);
    assert!(
        message(&observed).ends_with("exit code 3"),
        "a pod without a hash"
    );
}

#[test]
fn a_claim_that_is_not_bound_is_named_with_its_class() {
    let mut observed = world("");
    let claim = json!({
        "metadata": {"name": "metadata-files-0"},
        "spec": {"storageClassName": "missing"},
        "status": {"phase": "Pending"},
    });
    observed.claims = Read::Found(vec![Arc::new(serde_json::from_value(claim).expect("a claim"))]);
    observed.pods = Read::Found(vec![pod(&not_scheduled("pod has unbound immediate claims"))]);
    let message = pod_cause(&observed).expect("a cause").message;
    assert!(
        message.contains("not bound: metadata-files-0 (StorageClass missing)"),
        "{message}"
    );
}
