//! `spec.adapters`: settings of the protocol adapters that the server keeps in its database.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{rules, schema};

/// Settings of the adapters. What is absent stays as it is on the server, and can be changed there.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdaptersSpec {
    /// NFS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nfs: Option<NfsAdapterSpec>,

    /// SMB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smb: Option<SmbAdapterSpec>,
}

/// Version of SMB.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[schemars(transform = schema::without_description)]
pub enum SmbVersion {
    /// 2.0.2.
    #[default]
    #[serde(rename = "SMB2.0")]
    V20,
    /// 2.1.
    #[serde(rename = "SMB2.1")]
    V21,
    /// 3.0.
    #[serde(rename = "SMB3.0")]
    V30,
    /// 3.0.2.
    #[serde(rename = "SMB3.0.2")]
    V302,
    /// 3.1.1.
    #[serde(rename = "SMB3.1.1")]
    V311,
}

/// Signing of SMB.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[schemars(transform = schema::without_description)]
pub enum SmbSigning {
    /// Never.
    Disabled,
    /// If the client wants it.
    #[default]
    Enabled,
    /// Always.
    Required,
}

/// The adapter of NFS. The server ignores the versions in its settings, so they are not here.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NfsAdapterSpec {
    /// Serve NFS. A change disconnects its clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,

    /// Port in the pod. Its Service follows. A change disconnects the clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1024, max = 65535))]
    pub port: Option<i32>,
}

/// The adapter of SMB.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::shares::smb_versions_ordered())]
pub struct SmbAdapterSpec {
    /// Serve SMB. A change disconnects its clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,

    /// Port in the pod. Its Service follows. A change disconnects the clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1024, max = 65535))]
    pub port: Option<i32>,

    /// Lowest version that clients may use: `SMB2.0`, `SMB2.1`, `SMB3.0`, `SMB3.0.2` or `SMB3.1.1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_version: Option<SmbVersion>,

    /// Highest version that clients may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_version: Option<SmbVersion>,

    /// Whether messages are signed: `disabled`, `enabled` (if the client wants it) or `required`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing: Option<SmbSigning>,

    /// Prefer encryption: clients that can encrypt do. The server uses it after its next start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption: Option<bool>,
}
