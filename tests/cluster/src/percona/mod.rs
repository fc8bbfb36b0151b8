//! The **Percona simulator**: behaves like Percona's PostgreSQL operator 2.8.2 at the level of the Kubernetes API.
//!
//! Percona's operator comes in no package registry, and nothing runs containers here. The simulator does
//! what another operator can observe of it: it fills in `crVersion`, reports `status.state` from
//! `initializing` to `ready`, makes the user's Secret and the certificate authority's Secret. It makes no
//! pods and no Services, and takes no backups. Its rules were found by running the real one; where the real
//! one falls, this one falls too and says so:
//!
//! - an object without `spec.proxy.pgBouncer` panics it, for every cluster that it manages:
//!   [`PerconaSimulator::check`] returns the [`Violation`];
//! - its finalizers `percona.com/delete-pvc` and `percona.com/delete-ssl` take the users' Secrets and the certificates
//!   of a deleted cluster along; without them those stay;
//! - without its three images a cluster gets a Warning event `MissingRequiredImage` and is never ready.
//!
//! One state does not exist there: `error`, from [`Behaviour::Failing`]. 2.8.2 shows a failing cluster as
//! `initializing` for ever; a reader of the field should cope with a state that it does not know.

mod cluster;
mod crd;
mod phase;
mod rules;
pub(crate) mod scram;
mod secrets;
mod simulator;
mod watch;
mod world;

use std::time::Duration;

pub use cluster::PerconaPGCluster;
pub use crd::{crd, install_crd, remove_crd};
pub use rules::Violation;
pub use simulator::PerconaSimulator;

/// Annotation on a PerconaPGCluster that says how the simulator treats it: `ready`, `stuck` or `failing`.
pub const BEHAVIOUR_ANNOTATION: &str = "percona-simulator/behaviour";

/// The name under which Percona's operator writes.
pub(crate) const FIELD_MANAGER: &str = "percona-postgresql-operator";

/// How a cluster fares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Behaviour {
    /// It starts and is ready.
    #[default]
    Ready,
    /// It stays in `initializing`. A cluster that was ready falls back to it: an outage.
    Stuck,
    /// Its state is `error`.
    Failing,
}

impl Behaviour {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "ready" => Some(Self::Ready),
            "stuck" => Some(Self::Stuck),
            "failing" => Some(Self::Failing),
            _ => None,
        }
    }
}

/// How the simulator works.
#[derive(Clone, Debug)]
pub struct SimulatorOptions {
    /// The namespaces it serves; `None` means all of them.
    pub namespaces: Option<Vec<String>>,
    /// Time from `initializing` to `ready`. Zero still shows both.
    pub startup_delay: Duration,
    /// Time from `stopping` to `paused`, when `spec.pause` is set.
    pub shutdown_delay: Duration,
    /// Whether to install the `CustomResourceDefinition` first.
    pub install_crd: bool,
}

impl Default for SimulatorOptions {
    fn default() -> Self {
        Self {
            namespaces: None,
            startup_delay: Duration::ZERO,
            shutdown_delay: Duration::ZERO,
            install_crd: true,
        }
    }
}

/// Why the simulator could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The embedded `CustomResourceDefinition` is not valid.
    #[error("the embedded CustomResourceDefinition: {0}")]
    Crd(String),
    /// The API server refused a call.
    #[error("the API server: {0}")]
    Api(#[source] Box<kube::Error>),
    /// The definition is not served.
    #[error(transparent)]
    Definition(#[from] crate::definition::Error),
    /// The definition is not gone in time.
    #[error("the API server did not remove {0} in time")]
    NotRemoved(&'static str),
    /// The simulator's thread could not start.
    #[error("cannot start the simulator's thread: {0}")]
    Thread(#[from] std::io::Error),
}

impl From<kube::Error> for Error {
    fn from(error: kube::Error) -> Self {
        Self::Api(Box::new(error))
    }
}
