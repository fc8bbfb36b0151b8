//! The chart, the kustomize manifests, and an installation of each.

mod chart;
mod chart_rights;
mod chart_values;
mod generated;
mod health;
mod install;
mod kustomize;
mod release;
mod values;

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::support::chart::{NAMESPACE, RELEASE, documents, folder as chart_dir, helm};

/// The version of crate, chart and image.
const VERSION: &str = env!("CARGO_PKG_VERSION");

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// `--set-json` for each value.
fn settings(values: &Value) -> Vec<String> {
    let values = values.as_object().expect("values are an object");
    values
        .iter()
        .flat_map(|(name, value)| ["--set-json".to_owned(), format!("{name}={value}")])
        .collect()
}

fn template(values: &Value) -> Output {
    helm()
        .args(["template", RELEASE])
        .arg(chart_dir())
        .args(["--namespace", NAMESPACE])
        .args(settings(values))
        .output()
        .expect("Helm runs")
}

/// The output of `helm template`.
fn rendered(values: &Value) -> String {
    let output = template(values);
    assert!(
        output.status.success(),
        "{values}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("text")
}

/// The objects in it.
fn objects(values: &Value) -> Vec<Value> {
    documents(&rendered(values))
}

/// `kubectl kustomize` of a folder.
fn kustomized(folder: &str) -> Vec<Value> {
    let output = Command::new("kubectl")
        .args(["kustomize", folder])
        .current_dir(root())
        .output()
        .expect("kubectl runs");
    assert!(
        output.status.success(),
        "{folder}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    documents(&String::from_utf8_lossy(&output.stdout))
}

/// Kind, namespace and name.
fn identity(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let metadata = &object["metadata"];
    format!(
        "{} {}/{}",
        text(&object["kind"]),
        text(&metadata["namespace"]),
        text(&metadata["name"])
    )
}

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

/// The only object of a kind.
fn one<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    let found = of_kind(objects, kind);
    assert_eq!(found.len(), 1, "{kind}: {found:?}");
    found[0]
}

/// Values that enable everything that is optional.
fn everything() -> Value {
    json!({
        "commonLabels": {"team": "storage"},
        "commonAnnotations": {"example.com/cost-center": "42"},
        "image": {
            "registry": "registry.example.com:5000",
            "repository": "mirror/dittofs-operator",
            "digest": format!("sha256:{}", "0123456789abcdef".repeat(4)),
            "pullSecrets": [{"name": "regcred"}],
        },
        "replicas": 3,
        "perconaRegistry": "registry.example.com:5000/percona",
        "serviceAccount": {"annotations": {"example.com/role": "operator"}},
        "podLabels": {"mesh": "off"},
        "podAnnotations": {"example.com/scan": "true"},
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "infra", "operator": "Exists", "effect": "NoSchedule"}],
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
            {"matchExpressions": [{"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64", "arm64"]}]},
        ]}}},
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "ScheduleAnyway"},
        ],
        "priorityClassName": "system-cluster-critical",
        "extraArgs": ["--percona-registry=overridden"],
        "extraEnv": [{"name": "RUST_BACKTRACE", "value": "1"}],
        "metrics": {
            "secure": true,
            "certSecretName": "metrics-cert",
            "serviceAnnotations": {"example.com/scrape": "yes"},
            "serviceMonitor": {
                "enabled": true,
                "labels": {"release": "prometheus"},
                "tlsConfig": {
                    "ca": {"secret": {"name": "metrics-cert", "key": "ca.crt"}},
                    "serverName": "dittofs-operator-metrics.dittofs-system.svc",
                },
                "authorization": {"credentials": {"name": "scrape", "key": "token"}},
                "relabelings": [{"sourceLabels": ["__meta_kubernetes_pod_node_name"], "targetLabel": "node"}],
                "metricRelabelings": [{"regex": "pod", "action": "labeldrop"}],
            },
            "prometheusRule": {"enabled": true, "labels": {"release": "prometheus"}},
        },
        "networkPolicy": {
            "enabled": true,
            "metricsFrom": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
            "apiServerTo": [{"ipBlock": {"cidr": "10.0.0.1/32"}}],
        },
        "deletionProtection": {"enabled": true},
    })
}
