//! `spec.snapshotPolicies`: snapshot schedules of shares.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::rules;

/// Snapshot schedule of one share.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotPolicySpec {
    /// Name of the share, for example `/archive`.
    #[schemars(length(max = 4096))]
    #[x_kube(validation = rules::share())]
    pub share: String,

    /// Time between two snapshots: a Go duration such as `6h`, or `@hourly`, `@daily`, `@weekly`.
    #[schemars(length(max = 64))]
    #[x_kube(validation = rules::snapshot_interval())]
    pub interval: String,

    /// Maximum number of snapshots that are kept. 0 or absent: no maximum number.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub keep_last: Option<i32>,

    /// Age at which a snapshot is deleted, as a Go duration, for example `720h`. Absent: no maximum age.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = rules::go_duration())]
    pub ttl: Option<String>,

    /// Prefix of the names of the snapshots: up to 64 letters, digits, `-` and `_`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    #[x_kube(validation = rules::name_prefix())]
    pub name_prefix: Option<String>,

    /// Create snapshots. Absent: true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}
