//! The command line of the kubectl plugin.

use std::path::PathBuf;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub(crate) const EXAMPLES: &str = "\
Examples:
  kubectl dittofs status                    all servers of the namespace
  kubectl dittofs status files -n storage   one server, with its children, conditions and events
  kubectl dittofs mount files               how clients mount its files
  kubectl dittofs diff -f server.yaml       what a manifest would change, and whether the pod restarts
  kubectl dittofs report files              an archive for a bug report, without Secrets
  kubectl dittofs render -f server.yaml     the children of a manifest, without a cluster";

const STATUS_EXAMPLES: &str = "\
Exit status: 0 if every server in the output is Ready, 1 if a server is not Ready or does not parse, 2 if the cluster cannot be read, 3 if the server or the namespace does not exist.

Examples:
  kubectl dittofs status files
  kubectl dittofs status -A
  kubectl dittofs status files -o json | jq '.conditions[] | select(.status != \"True\")'
  until kubectl dittofs status files >/dev/null; do sleep 2; done";

const MOUNT_EXAMPLES: &str = "\
Reads the endpoints in the status of the server. A share that is not ready is reported.

Examples:
  kubectl dittofs mount files --share export
  kubectl dittofs mount files --share export --from node
  kubectl dittofs mount files --share export -o pv --size 100Gi | kubectl apply -f -
  kubectl dittofs mount files --share export -o storageclass | kubectl apply -f -";

const REPORT_EXAMPLES: &str = "\
The archive contains the server, its children, its events, and the logs of its pod and of the operator. Of Secrets it contains only the
metadata, the key names and the lengths of the values. Values that are not secret (host, user name, certificate) can occur in other files.
README.txt lists what was left out and what could not be read. Check the archive before you send it.

Examples:
  kubectl dittofs report files
  kubectl dittofs report files -n storage -o bug-42.tar.gz";

const DIFF_EXAMPLES: &str = "\
Writes nothing: it sends dry runs to the API server, which need the permissions of the writes.
Exit status: 0 if nothing would change, 1 if something would change, 2 if there is no answer (an error, or a missing permission).

Examples:
  kubectl dittofs diff files                  what this version of the operator would change
  kubectl dittofs diff -f server.yaml         what a manifest would change
  kustomize build . | kubectl dittofs diff -f -";

const COMPLETION_EXAMPLES: &str = "\
This script completes the command kubectl-dittofs. To complete `kubectl dittofs`, put this binary on the PATH under the name
kubectl_complete-dittofs as well. The completion of kubectl runs it.

Examples:
  source <(kubectl dittofs completion bash)
  kubectl dittofs completion zsh > \"${fpath[1]}/_kubectl-dittofs\"";

/// Show and compare DittoFS servers.
#[derive(Debug, Parser)]
#[command(name = "kubectl-dittofs", version, after_help = EXAMPLES)]
pub struct Plugin {
    /// Command and cluster.
    #[command(flatten)]
    pub args: PluginArgs,
}

impl Plugin {
    /// Parses the command line. Usage and errors show the command as a user of kubectl types it. The completion scripts need
    /// the name of the file, which has no space.
    #[must_use]
    pub fn of_command_line() -> Self {
        let matches = Self::command().bin_name("kubectl dittofs").get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }
}

/// Command and cluster.
#[derive(Debug, Args)]
pub struct PluginArgs {
    /// Cluster and namespace.
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// The command.
    #[command(subcommand)]
    pub command: PluginCommand,
}

/// Cluster and namespace.
#[derive(Clone, Debug, Default, Args)]
pub struct ClusterArgs {
    /// Namespace. Default: the namespace of the kubeconfig's context.
    #[arg(short, long, global = true, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// Context of the kubeconfig. Default: the current context.
    #[arg(long, global = true, value_name = "CONTEXT")]
    pub context: Option<String>,
    /// Path of the kubeconfig file. Default: $KUBECONFIG or ~/.kube/config.
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
}

/// The commands of the plugin.
#[derive(Debug, Subcommand)]
pub enum PluginCommand {
    /// Show servers with their children, conditions and events.
    #[command(after_help = STATUS_EXAMPLES)]
    Status(StatusArgs),
    /// Show how clients mount the files of a server.
    #[command(after_help = MOUNT_EXAMPLES)]
    Mount(MountArgs),
    /// Write an archive for a bug report, without Secrets.
    #[command(after_help = REPORT_EXAMPLES)]
    Report(ReportArgs),
    /// Show what an operator upgrade or a manifest would change, and whether the pod restarts.
    #[command(after_help = DIFF_EXAMPLES)]
    Diff(DiffArgs),
    /// Print the children of a manifest, without a cluster.
    Render(RenderArgs),
    /// Print the completion script of a shell.
    #[command(after_help = COMPLETION_EXAMPLES)]
    Completion {
        /// The shell.
        shell: Shell,
    },
}

/// Options of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Name of the server. Default: all servers of the namespace.
    pub name: Option<String>,
    /// Show the servers of all namespaces.
    #[arg(short = 'A', long, conflicts_with_all = ["name", "namespace"])]
    pub all_namespaces: bool,
    /// Output format.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = OutputFormat::Text)]
    pub output: OutputFormat,
    /// Whether to use colours. `auto` uses them on a terminal, unless `NO_COLOR` is set.
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = ColorChoice::Auto)]
    pub color: ColorChoice,
    /// Number of events to show.
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub events: usize,
}

