//! The demo, with a script instead of the operator. The test itself writes what the operator would.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::GroupVersionKind;
use kube::{Client, Config};
use serde_json::json;
use tempfile::TempDir;

const MANIFESTS: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: dittoservers.dittofs.dittofs.com}
spec:
  group: dittofs.dittofs.com
  scope: Namespaced
  names: {kind: DittoServer, listKind: DittoServerList, plural: dittoservers, singular: dittoserver}
  versions:
    - name: v1alpha1
      served: true
      storage: true
      subresources: {status: {}}
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
---
apiVersion: dittofs.dittofs.com/v1alpha1
kind: DittoServer
metadata: {name: sample}
spec: {}
";

struct Demo {
    process: Child,
    directory: TempDir,
}

impl Demo {
    fn start(script: &str, timeout: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let operator = directory.path().join("operator");
        let manifests = directory.path().join("all.yaml");
        fs::write(&operator, format!("#!/bin/sh\necho told $KUBECONFIG\n{script}\n")).unwrap();
        fs::set_permissions(&operator, fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(&manifests, MANIFESTS).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_local-control-plane"))
            .args(["demo", "--until-ready", "--timeout", timeout, "--apply"])
            .arg(&manifests)
            .arg("--operator")
            .arg(&operator)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self { process, directory }
    }

    /// Reads the output until the server is in the table; gives the kubeconfig that is printed before.
    fn until_shown(&mut self, output: &mut impl BufRead) -> PathBuf {
        let mut kubeconfig = None;
        for line in output.lines().map_while(Result::ok) {
            if let Some(path) = line.trim().strip_prefix("export KUBECONFIG=") {
                kubeconfig = Some(PathBuf::from(path));
            }
            if line.starts_with("default") && line.contains("sample") {
                return kubeconfig.unwrap();
            }
        }
        panic!("the table never came; {:?}", self.process.wait());
    }
}

async fn client(kubeconfig: &Path) -> Client {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .unwrap();
    Client::try_from(config).unwrap()
}

#[tokio::test]
async fn the_demo_succeeds_once_every_server_is_ready() {
    let mut demo = Demo::start("exec sleep 600", "60");
    let mut output = BufReader::new(demo.process.stdout.take().unwrap());
    let kubeconfig = demo.until_shown(&mut output);
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(
        "dittofs.dittofs.com",
        "v1alpha1",
        "DittoServer",
    ));
    let servers = Api::<DynamicObject>::default_namespaced_with(client(&kubeconfig).await, &resource);
    let status = json!({"status": {
        "observedGeneration": 1, "phase": "Running", "readyReplicas": 1,
        "conditions": [{"type": "Ready", "status": "True"}],
    }});
    let written = servers
        .patch_status("sample", &PatchParams::default(), &Patch::Merge(status))
        .await;
    // The demo stops the API server as soon as it sees the status, perhaps before the answer.
    assert!(
        matches!(written, Ok(_) | Err(kube::Error::Service(_))),
        "{written:?}"
    );
    let table: Vec<_> = output.lines().map_while(Result::ok).collect();
    assert!(demo.process.wait().unwrap().success(), "{table:?}");
    assert!(
        table
            .iter()
            .any(|line| line.contains("Running") && line.contains("True")),
        "{table:?}"
    );
    assert!(!kubeconfig.exists(), "the control plane is gone with its files");
    drop(demo.directory);
}

#[tokio::test]
async fn the_demo_fails_with_a_diagnosis_when_a_server_is_not_ready_in_time() {
    let demo = Demo::start("exec sleep 600", "1");
    let output = demo.process.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(
        said.contains("DittoServer default/sample") && said.contains("told /"),
        "{said}"
    );
}

#[tokio::test]
async fn the_demo_fails_with_the_operators_log_when_the_operator_ends() {
    let demo = Demo::start("echo no such thing >&2; exit 3", "60");
    let output = demo.process.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(
        said.contains("exit status: 3") && said.contains("no such thing"),
        "{said}"
    );
}
