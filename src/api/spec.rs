//! `DittoServer` and its spec.
#![allow(
    dead_code,
    reason = "KubeSchema derives from a copy of the struct, and nothing reads its fields"
)]

use k8s_openapi::api::core::v1::{PodSecurityContext, ResourceRequirements, SecurityContext};
use kube::CustomResource;
use kube::KubeSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    AdapterDiscoverySpec, AdapterServicesSpec, AdaptersSpec, ControlPlaneSpec, DatabaseSpec, GroupSpec,
    IdentitySpec, LoggingSpec, MetricsSpec, PerconaSpec, PodDisruptionBudgetSpec, PodTemplate,
    RemoteStoreSpec, ServerNetworkPolicySpec, ServiceSpec, ShareSpec, SnapshotPolicySpec, StorageSpec,
    UploadsSpec, UserSpec, defaults, rules, schema,
};

/// Desired state of the DittoFS server: image, storage, database, identity and network.
///
/// Only `storage` is required. If a field is absent, the default in its description applies.
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
    // Not `all`: that category is for workloads, and already contains the StatefulSet, pod and Services of a server.
    category = "dittofs",
    namespaced,
    validation = rules::spec_present(),
    validation = rules::name(),
    validation = rules::name_with_percona(),
    status = "crate::api::DittoServerStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "DittoServer runs one DittoFS file server: a StatefulSet with its volumes, configuration and Services, and optionally a PostgreSQL cluster. Its name can have at most 51 characters (28 with spec.percona.enabled), because names of Services and values of pod labels contain it.",
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
    printcolumn(name = "Shares", type_ = "string", json_path = ".status.readyShares"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Endpoint",
        type_ = "string",
        json_path = ".status.endpoints[0].host",
        priority = 1
    ),
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
#[x_kube(validation = rules::shares::shares_have_content())]
#[x_kube(validation = rules::shares::uids_distinct())]
#[x_kube(validation = rules::shares::gids_distinct())]
#[x_kube(validation = rules::shares::groups_known())]
#[x_kube(validation = rules::shares::owners_known())]
#[x_kube(validation = rules::shares::remote_stores_known())]
#[x_kube(validation = rules::shares::adapter_ports_distinct())]
pub struct DittoServerSpec {
    /// Container image of the DittoFS server. Pin a version in production, for example
    /// `marmos91c/dittofs:v0.29.0`. Default: `marmos91c/dittofs:latest`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = defaults::IMAGE))]
    #[schemars(length(max = 1024))]
    #[x_kube(validation = rules::image())]
    pub image: Option<String>,

    /// Number of server pods: 1 runs the server, 0 stops it and keeps its volumes. More than one is not possible,
    /// because a DittoFS server needs exclusive access to its volumes. Default: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = defaults::REPLICAS), range(min = 0, max = 1))]
    pub replicas: Option<i32>,

    /// Volumes of the server. They can be expanded, but not shrunk.
    pub storage: StorageSpec,

    /// Control-plane database: users, shares, permissions. It contains no file data and no file metadata.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<DatabaseSpec>,

    /// Maximum duration of a rollout, in seconds. After that time, the condition `Progressing` is False and shows the
    /// cause. The rollout continues. Default: 600.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = defaults::PROGRESS_DEADLINE_SECONDS), range(min = 1, max = 86400))]
    pub progress_deadline_seconds: Option<i32>,

    /// REST API of the server: port and TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control_plane: Option<ControlPlaneSpec>,

    /// Authentication: tokens, the admin user, LDAP and Kerberos.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<IdentitySpec>,

    /// How often the operator queries the server for its protocol adapters (NFS, SMB).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adapter_discovery: Option<AdapterDiscoverySpec>,

    /// Settings of the protocol adapters. Absent: they are those of the server, and the API of the server changes them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adapters: Option<AdaptersSpec>,

    /// Services that expose the protocol adapters (NFS, SMB), one for each running adapter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adapter_services: Option<AdapterServicesSpec>,

    /// The Service `<name>-api`, which exposes the REST API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceSpec>,

    /// The NetworkPolicies: who may connect to the API, the metrics and the adapters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_policy: Option<ServerNetworkPolicySpec>,

    /// Prometheus metrics of the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<MetricsSpec>,

    /// Log output of the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logging: Option<LoggingSpec>,

    /// A PostgreSQL cluster that this operator creates through the Percona Operator for PostgreSQL. The server uses it
    /// as its control-plane database. Cannot be used together with `database.postgresSecretRef`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percona: Option<PerconaSpec>,

    /// Snapshot schedules, one for each share. A policy that leaves the spec is removed from the server if the operator made it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024))]
    pub snapshot_policies: Vec<SnapshotPolicySpec>,

    /// Users of the server. The operator makes them through the API of the server, and finds those that exist. A user that leaves
    /// the spec stays.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub users: Vec<UserSpec>,

