//! `spec.storage`: the volumes of the server.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{defaults, rules};

/// What happens to the volumes when the `DittoServer` is deleted.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Retention {
    /// They are kept, with the Secrets that their data depends on. A new server of the same name uses them again.
    #[default]
    Retain,
    /// They are deleted, with all their data.
    Delete,
}

/// Size, StorageClass and retention of the server's volumes. Each volume is a `ReadWriteOnce` `PersistentVolumeClaim`.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::content_volume_stays())]
pub struct StorageSpec {
    /// Size of the volume `metadata` (file names, attributes), for example `10Gi`. Can be increased, not decreased.
    #[schemars(length(max = 32))]
    #[x_kube(validation = rules::volume_size())]
    #[x_kube(validation = rules::never_shrinks())]
    pub metadata_size: String,

    /// Size of the volume `content` for local block stores, for example `100Gi`. Every share needs a local block store, also with
    /// S3. Absent: there is no such volume, and a local block store can be in memory, where data is lost that is not uploaded yet, or
    /// in a directory of another volume. Can be increased, not decreased, and not removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = rules::volume_size())]
    #[x_kube(validation = rules::never_shrinks())]
    pub content_size: Option<String>,

    /// Size of the volume `controlplane` (the SQLite database). Default: `1Gi`. Can be increased, not decreased.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = defaults::CONTROL_PLANE_SIZE))]
    #[schemars(length(max = 32))]
    #[x_kube(validation = rules::volume_size())]
    #[x_kube(validation = rules::never_shrinks())]
    pub control_plane_size: Option<String>,

    /// StorageClass of all volumes. Absent: the default StorageClass of the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::storage_class_name())]
    pub storage_class_name: Option<String>,

    /// What happens to the volumes when the `DittoServer` is deleted. `Retain` keeps them, with the generated Secrets that
    /// their data depends on; a new server of the same name uses them again. `Delete` deletes both, with all data.
    /// Default: `Retain`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "Retain"))]
    pub retention: Option<Retention>,
}
