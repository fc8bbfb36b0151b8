//! A cluster to install into, and the operator that its Deployment describes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::process::Command;
use std::time::Duration;

use dittofs_operator::api::DittoServer;
use flate2::read::GzDecoder;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, ListParams, PostParams};
use kube::{Client, ResourceExt};
use local_control_plane::rights::usage::Usage;
use local_control_plane::rights::{Account, Right};
use local_control_plane::{ControlPlane, Options, definition};
use serde_json::{Value, json};

use super::super::{NAMESPACE, RELEASE, chart_dir, helm, root, settings};
use crate::support::recorder::recorded;
use crate::support::{Kind, account, chart, wait};

pub(super) const DEPLOYMENT: &str = "dittofs-operator";
pub(super) const CRD: &str = "dittoservers.dittofs.dittofs.com";

/// A cluster with strict policies: every namespace that is used enforces Pod Security "restricted".
pub(super) struct Cluster {
    pub(super) control_plane: ControlPlane,
    pub(super) client: Client,
}

impl Cluster {
    pub(super) async fn start(namespaces: &[&str]) -> Self {
        let control_plane = ControlPlane::start(recorded(Options::full()))
            .await
            .expect("a control plane");
        let client = control_plane.client().expect("a client");
        let cluster = Self {
            control_plane,
            client,
        };
        for name in namespaces {
            let namespace = json!({"metadata": {
                "name": name,
                "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
            }});
            let namespace: Namespace = serde_json::from_value(namespace).expect("a namespace");
            let api = Api::<Namespace>::all(cluster.client.clone());
            api.create(&PostParams::default(), &namespace)
                .await
                .expect("a namespace");
        }
        cluster
    }

    pub(super) fn api<K: Kind>(&self, namespace: &str) -> Api<K> {
        Api::namespaced(self.client.clone(), namespace)
    }

