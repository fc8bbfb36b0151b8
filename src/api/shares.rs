//! `spec.shares` and `spec.remoteStores`: what clients mount, and where its blocks are.

use k8s_openapi::api::core::v1::LocalObjectReference;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::users::{PermissionLevel, Permissions};
use super::{rules, schema};

/// A share: a directory tree that clients mount. A share that leaves the spec stays on the server, with its data. A new name makes a
/// new share.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::shares::owner_stays())]
#[x_kube(validation = rules::shares::remote_store_stays())]
pub struct ShareSpec {
    /// Name of the share. NFS clients mount `/<name>`, SMB clients `\\host\<name>`.
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = rules::shares::share_name())]
    pub name: String,

    /// User of `spec.users` to whom the root directory of a new share belongs. The user must have a `uid`. It cannot change
    /// later. It may leave the spec, and the share keeps it. Absent: root.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub owner: Option<String>,

    /// What everybody may do who has no permission of his own. Clients of NFS version 3 have no other permission. Absent: `none`
    /// for a new share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_permission: Option<PermissionLevel>,

    /// Permissions of users and groups, for SMB and NFS version 4. The operator removes those that it made and that leave the spec.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permissions: Option<SharePermissionsSpec>,

    /// Refuse all writes of clients. Absent: false for a new share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,

    /// Maximum size of all files of the share, for example `100Gi`. Absent: no limit for a new share. `"0"` removes a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = rules::shares::quota())]
    pub quota: Option<String>,

    /// Store of `spec.remoteStores` to which the blocks of files are copied. It can be added later, and cannot change after that,
    /// because blocks that are only there would be lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub remote_store: Option<String>,

    /// What NFS clients may do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nfs: Option<ShareNfsSpec>,

    /// Keeps deleted files for some time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trash: Option<ShareTrashSpec>,

    /// Snapshot schedule of the share. It has priority over one in `spec.snapshotPolicies`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshots: Option<ShareSnapshotsSpec>,
}

/// Permissions by name.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SharePermissionsSpec {
    /// Level of each user: `none`, `read`, `read-write` or `admin`.
    #[serde(default, skip_serializing_if = "Permissions::is_empty")]
    #[schemars(extend("maxProperties" = 256))]
    pub users: Permissions,

    /// Level of each group.
    #[serde(default, skip_serializing_if = "Permissions::is_empty")]
    #[schemars(extend("maxProperties" = 256))]
    pub groups: Permissions,
}

/// To which user the server maps the users of an NFS client.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[schemars(transform = schema::without_description)]
pub enum Squash {
    /// No mapping: root is root.
    None,
    /// Root has the rights of an administrator.
    RootToAdmin,
    /// Root is a guest.
    #[default]
    RootToGuest,
    /// Everybody has the rights of an administrator.
    AllToAdmin,
    /// Everybody is a guest.
    AllToGuest,
}

/// How much of an NFS call Kerberos protects.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[schemars(transform = schema::without_description)]
pub enum KerberosLevel {
    /// Who calls.
    #[default]
    Krb5,
    /// And that nobody changes the call.
    Krb5i,
    /// And that nobody reads it.
    Krb5p,
}

/// What NFS clients may do with a share. Absent fields stay as they are on the server.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ShareNfsSpec {
    /// To whom users of clients are mapped. Default of the server: `root_to_guest`, with which a client's root writes nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub squash: Option<Squash>,

    /// User number of guests. Default of the server: 65534.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 4_294_967_294_i64))]
    pub anonymous_uid: Option<i64>,

    /// Group number of guests. Default of the server: 65534.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 4_294_967_294_i64))]
    pub anonymous_gid: Option<i64>,

    /// Accept only calls with Kerberos. The server uses this field and the next one after its next start: delete the pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_kerberos: Option<bool>,

    /// Least protection of calls with Kerberos.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_kerberos_level: Option<KerberosLevel>,

    /// Addresses, networks (`10.0.0.0/8`) or host names (`*.example.com`) of the clients that may mount the share with NFS version 3.
    /// The operator makes the netgroup for them. Absent or empty: all clients. The server does not check clients of NFS version 4 and of
    /// SMB: limit them with `networkPolicy.filesFrom` or `adapterServices.loadBalancerSourceRanges`. The server sees the address of a client only if its Service has
    /// `externalTrafficPolicy: Local`, or the client is in the cluster.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 253), regex(pattern = rules::shares::CLIENT)))]
    pub allowed_clients: Vec<String>,
}

/// Keeps deleted files. Absent fields stay as they are on the server.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ShareTrashSpec {
    /// Keep deleted files. If this changes to false, the server deletes what it kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,

    /// Days after which a deleted file is removed. 0: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 36_500))]
    pub retention_days: Option<i32>,

    /// Only administrators see deleted files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restrict_to_admin: Option<bool>,
}

/// Snapshot schedule of a share.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ShareSnapshotsSpec {
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
}

/// A store outside the cluster to which shares copy the blocks of their files. A store that leaves the spec stays on the server.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RemoteStoreSpec {
    /// Name of the store.
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = rules::shares::store_name())]
    pub name: String,

    /// A bucket of S3, or of a service with its protocol.
    pub s3: S3Spec,
}

/// Compression of blocks.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[schemars(transform = schema::without_description)]
pub enum Compression {
    /// Smaller.
    #[default]
    Zstd,
    /// Faster.
    Lz4,
}

/// A bucket of S3.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::shares::prefix_stays())]
pub struct S3Spec {
    /// Name of the bucket. It must exist, and cannot change later, because the blocks are in it.
    #[schemars(length(min = 1, max = 255))]
    #[x_kube(validation = rules::shares::bucket_stays())]
    pub bucket: String,

    /// Region.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub region: Option<String>,

    /// URL of a service that is not AWS, for example `http://minio.storage.svc:9000`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    #[x_kube(validation = rules::shares::endpoint())]
    pub endpoint: Option<String>,

    /// Beginning of all keys in the bucket. It cannot change later.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub prefix: Option<String>,

    /// Put the bucket into the path of the URL and not into the host. `MinIO` needs it. Absent: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub force_path_style: Option<bool>,

    /// Allow an endpoint with a private address: each service inside the cluster needs it. Absent: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_private_endpoint: Option<bool>,

    /// Secret with the keys `accessKeyID` and `secretAccessKey`. New values are written to the server, which uses them after its next
    /// start: delete the pod before you revoke the former ones.
    #[schemars(schema_with = "schema::local_object_reference")]
    pub credentials_secret_ref: LocalObjectReference,

    /// Compression of blocks. Absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
}
