//! `spec.users` and `spec.groups`: who uses the shares.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::SecretKeySelector;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{rules, schema};

/// What a user or a group may do in a share. The words are the server's.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[schemars(transform = schema::without_description)]
pub enum PermissionLevel {
    /// Nothing.
    #[default]
    None,
    /// Read files.
    Read,
    /// Read and write files.
    ReadWrite,
    /// Everything, as an administrator of the share.
    Admin,
}

impl PermissionLevel {
    /// The word in the API of the server.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Read => "read",
            Self::ReadWrite => "read-write",
            Self::Admin => "admin",
        }
    }
}

/// A user of the server. A user that leaves the spec stays on the server.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserSpec {
    /// Name of the user, as in `mount -o username=…` for SMB.
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(validation = rules::shares::user_name())]
    pub name: String,

    /// User number. NFS clients without Kerberos send it with each call, and files belong to it. The owner of a share must have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4_294_967_294_i64))]
    pub uid: Option<i64>,

    /// Number of the user's group. Absent: for the root directory of a share, the number of its owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 4_294_967_294_i64))]
    pub gid: Option<i64>,

    /// Secret and key with the password, 8 to 72 bytes. SMB clients need it. A new value is written to the server without a restart;
    /// a password that was changed on the server stays until the Secret changes.
    #[schemars(schema_with = "schema::named_secret_key_selector")]
    pub password_secret_ref: SecretKeySelector,

    /// Groups of `spec.groups`, or `admins`, `operators` and `users`, which each server has. Memberships that were made on the server
    /// stay.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(min = 1, max = 64)))]
    pub groups: Vec<String>,

    /// Name that is shown to people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub display_name: Option<String>,

    /// Whether the user may sign in. Absent: yes for a new user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// A group of users. A group that leaves the spec stays on the server.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupSpec {
    /// Name of the group.
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(validation = rules::shares::group_name())]
    pub name: String,

    /// Number of the group. NFS clients send it. Absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4_294_967_294_i64))]
    pub gid: Option<i64>,
}

/// Levels by the name of a user or a group.
pub type Permissions = BTreeMap<String, PermissionLevel>;
