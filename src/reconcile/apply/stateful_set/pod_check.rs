//! Before a rollout: whether the API server would accept the new pod.
//!
//! A StatefulSet deletes the old pod before it creates the new one. If a quota, a limit range, Pod Security or a policy then refuses
//! the new pod, the server is gone. So the pod that the template makes is created as a dry run first. While it is refused, the
//! StatefulSet and the configuration stay as they are, and the old pod keeps running.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::ResourceExt;
use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::super::error::Error;
use super::super::live::{Child, Live};
use super::super::writer::{Write, Writer};
use crate::api::{names, quantity};
use crate::cluster::cache::Lookup;
use crate::cluster::client::errors;
use crate::cluster::client::params::post_dry_run;
use crate::domain::applied::FailureClass;
use crate::domain::workload::rollout;

/// Asks about the pod of a template that differs from the live one. Nothing is asked if no pod would be replaced.
pub(in super::super) async fn check(
    writer: &Writer<'_>,
    live: &Live<StatefulSet>,
    merged: &Value,
) -> Result<(), Error> {
    let name = names::pod(&writer.server.name_any());
    let Lookup::Found(old) = Pod::lookup(writer.context, writer.namespace(), &name) else {
        return Ok(());
    };
    let is_replaced = live.fields["spec"]["template"] != merged["spec"]["template"]
        && rollout::is_automatic(&live.object)
        && rollout::replicas(&live.object) > 0
        && writer.server.spec.desired_replicas() > 0
        && old.metadata.deletion_timestamp.is_none();
    if !is_replaced {
        return Ok(());
    }
    let pod = pod(&name, writer.namespace(), live, merged);
    let old = Some(old.as_ref());
    let write = Write::AskForPod { pod: &pod, old };
    match writer.send::<Pod>(&name, write).await {
        // Nothing is written while the server is paused, so nothing is asked.
        Err(Error::Stopped(_)) => Ok(()),
        asked => asked.map(drop),
    }
}

/// Asks about the first pod of a StatefulSet.
pub(in super::super) async fn first(
    writer: &Writer<'_>,
    stateful_set: &Arc<StatefulSet>,
) -> Result<(), Error> {
    let live = Live::cached(stateful_set)?;
    let name = names::pod(&live.object.name_any());
    let pod = pod(&name, writer.namespace(), &live, &live.fields);
    match writer
        .send::<Pod>(&name, Write::AskForPod { pod: &pod, old: None })
        .await
    {
        Err(Error::Stopped(_)) => Ok(()),
        asked => asked.map(drop),
    }
}

/// The pod that the StatefulSet controller would create.
fn pod(name: &str, namespace: &str, live: &Live<StatefulSet>, merged: &Value) -> Value {
    let template = &merged["spec"]["template"];
    let mut pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": template["metadata"]["labels"],
            "annotations": template["metadata"]["annotations"],
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "StatefulSet", "name": live.object.name_any(), "uid": live.meta().uid, "controller": true,
            }],
        },
        "spec": template["spec"],
    });
    pod["metadata"]["labels"]["apps.kubernetes.io/pod-index"] = json!("0");
    pod["metadata"]["labels"]["statefulset.kubernetes.io/pod-name"] = json!(name);
    let templates = merged["spec"]["volumeClaimTemplates"]
        .as_array()
        .into_iter()
        .flatten();
    let claims = templates
        .filter_map(|template| template["metadata"]["name"].as_str())
        .map(|volume| {
            let claim = names::claim(volume, &live.object.name_any());
            json!({"name": volume, "persistentVolumeClaim": {"claimName": claim}})
        });
    let claims: Vec<Value> = claims.collect();
    match pod["spec"]["volumes"].as_array_mut() {
        Some(volumes) => volumes.extend(claims),
        None => pod["spec"]["volumes"] = json!(claims),
    }
    pod
}

/// Creates the pod as a dry run.
pub(in super::super) async fn ask(writer: &Writer<'_>, pod: &Value, old: Option<&Pod>) -> Result<(), Error> {
    let pod = serde_json::from_value(pod.clone())?;
    let asked = writer.api::<Pod>().create(&post_dry_run(), &pod).await;
    match old {
        Some(old) => judge(
            asked,
            "a dry run of its pod",
            Some(&|resource| freed(old, resource)),
        ),
        None => judge(asked, "a dry run of its pod", None),
    }
}

