//! `spec.storage`: the volumes of the server.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{defaults, rules};

/// What becomes of the volumes when the `DittoServer` is deleted.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Retention {
    /// They stay, with the Secrets that their data knows. A server of the same name takes them up again.
    #[default]
    Retain,
    /// They are deleted, with all data in them.
    Delete,
}

/// Sizes and class of the server's volumes, and what becomes of them. Each is a `ReadWriteOnce` claim.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::content_volume_stays())]
pub struct StorageSpec {
    /// Size of the volume `metadata` (file names, attributes), for example `10Gi`. Can grow, never shrink.
    #[schemars(length(max = 32))]
    #[x_kube(validation = rules::volume_size())]
    #[x_kube(validation = rules::never_shrinks())]
    pub metadata_size: String,

    /// Size of the volume `content` (local block store), for example `100Gi`. Absent: no such volume; the
    /// blocks then go to remote stores only. Can grow, never shrink, and cannot be removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = rules::volume_size())]
    #[x_kube(validation = rules::never_shrinks())]
    pub content_size: Option<String>,

    /// Size of the volume `controlplane` (the SQLite database). Default: `1Gi`. Can grow, never shrink.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = defaults::CONTROL_PLANE_SIZE))]
    #[schemars(length(max = 32))]
    #[x_kube(validation = rules::volume_size())]
    #[x_kube(validation = rules::never_shrinks())]
    pub control_plane_size: Option<String>,

    /// StorageClass of all volumes. Absent: the cluster's default class.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::storage_class_name())]
    pub storage_class_name: Option<String>,

    /// What becomes of the volumes, and of the generated Secrets that their data knows, when the `DittoServer` is
    /// deleted: `Retain` or `Delete`. Default: `Retain`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "Retain"))]
    pub retention: Option<Retention>,
}
