//! The pod runner: plays the kubelet for pods that are to run as real processes.
//!
//! **Which pods.** Those with an image below [`IMAGES`] (`process.local/dittofs:0.29.0`). kwok leaves them alone and
//! simulates all others. The image decides, as image tags decide what kwok simulates (`manifests/stages/pods.yaml`): it can be
//! set in a DittoServer's `spec.image`, so the first pod of a StatefulSet is real already and nothing has to be patched (which
//! would cost a rollout). A label on the namespace would not do: kwok's stages see the pod only.
//!
//! **What it does.** The container's command runs with its arguments and environment. ConfigMaps, Secrets and projected
//! volumes are copied to files and kept up to date; claims are directories that outlive the pod. Startup, readiness and
//! liveness probes (`httpGet`, `tcpSocket`), the `preStop` sleep, SIGTERM, grace period, SIGKILL, restarts with back-off and the
//! pod's status are the kubelet's. A command that [`RunnerOptions::programs`] names is replaced by an executable of this
//! machine, for example `/app/dfs` by the DittoFS server of [`crate::binaries::dfs`]; any other command is one of this machine.
//!
//! **Without root** there is neither chroot nor a network of the pod's own. Hence:
//! - Absolute paths below the pod's mounts, and `/tmp`, are rewritten to host paths in arguments, environment (not in values
//!   of Secrets) and the copies of ConfigMaps, and in calls that make stores through the [`Forwarder`]. A path that reaches the process
//!   otherwise is not: use [`PodRunner::path`].
//! - Each pod has an address of its own in 127.64.0.0/10 ([`PodRunner::address`]), which Linux routes to this machine, and
//!   `0.0.0.0` is rewritten to it in the same texts. A pod keeps its address when it is re-created. Its status says 10.x.y.z for
//!   127.x.y.z: the endpoints of a Service may not be loopback addresses.
//! - A DittoFS server binds its NFS and SMB ports on all addresses, whatever its configuration says. The first server on the
//!   machine has 12049 and 1445. A server whose ports are taken gets free ones through its own API, right after its start
//!   (`adapters`). It keeps them in its database.
//!
//! **What it cannot do**: cgroups (requests and limits have no effect), users, capabilities and read-only file systems, init
//! containers, `exec` probes and hooks, tokens for the Kubernetes API, logs through the API server, names of Services (TLS is verified against an address),
//! endpoints that are reached through a Service. A process that the container's command starts and leaves behind is not ended
//! with it. On macOS only 127.0.0.1 answers, so [`PodRunner::start`] refuses.

mod adapters;
mod api;
mod backoff;
mod container;
mod environment;
mod forward;
mod last_words;
pub(crate) mod logs;
mod pod;
mod probes;
mod rewrite;
mod serve;
mod share;
mod shared;
mod sources;
mod status;
mod volumes;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use kube::{Client, Config};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::sync::{mpsc, oneshot};

use crate::ControlPlane;
pub use api::{CallFailed, ServerApi};
pub use forward::Forwarder;
pub use share::{SHARE, UID, USER};
use shared::Shared;
use volumes::Home;

/// The registry of the images whose pods run as processes. Only the prefix counts.
pub const IMAGES: &str = "process.local/";

/// Where the command of the DittoFS image is.
const DFS: &str = "/app/dfs";

/// How pods are run.
#[derive(Clone, Debug, Default)]
pub struct RunnerOptions {
    /// The executables of this machine for commands of images.
    pub programs: BTreeMap<String, PathBuf>,
    /// Leave a DittoFS server alone whose NFS or SMB port is taken.
    pub keep_ports: bool,
}

impl RunnerOptions {
    /// Runs `/app/dfs` as this executable.
    #[must_use]
    pub fn dfs(program: PathBuf) -> Self {
        Self {
            programs: BTreeMap::from([(DFS.to_owned(), program)]),
            ..Self::default()
        }
    }
}

/// Why the runner does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not Linux.
    #[error("the pod runner needs Linux: only there each pod can have a loopback address of its own")]
    NotLinux,
    /// The directory of logs, or the thread.
    #[error("cannot start the pod runner: {0}")]
    Io(#[from] std::io::Error),
}

/// A running pod runner: see the [module](self). When it is dropped, its processes are killed; their pods stay.
///
/// It has a thread and a runtime of its own, so that tests with a runtime each may share one. It must not outlive its control
/// plane, whose directory it uses.
#[derive(Debug)]
pub struct PodRunner {
    shared: Arc<Shared>,
    /// Namespaces whose pods end.
    abandon: UnboundedSender<String>,
    /// Closing it ends the thread.
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl PodRunner {
    /// Starts to run the pods of a control plane of the full size. One runner a control plane.
    ///
    /// # Errors
    /// When this is not Linux, or a directory or the thread cannot be made.
    pub fn start(control_plane: &ControlPlane, options: RunnerOptions) -> Result<Self, Error> {
        if !cfg!(target_os = "linux") {
            return Err(Error::NotLinux);
        }
        let home = Home {
            directory: control_plane.directory().join("runner"),
        };
        let logs = control_plane.pod_log_directory();
        std::fs::create_dir_all(&logs)?;
        let shared = Arc::new(Shared::new(
            options,
            home,
            control_plane.directory().join("pids"),
            logs,
        ));
        let (end, ended) = oneshot::channel();
        let (abandon, abandoned) = mpsc::unbounded_channel();
        let config = control_plane.client_config();
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("pod-runner".to_owned())
            .spawn(move || run(&runtime, config, of_thread, (abandoned, ended)))?;
        Ok(Self {
            shared,
            abandon,
            end: Some(end),
            thread: Some(thread),
        })
    }

    /// Ends the processes of a namespace, whose pods stay, and starts none there any more: servers that nobody uses need a part of the
    /// machine, too.
    pub fn abandon(&self, namespace: &str) {
        // Without its thread, the runner has no processes.
        let _ = self.abandon.send(namespace.to_owned());
    }

    /// The address of a pod of this name, which need not exist yet.
    #[must_use]
    pub fn address(&self, namespace: &str, pod: &str) -> Ipv4Addr {
        self.shared.address(namespace, pod)
    }

    /// Where a path in a container of a pod is on this machine. `None` if the pod does not run or has no such mount.
    #[must_use]
    pub fn path(&self, namespace: &str, pod: &str, path: &str) -> Option<PathBuf> {
        self.shared.path(namespace, pod, path)
    }

    /// The API of the DittoFS server in a pod, once the server has started. `None` for one that wants client certificates.
    #[must_use]
    pub fn api(&self, namespace: &str, pod: &str) -> Option<ServerApi> {
        self.shared.api(namespace, pod)
    }

    /// The process id of a container, while it runs.
    #[must_use]
    pub fn pid(&self, namespace: &str, pod: &str, container: &str) -> Option<i32> {
        self.shared.pid(namespace, pod, container)
    }
}

impl Drop for PodRunner {
    fn drop(&mut self) {
        self.end = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been printed; there is nothing to add.
            let _ = thread.join();
        }
    }
}

fn run(
    runtime: &Runtime,
    config: Config,
    shared: Arc<Shared>,
    (abandoned, ended): (UnboundedReceiver<String>, oneshot::Receiver<()>),
) {
    runtime.block_on(async {
        match Client::try_from(config) {
            Ok(client) => tokio::select! {
                () = serve::serve(client, shared, abandoned) => {}
                _ = ended => {}
            },
            Err(error) => eprintln!("pod runner: {error}"),
        }
    });
}
