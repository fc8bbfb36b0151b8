//! `DittoServer` and its spec.
#![allow(
    dead_code,
    reason = "KubeSchema derives from a copy of the struct, whose fields nobody reads"
)]

use k8s_openapi::api::core::v1::{PodSecurityContext, ResourceRequirements, SecurityContext};
use kube::CustomResource;
use kube::KubeSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    AdapterDiscoverySpec, AdapterServicesSpec, ControlPlaneSpec, DatabaseSpec, IdentitySpec, LoggingSpec,
    MetricsSpec, PerconaSpec, ServiceSpec, SnapshotPolicySpec, StorageSpec, defaults, rules, schema,
};

/// The DittoFS server that the user wants: image, storage, database, identity and how it is reached.
///
/// Only `storage` is required. A field that is absent has the default that its text names.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", remote = "Self")]
#[kube(
    group = "dittofs.dittofs.com",
    version = "v1alpha1",
    kind = "DittoServer",
    plural = "dittoservers",
    singular = "dittoserver",
    shortname = "ditto",
    shortname = "dittofs",
    // Not `all`: that is for workloads, and a server's StatefulSet, pod and Services are in it already.
    category = "dittofs",
    namespaced,
    validation = rules::spec_present(),
    validation = rules::name(),
    validation = rules::name_with_percona(),
    status = "crate::api::DittoServerStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "DittoServer runs one DittoFS file server: a StatefulSet with its volumes, configuration, Services, and on request a PostgreSQL cluster. Its name has at most 51 characters (28 with spec.percona.enabled), because Services and pod labels are named after it.",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Replicas", type_ = "integer", json_path = ".spec.replicas"),
    printcolumn(name = "Ready", type_ = "integer", json_path = ".status.readyReplicas"),
    printcolumn(
        name = "Available",
        type_ = "integer",
        json_path = ".status.availableReplicas"
    ),
    printcolumn(name = "Status", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
        priority = 1
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        priority = 1
    )
)]
#[x_kube(validation = rules::ports_distinct())]
#[x_kube(validation = rules::postgres_has_a_source())]
#[x_kube(validation = rules::one_database())]
#[x_kube(validation = rules::sqlite_on_volume())]
pub struct DittoServerSpec {
    /// Container image of the DittoFS server. Pin a version in production, for example
    /// `marmos91c/dittofs:v0.29.0`. Default: `marmos91c/dittofs:latest`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = defaults::IMAGE))]
    #[schemars(length(max = 1024))]
    #[x_kube(validation = rules::image())]
    pub image: Option<String>,

    /// Number of server pods: 1 runs the server, 0 stops it and keeps its volumes. A DittoFS server owns its
    /// volumes alone, so there is never more than one. Default: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = defaults::REPLICAS), range(min = 0, max = 1))]
    pub replicas: Option<i32>,

    /// Volumes of the server. Sizes can grow, never shrink.
    pub storage: StorageSpec,

    /// Control-plane database: users, shares, permissions. File data and metadata are not in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<DatabaseSpec>,

    /// Seconds within which a rollout must finish before `Progressing` says that it is stuck, and why. The rollout goes
    /// on all the same. Default: 600.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = defaults::PROGRESS_DEADLINE_SECONDS), range(min = 1, max = 86400))]
    pub progress_deadline_seconds: Option<i32>,

    /// The server's REST API: port and TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control_plane: Option<ControlPlaneSpec>,

    /// Who may log in: tokens, the admin user, LDAP and Kerberos.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<IdentitySpec>,

    /// No effect yet. How often the operator asks the server for its protocol adapters (NFS, SMB).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adapter_discovery: Option<AdapterDiscoverySpec>,

    /// No effect yet. The Services that expose the protocol adapters (NFS, SMB), one for each adapter that runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adapter_services: Option<AdapterServicesSpec>,

    /// The Service `<name>-api` in front of the REST API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceSpec>,

    /// Prometheus metrics of the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<MetricsSpec>,

    /// Log output of the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logging: Option<LoggingSpec>,

    /// A PostgreSQL cluster that the operator makes with the Percona Operator for PostgreSQL, and that the server
    /// uses as its control-plane database. Excludes `database.postgresSecretRef`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percona: Option<PerconaSpec>,

    /// No effect yet. Snapshot schedules, one for each share.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024))]
    pub snapshot_policies: Vec<SnapshotPolicySpec>,

    /// CPU and memory of the server container, as in any pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::resource_requirements")]
    pub resources: Option<ResourceRequirements>,

    /// Seconds that the pod gets to stop, at least 36: five of them pass before the server is told, and it
    /// needs thirty to drain. Default: 105.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 36))]
    pub termination_grace_period_seconds: Option<i64>,

    /// Security context of the server container. Fields that are absent keep the restricted defaults:
    /// `runAsNonRoot`, no privilege escalation, all capabilities dropped, seccomp `RuntimeDefault`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub security_context: Option<SecurityContext>,

    /// Security context of the pod, merged over the default `fsGroup: 65532`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_security_context: Option<PodSecurityContext>,
}

impl Serialize for DittoServerSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

