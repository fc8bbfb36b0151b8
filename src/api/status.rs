//! `DittoServerStatus`: the observed state.

mod content;
mod uploads;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

pub use self::content::{GroupStatus, RemoteStoreStatus, ShareStatus, UserStatus};
pub use self::uploads::{DrainBefore, DrainState, UploadsStatus};
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

/// Where clients reach one adapter of the server.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Endpoint {
    /// `nfs`, `smb`, or the type of another adapter.
    pub protocol: String,

    /// Name or address: that of the load balancer if there is one, else the DNS name of the Service in the cluster.
    pub host: String,

    /// Address of the Service in the cluster. A node that mounts a volume may not know the cluster's DNS.
    #[serde(rename = "clusterIP", skip_serializing_if = "Option::is_none")]
    pub cluster_ip: Option<String>,

    /// Port: the standard one of the protocol (NFS 2049, SMB 445), else the adapter's own.
    pub port: i32,

    /// The same port on every node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_port: Option<i32>,

    /// Name of the Service.
    pub service: String,

    /// Whether the adapter serves and the load balancer, if there is one, has an address.
    pub ready: bool,

    /// Why it is not ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Whether the operator reaches the API of the server. Clients reach their files without it.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ApiStatus {
    /// Whether the last calls were answered.
    pub reachable: bool,

    /// The last answer before the API became unreachable. Not updated while it is reachable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_success: Option<Time>,

    /// Why the API is not reachable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// What became of one snapshot policy.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SnapshotPolicyStatus {
    /// The share, with a slash at its start.
    pub share: String,

    /// Whether the server has the policy as declared.
    pub applied: bool,

    /// Whether the operator made the policy, or is about to. Only then it is removed when it leaves the spec.
    pub made: bool,

    /// Why it is not applied. Absent if it is about to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// What became of one identity provider.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IdentityProviderStatus {
    /// `ldap` or `kerberos`.
    #[serde(rename = "type")]
    pub r#type: String,

    /// Whether the server has the provider as declared.
    pub applied: bool,

    /// Shows whether the password has changed since it was sent to the server: an HMAC of it with the signing key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_fingerprint: Option<String>,

    /// Fingerprint of the fields of Kerberos that the server reads when it starts, as they were written to the server or found there. It is
    /// a part of `configHash`, so that a change restarts the pod after it was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applied_fingerprint: Option<String>,

    /// Start of the server process that does not use the configuration yet. The server uses a change of Kerberos after its next start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_started: Option<Time>,

    /// Why it is not applied, or not used yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Settings that were changed on the server and put back.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SettingsCorrection {
    /// When they were put back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Time>,

    /// Their names.
    pub settings: Vec<String>,
}

/// The settings that the server keeps in its database.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SettingsStatus {
    /// Why `spec.adapters` or `spec.adapterServices.nfsV3Discovery` is not applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,

    /// The last time that somebody had changed settings of the spec on the server, and the operator put them back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_correction: Option<SettingsCorrection>,
}

/// Whether a certificate is still valid.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[schemars(transform = schema::without_description)]
pub enum CertificateState {
    /// For more than 14 days.
    #[default]
    Valid,
    /// For less than 14 days.
    Expiring,
    /// No longer.
    Expired,
}

/// A certificate of the server's API.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CertificateStatus {
    /// Name of the Secret.
    pub secret: String,

    /// Key in the Secret.
    pub key: String,

    /// The end of its validity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Time>,

    /// `Valid`, `Expiring` (less than 14 days are left) or `Expired`.
    pub state: CertificateState,
}

/// Restarts of one adapter.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AdapterRestartStatus {
    /// `nfs` or `smb`.
    pub adapter: String,

    /// Whether the adapter must be restarted before it uses a setting of the spec.
    pub required: bool,

    /// Start of the server process that does not use the setting yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_started: Option<Time>,

    /// The last request that was handled: a value of the annotation `dittofs.dittofs.com/restart-nfs` or `…/restart-smb`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_request: Option<String>,

    /// Why a restart is required, or why one was not made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
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

    /// Where clients reach their files, one entry for each adapter that the server runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<Endpoint>,

    /// Whether the operator reaches the API of the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<ApiStatus>,

    /// The certificates of the API: that of the server (`spec.controlPlane.certSecretName`) and that of the operator
    /// (`spec.controlPlane.operatorCertSecretName`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<CertificateStatus>,

    /// The adapters that were restarted on request, or must be restarted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adapter_restarts: Vec<AdapterRestartStatus>,

    /// The snapshot policies that the spec declares.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub snapshot_policies: Vec<SnapshotPolicyStatus>,

    /// The identity providers that the operator wrote to the server.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identity_providers: Vec<IdentityProviderStatus>,

    /// Number of shares that clients can mount, of those in the spec: `2/3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_shares: Option<String>,

    /// The shares of the spec, and those that were in it and are still on the server.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shares: Vec<ShareStatus>,

    /// The users of the spec, and those that were in it and are still on the server.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<UserStatus>,

    /// The groups of the spec, and those that were in it and are still on the server.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupStatus>,

    /// The remote stores of the spec, and those that were in it and are still on the server.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remote_stores: Vec<RemoteStoreStatus>,

    /// The uploads to the remote stores before the server stopped or stops.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uploads: Option<UploadsStatus>,

    /// The settings that the server keeps in its database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings: Option<SettingsStatus>,

    /// The conditions `Ready`, `Available`, `ConfigReady`, `DatabaseReady` and `Progressing`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}
