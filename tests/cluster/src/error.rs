//! Why a control plane did not start, or a fault could not be made.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::binaries;
use crate::component::Component;
use crate::pki;

/// Everything that can go wrong with a [`ControlPlane`](crate::ControlPlane).
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An executable is missing.
    #[error(transparent)]
    Binaries(#[from] binaries::Error),
    /// Certificates could not be made.
    #[error(transparent)]
    Pki(#[from] pki::Error),
    /// The instance directory or a file in it could not be written.
    #[error("cannot write {path}: {source}", path = path.display())]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// No free port on 127.0.0.1.
    #[error("no free port on 127.0.0.1: {0}")]
    Ports(#[source] io::Error),
    /// A process could not be started, stopped or signalled.
    #[error("{component}: {source}")]
    Process {
        /// Which process.
        component: Component,
        /// What the operating system said.
        source: io::Error,
    },
    /// A component ended before it was ready.
    #[error("{component} ended ({status}) before it was ready; the end of its log:\n{log}")]
    Ended {
        /// Which process.
        component: Component,
        /// How it ended.
        status: String,
        /// The last lines of its log.
        log: String,
    },
    /// A component did not become ready in time.
    #[error("{component} is not ready after {waited:?} ({last}); the end of its log:\n{log}")]
    NotReady {
        /// Which process.
        component: Component,
        /// How long it was waited for.
        waited: Duration,
        /// What the last check said.
        last: String,
        /// The last lines of its log.
        log: String,
    },
    /// A fault was asked for on a component that does not run.
    #[error("{0} does not run")]
    NotRunning(Component),
    /// The component runs already.
    #[error("{0} runs already")]
    Running(Component),
    /// The kubeconfig that was just written cannot be read.
    #[error("cannot use the kubeconfig: {0}")]
    Kubeconfig(#[from] kube::config::KubeconfigError),
    /// The API server refused a call of the start-up.
    #[error("setting up {what}: {source}")]
    Setup {
        /// What was being created.
        what: &'static str,
        /// What the API server said.
        source: Box<kube::Error>,
    },
    /// etcd refused a call.
    #[error("etcd: {0}")]
    Etcd(#[source] Box<kube::Error>),
    /// The client could not be made.
    #[error("cannot make a client: {0}")]
    Client(#[source] Box<kube::Error>),
    /// The calling runtime is shutting down.
    #[error("the runtime is shutting down")]
    Shutdown,
}

impl Error {
    /// Whether another process took a chosen port before the component could.
    pub(crate) fn is_port_taken(&self) -> bool {
        matches!(self, Self::Ended { log, .. } if log.contains("address already in use"))
    }
}
