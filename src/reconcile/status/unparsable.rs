//! The status of a stored DittoServer that does not parse.
//!
//! The schema refuses such objects, but one that was stored under an older schema stays. It cannot be reconciled, and its status
//! must say so.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Api;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::ApiResource;
use kube::core::error_boundary::InvalidObject;
use serde_json::{Value, json};

use super::Error;
use crate::api::names::FIELD_MANAGER;
use crate::api::{DittoServer, Phase};
use crate::domain::conditions;
use crate::reconcile::context::Context;

/// Reports in the status that the stored object does not parse, once for each generation.
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
    let generation = invalid.metadata.generation.unwrap_or_default();
    if stored.data["status"]["phase"] == Phase::Failed.as_str()
        && stored.data["status"]["observedGeneration"] == generation
    {
        return Ok(());
    }
    let body = json!({
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"name": name, "uid": invalid.metadata.uid},
        "status": status(&invalid.error, &stored, generation),
    });
    let params = PatchParams::apply(FIELD_MANAGER).force();
    api.patch_status(name, &params, &Patch::Apply(&body))
        .await
        .map_err(Box::new)?;
    Ok(())
}

fn status(error: &str, stored: &DynamicObject, generation: i64) -> Value {
    let previous = stored.data["status"]["conditions"].clone();
    let previous: Vec<Condition> = serde_json::from_value(previous).unwrap_or_default();
    json!({
        "observedGeneration": generation,
        "phase": Phase::Failed.as_str(),
        "conditions": conditions::unparsable(error, &previous, generation, Timestamp::now()),
    })
}
