//! Deletion: what is to be done before a server goes.
//!
//! Children go by garbage collection, and data that outlives the server has no owner reference; so nothing is left to
//! clean up, and this operator sets no finalizer. The one that the Go operator set on every server is taken off, or the
//! server could never go.

use kube::Api;
use kube::api::{ObjectMeta, Patch, PatchParams};
use kube::runtime::controller::Action;
use serde_json::json;
use thiserror::Error;

use crate::api::{DittoServer, names};
use crate::client;
use crate::context::{Context, FIELD_MANAGER};

/// Why a deletion could not be completed.
#[derive(Debug, Error)]
#[error("the finalizer could not be removed: {}", client::explain(.0))]
pub struct Error(#[from] Box<kube::Error>);

/// Lets a server go that is being deleted. Its metadata is enough, so one whose spec does not parse can go too.
///
/// # Errors
/// When the API server refuses, or does not answer in time.
pub async fn finalize(context: &Context, server: &ObjectMeta) -> Result<Action, Error> {
    let finalizers = server.finalizers.as_deref().unwrap_or_default();
    let Some(index) = finalizers
        .iter()
        .position(|finalizer| finalizer == names::FINALIZER)
    else {
        return Ok(Action::await_change());
    };
    // The tests guard against another server of this name, and against a change of the list meanwhile. A resource version
    // would do too, but this pass has just written the status.
    let path = format!("/metadata/finalizers/{index}");
    let operations = json!([
        {"op": "test", "path": "/metadata/uid", "value": server.uid},
        {"op": "test", "path": path, "value": names::FINALIZER},
        {"op": "remove", "path": path},
    ]);
    let operations =
        serde_json::from_value(operations).map_err(|error| Box::new(kube::Error::SerdeError(error)))?;
    let (namespace, name) = (
        server.namespace.as_deref().unwrap_or_default(),
        server.name.as_deref().unwrap_or_default(),
    );
    // Metadata only: the answer may be a server that does not parse.
    let api: Api<DittoServer> = Api::namespaced(context.client.clone(), namespace);
    let params = PatchParams {
        field_manager: Some(FIELD_MANAGER.into()),
        ..PatchParams::default()
    };
    match api
        .patch_metadata(name, &params, &Patch::Json::<()>(operations))
        .await
    {
        Ok(_) => Ok(Action::await_change()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(Action::await_change()),
        Err(error) => Err(Error(Box::new(error))),
    }
}
