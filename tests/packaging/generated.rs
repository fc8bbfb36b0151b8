//! Files that are generated from the crate, the CRD and the chart. `make generate` runs this test with `PACKAGING_WRITE=1`, which
//! writes them. Without it, the test fails if one is stale. So there is one source of truth: the chart.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{NAMESPACE, VERSION, documents, identity, objects, of_kind, one, read, root, values};

const HEADER: &str = "# Generated from charts/dittofs-operator by `make generate`. Do not edit.\n";
const TABLE: (&str, &str) = ("<!-- values: begin -->\n", "<!-- values: end -->\n");

/// What the manifests under `config/` are rendered with.
pub fn of_kustomize() -> Value {
    json!({"metrics": {"serviceMonitor": {"enabled": true}, "prometheusRule": {"enabled": true}}})
}

/// As [`of_kustomize`], for an operator that watches its own namespace.
pub fn of_kustomize_namespaced() -> Value {
    let mut values = of_kustomize();
    values["watchNamespaces"] = json!([NAMESPACE]);
    values["rbac"] = json!({"watchDefinitions": false});
    values
}

/// Removes what only Helm writes.
pub fn without_helm(mut object: Value) -> Value {
    for path in ["/metadata/labels", "/spec/template/metadata/labels"] {
        if let Some(labels) = object.pointer_mut(path).and_then(Value::as_object_mut) {
            labels.remove("helm.sh/chart");
            labels.remove("app.kubernetes.io/managed-by");
        }
    }
    if let Some(annotations) = object
        .pointer_mut("/metadata/annotations")
        .and_then(Value::as_object_mut)
    {
        annotations.remove("helm.sh/resource-policy");
    }
    object
}

fn manifest(objects: &[&Value]) -> String {
    let documents = objects.iter().map(|object| {
        let object = without_helm((*object).clone());
        serde_yaml::to_string(&object).expect("YAML")
    });
    HEADER.to_owned() + &documents.collect::<Vec<_>>().join("---\n")
}

/// The objects of these kinds whose name is wanted.
fn picked<'a>(objects: &'a [Value], kinds: &[&str], wanted: impl Fn(&str) -> bool) -> Vec<&'a Value> {
    let is_picked = |object: &&Value| {
        kinds.contains(&object["kind"].as_str().unwrap_or_default())
            && wanted(object["metadata"]["name"].as_str().unwrap_or_default())
    };
    objects.iter().filter(is_picked).collect()
}

/// The annotations, except Helm's, that keep an object with data from being deleted.
pub fn kept(chart: &[Value]) -> Value {
    without_helm(one(chart, "CustomResourceDefinition").clone())["metadata"]["annotations"].take()
}

fn config() -> BTreeMap<String, String> {
    let (cluster, namespaced) = (objects(&of_kustomize()), objects(&of_kustomize_namespaced()));
    let leader = |name: &str| name.ends_with("-leader-election");
    let aggregated = |name: &str| name.contains("-dittoserver-");
    let rules = |name: &str| !leader(name) && !aggregated(name);
    let of_namespaces = ["Role", "RoleBinding"];
    let cluster_wide = ["ClusterRole", "ClusterRoleBinding"];
    let namespace = json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": NAMESPACE,
            "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
            "annotations": kept(&cluster),
        },
    });
    [
        ("default/namespace.yaml", vec![&namespace]),
        (
            "manager/service_account.yaml",
            vec![one(&cluster, "ServiceAccount")],
        ),
        ("manager/deployment.yaml", vec![one(&cluster, "Deployment")]),
        ("manager/metrics_service.yaml", vec![one(&cluster, "Service")]),
        (
            "manager/pod_disruption_budget.yaml",
            vec![one(&cluster, "PodDisruptionBudget")],
        ),
        (
            "rbac/cluster/cluster_role.yaml",
            picked(&cluster, &cluster_wide, rules),
        ),
        (
            "rbac/namespaced/role.yaml",
            picked(&namespaced, &of_namespaces, rules),
        ),
        (
            "rbac/common/leader_election.yaml",
            picked(&cluster, &of_namespaces, leader),
        ),
        (
            "rbac/people/aggregated_roles.yaml",
            picked(&cluster, &cluster_wide, aggregated),
        ),
        (
            "monitoring/service_monitor.yaml",
            vec![one(&cluster, "ServiceMonitor")],
        ),
        (
            "monitoring/prometheus_rule.yaml",
            vec![one(&cluster, "PrometheusRule")],
        ),
    ]
    .into_iter()
    .map(|(path, objects)| {
        assert!(!objects.is_empty(), "{path}");
        (format!("config/{path}"), manifest(&objects))
    })
    .collect()
}

/// `Chart.yaml` with the crate's version in it.
fn chart_yaml() -> String {
    let text = read("charts/dittofs-operator/Chart.yaml");
    let lines = text.lines().map(|line| match line.split_once(':') {
        Some((key @ ("version" | "appVersion"), _)) => format!("{key}: {VERSION}"),
        Some((key, _)) if key.trim() == "image" => {
            let image = line.rsplit_once(':').map_or(line, |(image, _)| image);
            format!("{image}:{VERSION}")
        }
        _ => line.to_owned(),
    });
    lines.map(|line| line + "\n").collect()
}

