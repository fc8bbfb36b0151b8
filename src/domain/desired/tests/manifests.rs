//! All children of some servers, as manifests. A change of a snapshot is a change in every such server's cluster.

use serde::Serialize;

use crate::domain::desired::{Workload, desired};
use crate::domain::observed::Observed;
use crate::domain::settings::Settings;
use crate::domain::testing::{self, valid};
use crate::domain::validate::PodGate;

/// Every child as a YAML document, in the order of `apply`.
fn manifests(observed: &Observed) -> String {
    let desired = desired(&valid(observed, PodGate::Open), &Settings::default()).expect("children");
    assert!(
        matches!(desired.workload, Workload::Run { .. }),
        "the pod would run"
    );
    let documents: Vec<String> = desired.into_manifests().iter().map(document).collect();
    documents.join("---\n")
}

/// Compares with `src/domain/desired/snapshots/<name>.snap`. `cargo insta review` takes changes over.
fn check(name: &str, observed: &Observed) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| insta::assert_snapshot!(name, manifests(observed)));
}

fn document(child: &impl Serialize) -> String {
    serde_yaml::to_string(child).expect("YAML")
}

#[test]
fn a_minimal_server() {
    check("a_minimal_server", &testing::nothing(""));
}

#[test]
fn a_stopped_server() {
    check("a_stopped_server", &testing::ready("replicas: 0"));
}

#[test]
fn a_server_with_everything() {
    check("a_server_with_everything", &testing::ready(EVERYTHING));
}

#[test]
fn a_server_with_additions_to_its_pod() {
    let server = testing::ready(&format!("{POD_TEMPLATE}podDisruptionBudget: {{enabled: true}}"));
    check("a_server_with_additions_to_its_pod", &server);
}

#[test]
fn a_server_with_mutual_tls() {
    let spec = "controlPlane: {port: 8443, certSecretName: files-cert, clientCASecretName: clients}";
    check("a_server_with_mutual_tls", &testing::ready(spec));
}

#[test]
fn a_server_with_its_own_postgresql() {
    let spec = "database: {type: postgres, postgresSecretRef: {name: pg, key: host}}";
    check("a_server_with_its_own_postgresql", &testing::ready(spec));
}

#[test]
fn a_server_with_percona() {
    check(
        "a_server_with_percona",
        &testing::ready("percona: {enabled: true}"),
    );
}

#[test]
fn a_server_with_percona_and_backups() {
    check(
        "a_server_with_percona_and_backups",
        &testing::ready(PERCONA_WITH_BACKUPS),
    );
}

/// Every field of `podTemplate`.
pub(super) const POD_TEMPLATE: &str = "
podTemplate:
  labels: {team: files}
  annotations: {mesh: \"on\"}
  imagePullSecrets: [{name: registry}]
  imagePullPolicy: Always
  nodeSelector: {disk: ssd}
  affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: zone, labelSelector: {matchLabels: {app: dittofs-server}}}]}}
  tolerations: [{key: files, operator: Exists, effect: NoSchedule}]
  topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: ScheduleAnyway, labelSelector: {matchLabels: {app: dittofs-server}}}]
  priorityClassName: high
  runtimeClassName: gvisor
  serviceAccountName: files
  hostAliases: [{ip: 192.0.2.1, hostnames: [dc1.example.com]}]
  dnsPolicy: None
  dnsConfig: {nameservers: [192.0.2.2], searches: [example.com], options: [{name: ndots, value: \"2\"}]}
  hostNetwork: true
  env: [{name: GOMEMLIMIT, value: 1GiB}]
  envFrom: [{configMapRef: {name: more}}]
  volumes: [{name: scratch, emptyDir: {sizeLimit: 1Gi}}]
  volumeMounts: [{name: scratch, mountPath: /scratch}]
  initContainers: [{name: prepare, image: \"busybox:1\", command: [\"true\"]}]
  sidecars: [{name: backup, image: \"restic:1\", volumeMounts: [{name: metadata, mountPath: /metadata, readOnly: true}]}]
";

/// Every field that has an effect, but for the other database kinds and mutual TLS.
pub(super) const EVERYTHING: &str = "
image: marmos91c/dittofs:v0.29.0
storage: {metadataSize: 20Gi, contentSize: 100Gi, controlPlaneSize: 2Gi, storageClassName: fast}
database: {type: sqlite, sqlite: {path: /data/controlplane/files.db}}
controlPlane: {port: 8443, certSecretName: files-cert}
identity:
  jwt: {secretRef: {name: jwt, key: k}, accessTokenDuration: 5m, refreshTokenDuration: 24h}
  admin: {username: root, passwordSecretRef: {name: admin, key: p}}
  ldap:
    enabled: true
    url: ldap://ldap.example.com
    startTLS: true
    allowPlaintext: true
    baseDN: dc=example,dc=com
    bindDN: cn=dittofs,dc=example,dc=com
    bindPasswordSecretRef: {name: ldap, key: p}
    userAttr: uid
    realm: EXAMPLE.COM
    idmap: rid
    nestedGroups: true
    caCertFile: /etc/ssl/ldap.pem
    insecureSkipVerify: true
  kerberos:
    enabled: true
    servicePrincipal: nfs/files.example.com@EXAMPLE.COM
    realm: EXAMPLE.COM
    netbiosDomain: EXAMPLE
    dnsDomain: example.com
    krb5Conf: /ignored
    keytabSecretRef: {name: krb, key: keytab}
    krb5ConfSecretRef: {name: krb, key: conf}
    machineAccount:
      enabled: true
      accountName: FILES$
      secretRef: {name: krb, key: account}
      keytabSecretRef: {name: krb, key: account-keytab}
      dcAddress: ['dc1.example.com', 'dc2.example.com:389']
service: {type: LoadBalancer, annotations: {example.com/pool: blue}}
metrics: {enabled: true, port: 9100, path: /m, bearerTokenSecret: {name: scrape, key: t}, serviceMonitor: {enabled: true, interval: 30s, labels: {release: prometheus}}}
logging: {level: DEBUG, format: text, output: stderr}
resources: {requests: {cpu: 500m, memory: 1Gi}, limits: {memory: 2Gi}}
terminationGracePeriodSeconds: 60
securityContext: {readOnlyRootFilesystem: true}
podSecurityContext: {runAsUser: 1000, fsGroup: 1000}
";

pub(super) const PERCONA_WITH_BACKUPS: &str = "
percona:
  enabled: true
  deleteWithServer: true
  replicas: 3
  storageSize: 50Gi
  storageClassName: fast
  databaseName: control
  crVersion: 2.8.2
  images: {pgBouncer: 'registry.example.com/pgbouncer:1'}
  backup:
    enabled: true
    credentialsSecretRef: {name: s3}
    bucket: backups
    endpoint: s3.example.com
    region: eu-central-1
    retentionDays: 30
";
