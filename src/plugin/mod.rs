//! The kubectl plugin: commands that show servers. They write nothing to the cluster.
//!
//! | file | content |
//! |---|---|
//! | `plugin/cluster.rs` | the connection to the API server, and its errors with a remedy |
//! | `plugin/status.rs`, `plugin/status/` | `status`: the tree of a server's children, its conditions and events |
//! | `plugin/diff.rs`, `plugin/diff/` | `diff`: what an apply would change, and whether the pod restarts |
//! | `plugin/report.rs`, `plugin/report/` | `report`: an archive for a bug report, without Secrets |
//! | `plugin/mount.rs`, `plugin/mount/` | `mount`: what to type to reach the files |
//! | `plugin/complete.rs`, `plugin/complete/` | completion through kubectl's completion |
//! | `plugin/stored.rs` | a stored server, which may not parse |
//! | `plugin/events.rs` | the events about a server and its children |
//! | `plugin/plain.rs` | text from the cluster, made safe for a terminal |
//! | `plugin/paint.rs` | colours and output |

pub mod args;
mod cluster;
mod complete;
mod diff;
mod events;
mod mount;
mod paint;
mod plain;
pub mod render;
mod report;
mod status;
mod stored;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::CommandFactory;
use thiserror::Error;

pub use self::complete::complete;
use crate::domain::desired;
use crate::plugin::args::{Plugin, PluginArgs, PluginCommand};
use crate::reconcile::controller;

/// Exit status if a server is not Ready, or a diff is not empty.
const EXIT_NO: u8 = 1;
/// Exit status if there is no answer. clap uses the same one for a wrong command line.
const EXIT_UNKNOWN: u8 = 2;
/// Exit status of `status` and `report` if the server or the namespace does not exist.
const EXIT_NOT_FOUND: u8 = 3;

/// Why a command of the plugin failed. Each message ends with what to do.
#[derive(Debug, Error)]
pub enum Error {
    /// There is no usable kubeconfig.
    #[error("no usable cluster configuration: {0}. Set KUBECONFIG, or use --kubeconfig and --context")]
    Config(String),
    /// The API server refused a call, or did not answer.
    #[error("{what} failed: {detail}. {remedy}")]
    Call {
        /// The operation.
        what: String,
        /// What went wrong.
        detail: String,
        /// What to do.
        remedy: &'static str,
    },
    /// The server does not exist.
    #[error(
        "DittoServer {name} does not exist in the namespace {namespace}. To list all servers, run `kubectl get dittoservers -A`"
    )]
    NotFound {
        /// The namespace.
        namespace: String,
        /// The name.
        name: String,
    },
    /// The server has no Service for the protocol.
    #[error(
        "the server {name} has no endpoint of {what} yet. To see why, run `kubectl dittofs status {name}`"
    )]
    NoEndpoint {
        /// The name of the server.
        name: String,
        /// The protocol.
        what: String,
    },
    /// The namespace does not exist.
    #[error(
        "the namespace {namespace} does not exist. To list all servers, run `kubectl get dittoservers -A`"
    )]
    NoNamespace {
        /// The namespace.
        namespace: String,
    },
    /// The CRD is not installed.
    #[error(
        "the CRD of DittoServer is not installed in this cluster. To install it, run `dittofs-operator crd | kubectl apply --server-side -f -`"
    )]
    NotInstalled,
    /// A stored server does not parse.
    #[error(
        "the DittoServer {name} does not parse: {detail}. Correct it with `kubectl edit dittoserver {name} -n {namespace}`"
    )]
    Unparsable {
        /// The namespace.
        namespace: String,
        /// The name.
        name: String,
        /// What is wrong.
        detail: String,
    },
    /// The children cannot be built from the spec.
    #[error("the children of {name} cannot be built: {detail}")]
    Unbuildable {
        /// The server's name.
        name: String,
        /// What is wrong, and what to do.
        detail: String,
    },
    /// The client configuration is unusable.
    #[error(transparent)]
    Client(#[from] controller::RunError),
    /// The desired state cannot be computed.
    #[error(transparent)]
    Desired(#[from] desired::Error),
    /// A manifest cannot be used.
    #[error(transparent)]
    Manifest(#[from] render::Error),
    /// The output cannot be encoded as JSON or YAML.
    #[error("cannot encode the output: {0}")]
    Encode(String),
    /// A file cannot be written.
    #[error("cannot write {}: {error}. Choose another file with --output", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Standard output cannot be written, for another reason than a closed pipe.
    #[error(transparent)]
    Output(#[from] io::Error),
}

impl Error {
    fn exit_status(&self) -> u8 {
        match self {
            Self::NotFound { .. } | Self::NoNamespace { .. } => EXIT_NOT_FOUND,
            _ => EXIT_UNKNOWN,
        }
    }
}

/// Runs one command. The exit status is documented in the command's help.
#[must_use]
pub fn run(args: &PluginArgs) -> ExitCode {
    let is_diff = matches!(args.command, PluginCommand::Diff(_));
    match answer(args) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            paint::warn(&format!("error: {error}"));
            ExitCode::from(if is_diff {
                EXIT_UNKNOWN
            } else {
                error.exit_status()
            })
        }
    }
}

fn answer(args: &PluginArgs) -> Result<u8, Error> {
    let runtime = || tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match &args.command {
        PluginCommand::Status(status) => runtime()?.block_on(status::run(&args.cluster, status)),
        PluginCommand::Mount(mount) => runtime()?.block_on(mount::run(&args.cluster, mount)),
        PluginCommand::Report(report) => runtime()?.block_on(report::run(&args.cluster, report)),
        PluginCommand::Diff(diff) => runtime()?.block_on(diff::run(&args.cluster, diff)),
        PluginCommand::Render(args) => {
            let text = render::files(&args.files, args.percona_registry.clone())?;
            paint::write(text.as_bytes())?;
            Ok(0)
        }
        PluginCommand::Completion { shell } => {
            let script = args::completion(*shell, &mut Plugin::command(), "kubectl-dittofs");
            paint::write(&script)?;
            Ok(0)
        }
    }
}
