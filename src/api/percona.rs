//! The part of `PerconaPGCluster` (`pgv2.percona.com/v2`) that the operator writes and reads.
//!
//! Every field is optional, and absent unless set, so that a server-side apply of these types owns exactly the fields that are
//! set. Other fields are ignored when read.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{PersistentVolumeClaimSpec, VolumeProjection};
use kube::CustomResource;
use serde::{Deserialize, Serialize};

/// State of a cluster that accepts connections.
pub const STATE_READY: &str = "ready";
/// State of a paused cluster: it has no pods, and its volumes are kept.
pub const STATE_PAUSED: &str = "paused";

/// Finalizers with which Percona's operator deletes the volumes, user Secrets and certificates of a cluster together with it.
pub const REMOVAL_FINALIZERS: [&str; 2] = ["percona.com/delete-pvc", "percona.com/delete-ssl"];

/// Desired state of the cluster.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "pgv2.percona.com",
    version = "v2",
    kind = "PerconaPGCluster",
    plural = "perconapgclusters",
    singular = "perconapgcluster",
    namespaced,
    schema = "disabled",
    status = "PerconaPGClusterStatus",
    derive = "PartialEq",
    derive = "Default"
)]
pub struct PerconaPGClusterSpec {
    /// Version of the resource. Percona's operator sets its own if it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cr_version: Option<String>,
    /// Image of PostgreSQL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Major version of PostgreSQL. Required by Percona's schema.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postgres_version: Option<i32>,
    /// Port of PostgreSQL, 5432 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<i32>,
    /// Stops the cluster and keeps its volumes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause: Option<bool>,
    /// Instance sets. Required by Percona's schema, and never empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub instances: Vec<InstanceSet>,
    /// Users with their databases.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<User>,
    /// Connection pooler. Percona's operator 2.8.2 panics on a cluster without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Proxy>,
    /// Backups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backups: Option<Backups>,
}

/// A set of instances with the same settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InstanceSet {
    /// Name of the set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Number of instances.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Claim of each instance's data volume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_volume_claim_spec: Option<PersistentVolumeClaimSpec>,
}

/// A user of the database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// Name of the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Databases that the user owns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub databases: Vec<String>,
}

/// The connection pooler.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Proxy {
    /// PgBouncer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pg_bouncer: Option<PgBouncer>,
}

/// PgBouncer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PgBouncer {
    /// Image of PgBouncer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Number of PgBouncer pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
}

/// Backups.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Backups {
    /// Create backups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// pgBackRest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pgbackrest: Option<PgBackRest>,
}

/// pgBackRest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PgBackRest {
    /// Image of pgBackRest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Settings of pgBackRest, for example `repo1-path`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub global: BTreeMap<String, String>,
    /// Secrets with further configuration files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub configuration: Vec<VolumeProjection>,
    /// Destination of backups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repos: Vec<BackupRepo>,
}

/// Destination of backups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupRepo {
    /// `repo1` to `repo4`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// An S3 bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3: Option<S3Repo>,
    /// Schedules of backups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedules: Option<BackupSchedules>,
}

/// An S3 bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct S3Repo {
    /// Name of the bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
    /// Endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}

/// Schedules of backups, in cron notation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupSchedules {
    /// Full backups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub full: Option<String>,
    /// Incremental backups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incremental: Option<String>,
}

/// What Percona's operator reports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PerconaPGClusterStatus {
    /// `initializing`, `ready`, `paused`, `stopping` …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Host name of the cluster for clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

impl PerconaPGCluster {
    /// The kind's name.
    pub const KIND: &'static str = "PerconaPGCluster";

    /// Whether Percona's operator reports the cluster as ready.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.state() == Some(STATE_READY)
    }

    /// Whether the spec of the cluster asks for a pause, by `percona.hibernate` or by a manual edit.
    #[must_use]
    pub fn is_to_pause(&self) -> bool {
        self.spec.pause == Some(true)
    }

    /// The state that Percona's operator reports. `None` before its first report.
    #[must_use]
    pub fn state(&self) -> Option<&str> {
        self.status
            .as_ref()?
            .state
            .as_deref()
            .filter(|state| !state.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_field_that_is_not_set_is_not_applied() {
        let spec = PerconaPGClusterSpec {
            instances: vec![InstanceSet {
                name: Some("instance1".into()),
                ..InstanceSet::default()
            }],
            ..PerconaPGClusterSpec::default()
        };
        assert_eq!(
            serde_json::to_value(spec).unwrap(),
            json!({"instances": [{"name": "instance1"}]})
        );
    }

    #[test]
    fn field_names_are_those_of_percona() {
        let spec = json!({
            "crVersion": "2.8.2",
            "image": "i",
            "postgresVersion": 17,
            "port": 5432,
            "pause": false,
            "instances": [{
                "name": "instance1",
                "replicas": 1,
                "dataVolumeClaimSpec": {
                    "accessModes": ["ReadWriteOnce"],
                    "resources": {"requests": {"storage": "10Gi"}},
                    "storageClassName": "fast",
                },
            }],
            "users": [{"name": "dittofs", "databases": ["dittofs"]}],
            "proxy": {"pgBouncer": {"image": "b", "replicas": 1}},
            "backups": {
                "enabled": true,
                "pgbackrest": {
                    "image": "r",
                    "global": {"repo1-path": "/p"},
                    "configuration": [{"secret": {"name": "s3"}}],
                    "repos": [{
                        "name": "repo1",
                        "s3": {"bucket": "b", "endpoint": "e", "region": "r"},
                        "schedules": {"full": "0 2 * * *", "incremental": "0 * * * *"},
                    }],
                },
            },
        });
        let read: PerconaPGClusterSpec = serde_json::from_value(spec.clone()).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), spec);
    }

    #[test]
    fn fields_of_other_releases_are_ignored_and_the_state_is_read() {
        let cluster: PerconaPGCluster = serde_json::from_value(json!({
            "apiVersion": "pgv2.percona.com/v2",
            "kind": "PerconaPGCluster",
            "metadata": {"name": "f-postgres"},
            "spec": {"postgresVersion": 17, "patroni": {"syncPeriodSeconds": 10}},
            "status": {"state": "ready", "postgres": {"ready": 1}},
        }))
        .unwrap();
        assert!(cluster.is_ready());
        assert!(!PerconaPGCluster::default().is_ready());
    }
}
