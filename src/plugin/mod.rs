//! The kubectl plugin: commands for people who look at a server. They read, and write nothing to the cluster.
//!
//! | file | what is in it |
//! |---|---|
//! | `plugin/cluster.rs` | the way to the API server, and its errors with a remedy |
//! | `plugin/status.rs`, `plugin/status/` | `status`: a tree of what a server has, its conditions and events |
//! | `plugin/diff.rs`, `plugin/diff/` | `diff`: what an apply would change, and whether the pod restarts |
//! | `plugin/report.rs`, `plugin/report/` | `report`: an archive for a bug report, without Secrets |
//! | `plugin/complete.rs`, `plugin/complete/` | completion through kubectl's own |
//! | `plugin/stored.rs` | a server as it is stored, whether or not it parses |
//! | `plugin/events.rs` | the events about a server and its children |
//! | `plugin/plain.rs` | text of the cluster, made harmless for a terminal |
//! | `plugin/paint.rs` | colours, and the way to the terminal |

pub mod args;
mod cluster;
mod complete;
mod diff;
mod events;
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

/// Exit status of a server that is not Ready, and of a diff that is not empty.
const NOT_SO: u8 = 1;
/// Exit status where the question cannot be answered. clap uses the same for a wrong command line.
const CANNOT_TELL: u8 = 2;
/// Exit status of `status` and `report` where there is no such server.
const NOT_FOUND: u8 = 3;

/// Why a command of the plugin has no answer. Each text ends with what to do.
#[derive(Debug, Error)]
pub enum Error {
    /// There is no way to an API server.
    #[error(
        "no cluster to speak to: {0}. Set KUBECONFIG, or name a file with --kubeconfig and a context with --context"
    )]
    Config(String),
    /// The API server refused a call, or did not answer.
    #[error("{what} failed: {detail}. {remedy}")]
    Call {
        /// What was tried.
        what: String,
        /// What went wrong.
        detail: String,
        /// What to do.
        remedy: &'static str,
    },
    /// There is no server of this name.
    #[error(
        "there is no DittoServer {name} in the namespace {namespace}. `kubectl get dittoservers -A` lists all of them"
    )]
    NotFound {
        /// The namespace.
        namespace: String,
        /// The name.
        name: String,
    },
    /// The CRD is not installed.
    #[error(
        "this cluster has no DittoServers: their CRD is not installed. `dittofs-operator crd | kubectl apply --server-side -f -` installs it"
    )]
    NotInstalled,
    /// A stored server does not parse.
    #[error(
        "the DittoServer {name} does not parse: {detail}. `kubectl edit dittoserver {name} -n {namespace}` mends it"
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
    /// The configuration cannot be written.
    #[error(transparent)]
    Desired(#[from] desired::Error),
    /// A manifest cannot be used.
    #[error(transparent)]
    Manifest(#[from] render::Error),
    /// Something cannot be written as JSON or YAML.
    #[error("cannot be encoded: {0}")]
    Encode(String),
    /// A file cannot be written.
    #[error("cannot write {}: {error}. Choose another file with --output", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Standard output takes nothing, and not because its reader has had enough.
    #[error(transparent)]
    Output(#[from] io::Error),
}

impl Error {
    fn exit_status(&self) -> u8 {
        match self {
            Self::NotFound { .. } => NOT_FOUND,
            _ => CANNOT_TELL,
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
            paint::tell(&format!("error: {error}"));
            ExitCode::from(if is_diff { CANNOT_TELL } else { error.exit_status() })
        }
    }
}

fn answer(args: &PluginArgs) -> Result<u8, Error> {
    let runtime = || tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match &args.command {
        PluginCommand::Status(status) => runtime()?.block_on(status::run(&args.access, status)),
        PluginCommand::Report(report) => runtime()?.block_on(report::run(&args.access, report)),
        PluginCommand::Diff(diff) => runtime()?.block_on(diff::run(&args.access, diff)),
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
