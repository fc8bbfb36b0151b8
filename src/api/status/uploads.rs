//! Uploads before the server stops.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::schema;

/// What the server is asked to upload for.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[schemars(transform = schema::without_description)]
pub enum DrainBefore {
    /// `spec.replicas` is 0.
    #[default]
    Stop,
    /// A new pod replaces the running one.
    Rollout,
    /// The server is deleted with its volumes.
    Deletion,
}

/// Where the uploads are.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[schemars(transform = schema::without_description)]
pub enum DrainState {
    /// The server uploads.
    #[default]
    Draining,
    /// It has uploaded everything.
    Drained,
    /// It has not, or could not be asked.
    NotDrained,
}

/// The uploads before the server stopped or stops. Absent while nothing stops it.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UploadsStatus {
    /// `Draining`, `Drained` or `NotDrained`.
    pub state: DrainState,

    /// What they are for: `Stop`, `Rollout` or `Deletion`.
    pub before: DrainBefore,

    /// Since when the server is asked, or when it had uploaded everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,

    /// Why not everything is uploaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,

    /// What a rollout applies: another one needs other uploads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
}