    pub(super) async fn run(&self, mut command: Command) -> String {
        command.env("KUBECONFIG", self.control_plane.kubeconfig());
        let ended = tokio::task::spawn_blocking(move || (format!("{command:?}"), command.output()));
        let (command, output) = ended.await.expect("a thread");
        let output = output.expect("the program runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub(super) async fn helm(&self, arguments: &[&str], values: &Value) -> String {
        let mut command = helm();
        command.args(arguments).args(["--namespace", NAMESPACE]);
        command
            .args(["--wait", "--timeout", "120s"])
            .args(settings(values));
        self.run(command).await
    }

    pub(super) async fn install(&self, how: &str, values: &Value) -> String {
        self.install_with(&[how], values).await
    }

    pub(super) async fn install_with(&self, how: &[&str], values: &Value) -> String {
        let chart = chart_dir();
        let chart = chart.to_str().expect("a path of text");
        self.helm(&[how, &[RELEASE, chart]].concat(), values).await
    }

    pub(super) async fn kubectl(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("kubectl");
        command.args(arguments).current_dir(root());
        self.run(command).await
    }

    /// Starts the operator as the Deployment in the cluster says.
    pub(super) async fn operator(&self) -> Operator {
        let deployment = self
            .api::<Deployment>(NAMESPACE)
            .get(DEPLOYMENT)
            .await
            .expect("a Deployment");
        let template = deployment.spec.expect("a spec").template.spec.expect("a pod");
        let account = Account {
            namespace: NAMESPACE.into(),
            name: template.service_account_name.expect("a ServiceAccount"),
        };
        let token = account::token(&self.client, &account).await;
        let kubeconfig = account::kubeconfig(&self.control_plane, &token, NAMESPACE);
        let container = &template.containers[0];
        let mut environment = Vec::new();
        for variable in container.env.iter().flatten() {
            environment.push((variable.name.clone(), value_of(variable)));
        }
        Operator::start(
            container.args.clone().unwrap_or_default(),
            environment,
            &kubeconfig,
        )
    }

    /// Applies a sample and waits until its server is Ready.
    pub(super) async fn sample(&self, namespace: &str, file: &str, server: &str) -> DittoServer {
        definition::served(&self.client, CRD)
            .await
            .expect("the CRD is served");
        self.kubectl(&["-n", namespace, "apply", "--server-side", "-f", file])
            .await;
        self.ready(namespace, server).await
    }

    pub(super) async fn ready(&self, namespace: &str, server: &str) -> DittoServer {
        wait::until(self.api::<DittoServer>(namespace), server, "Ready", |server| {
            wait::condition(server, "Ready").is_some_and(|ready| {
                ready.status == "True" && ready.observed_generation == server.metadata.generation
            })
        })
        .await
    }

    /// Whether the operator's service account may do something.
    pub(super) async fn may(&self, verb: &str, resource: &str, namespace: &str) -> bool {
        self.operator_may(NAMESPACE, verb, resource, namespace).await
    }

    /// The same for an operator in another namespace.
    pub(super) async fn operator_may(&self, home: &str, verb: &str, resource: &str, namespace: &str) -> bool {
        let account = format!("system:serviceaccount:{home}:{DEPLOYMENT}");
        let mut command = Command::new("kubectl");
        command.args(["auth", "can-i", verb, resource, "-n", namespace, "--as", &account]);
        command.env("KUBECONFIG", self.control_plane.kubeconfig());
        let output = tokio::task::spawn_blocking(move || command.output());
        let output = output.await.expect("a thread").expect("kubectl runs");
        output.stdout.starts_with(b"yes")
    }

    /// Calls of the operator that the API server refused because a right was missing.
    pub(super) fn refused(&self) -> BTreeMap<Right, String> {
        let mut usage = Usage::default();
        let log = File::open(self.control_plane.audit_log()).expect("an audit log");
        usage.read(log, &chart::account(NAMESPACE)).expect("an audit log");
        assert!(
            usage.used.len() > 20,
            "the operator called as its ServiceAccount: {usage:?}"
        );
        usage.refused
    }

    /// All files of a report about a server.
    pub(super) async fn report(&self, namespace: &str, server: &str) -> String {
        let file = format!("dittofs-report-{}-{server}.tar.gz", std::process::id());
        let archive = std::env::temp_dir().join(file);
        let mut command = Command::new(env!("CARGO_BIN_EXE_dittofs-operator"));
        command.args(["kubectl", "-n", namespace, "report", server, "-o"]);
        command.arg(&archive);
        self.run(command).await;
        let packed = File::open(&archive).expect("an archive");
        std::fs::remove_file(&archive).expect("an archive");
        let mut bytes = Vec::new();
        GzDecoder::new(packed).read_to_end(&mut bytes).expect("gzip");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    pub(super) async fn names<K: Kind>(&self, namespace: &str) -> Vec<String> {
        let list = self
            .api::<K>(namespace)
            .list(&ListParams::default())
            .await
            .expect("a list");
        list.items
            .iter()
            .map(|object| format!("{} {:?}", object.name_any(), object.uid()))
            .collect()
    }
}

/// The value that the kubelet would set for the variable.
fn value_of(variable: &k8s_openapi::api::core::v1::EnvVar) -> String {
    let field = variable
        .value_from
        .as_ref()
        .and_then(|source| source.field_ref.as_ref())
        .map(|field| field.field_path.as_str());
    match field {
        Some("metadata.namespace") => NAMESPACE.to_owned(),
        Some(other) => panic!("the test knows no field {other}"),
        None => variable.value.clone().unwrap_or_default(),
    }
}

/// The real binary.
pub(super) struct Operator {
    process: std::process::Child,
    folder: std::path::PathBuf,
}

impl Operator {
    pub(super) fn start(
        mut arguments: Vec<String>,
        environment: Vec<(String, String)>,
        kubeconfig: &Value,
    ) -> Self {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let next = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("dittofs-installed-{}-{next}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let config = folder.join("kubeconfig");
        std::fs::write(&config, kubeconfig.to_string()).expect("a kubeconfig");
        // A pod has its own address. Here tests run in parallel, and only on loopback.
        for argument in &mut arguments {
            for flag in ["--health-probe-bind-address", "--metrics-bind-address"] {
                if argument.starts_with(&format!("{flag}=:")) {
                    *argument = format!("{flag}=127.0.0.1:0");
                }
            }
        }
        let log = std::fs::File::create(folder.join("log")).expect("a log");
        let process = Command::new(env!("CARGO_BIN_EXE_dittofs-operator"))
            .args(arguments)
            .env_clear()
            .envs(environment)
            .env("KUBECONFIG", config)
            .stderr(log)
            .spawn()
            .expect("the operator starts");
        Self { process, folder }
    }

    /// Stops it like the kubelet: SIGTERM, then waits for its end.
    pub(super) async fn stop(mut self) {
        let status = Command::new("kill").arg(self.process.id().to_string()).status();
        assert!(status.expect("kill runs").success());
        let ended = async {
            while self.process.try_wait().expect("a process").is_none() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(wait::LONGEST, ended)
            .await
            .expect("it ends in time");
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            eprintln!("the operator said:\n{log}");
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
