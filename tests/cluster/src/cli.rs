//! The command line of `local-control-plane`.

use std::net::SocketAddrV4;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand, ValueEnum};
use local_control_plane::runner::{UID, USER};

const EXAMPLES: &str = "Examples:
  local-control-plane build                      find or build etcd and the Kubernetes servers
  local-control-plane start                      an API server; its kubeconfig is printed
  local-control-plane start --size full --percona-simulator
  local-control-plane demo --apply crds --apply config/samples/minimal.yaml --operator target/debug/dittofs-operator";

const DEMO_EXAMPLES: &str = "Examples:
  local-control-plane demo --apply crds --apply config/samples --operator target/debug/dittofs-operator
  local-control-plane demo --apply crds --apply config/samples --operator target/debug/dittofs-operator \\
      --until-ready --timeout 120
  KUBECONFIG=~/.kube/config local-control-plane demo --use-existing --apply crds --operator target/debug/dittofs-operator";

const START_EXAMPLES: &str = "Examples:
  local-control-plane start
  local-control-plane start --size full --nodes 3 --percona-simulator --log-dir logs";

const NFS_EXAMPLES: &str = "Examples:
  echo hello | local-control-plane nfs put 127.64.0.1:12049/export/hello.txt
  local-control-plane nfs get 127.64.0.1:12049/export/hello.txt";

const SMB_EXAMPLES: &str = "Examples:
  export SMB_PASSWORD
  echo hello | local-control-plane smb put 127.64.0.1:1445/export/hello.txt
  local-control-plane smb get 127.64.0.1:1445/export/hello.txt";

/// A Kubernetes control plane on loopback, for tests and demos.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Find the executables, or build them from pinned Go modules into the cache.
    ///
    /// Looked for in the directory that `KUBEBUILDER_ASSETS` names, then in PATH, in a fitting version;
    /// else in the cache below `XDG_CACHE_HOME` (or ~/.cache). A first build takes about ten minutes on two cores and needs Go.
    /// `KUBERNETES_VERSION` selects a minor release of Kubernetes, for example 1.33.
    #[command(after_help = "Example:\n  local-control-plane build --size full")]
    Build {
        #[command(flatten)]
        size: SizeArg,
    },
    /// Run a control plane until Ctrl-C.
    #[command(after_help = START_EXAMPLES)]
    Start(Start),
    /// Run the operator on a control plane and show its DittoServers, until Ctrl-C.
    #[command(after_help = DEMO_EXAMPLES)]
    Demo(Demo),
    /// Put a file on a share over NFS, or read one, without mounting it. `demo` prints the addresses.
    #[command(subcommand, after_help = NFS_EXAMPLES)]
    Nfs(Transfer<NfsFile>),
    /// Put a file on a share over SMB, or read one, without mounting it. `demo` prints the addresses.
    #[command(subcommand, after_help = SMB_EXAMPLES)]
    Smb(Transfer<SmbFile>),
}

#[derive(Debug, Subcommand)]
pub enum Transfer<File: Args> {
    /// Write standard input to a file
    Put(File),
    /// Print a file
    Get(File),
}

#[derive(Debug, Args)]
pub struct NfsFile {
    /// The file
    #[arg(value_name = "ADDRESS:PORT/SHARE/FILE")]
    pub path: FilePath,
    /// The user, by number
    #[arg(long, default_value_t = UID)]
    pub uid: u32,
}

#[derive(Debug, Args)]
pub struct SmbFile {
    /// The file
    #[arg(value_name = "ADDRESS:PORT/SHARE/FILE")]
    pub path: FilePath,
    /// The user
    #[arg(long, default_value = USER)]
    pub user: String,
    /// The user's password. Use the variable: other users of the machine see arguments
    #[arg(long, env = "SMB_PASSWORD", hide_env_values = true)]
    pub password: String,
}

/// A file on a server.
#[derive(Clone, Debug)]
pub struct FilePath {
    pub server: SocketAddrV4,
    pub share: String,
    pub file: String,
}

impl FromStr for FilePath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/').and_then(|(server, path)| {
            let (share, file) = path.rsplit_once('/')?;
            Some(Self {
                server: server.parse().ok()?,
                share: format!("/{share}"),
                file: file.to_owned(),
            })
        });
        parts.ok_or_else(|| format!("{text:?} is not a file such as 127.64.0.1:12049/export/hello.txt"))
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum SizeName {
    /// etcd and the API server
    Api,
    /// controller manager, scheduler and kwok too: pods become Ready
    Full,
}

#[derive(Debug, Args)]
pub struct SizeArg {
    /// Which components
    #[arg(long, value_enum, default_value = "full")]
    pub size: SizeName,
}

#[derive(Debug, Args)]
pub struct Start {
    /// Which components
    #[arg(long, value_enum, default_value = "api")]
    pub size: SizeName,
    /// Number of nodes, with `--size full`
    #[arg(long, default_value_t = 1)]
    pub nodes: usize,
    /// Run pods with an image of process.local/ as processes, with the real DittoFS server as /app/dfs (Linux, `--size full`)
    #[arg(long)]
    pub pod_runner: bool,
    /// Also simulate Percona's PostgreSQL operator
    #[arg(long)]
    pub percona_simulator: bool,
    /// Time that a simulated database takes to start, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 8)]
    pub database_delay: u64,
    /// Directory for the logs of the components [default: removed at the end]
    #[arg(long, value_name = "DIR")]
    pub log_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Demo {
    /// Use the cluster that KUBECONFIG names; no simulator then
    #[arg(long)]
    pub use_existing: bool,
    /// Files or directories to apply, in this order; definitions before their objects
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub apply: Vec<PathBuf>,
    /// Name of a DittoServer that runs a real DittoFS server instead of a simulated pod (Linux); repeatable
    #[arg(long, value_name = "NAME", conflicts_with = "use_existing")]
    pub real: Vec<String>,
    /// The operator's executable, started with KUBECONFIG set
    #[arg(long, value_name = "PATH")]
    pub operator: Option<PathBuf>,
    /// An argument for the operator; repeatable
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    pub operator_arg: Vec<String>,
    /// Where the operator's log goes [default: removed at the end]
    #[arg(long, value_name = "FILE")]
    pub operator_log: Option<PathBuf>,
    /// Number of nodes
    #[arg(long, default_value_t = 1)]
    pub nodes: usize,
    /// Time that a simulated database takes to start, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 8)]
    pub database_delay: u64,
    /// Exit 0 once every DittoServer that should be Ready is; for CI
    #[arg(long)]
    pub until_ready: bool,
    /// With `--until-ready`: exit 1 with a diagnosis after this time, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub timeout: u64,
    /// Directory for the logs of the components [default: removed at the end]
    #[arg(long, value_name = "DIR")]
    pub log_dir: Option<PathBuf>,
}
