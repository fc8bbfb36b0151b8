//! Pods that run as real processes, with the real DittoFS server where a server is needed.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Output};
use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use kube::{Client, ResourceExt};
use local_control_plane::binaries::{self, Progress};
use local_control_plane::runner::{PodRunner, RunnerOptions};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;

use crate::support::{eventually, full, namespace, until};

const PASSWORD: &str = "a password";
const TEXT: &str = "written over NFS";

async fn runner() -> &'static PodRunner {
    static RUNNER: OnceCell<PodRunner> = OnceCell::const_new();
    RUNNER
        .get_or_init(async || {
            let dfs = tokio::task::spawn_blocking(|| binaries::dfs(&Progress::stderr()));
            let options = RunnerOptions::dfs(dfs.await.unwrap().unwrap());
            PodRunner::start(full().await, options).unwrap()
        })
        .await
}

/// A namespace with pods that the runner runs.
struct World {
    client: Client,
    namespace: String,
    runner: &'static PodRunner,
}

impl World {
    async fn new(name: &str) -> Self {
        let client = full().await.client().unwrap();
        Self {
            namespace: namespace(&client, name).await,
            runner: runner().await,
            client,
        }
    }

    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// A StatefulSet `name` with one pod and a claim that is mounted at `/data`.
    async fn create(&self, name: &str, container: Value, volumes: Value) {
        let mut container = container;
        container["name"] = json!("c");
        let set = json!({
            "metadata": {"name": name},
            "spec": {
                "serviceName": name,
                "selector": {"matchLabels": {"app": name}},
                "template": {
                    "metadata": {"labels": {"app": name}},
                    "spec": {
                        "containers": [container], "volumes": volumes, "terminationGracePeriodSeconds": 5,
                    },
                },
                "volumeClaimTemplates": [{
                    "metadata": {"name": "data"},
                    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
                }],
            },
        });
        let set: StatefulSet = serde_json::from_value(set).unwrap();
        self.api().create(&PostParams::default(), &set).await.unwrap();
    }

