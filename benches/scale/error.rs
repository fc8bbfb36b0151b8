//! Why the bench ends without figures.

use std::io;

/// The error of every step: the bench prints it and ends.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// etcd or the API server did not start.
    #[error("the control plane: {0}")]
    ControlPlane(#[from] local_control_plane::Error),
    /// The CRD could not be installed.
    #[error("the CRD: {0}")]
    Definition(#[from] local_control_plane::definition::Error),
    /// The API server refused a call of the bench.
    #[error("{what}: {source}")]
    Call {
        /// Verb and path.
        what: String,
        /// What the API server said.
        source: Box<kube::Error>,
    },
    /// A file or a process.
    #[error("{what}: {source}")]
    Io {
        /// What was to be done.
        what: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// An answer is not what it should be.
    #[error("unexpected JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The world did not become as it should be.
    #[error("{0}")]
    Failed(String),
}

/// The result of every step.
pub type Result<T> = std::result::Result<T, Error>;

/// For `map_err` of file and process calls.
pub fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
    let what = what.into();
    move |source| Error::Io { what, source }
}
