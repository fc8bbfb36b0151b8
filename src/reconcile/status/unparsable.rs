//! The status of a stored DittoServer that does not parse.
//!
//! The schema refuses such objects, but one that was stored under an older schema stays. It cannot be reconciled, and its status
//! must say so.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Api;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::ApiResource;
use kube::core::error_boundary::InvalidObject;
use serde_json::json;

use super::Error;
use crate::api::names::{self, FIELD_MANAGER};
use crate::api::{DittoServer, DittoServerStatus, Phase};
use crate::cluster::cache::Lookup;
use crate::domain::conditions;
use crate::domain::status::changed;
use crate::reconcile::context::Context;

/// Reports in the status that the stored object does not parse. Writes only if the status changes.
///
/// # Errors
/// When the API server refuses, or does not answer in time.
#[tracing::instrument(name = "status", level = "debug", skip_all)]
pub async fn report_unparsable(context: &Context, invalid: &InvalidObject) -> Result<(), Error> {
    let (namespace, name) = (
        invalid.metadata.namespace.as_deref(),
        invalid.metadata.name.as_deref(),
    );
    let (namespace, name) = (namespace.unwrap_or_default(), name.unwrap_or_default());
    let resource = ApiResource::erase::<DittoServer>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(context.client.clone(), namespace, &resource);
    let Some(stored) = api.get_opt(name).await.map_err(Box::new)? else {
        return Ok(());
    };
    let before: DittoServerStatus = serde_json::from_value(stored.data["status"].clone()).unwrap_or_default();
    let set = match context
        .caches
        .stateful_sets
        .get(namespace, &names::stateful_set(name))
    {
        Lookup::Found(set) => Some(set),
        Lookup::Missing | Lookup::Unknown(_) => None,
    };
    let generation = invalid.metadata.generation.unwrap_or_default();
    let conditions = conditions::unparsable(&invalid.error, &before.conditions, generation, Timestamp::now());
    let after = status(&before, set.as_deref(), generation, conditions);
    if !changed(&before, &after) {
        return Ok(());
    }
    let body = json!({
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"name": name, "uid": invalid.metadata.uid},
        "status": after,
    });
    let params = PatchParams::apply(FIELD_MANAGER).force();
    api.patch_status(name, &params, &Patch::Apply(&body))
        .await
        .map_err(Box::new)?;
    Ok(())
}

/// The spec is unknown, but the pod is not: what was known stays, and a server that serves is not called failed.
fn status(
    before: &DittoServerStatus,
    live: Option<&StatefulSet>,
    generation: i64,
    conditions: Vec<Condition>,
) -> DittoServerStatus {
    let ready = live
        .and_then(|live| live.status.as_ref())
        .map(|status| status.ready_replicas.unwrap_or(0));
    let ready = ready.or(before.ready_replicas);
    let phase = match (before.phase, ready) {
        (Some(Phase::Stopped), _) => Phase::Stopped,
        (_, Some(1..)) => Phase::Running,
        _ => Phase::Failed,
    };
    DittoServerStatus {
        observed_generation: Some(generation),
        phase: Some(phase),
        ready_replicas: ready,
        available_replicas: ready,
        conditions,
        ..before.clone()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn phase(before: Value, live: Option<Value>) -> DittoServerStatus {
        let before = serde_json::from_value(before).expect("a status");
        let live: Option<StatefulSet> = live.map(|live| serde_json::from_value(live).expect("a StatefulSet"));
        status(&before, live.as_ref(), 3, Vec::new())
    }

    #[test]
    fn a_server_that_does_not_parse_keeps_what_is_known_of_its_pod() {
        let before = json!({"phase": "Running", "replicas": 1, "readyReplicas": 1, "configHash": "abc", "selector": "s"});
        let running = phase(
            before.clone(),
            Some(json!({"metadata": {}, "status": {"replicas": 1, "readyReplicas": 1}})),
        );
        assert_eq!(running.phase, Some(Phase::Running));
        assert_eq!(
            (running.replicas, running.config_hash.as_deref()),
            (Some(1), Some("abc"))
        );
        let down = phase(
            before.clone(),
            Some(json!({"metadata": {}, "status": {"replicas": 1}})),
        );
        assert_eq!((down.phase, down.ready_replicas), (Some(Phase::Failed), Some(0)));
        assert_eq!(
            phase(before, None).phase,
            Some(Phase::Running),
            "nothing new is known"
        );
        let stopped = phase(json!({"phase": "Stopped", "readyReplicas": 0}), None);
        assert_eq!(stopped.phase, Some(Phase::Stopped));
        assert_eq!(phase(json!({}), None).phase, Some(Phase::Failed));
    }
}