    /// A StatefulSet whose container is a script of this machine's shell.
    async fn script(&self, name: &str, script: &str) {
        let container = json!({
            "image": "process.local/shell",
            "command": ["/bin/sh", "-c", script],
            "env": [{"name": "FROM_SECRET", "valueFrom": {"secretKeyRef": {"name": "late", "key": "key"}}}],
            "terminationMessagePolicy": "FallbackToLogsOnError",
            "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        });
        self.create(name, container, json!([])).await;
    }

    async fn secret(&self, name: &str, key: &str, value: &str) {
        let secret = json!({"metadata": {"name": name}, "stringData": {key: value}});
        let secret: Secret = serde_json::from_value(secret).unwrap();
        self.api().create(&PostParams::default(), &secret).await.unwrap();
    }

    /// A DittoFS server, with the configuration that the operator renders.
    async fn server(&self, name: &str) {
        let config = "
            logging: {level: INFO, format: json, output: stdout}
            shutdown_timeout: 30s
            database: {type: sqlite, sqlite: {path: '/data/controlplane.db'}}
            controlplane: {host: '0.0.0.0', port: 8080}
        ";
        let config = json!({"metadata": {"name": name}, "data": {"config.yaml": config}});
        let config: ConfigMap = serde_json::from_value(config).unwrap();
        self.api().create(&PostParams::default(), &config).await.unwrap();
        let service = json!({
            "metadata": {"name": name},
            "spec": {"selector": {"app": name}, "ports": [{"port": 8080}]},
        });
        let service: Service = serde_json::from_value(service).unwrap();
        self.api().create(&PostParams::default(), &service).await.unwrap();
        self.secret(name, "jwt-secret", &"k".repeat(43)).await;
        let probe = |path: &str| {
            json!({
                "httpGet": {"path": path, "port": "api"},
                "periodSeconds": 1, "timeoutSeconds": 1, "failureThreshold": 3,
            })
        };
        let startup =
            json!({"httpGet": {"path": "/health", "port": 8080}, "periodSeconds": 1, "failureThreshold": 60});
        let container = json!({
            "image": "process.local/dittofs",
            "command": ["/app/dfs"],
            "args": ["start", "--foreground", "--config", "/config/config.yaml"],
            "env": [{
                "name": "DITTOFS_CONTROLPLANE_SECRET",
                "valueFrom": {"secretKeyRef": {"name": name, "key": "jwt-secret"}},
            }],
            "ports": [{"name": "api", "containerPort": 8080}],
            "startupProbe": startup,
            "livenessProbe": probe("/health"),
            "readinessProbe": probe("/health/ready"),
            "volumeMounts": [{"name": "data", "mountPath": "/data"}, {"name": "config", "mountPath": "/config"}],
        });
        let volumes = json!([{"name": "config", "configMap": {"name": name}}]);
        self.create(name, container, volumes).await;
    }

    /// Waits until the status of the pod, as JSON, is as wanted.
    async fn until(&self, pod: &str, holds: impl Fn(&Value) -> bool) -> Pod {
        until(&self.api::<Pod>(), pod, |pod: Option<&Pod>| {
            pod.is_some_and(|pod| holds(&serde_json::to_value(&pod.status).unwrap()))
        })
        .await
    }

    async fn ready(&self, pod: &str) -> Pod {
        self.until(pod, is_ready).await
    }

    async fn delete(&self, pod: &str) {
        self.api::<Pod>()
            .delete(pod, &DeleteParams::default())
            .await
            .unwrap();
    }

    /// Deletes a pod and waits until its StatefulSet has another one that is Ready.
    async fn replace(&self, pod: &Pod) -> Pod {
        self.delete(&pod.name_any()).await;
        until(&self.api::<Pod>(), &pod.name_any(), |other: Option<&Pod>| {
            other.is_some_and(|other| {
                other.uid() != pod.uid() && is_ready(&serde_json::to_value(&other.status).unwrap())
            })
        })
        .await
    }

    /// Runs the command that puts or gets a file on the server `files`, in a shell as a user does.
    async fn file(&self, protocol: &str, call: &str, password: &str) -> Output {
        let api = || self.runner.api(&self.namespace, "files-0");
        let port = eventually("the adapter listens", async || {
            api()?.port(protocol).await.ok()?
        })
        .await;
        let address = self.runner.address(&self.namespace, "files-0");
        let program = env!("CARGO_BIN_EXE_local-control-plane");
        Command::new("sh")
            .arg("-c")
            .arg(format!(
                "printf '{TEXT}' | {program} {protocol} {call} {address}:{port}/export/hello.txt"
            ))
            .env("SMB_PASSWORD", password)
            .output()
            .unwrap()
    }

    /// What the containers of a pod have logged, all lives of it.
    async fn log(&self, pod: &str) -> String {
        let logs = full().await.pod_logs(&self.namespace).into_iter();
        let of_pod = logs.filter(|log| log.to_string_lossy().contains(pod));
        of_pod
            .map(|log| std::fs::read_to_string(log).unwrap_or_default())
            .collect()
    }
}

fn is_ready(status: &Value) -> bool {
    let mut conditions = status["conditions"].as_array().into_iter().flatten();
    conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

fn ip_of(pod: &Pod) -> &str {
    let status = pod.status.as_ref();
    status
        .and_then(|status| status.pod_ip.as_deref())
        .unwrap_or_default()
}

async fn answers(address: Ipv4Addr) -> bool {
    let connection = TcpStream::connect(SocketAddr::from((address, 8080)));
    tokio::time::timeout(Duration::from_secs(1), connection)
        .await
        .is_ok_and(|result| result.is_ok())
}

#[tokio::test]
async fn a_real_server_is_ready_at_the_address_of_its_pod_and_finds_its_data_and_files_again() {
    let world = World::new("server").await;
    let address = world.runner.address(&world.namespace, "files-0");
    world.server("files").await;
    let pod = world.ready("files-0").await;
    let ip = address.to_string().replacen("127", "10", 1);
    assert_eq!(ip_of(&pod), ip);
    // The controllers of Services accept it.
    let slices = world.api::<EndpointSlice>();
    let slice = eventually("the Service has an endpoint", async || {
        let slices = slices.list(&ListParams::default()).await.unwrap();
        slices.into_iter().find(|slice| !slice.endpoints.is_empty())
    })
    .await;
    assert_eq!(slice.endpoints[0].addresses, [ip.as_str()]);
    assert!(answers(address).await);
    let database = world
        .runner
        .path(&world.namespace, "files-0", "/data/controlplane.db")
        .unwrap();
    assert!(database.is_file());
    let made = world.runner.make_share(&world.namespace, "files-0", PASSWORD);
    made.await.unwrap();
    let put = world.file("nfs", "put", PASSWORD).await;
    assert!(put.status.success(), "{put:?}");

    let next = world.replace(&pod).await;
    let again = world
        .runner
        .path(&world.namespace, "files-0", "/data/controlplane.db")
        .unwrap();
    assert_eq!(again, database, "the claim outlives the pod");
    assert_eq!(ip_of(&next), ip);
    assert!(
        world.log("files-0").await.contains("\"msg\":"),
        "the logs are kept"
    );
    for protocol in ["nfs", "smb"] {
        let got = world.file(protocol, "get", PASSWORD).await;
        assert_eq!(String::from_utf8_lossy(&got.stdout), TEXT, "{protocol}: {got:?}");
    }
    let refused = world.file("smb", "get", "another password").await;
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(
        !refused.status.success() && said.contains("user cannot mount the share"),
        "{said}"
    );
}

#[tokio::test]
async fn several_servers_at_once_all_have_ports_for_nfs_and_smb() {
    let world = World::new("servers").await;
    world.server("one").await;
    world.server("two").await;
    for pod in ["one-0", "two-0"] {
        world.ready(pod).await;
        eventually("the server listens for NFS and SMB", async || {
            let log = world.log(pod).await;
            ["NFS server listening", "SMB server listening"]
                .iter()
                .all(|line| log.contains(line))
                .then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_restarted_by_its_liveness_probe() {
    let world = World::new("frozen").await;
    world.server("files").await;
    world.ready("files-0").await;
    let pid = world.runner.pid(&world.namespace, "files-0", "c").unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::STOP).unwrap();
    let pod = world
        .until("files-0", |status| {
            status["containerStatuses"][0]["restartCount"] == 1 && is_ready(status)
        })
        .await;
    let status = serde_json::to_value(pod.status).unwrap();
    let last = &status["containerStatuses"][0]["lastState"]["terminated"];
    assert_eq!(last["exitCode"], 137, "{last}");
}

#[tokio::test]
async fn a_crash_is_counted_with_its_exit_code_and_the_end_of_its_log() {
    let world = World::new("crash").await;
    world.secret("late", "key", "value").await;
    world.script("crash", "echo first; echo last words; exit 3").await;
    let pod = world
        .until("crash-0", |status| {
            let container = &status["containerStatuses"][0];
            container["state"]["waiting"]["reason"] == "CrashLoopBackOff"
        })
        .await;
    let status = serde_json::to_value(pod.status).unwrap();
    let container = &status["containerStatuses"][0];
    assert_eq!(
        container["restartCount"], 1,
        "the first restart comes immediately"
    );
    let last = &container["lastState"]["terminated"];
    assert_eq!((&last["exitCode"], &last["reason"]), (&json!(3), &json!("Error")));
    assert_eq!(last["message"], "first\nlast words");
    assert_eq!((&status["phase"], is_ready(&status)), (&json!("Running"), false));
}

#[tokio::test]
async fn a_container_starts_once_the_secret_that_it_needs_is_there() {
    let world = World::new("missing").await;
    world.script("waits", "echo $FROM_SECRET; exec sleep 1000").await;
    let pod = world
        .until("waits-0", |status| {
            let waiting = &status["containerStatuses"][0]["state"]["waiting"];
            waiting["reason"] == "CreateContainerConfigError"
        })
        .await;
    let status = serde_json::to_value(pod.status).unwrap();
    let waiting = &status["containerStatuses"][0]["state"]["waiting"];
    assert_eq!(waiting["message"], "secret \"late\" not found");
    world.secret("late", "key", "the value").await;
    world.ready("waits-0").await;
    eventually("the process has the value", async || {
        world.log("waits-0").await.contains("the value").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_deleted_pod_is_asked_to_end_and_its_files_are_there_for_the_next_one() {
    let world = World::new("ends").await;
    world.secret("late", "key", "value").await;
    let script = "cat /data/said 2>/dev/null; trap 'echo asked to end >>/data/said; exit 0' TERM; while :; do sleep 0.1; done";
    world.script("ends", script).await;
    let pod = world.ready("ends-0").await;
    world.replace(&pod).await;
    eventually(
        "the next pod reads what the first one wrote at its end",
        async || world.log("ends-0").await.contains("asked to end").then_some(()),
    )
    .await;
}
