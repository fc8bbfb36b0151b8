//! The chart, and the rights that it gives to the operator.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};

use local_control_plane::binaries::{self, Progress};
use local_control_plane::rights::{self, Account, Right};
use serde_json::Value;

/// Release and namespace, as in the documents.
pub const RELEASE: &str = "dittofs-operator";
pub const NAMESPACE: &str = "dittofs-system";

/// The chart's folder.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/dittofs-operator")
}

/// Helm, which does not look at the user's settings.
pub fn helm() -> Command {
    static HELM: OnceLock<PathBuf> = OnceLock::new();
    let program =
        HELM.get_or_init(|| binaries::helm(&Progress::stderr()).expect("Helm is there or can be built"));
    let mut command = Command::new(program);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HELM_")) {
        command.env_remove(name);
    }
    command.env_remove("KUBECONFIG");
    command
}

/// The documents of a YAML file.
pub fn documents(text: &str) -> Vec<Value> {
    let documents: Vec<Value> = serde_yaml::from_multiple(text).expect("YAML");
    documents
        .into_iter()
        .filter(|document| !document.is_null())
        .collect()
}

/// The service account and its rules, with everything on that needs a right, of a release in this namespace.
pub fn rules(namespace: &str) -> Vec<Value> {
    rules_of_shard(namespace, "")
}

/// As [`rules`], with this value of `shardSelector`.
pub fn rules_of_shard(namespace: &str, selector: &str) -> Vec<Value> {
    static RENDERED: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());
    let mut rendered = RENDERED.lock().unwrap_or_else(PoisonError::into_inner);
    let text = rendered
        .entry(selector.to_owned())
        .or_insert_with(|| render(selector));
    // Names of cluster-wide objects begin with the release's namespace, so they change with it.
    documents(&text.replace(NAMESPACE, namespace))
}

fn render(shard_selector: &str) -> String {
    let output = helm()
        .args(["template", RELEASE])
        .arg(folder())
        .args(["--namespace", NAMESPACE, "--set", "metrics.secure=true"])
        .args(["--set-string", &format!("shardSelector={shard_selector}")])
        .args(["--show-only", "templates/serviceaccount.yaml"])
        .args(["--show-only", "templates/rbac.yaml"])
        .output()
        .expect("Helm runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).expect("text")
}

/// The service account of a release in this namespace.
pub fn account(namespace: &str) -> Account {
    Account {
        namespace: namespace.to_owned(),
        name: RELEASE.to_owned(),
    }
}

/// The rights that the chart gives to the operator, one by one.
pub fn granted() -> BTreeSet<Right> {
    rights::granted(&rules(NAMESPACE), &account(NAMESPACE)).expect("roles and bindings")
}
