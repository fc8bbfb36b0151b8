//! Waiting on conditions.

use std::fmt::Debug;
use std::time::Duration;

use dittofs_operator::api::DittoServer;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::wait::await_condition;
use kube::{Api, Resource};
use local_control_plane::ControlPlane;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::process::POLL;

/// The longest time that any wait may take. It is long because the machine may be slow. A wait ends as soon as it can.
pub const LONGEST: Duration = Duration::from_secs(60);

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
    tokio::time::timeout(LONGEST, answer).await.ok()
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
