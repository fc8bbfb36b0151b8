//! Real DittoFS servers: the pod runner of the shared control plane, and what a test needs on a server before it has a share.

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::time::Instant;

use dittofs_operator::api::DittoServer;
use http::Method;
use local_control_plane::binaries::{self, Progress};
use local_control_plane::runner::{Forwarder, PodRunner, RunnerOptions, SHARE, ServerApi, UID, USER};
use local_control_plane::{nfs, smb};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::{OnceCell, oneshot};

use super::World;
use super::fixtures::server;
use super::process::POLL;
use super::wait::LONGEST;

/// The image of a server that is one. The pod runner looks at the registry only.
pub const IMAGE: &str = "process.local/dittofs:0.29.0";

/// The password of the user that owns the share.
const PASSWORD: &str = "a password";

/// A DittoServer that is a real server, with a volume for content. `spec` is laid over it.
pub fn real_server(name: &str, spec: Value) -> DittoServer {
    let mut merged = json!({"image": IMAGE, "storage": {"metadataSize": "1Gi", "contentSize": "1Gi"}});
    if let (Some(merged), Value::Object(spec)) = (merged.as_object_mut(), spec) {
        merged.extend(spec);
    }
    server(name, merged)
}

static RUNNER: OnceCell<PodRunner> = OnceCell::const_new();

/// The pod runner of the shared control plane.
pub async fn runner() -> &'static PodRunner {
    let start = || async {
        let dfs = tokio::task::spawn_blocking(|| binaries::dfs(&Progress::stderr()));
        let dfs = dfs
            .await
            .expect("the build does not panic")
            .expect("the server is built");
        let control_plane = super::control_plane().await;
        PodRunner::start(&control_plane, RunnerOptions::dfs(dfs)).expect("the pod runner starts")
    };
    RUNNER.get_or_init(start).await
}

/// Ends the real servers of a namespace, if there are any.
pub fn abandon(namespace: &str) {
    if let Some(runner) = RUNNER.get() {
        runner.abandon(namespace);
    }
}

/// One address for the APIs of all real servers.
pub async fn forwarder() -> &'static Forwarder {
    static SHARED: OnceCell<Forwarder> = OnceCell::const_new();
    let start = || async {
        // It outlives the runtime of the test that starts it.
        let (sent, received) = oneshot::channel();
        let runner = runner().await;
        std::thread::spawn(move || {
            let runtime = Runtime::new().expect("a runtime");
            runtime.block_on(async {
                let _ = sent.send(runner.forward().await);
                std::future::pending::<()>().await;
            });
        });
        received.await.expect("an answer").expect("a port")
    };
    SHARED.get_or_init(start).await
}

/// The server in a pod of a world.
pub struct RealServer {
    namespace: String,
    runner: &'static PodRunner,
    pod: String,
}

impl RealServer {
    /// The pod must run already.
    pub async fn of(world: &World, name: &str) -> Self {
        Self {
            namespace: world.namespace.clone(),
            runner: runner().await,
            pod: format!("{name}-0"),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> Ipv4Addr {
        self.runner.address(&self.namespace, &self.pod)
    }

    /// Its REST API.
    pub fn api(&self) -> ServerApi {
        self.reachable_api().expect("the server has started")
    }

    /// Its REST API, while it runs.
    pub fn reachable_api(&self) -> Option<ServerApi> {
        self.runner.api(&self.namespace, &self.pod)
    }

    /// Stores, a user and the share `/export`, which the user owns and everybody may write to.
    pub async fn make_share(&self) {
        let made = self.runner.make_share(&self.namespace, &self.pod, PASSWORD).await;
        made.expect("the server accepts it");
    }

    /// The share `/export`, mounted over NFS by the user that owns it.
    pub async fn nfs(&self) -> nfs::Mount {
        let mount = nfs::Mount::of(self.address(), self.port("nfs").await, SHARE, UID).await;
        mount.expect("the server lets the user mount")
    }

    /// The share `/export`, mounted over SMB by the user that owns it.
    pub async fn smb(&self) -> smb::Mount {
        let port = self.port("smb").await;
        let mount = smb::Mount::of(self.address(), port, SHARE, USER, PASSWORD).await;
        mount.expect("the server lets the user log in and mount")
    }

    /// Where a path in the pod is on this machine.
    pub fn path(&self, path: &str) -> PathBuf {
        let path = self.runner.path(&self.namespace, &self.pod, path);
        path.expect("a path on a volume of the pod")
    }

    /// Calls the API as an administrator.
    pub async fn call(&self, method: Method, path: &str, body: Value) -> Value {
        let body = (!body.is_null()).then_some(&body);
        let answer = self.api().call(method, path, body).await;
        answer.expect("the server accepts it")
    }

    /// Waits until a GET of the API answers what `holds`. Returns the answer.
    pub async fn until(&self, path: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + LONGEST;
        loop {
            let answer = match self.reachable_api() {
                Some(api) => Some(api.call(Method::GET, path, None).await),
                None => None,
            };
            match answer {
                Some(Ok(answer)) if holds(&answer) => return answer,
                other => assert!(Instant::now() < deadline, "{path}: {other:?}"),
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// The port of an adapter, once it listens. It may be another one than the server's default: the machine has it once.
    pub async fn port(&self, adapter: &str) -> u16 {
        let deadline = Instant::now() + LONGEST;
        loop {
            let port = self.api().port(adapter).await;
            if let Ok(Some(port)) = port {
                return port;
            }
            assert!(Instant::now() < deadline, "{adapter} does not listen: {port:?}");
            tokio::time::sleep(POLL).await;
        }
    }
}

/// A port that no process of this machine uses now.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}
