//! States of what the spec declares inside the server: shares, users, groups and remote stores.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A share of the spec, or one that was in it.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ShareStatus {
    /// Name of the share. SMB clients mount it.
    pub name: String,

    /// Path that NFS clients mount.
    pub path: String,

    /// Whether clients can mount it.
    pub ready: bool,

    /// Whether it is in the spec. A share that left the spec stays on the server, with its data.
    pub declared: bool,

    /// Why it is not ready, in one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,

    /// Why it is not ready, or what is not as declared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,

    /// Start of the server process that does not use the last change yet. It is used after the next start of the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_started: Option<Time>,

    /// Start of the server process that may not use the remote store of the share yet: it was added to an existing share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store_added_to: Option<Time>,

    /// Permissions that the operator made, or is about to: `user/<name>` or `group/<name>`. Only these are removed when they leave
    /// the spec.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<String>,

    /// Digest of the part of the spec that the server has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applied: Option<String>,
}

/// A user of the spec, or one that was in it.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UserStatus {
    /// Name of the user.
    pub name: String,

    /// Whether the user can sign in, as declared.
    pub ready: bool,

    /// Whether the user is in the spec. A user that left the spec stays on the server.
    pub declared: bool,

    /// Why the user is not ready, in one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,

    /// Why the user is not ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,

    /// Groups into which the operator put the user, or is about to. Only these memberships are removed when they leave the spec.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,

    /// Version of the Secret whose password the server has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_version: Option<String>,

    /// Digest of the part of the spec that the server has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applied: Option<String>,
}

/// A group of the spec, or one that was in it.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GroupStatus {
    /// Name of the group.
    pub name: String,

    /// Whether the server has it as declared.
    pub ready: bool,

    /// Whether it is in the spec. A group that left the spec stays on the server.
    pub declared: bool,

    /// Why it is not ready, in one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,

    /// Why it is not ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,

    /// Digest of the part of the spec that the server has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applied: Option<String>,
}

/// A remote store of the spec, or one that was in it.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RemoteStoreStatus {
    /// Name of the store.
    pub name: String,

    /// Whether the server reaches it.
    pub ready: bool,

    /// Whether it is in the spec. A store that left the spec stays on the server.
    pub declared: bool,

    /// Why it is not ready, in one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,

    /// Why it is not ready, or what is not used yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,

    /// Start of the server process that does not use the last change yet. It is used after the next start of the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_started: Option<Time>,

    /// Version of the Secret whose keys the server has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials_version: Option<String>,

    /// Shows whether the keys have changed since they were sent to the server: an HMAC of them with the signing key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials_fingerprint: Option<String>,

    /// Digest of the part of the spec that the server has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applied: Option<String>,
}