/// Judges the answer to a dry-run create. `freed` is how much of a resource of a quota the object uses that it replaces; `None` if it
/// replaces none.
pub(super) fn judge(
    asked: kube::Result<DynamicObject>,
    verb: &'static str,
    freed: Option<&dyn Fn(&str) -> i128>,
) -> Result<(), Error> {
    let Err(error) = asked else {
        return Ok(());
    };
    let kube::Error::Api(status) = &error else {
        return Err(Error::call(verb)(error));
    };
    // Admission comes first, so the name of the old object is the last thing that is checked.
    if status.reason == "AlreadyExists" || freed.is_some_and(|freed| fits_without(&status.message, freed)) {
        return Ok(());
    }
    let cannot_be_asked = matches!(errors::class(&error), FailureClass::Call) && status.code == 403
        || status.message.contains("does not support dry run");
    if cannot_be_asked {
        tracing::warn!(
            error = %errors::explain(&error),
            "{verb} is not possible; the rollout starts unchecked"
        );
        return Ok(());
    }
    Err(Error::call(verb)(error))
}

/// Whether a quota that is exceeded has room once the old object is gone. A message that is not understood counts as room: the check
/// must not block a rollout that works.
fn fits_without(message: &str, freed: &dyn Fn(&str) -> i128) -> bool {
    let Some((_, exceeded)) = message.split_once("exceeded quota: ") else {
        return false;
    };
    let part = |name: &str| {
        let (_, rest) = exceeded.split_once(name)?;
        let list = rest.split(", ").next()?;
        let amounts = list.split(',').filter_map(|pair| {
            let (resource, amount) = pair.split_once('=')?;
            Some((resource.trim().to_owned(), quantity::nanos(amount.trim())?))
        });
        Some(amounts.collect::<BTreeMap<String, i128>>())
    };
    let (Some(requested), Some(used), Some(limited)) =
        (part("requested: "), part("used: "), part("limited: "))
    else {
        return true;
    };
    requested.iter().all(|(resource, amount)| {
        let (Some(used), Some(limited)) = (used.get(resource), limited.get(resource)) else {
            return true;
        };
        used + amount - freed(resource) <= *limited
    })
}

/// One object, as a quota counts it.
pub(super) const ONE: i128 = 1_000_000_000;

/// How much of a resource of a quota a pod uses.
fn freed(pod: &Pod, resource: &str) -> i128 {
    if matches!(resource, "pods" | "count/pods") {
        return ONE;
    }
    let of_limits = resource.strip_prefix("limits.");
    let name = of_limits.unwrap_or_else(|| resource.trim_start_matches("requests."));
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let amounts = containers.filter_map(|container| {
        let resources = container.resources.as_ref()?;
        let amounts = if of_limits.is_some() {
            &resources.limits
        } else {
            &resources.requests
        };
        let Quantity(amount) = amounts.as_ref()?.get(name)?;
        quantity::nanos(amount)
    });
    amounts.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod() -> Pod {
        serde_json::from_value(json!({"spec": {"containers": [
            {"name": "dittofs", "resources": {"requests": {"cpu": "500m"}, "limits": {"cpu": "500m", "memory": "1Gi"}}},
        ]}}))
        .expect("a pod")
    }

    #[test]
    fn a_quota_that_only_the_old_pod_exhausts_does_not_block_a_rollout() {
        let exceeded = |text: &str| format!("pods \"files-0\" is forbidden: exceeded quota: team, {text}");
        let table = [
            ("requested: pods=1, used: pods=1, limited: pods=1", true),
            (
                "requested: limits.cpu=1, used: limits.cpu=500m, limited: limits.cpu=1",
                true,
            ),
            (
                "requested: limits.cpu=2, used: limits.cpu=500m, limited: limits.cpu=1",
                false,
            ),
            (
                "requested: limits.cpu=1,pods=1, used: limits.cpu=1,pods=1, limited: limits.cpu=1,pods=1",
                false,
            ),
            (
                "requested: requests.cpu=500m, used: requests.cpu=1, limited: requests.cpu=1",
                true,
            ),
            (
                "requested: memory=2Gi, used: memory=1Gi, limited: memory=2Gi",
                false,
            ),
            ("in words that nobody knows", true),
        ];
        for (text, fits) in table {
            assert_eq!(
                fits_without(&exceeded(text), &|resource| freed(&pod(), resource)),
                fits,
                "{text}"
            );
        }
        assert!(!fits_without(
            "maximum cpu usage per Container is 500m, but limit is 1",
            &|resource| freed(&pod(), resource)
        ));
    }
}
