//! An object of ours that somebody made immutable. Only a new object can have other data.
//!
//! It is deleted and created again, with what others had set on it. Only for objects that hold no data: a ConfigMap. The pod keeps
//! the files that it has mounted, and a pod that starts in between waits for the new object.

use kube::ResourceExt;
use kube::api::DynamicObject;
use serde_json::Value;

use super::error::Error;
use super::kept_metadata::{KEPT_METADATA, owners_of_spec, restore_owners};
use super::live::{Child, Live};
use super::predict::{self, overlay::overlaid};
use super::writer::Writer;
use crate::cluster::client::params::{delete_unchanged, post};

/// Deletes the object if it is as it was read, and creates it as desired.
pub(super) async fn replace<K: Child>(
    writer: &Writer<'_>,
    live: &Live<K>,
    desired: &Value,
) -> Result<DynamicObject, Error> {
    writer.confirm_server().await?;
    let api = writer.api::<K>();
    let merged = merged(live, desired);
    let name = live.object.name_any();
    let new = new(&merged);
    ask::<K>(writer, &new).await?;
    let deleted = api.delete(&name, &delete_unchanged(live.meta())).await;
    deleted.map_err(Error::call("delete"))?;
    let created = match api
        .create(&post(), &serde_json::from_value(new)?)
        .await
        .map_err(Error::call("create"))
    {
        // A finalizer keeps the old object, or another program was faster.
        Err(error) if error.is_already_exists() => return Err(Error::Raced),
        created => created?,
    };
    let uid = created.metadata.uid.as_deref();
    restore_owners::<K>(writer, &name, uid, &owners_of_spec(&merged)).await
}

/// Asks whether the API server would accept the new object. Without this, a policy or a quota that refuses it would leave none.
/// Admission comes first, so the name of the old object is the last thing that is checked.
async fn ask<K: Child>(writer: &Writer<'_>, new: &Value) -> Result<(), Error> {
    match predict::create::<K>(writer, new).await {
        Err(error) if error.is_already_exists() => Ok(()),
        asked => asked.map(drop),
    }
}

/// The object as it would be if it were not immutable.
pub(super) fn merged<K: Child>(live: &Live<K>, desired: &Value) -> Value {
    let entries = live.meta().managed_fields.as_deref().unwrap_or_default();
    let mut merged = overlaid(&live.fields, desired, entries);
    if let Some(fields) = merged.as_object_mut() {
        fields.remove("immutable");
    }
    merged
}

fn new(merged: &Value) -> Value {
    let mut new = merged.clone();
    if let Some(metadata) = new["metadata"].as_object_mut() {
        metadata.retain(|key, _| KEPT_METADATA.contains(&key.as_str()));
        metadata.remove("uid");
    }
    new
}
