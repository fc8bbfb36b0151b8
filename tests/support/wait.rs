//! Waiting on conditions.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use dittofs_operator::api::DittoServer;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::DynamicObject;
use kube::runtime::wait::await_condition;
use kube::{Api, Resource};
use local_control_plane::ControlPlane;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::process::POLL;

/// The longest time that any wait may take. It is long because the machine may be slow. A wait ends as soon as it can.
pub const LONGEST: Duration = Duration::from_secs(120);

/// Waits until an object exists and satisfies `holds`. Panics with the last state if that takes too long.
pub async fn until<K>(api: Api<K>, name: &str, what: &str, holds: impl Fn(&K) -> bool) -> K
where
    K: Resource + Clone + Debug + Send + Serialize + DeserializeOwned + 'static,
{
    let condition = |object: Option<&K>| object.is_some_and(&holds);
    let Some(object) = awaited(&api, name, condition).await else {
        panic!(
            "{name} did not become {what} in time; it is\n{}",
            shown(api.get_opt(name).await)
        );
    };
    object.expect("the condition saw an object")
}

/// Waits for a condition, and starts again if the watch fails, as it does on a busy API server. `None` if it takes too
/// long.
async fn awaited<K>(api: &Api<K>, name: &str, condition: impl Fn(Option<&K>) -> bool) -> Option<Option<K>>
where
    K: Resource + Clone + Debug + Send + DeserializeOwned + 'static,
{
    let answer = async {
        loop {
            let condition = |object: Option<&K>| condition(object);
            if let Ok(object) = await_condition(api.clone(), name, condition).await {
                return object;
            }
            tokio::time::sleep(POLL).await;
        }
    };
    // On the heap: the future of a watch is large, and a test waits many times.
    tokio::time::timeout(LONGEST, Box::pin(answer)).await.ok()
}

/// Waits until something holds that no object shows. It is asked again after each pause.
pub async fn holds(what: &str, longest: Duration, pause: Duration, holds: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + longest;
    while !holds().await {
        assert!(Instant::now() < deadline, "not {what} in time");
        tokio::time::sleep(pause).await;
    }
}

/// Waits until an object of any kind exists.
pub async fn until_exists(api: Api<DynamicObject>, name: &str) -> DynamicObject {
    let deadline = Instant::now() + LONGEST;
    loop {
        if let Some(object) = api.get_opt(name).await.expect("a read") {
            return object;
        }
        assert!(Instant::now() < deadline, "{name} does not exist");
        tokio::time::sleep(POLL).await;
    }
}

fn shown<K: Resource + Serialize>(read: kube::Result<Option<K>>) -> String {
    match read {
        Ok(Some(mut object)) => {
            object.meta_mut().managed_fields = None;
            serde_yaml::to_string(&object).unwrap_or_else(|error| error.to_string())
        }
        Ok(None) => "absent".into(),
        Err(error) => error.to_string(),
    }
}

/// Waits until an object is gone, or is another one of the same name.
pub async fn until_gone<K>(api: Api<K>, name: &str, uid: Option<String>)
where
    K: Resource + Clone + Debug + Send + DeserializeOwned + 'static,
{
    let condition = |object: Option<&K>| object.is_none_or(|object| object.meta().uid != uid);
    let gone = awaited(&api, name, condition).await;
    assert!(gone.is_some(), "{name} did not go in time");
}

/// A condition of a server.
pub fn condition<'a>(server: &'a DittoServer, type_: &str) -> Option<&'a Condition> {
    server
        .status
        .as_ref()?
        .conditions
        .iter()
        .find(|condition| condition.type_ == type_)
}

/// Whether the API of a running server has answered, and the Services of its adapters exist.
pub fn is_known(server: &DittoServer) -> bool {
    let Some(status) = &server.status else {
        return false;
    };
    let is_reachable = status.api.as_ref().is_some_and(|api| api.reachable);
    // The double speaks plain http.
    status.ready_replicas == Some(0)
        || server.spec.api_over_https()
        || (is_reachable && !status.endpoints.is_empty())
}

/// Whether a condition of a server has this status and reason.
pub fn is(server: &DittoServer, type_: &str, status: &str, reason: &str) -> bool {
    condition(server, type_).is_some_and(|condition| condition.status == status && condition.reason == reason)
}

/// Prints what a namespace holds, for a failed test.
pub fn dump(control_plane: &ControlPlane, namespace: &str) {
    for what in [
        "dittoservers,statefulsets,pods,pvc,services,configmaps,secrets,perconapgclusters",
        "events",
    ] {
        let output = control_plane
            .kubectl()
            .args(["-n", namespace, "get", what, "-o", "wide"])
            .output();
        let text = output
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
            .unwrap_or_default();
        eprintln!("--- {namespace}: {what}\n{text}");
    }
    dump_logs(control_plane, namespace);
    let output = control_plane
        .kubectl()
        .args(["-n", namespace, "get", "dittoservers", "-o", "yaml"])
        .output();
    eprintln!(
        "{}",
        output
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
            .unwrap_or_default()
    );
}

/// Prints the logs of real servers.
fn dump_logs(control_plane: &ControlPlane, namespace: &str) {
    for log in control_plane.pod_logs(namespace) {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        eprintln!("--- {}\n{text}", log.display());
    }
}
