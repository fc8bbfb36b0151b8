//! `DittoServerStatus`: what the operator has seen and done.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use super::{defaults, schema};

/// One word for the state of a server.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[schemars(transform = schema::without_description)]
pub enum Phase {
    /// Not all of the wanted pods are ready yet.
    Pending,
    /// All of the wanted pods are ready.
    Running,
    /// It will not become ready without a person's help; the conditions say why.
    Failed,
    /// `spec.replicas` is 0.
    Stopped,
    /// The DittoServer is being deleted.
    Deleting,
}

impl Phase {
    /// The name as the API writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// What the operator has seen and done.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DittoServerStatus {
    /// Generation of the spec that this status is about; -1 until the operator has seen the DittoServer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = defaults::OBSERVED_GENERATION))]
    pub observed_generation: Option<i64>,

    /// Number of pods that are wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,

    /// Number of pods that are ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_replicas: Option<i32>,

    /// Number of pods that serve; equal to `readyReplicas`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available_replicas: Option<i32>,

    /// Label selector of the pods, as text, for the scale subresource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,

    /// One word for the state: `Pending`, `Running`, `Failed`, `Stopped` or `Deleting`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,

    /// SHA-256 of what the server reads when it starts. The pod restarts when it changes.
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
