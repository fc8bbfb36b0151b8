//! What a control plane should look like.

use std::path::PathBuf;
use std::time::Duration;

use crate::binaries::Progress;
use crate::component::Component;

/// Which components run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Size {
    /// etcd and the API server. Starts in a few seconds. Nothing reconciles built-in objects: a
    /// StatefulSet gets no pods, a deleted namespace stays, owner references collect nothing.
    #[default]
    ApiOnly,
    /// All five: StatefulSets get pods that become Ready, volumes are bound, garbage is collected.
    Full,
}

impl Size {
    /// The components of this size, in start order.
    #[must_use]
    pub const fn components(self) -> &'static [Component] {
        match self {
            Self::ApiOnly => &[Component::Etcd, Component::ApiServer],
            Self::Full => &Component::ALL,
        }
    }
}

/// How to start a [`ControlPlane`](crate::ControlPlane). `Options::default()` is the API server only.
#[derive(Debug)]
pub struct Options {
    /// Which components run.
    pub size: Size,
    /// Number of nodes (full size only). Pods of all of them are Ready without containers.
    pub nodes: usize,
    /// Feature gates for the Kubernetes servers.
    pub feature_gates: Vec<(String, bool)>,
    /// Arguments appended to those of a component; the last one of a name wins.
    pub extra_args: Vec<(Component, String)>,
    /// A directory for the logs of the components. `None`: inside the instance directory, which is removed
    /// at the end.
    pub log_dir: Option<PathBuf>,
    /// Where the API server's audit log goes. `None`: inside the log directory.
    pub audit_log: Option<PathBuf>,
    /// How long each component may take to become ready.
    pub ready_timeout: Duration,
    /// Where progress is shown (a first build takes minutes).
    pub progress: Progress,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            size: Size::default(),
            nodes: 1,
            feature_gates: Vec::new(),
            extra_args: Vec::new(),
            log_dir: None,
            audit_log: None,
            ready_timeout: Duration::from_secs(120),
            progress: Progress::stderr(),
        }
    }
}

impl Options {
    /// All five components and one node.
    #[must_use]
    pub fn full() -> Self {
        Self {
            size: Size::Full,
            ..Self::default()
        }
    }
}
