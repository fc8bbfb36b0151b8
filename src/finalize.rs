//! Deletion: what is to be done before a server goes.
//!
//! Children go by garbage collection, and data that outlives the server has no owner reference; so nothing is left to
//! clean up, and this operator sets no finalizer. The one that the Go operator set on every server is taken off, or the
//! server could never go.

use kube::api::{Patch, PatchParams};
use kube::runtime::controller::Action;
use kube::{Api, ResourceExt};
use serde_json::json;
use thiserror::Error;

use crate::api::{DittoServer, names};
use crate::client;
use crate::context::{Context, FIELD_MANAGER};

/// Why a deletion could not be completed.
#[derive(Debug, Error)]
#[error("the finalizer could not be removed: {}", client::explain(.0))]
pub struct Error(#[from] Box<kube::Error>);

/// Lets a server go that is being deleted.
///
/// # Errors
/// When the API server refuses, or does not answer in time.
pub async fn finalize(context: &Context, server: &DittoServer) -> Result<Action, Error> {
    if !server
        .finalizers()
        .iter()
        .any(|finalizer| finalizer == names::FINALIZER)
    {
        return Ok(Action::await_change());
    }
    let others: Vec<&String> = server
        .finalizers()
        .iter()
        .filter(|finalizer| *finalizer != names::FINALIZER)
        .collect();
    // The resource version guards the list against a finalizer that somebody adds meanwhile.
    let body = json!({"metadata": {
        "uid": server.uid(),
        "resourceVersion": server.resource_version(),
        "finalizers": others,
    }});
    let api: Api<DittoServer> =
        Api::namespaced(context.client.clone(), &server.namespace().unwrap_or_default());
    let params = PatchParams {
        field_manager: Some(FIELD_MANAGER.into()),
        ..PatchParams::default()
    };
    match api.patch(&server.name_any(), &params, &Patch::Merge(&body)).await {
        Ok(_) => Ok(Action::await_change()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(Action::await_change()),
        Err(error) => Err(Error(Box::new(error))),
    }
}
