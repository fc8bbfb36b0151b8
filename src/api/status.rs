//! `DittoServerStatus`: the observed state.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use super::{defaults, schema};

/// State of a server, in one word.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[schemars(transform = schema::without_description)]
pub enum Phase {
    /// Not all desired pods are ready yet.
    Pending,
    /// All desired pods are ready.
    Running,
    /// It needs manual action to become ready. The conditions show the cause.
    Failed,
    /// `spec.replicas` is 0.
    Stopped,
    /// The DittoServer is being deleted.
    Deleting,
}

impl Phase {
    /// The value in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Observed state of the server.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DittoServerStatus {
    /// Generation of the spec for which this status was computed. -1 until the operator has reconciled the DittoServer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = defaults::OBSERVED_GENERATION))]
    pub observed_generation: Option<i64>,

    /// Desired number of pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,

    /// Number of ready pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_replicas: Option<i32>,

    /// Number of available pods, equal to `readyReplicas`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available_replicas: Option<i32>,

    /// Label selector of the pods, for the scale subresource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,

    /// State of the server, in one word: `Pending`, `Running`, `Failed`, `Stopped` or `Deleting`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,

    /// SHA-256 of everything that the server reads when it starts. The pod restarts when the hash changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_hash: Option<String>,

    /// Name of the PerconaPGCluster in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percona_cluster_name: Option<String>,

    /// The conditions `Ready`, `Available`, `ConfigReady`, `DatabaseReady` and `Progressing`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}
