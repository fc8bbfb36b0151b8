//! What the simulator reads of a PerconaPGCluster.

use kube::CustomResource;
use serde::{Deserialize, Serialize};

/// The part of the specification that decides what happens. Everything is optional on purpose: an object
/// that the real operator cannot survive must be readable here.
#[derive(CustomResource, Clone, Debug, Default, Deserialize, Serialize)]
#[kube(
    group = "pgv2.percona.com",
    version = "v2",
    kind = "PerconaPGCluster",
    plural = "perconapgclusters",
    namespaced,
    status = "PerconaPGClusterStatus",
    schema = "disabled"
)]
#[serde(rename_all = "camelCase")]
pub struct PerconaPGClusterSpec {
    /// The release whose defaults apply; filled in by the operator.
    pub cr_version: Option<String>,
    /// Image of PostgreSQL.
    pub image: Option<String>,
    /// Major version of PostgreSQL.
    pub postgres_version: Option<i64>,
    /// Port of PostgreSQL and pgBouncer's target.
    pub port: Option<i32>,
    /// Whether the database is to be stopped.
    pub pause: Option<bool>,
    /// Instance sets.
    #[serde(default)]
    pub instances: Vec<Instance>,
    /// Users with their databases.
    #[serde(default)]
    pub users: Vec<User>,
    /// The proxy.
    pub proxy: Option<Proxy>,
    /// Backups.
    pub backups: Option<Backups>,
}

/// An instance set.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Instance {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Number of PostgreSQL pods.
    pub replicas: Option<i32>,
}

/// A user of the database.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// Its name.
    pub name: String,
    /// Its databases; the first one is in its Secret.
    #[serde(default)]
    pub databases: Vec<String>,
    /// The name of its Secret, if not the default one.
    pub secret_name: Option<String>,
}

/// The proxy section.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Proxy {
    /// pgBouncer, the only proxy there is.
    pub pg_bouncer: Option<PgBouncer>,
}

/// pgBouncer.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct PgBouncer {
    /// Its image.
    pub image: Option<String>,
    /// Its port.
    pub port: Option<i32>,
    /// Its number of pods.
    pub replicas: Option<i32>,
}

/// Backups.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Backups {
    /// pgBackRest.
    pub pgbackrest: Option<PgBackRest>,
}

/// pgBackRest.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct PgBackRest {
    /// Its image.
    pub image: Option<String>,
}

/// What the operator reports.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct PerconaPGClusterStatus {
    /// `initializing`, `ready`, `stopping`, `paused`.
    #[serde(default)]
    pub state: String,
    /// Where clients connect.
    #[serde(default)]
    pub host: String,
    /// The generation that this is about.
    #[serde(default)]
    pub observed_generation: i64,
    /// PostgreSQL pods.
    #[serde(default)]
    pub postgres: PostgresStatus,
    /// pgBouncer pods.
    #[serde(default)]
    pub pgbouncer: PodCount,
}

/// PostgreSQL pods, in total and per instance set.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
pub struct PostgresStatus {
    /// Pods that should run.
    #[serde(default)]
    pub size: i32,
    /// Pods that are ready.
    #[serde(default)]
    pub ready: i32,
    /// Major version of PostgreSQL.
    #[serde(default)]
    pub version: i64,
    /// Per instance set.
    #[serde(default)]
    pub instances: Vec<InstanceStatus>,
}

/// The pods of one instance set.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
pub struct InstanceStatus {
    /// The instance set.
    pub name: String,
    /// Pods that should run.
    pub size: i32,
    /// Pods that are ready.
    pub ready: i32,
}

/// How many pods of how many are ready.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
pub struct PodCount {
    /// Pods that should run.
    #[serde(default)]
    pub size: i32,
    /// Pods that are ready.
    #[serde(default)]
    pub ready: i32,
}