    /// Groups of users. A group that leaves the spec stays.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub groups: Vec<GroupSpec>,

    /// Stores outside the cluster to which shares copy the blocks of their files. A store that leaves the spec stays.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub remote_stores: Vec<RemoteStoreSpec>,

    /// What clients mount. The operator makes the shares and the stores below them through the API of the server, and finds those
    /// that exist. A share that leaves the spec stays, with its data. Needs `storage.contentSize`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub shares: Vec<ShareSpec>,

    /// What happens to blocks of files that are not in their remote store yet, when the server stops.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uploads: Option<UploadsSpec>,

    /// CPU and memory of the server container, as in any pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::resource_requirements")]
    pub resources: Option<ResourceRequirements>,

    /// Seconds that the pod has to stop, 36 to 86400: the server is asked to stop after five seconds, and needs thirty
    /// to drain its connections. Default: 105.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 36, max = 86400))]
    pub termination_grace_period_seconds: Option<i64>,

    /// Security context of the server container. Absent fields have the defaults of the Pod Security level
    /// `restricted`: `runAsNonRoot`, no privilege escalation, all capabilities dropped, seccomp `RuntimeDefault`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub security_context: Option<SecurityContext>,

    /// Security context of the pod. It is merged into the default `fsGroup: 65532`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_security_context: Option<PodSecurityContext>,

    /// Additions to the server's pod: where it runs, and what is next to the server. An edit restarts the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_template: Option<PodTemplate>,

    /// Protection of the server's pod against evictions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_disruption_budget: Option<PodDisruptionBudgetSpec>,
}

impl Serialize for DittoServerSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

/// An absent spec is parsed as an empty one. The Go operator's schema did not require it, so such objects may be stored. An
/// object that does not parse would end the watch of all.
impl<'de> Deserialize<'de> for DittoServerSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Present(#[serde(with = "DittoServerSpec")] DittoServerSpec);

        let present = Option::<Present>::deserialize(deserializer)?;
        Ok(present.map(|Present(spec)| spec).unwrap_or_default())
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
    fn an_object_without_spec_parses() {
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
            "controlPlane": {
                "port": 8443, "tls": true, "certSecretName": "cert", "clientCASecretName": "ca",
                "operatorCertSecretName": "operator",
            },
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
            "adapterServices": {
                "type": "NodePort", "annotations": {"a": "b"}, "loadBalancerClass": "c",
                "loadBalancerSourceRanges": ["192.0.2.0/24"], "allocateLoadBalancerNodePorts": false,
                "externalTrafficPolicy": "Local", "ipFamilyPolicy": "PreferDualStack", "ipFamilies": ["IPv6", "IPv4"],
                "nfs": {"type": "LoadBalancer", "annotations": {"c": "d"}},
                "smb": {"nodePort": 30445, "adapterNodePort": 31445}, "nfsV3Discovery": true,
            },
            "service": {"type": "LoadBalancer", "annotations": {"a": "b"}},
            "networkPolicy": {"enabled": false, "from": [{"ipBlock": {"cidr": "192.0.2.0/24"}}], "filesFrom": [{"podSelector": {}}]},
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
        assert_round_trip(&spec);
    }

    #[test]
    fn every_addition_to_the_pod_survives_a_round_trip() {
        assert_round_trip(&json!({
            "storage": {"metadataSize": "10Gi"},
            "podDisruptionBudget": {"enabled": true},
            "podTemplate": {
                "labels": {"team": "files"}, "annotations": {"a": "b"}, "imagePullSecrets": [{"name": "registry"}],
                "imagePullPolicy": "Always", "nodeSelector": {"disk": "ssd"}, "affinity": {"podAntiAffinity": {}},
                "tolerations": [{"key": "files", "operator": "Exists"}],
                "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}],
                "priorityClassName": "high", "runtimeClassName": "gvisor", "serviceAccountName": "files",
                "hostAliases": [{"ip": "192.0.2.1", "hostnames": ["dc1"]}], "dnsPolicy": "None",
                "dnsConfig": {"nameservers": ["192.0.2.2"]}, "hostNetwork": true,
                "env": [{"name": "TZ", "value": "UTC"}], "envFrom": [{"configMapRef": {"name": "more"}}],
                "volumes": [{"name": "scratch", "emptyDir": {}}],
                "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
                "initContainers": [{"name": "first", "image": "busybox"}],
                "sidecars": [{"name": "second", "image": "busybox", "ports": [{"containerPort": 1}]}],
            },
        }));
    }

    fn assert_round_trip(spec: &serde_json::Value) {
        let server: DittoServer = serde_json::from_value(manifest(spec)).unwrap();
        assert_eq!(serde_json::to_value(&server).unwrap(), manifest(spec));
    }
}