/// An absent spec reads as an empty one. The Go operator's schema did not require it, so such objects may be
/// stored, and one that cannot be read would stop the watch of all.
impl<'de> Deserialize<'de> for DittoServerSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Present(#[serde(with = "DittoServerSpec")] DittoServerSpec);

        let present = Option::<Present>::deserialize(deserializer)?;
        Ok(present.map(|Present(spec)| spec).unwrap_or_default())
    }
}

/// The metadata that the operator obeys.
impl DittoServer {
    /// Whether a user has paused the operator's work on the server. Its deletion is not held up by that.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        let annotations = self.metadata.annotations.as_ref();
        annotations
            .and_then(|annotations| annotations.get(super::names::PAUSED_ANNOTATION))
            .is_some_and(|value| value == "true")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn manifest(spec: &serde_json::Value) -> serde_json::Value {
        json!({
            "apiVersion": "dittofs.dittofs.com/v1alpha1",
            "kind": "DittoServer",
            "metadata": {"name": "files"},
            "spec": spec,
        })
    }

    #[test]
    fn an_object_without_spec_can_be_read() {
        let mut stored = manifest(&json!(null));
        stored.as_object_mut().unwrap().remove("spec");
        let server: DittoServer = serde_json::from_value(stored).unwrap();
        assert_eq!(server.spec, DittoServerSpec::default());
    }

    #[test]
    fn every_field_of_the_contract_survives_a_round_trip() {
        let spec = json!({
            "image": "registry.example.com/dittofs:v0.29.0",
            "replicas": 0,
            "storage": {
                "metadataSize": "10Gi", "contentSize": "1Ti", "controlPlaneSize": "2Gi", "storageClassName": "fast",
            },
            "database": {
                "type": "postgres",
                "sqlite": {"path": "/data/controlplane/other.db"},
                "postgresSecretRef": {"name": "pg", "key": "host", "optional": true},
            },
            "controlPlane": {"port": 8443, "tls": true, "certSecretName": "cert", "clientCASecretName": "ca"},
            "identity": {
                "type": "memory",
                "jwt": {
                    "secretRef": {"name": "jwt", "key": "secret"},
                    "accessTokenDuration": "5m", "refreshTokenDuration": "24h",
                },
                "admin": {"username": "root", "passwordSecretRef": {"name": "admin", "key": "password"}},
                "ldap": {
                    "enabled": true, "url": "ldap://ad:389", "startTLS": true, "allowPlaintext": true,
                    "baseDN": "dc=x", "bindDN": "cn=y", "bindPasswordSecretRef": {"name": "ldap", "key": "password"},
                    "userAttr": "uid", "realm": "X", "idmap": "rid", "nestedGroups": true,
                    "caCertFile": "/ca.pem", "insecureSkipVerify": true,
                },
                "kerberos": {
                    "enabled": true, "servicePrincipal": "nfs/x@X", "realm": "X", "netbiosDomain": "X",
                    "dnsDomain": "x", "krb5Conf": "/etc/krb5.conf",
                    "keytabSecretRef": {"name": "krb", "key": "keytab"},
                    "krb5ConfSecretRef": {"name": "krb", "key": "conf"},
                    "machineAccount": {
                        "enabled": true, "accountName": "X$", "secretRef": {"name": "m", "key": "p"},
                        "keytabSecretRef": {"name": "m", "key": "k"}, "dcAddress": ["dc1", "dc2:88"],
                    },
                },
            },
            "adapterDiscovery": {"pollingInterval": "1m"},
            "adapterServices": {"type": "NodePort", "annotations": {"a": "b"}},
            "service": {"type": "LoadBalancer", "annotations": {"a": "b"}},
            "metrics": {
                "enabled": true, "port": 9100, "path": "/m", "bearerTokenSecret": {"name": "t", "key": "token"},
                "serviceMonitor": {"enabled": true, "interval": "30s", "labels": {"a": "b"}},
            },
            "logging": {"level": "DEBUG", "format": "text", "output": "stderr"},
            "percona": {
                "enabled": true, "deleteWithServer": true, "adoptExisting": true, "replicas": 3,
                "storageSize": "20Gi", "storageClassName": "fast", "databaseName": "files",
                "backup": {
                    "enabled": true, "credentialsSecretRef": {"name": "s3"}, "bucket": "b", "endpoint": "e",
                    "region": "r", "fullSchedule": "0 1 * * *", "incrSchedule": "@hourly", "retentionDays": 14,
                },
                "postgresVersion": 16, "crVersion": "2.8.2",
                "images": {"postgres": "pg", "pgBouncer": "bouncer", "pgBackRest": "backrest"},
            },
            "snapshotPolicies": [{
                "share": "/a", "interval": "@daily", "keepLast": 7, "ttl": "720h", "namePrefix": "auto-",
                "enabled": false,
            }],
            "resources": {"limits": {"cpu": "1"}, "requests": {"memory": "1Gi"}, "claims": [{"name": "c"}]},
            "terminationGracePeriodSeconds": 60,
            "securityContext": {"readOnlyRootFilesystem": true},
            "podSecurityContext": {"fsGroup": 1000},
        });
        let server: DittoServer = serde_json::from_value(manifest(&spec)).unwrap();
        assert_eq!(serde_json::to_value(&server).unwrap(), manifest(&spec));
    }
}
