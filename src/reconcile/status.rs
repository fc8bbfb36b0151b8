//! Writes the status: at most once in each reconcile, and only if it differs.

mod unparsable;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Patch, PatchParams};
use kube::{Api, Resource, ResourceExt};
use serde_json::json;
use thiserror::Error;

use crate::api::names::FIELD_MANAGER;
use crate::api::{DittoServer, DittoServerStatus};
use crate::cluster::client::errors;
use crate::cluster::client::params::patch_params;
use crate::domain::status::{changed, is_ours};
use crate::reconcile::context::Context;

pub use self::unparsable::report_unparsable;

/// Why a status could not be written.
#[derive(Debug, Error)]
#[error("the status could not be written: {}", errors::explain(.0))]
pub struct Error(#[from] Box<kube::Error>);

/// Writes `after` by server-side apply, if it differs from what the server holds. Returns whether it wrote.
///
/// The conditions are a list with the key `type`; those of others are kept. The UID is named, so that a server
/// re-created under the same name never gets its predecessor's status.
///
/// # Errors
/// When the API server refuses, or does not answer in time.
#[tracing::instrument(name = "status", level = "debug", skip_all)]
pub async fn write(
    context: &Context,
    server: &DittoServer,
    after: &DittoServerStatus,
) -> Result<bool, Error> {
    if server
        .status
        .as_ref()
        .is_some_and(|before| !changed(before, after))
    {
        return Ok(false);
    }
    let api: Api<DittoServer> =
        Api::namespaced(context.client.clone(), &server.namespace().unwrap_or_default());
    let body = json!({
        "apiVersion": DittoServer::api_version(&()),
        "kind": DittoServer::kind(&()),
        "metadata": {"name": server.name_any(), "uid": server.uid()},
        "status": after,
    });
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let applied = api
        .patch_status(&server.name_any(), &params, &Patch::Apply(&body))
        .await;
    if applied.as_ref().is_err_and(errors::is_unanswered) {
        read_again(context, &api, server).await;
    }
    let mut written = applied.map_err(Box::new)?;
    if written
        .status
        .as_ref()
        .is_some_and(|status| changed(status, after))
    {
        written = drop_stale(&api, &written, after).await?;
    }
    context.wrote_server(server, written);
    Ok(true)
}

/// A write without an answer may have taken effect. The next reconcile must know, before the watch delivers it: it would write the
/// conditions again with another `lastTransitionTime`.
async fn read_again(context: &Context, api: &Api<DittoServer>, server: &DittoServer) {
    if let Ok(now) = api.get(&server.name_any()).await
        && now.uid() == server.uid()
    {
        context.wrote_server(server, now);
    }
}

/// Server-side apply cannot remove what another field manager wrote, such as conditions and fields that the Go operator
/// left. This does, and keeps the conditions of others. The resource version guards against concurrent changes.
async fn drop_stale(
    api: &Api<DittoServer>,
    written: &DittoServer,
    after: &DittoServerStatus,
) -> Result<DittoServer, Error> {
    let present = written.status.iter().flat_map(|status| &status.conditions);
    let of_others = present.filter(|condition| !is_ours(&condition.type_));
    let conditions: Vec<&Condition> = after.conditions.iter().chain(of_others).collect();
    let body = json!({
        "metadata": {"uid": written.uid(), "resourceVersion": written.resource_version()},
        // `null` removes a field.
        "status": {
            "conditions": conditions,
            "configHash": after.config_hash,
            "perconaClusterName": after.percona_cluster_name,
        },
    });
    let params = patch_params();
    Ok(api
        .patch_status(&written.name_any(), &params, &Patch::Merge(&body))
        .await
        .map_err(Box::new)?)
}
