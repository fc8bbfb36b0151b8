//! `spec.uploads`: the blocks of files that are not in their remote store yet, when the server stops.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DittoServer, DittoServerStatus};

/// What happens to blocks of files that only the volumes have, when the server stops. A server with a remote store is asked to upload
/// them first. With this block, also one whose remote stores are not in the spec.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UploadsSpec {
    /// Seconds for the uploads, 0 to 86400, before `replicas: 0` and before a deletion with `storage.retention: Delete`. After them the
    /// server stops all the same, since the volumes stay; a deletion waits until everything is uploaded, or the user decides. 0: the
    /// server is not asked, and a deletion deletes. Default: 600.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 86400))]
    pub drain_timeout_seconds: Option<i64>,

    /// Whether the server is also asked before a new pod replaces the running one, because of an edit or a new Secret. Default: false,
    /// since the new pod has the same volumes and continues.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drain_before_rollout: Option<bool>,
}

impl DittoServer {
    /// Whether blocks of files may be on the volumes only: the server has a remote store, or the spec says so.
    #[must_use]
    pub fn uploads(&self) -> bool {
        let has_store = |status: &DittoServerStatus| !status.remote_stores.is_empty();
        self.spec.uploads.is_some()
            || !self.spec.remote_stores.is_empty()
            || self.status.as_ref().is_some_and(has_store)
    }
}
