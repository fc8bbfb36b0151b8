//! What an object keeps when it is deleted and created again: its metadata, and the owners of its fields.

use kube::api::{DynamicObject, Patch};
use serde_json::{Value, json};

use super::error::Error;
use super::live::Child;
use super::writer::Writer;
use crate::cluster::client::params::patch_params;

/// Metadata that an object keeps when it is created again. The UID is that of the one that is replaced.
pub(super) const KEPT_METADATA: [&str; 6] = [
    "name",
    "namespace",
    "uid",
    "labels",
    "annotations",
    "ownerReferences",
];

/// The create made us the owner of every field. What others had set becomes theirs again.
pub(super) async fn restore_owners<K: Child>(
    writer: &Writer<'_>,
    name: &str,
    uid: Option<&str>,
    entries: &Value,
) -> Result<DynamicObject, Error> {
    let body = json!({"metadata": {"uid": uid, "managedFields": entries}});
    let api = writer.api::<K>();
    let patched = api.patch(name, &patch_params(), &Patch::Merge(&body)).await;
    patched.map_err(Error::call("apply"))
}

/// Who owns which field, without the status.
pub(super) fn owners_of_spec(merged: &Value) -> Value {
    let entries = merged["metadata"]["managedFields"]
        .as_array()
        .into_iter()
        .flatten();
    entries
        .filter(|entry| entry["subresource"].is_null())
        .cloned()
        .collect()
}