/// The base URL of the runbooks of the crate's version, as the chart has it by default.
fn runbooks() -> String {
    let chart: Value = serde_yaml::from_str(&read("charts/dittofs-operator/Chart.yaml")).expect("YAML");
    let repository = chart["sources"][0].as_str().expect("a repository");
    format!("{repository}/blob/v{VERSION}/docs/runbooks")
}

/// The alerts, with the runbooks of the crate's version.
fn alerts() -> String {
    let (text, runbooks) = (read("config/monitoring/alerts.yaml"), runbooks());
    let lines = text.lines().map(|line| match line.split_once("runbook_url: ") {
        Some((indent, url)) => {
            let (_, name) = url.rsplit_once('/').expect("a URL");
            format!("{indent}runbook_url: {runbooks}/{name}")
        }
        None => line.to_owned(),
    });
    lines.map(|line| line + "\n").collect()
}

fn readme() -> String {
    let text = read("charts/dittofs-operator/README.md");
    let (before, rest) = text.split_once(TABLE.0).expect("the begin of the table");
    let (_, after) = rest.split_once(TABLE.1).expect("the end of the table");
    format!("{before}{}{}{}{after}", TABLE.0, values::table(), TABLE.1)
}

/// The part of Argo CD's ConfigMap that holds the health script.
fn argocd() -> String {
    let script = read("config/argocd/health.lua");
    let indented = script.lines().map(|line| format!("    {line}"));
    let indented: Vec<_> = indented.map(|line| line.trim_end().to_owned()).collect();
    format!(
        "# Generated from config/argocd/health.lua by `make generate`. Do not edit.\n\
         # kubectl -n argocd patch configmap argocd-cm --patch-file config/argocd/argocd-cm.yaml\n\
         apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: argocd-cm\n  namespace: argocd\ndata:\n  \
         resource.customizations.health.dittofs.dittofs.com_DittoServer: |\n{}\n",
        indented.join("\n")
    )
}

/// Everything that is generated: path and content. Copies come first, because the chart renders them.
fn sources() -> BTreeMap<String, String> {
    let chart = |name: &str| format!("charts/dittofs-operator/{name}");
    BTreeMap::from([
        (chart("files/dittoservers.yaml"), read("crds/dittoservers.yaml")),
        (chart("files/alerts.yaml"), alerts()),
        ("config/monitoring/alerts.yaml".to_owned(), alerts()),
        (
            chart("files/deletion-protection.yaml"),
            read("config/admission/deletion-protection.yaml"),
        ),
        (chart("Chart.yaml"), chart_yaml()),
        (chart("README.md"), readme()),
        (chart("values.schema.json"), values::schema()),
        ("config/argocd/argocd-cm.yaml".to_owned(), argocd()),
    ])
}

fn stale(files: &BTreeMap<String, String>) -> Vec<String> {
    let is_stale = |(path, content): &(&String, &String)| {
        std::fs::read_to_string(root().join(path)).ok().as_ref() != Some(content)
    };
    files
        .iter()
        .filter(is_stale)
        .map(|(path, _)| path.clone())
        .collect()
}

fn write(files: &BTreeMap<String, String>) {
    for path in stale(files) {
        std::fs::write(root().join(&path), &files[&path]).expect("a file");
        println!("wrote {path}");
    }
}

#[test]
fn generated_files_are_up_to_date() {
    let is_writing = std::env::var_os("PACKAGING_WRITE").is_some();
    let sources = sources();
    if is_writing {
        write(&sources);
    }
    let config = config();
    if is_writing {
        write(&config);
    }
    let stale = [stale(&sources), stale(&config)].concat();
    assert!(stale.is_empty(), "stale: {stale:?}; run `make generate`");
}

#[test]
fn the_crd_that_the_chart_installs_is_the_crd_of_the_operator() {
    let objects = objects(&json!({}));
    let ours = documents(&read("crds/dittoservers.yaml"));
    let theirs = one(&objects, "CustomResourceDefinition");
    assert!(
        numbers(&theirs["spec"]) == numbers(&ours[0]["spec"]),
        "the chart's CRD differs"
    );
    assert_eq!(identity(theirs), identity(&ours[0]));
}

/// With every number as a float: Helm writes `0` for `0.0`.
fn numbers(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(items) => items.iter().map(numbers).collect(),
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .map(|(key, value)| (key.clone(), numbers(value)))
                .collect(),
        ),
        other => other.clone(),
    }
}

#[test]
fn chart_and_kustomize_have_the_alerts_of_one_file() {
    let alerts: Value = serde_yaml::from_str(&read("config/monitoring/alerts.yaml")).expect("YAML");
    let chart = objects(&of_kustomize());
    assert_eq!(of_kind(&chart, "PrometheusRule")[0]["spec"], alerts);
}