/// Options of `mount`.
#[derive(Clone, Debug, Args)]
pub struct MountArgs {
    /// Name of the server.
    pub name: String,
    /// Name of the share. Default: the first share of the spec, or export.
    #[arg(long, value_name = "SHARE")]
    pub share: Option<String>,
    /// Where the client is. Default: outside if there is a load balancer, else in the cluster.
    #[arg(long, value_name = "PLACE", value_enum)]
    pub from: Option<MountFrom>,
    /// User of SMB.
    #[arg(long, value_name = "USER", default_value = "USER")]
    pub user: String,
    /// Size that the persistent volume states. The server does not enforce it.
    #[arg(long, value_name = "QUANTITY", default_value = "100Gi")]
    pub size: String,
    /// Output format.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = MountOutput::Commands)]
    pub output: MountOutput,
}

/// Where a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MountFrom {
    /// In a pod.
    Cluster,
    /// On a node of the cluster, as the kubelet that mounts a volume.
    Node,
    /// Anywhere else.
    Outside,
}

/// Format of the output of `mount`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MountOutput {
    /// Commands for Linux, macOS and Windows.
    Commands,
    /// A persistent volume for the share, and its claim.
    Pv,
    /// A StorageClass for csi-driver-nfs: one directory for each claim.
    Storageclass,
}

/// Options of `report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Name of the server.
    pub name: String,
    /// Path of the archive. Default: dittofs-report-NAME.tar.gz. An existing file is not overwritten.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Namespace of the operator. Default: search in all namespaces.
    #[arg(long, value_name = "NAMESPACE")]
    pub operator_namespace: Option<String>,
    /// Maximum number of lines of each log. Fewer if the lines are too long.
    #[arg(long, value_name = "N", default_value_t = 5000)]
    pub log_lines: i64,
}

/// Options of `diff`.
#[derive(Debug, Args)]
#[group(id = "subject", required = true, multiple = false, args = ["name", "files"])]
pub struct DiffArgs {
    /// Name of a server in the cluster. Shows what this version of the operator would change.
    pub name: Option<String>,
    /// File with DittoServers, or `-` for standard input. Shows what they would change. Can be repeated.
    #[arg(short, long = "file", value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Registry and path that replace `docker.io/percona` in the default database images. Use the same value as the operator.
    #[arg(long, value_name = "REGISTRY")]
    pub percona_registry: Option<String>,
    /// Whether to use colours. `auto` uses them on a terminal, unless `NO_COLOR` is set.
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = ColorChoice::Auto)]
    pub color: ColorChoice,
}

/// Format of the output of `status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// A tree, for users.
    Text,
    /// For programs: an object if a name is given, otherwise a list.
    Json,
    /// The same as `json`, in YAML.
    Yaml,
}

/// Whether to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plugins_command_line_is_consistent() {
        Plugin::command().debug_assert();
    }

    #[test]
    fn the_completion_script_has_the_flags_of_each_command() {
        let script = completion(Shell::Bash, &mut Plugin::command(), "kubectl-dittofs");
        let script = String::from_utf8(script).expect("UTF-8");
        let assigned = script
            .split("cmd=\"")
            .skip(2)
            .filter_map(|rest| rest.split('"').next());
        for command in assigned {
            assert!(
                script.contains(&format!("\n        {command})\n")),
                "{command} has no flags"
            );
        }
    }

    #[test]
    fn a_diff_needs_either_a_name_or_files() {
        let parsed = |args: &[&str]| Plugin::try_parse_from(args).map(|_| ()).is_ok();
        assert!(parsed(&["kubectl-dittofs", "diff", "files"]));
        assert!(parsed(&["kubectl-dittofs", "diff", "-f", "a", "-f", "b"]));
        assert!(!parsed(&["kubectl-dittofs", "diff"]));
        assert!(!parsed(&["kubectl-dittofs", "diff", "files", "-f", "a"]));
    }

    #[test]
    fn the_namespace_can_be_before_or_after_the_command() {
        for args in [["-n", "a", "status", "files"], ["status", "files", "-n", "a"]] {
            let args = ["kubectl-dittofs"].into_iter().chain(args);
            let parsed = Plugin::try_parse_from(args).expect("it parses");
            assert_eq!(parsed.args.cluster.namespace.as_deref(), Some("a"));
        }
    }
}

/// Options of `render`.
#[derive(Debug, Args)]
pub struct RenderArgs {
    /// File with DittoServers and optionally Secrets, or `-` for standard input. Can be repeated.
    #[arg(short, long = "file", value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Registry and path that replace `docker.io/percona` in the default database images.
    #[arg(long, value_name = "REGISTRY")]
    pub percona_registry: Option<String>,
}

/// The completion script of a shell, for a command with this name.
///
/// In its script for bash, `clap_complete` 4.6 writes a hyphen in the name of the command in two different ways. Then no flags of
/// subcommands are completed. This function replaces the second way with the first.
#[must_use]
pub fn completion(shell: Shell, command: &mut clap::Command, name: &str) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, command, name, &mut script);
    let second = format!("{}__subcmd__", name.replace('-', "__subcmd__"));
    let first = format!("{}__subcmd__", name.replace('-', "__"));
    String::from_utf8_lossy(&script)
        .replace(&second, &first)
        .into_bytes()
}
