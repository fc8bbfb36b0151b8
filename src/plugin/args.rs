//! The command line of the kubectl plugin.

use std::path::PathBuf;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub(crate) const EXAMPLES: &str = "\
Examples:
  kubectl dittofs status                    every server of the namespace
  kubectl dittofs status files -n storage   one server, with its children, conditions and events
  kubectl dittofs diff -f server.yaml       what a manifest would change, and whether the pod restarts
  kubectl dittofs report files              an archive for a bug report, without Secrets
  kubectl dittofs render -f server.yaml     the children of a manifest, without a cluster";

const STATUS_EXAMPLES: &str = "\
Exit status: 0 if every server shown is Ready, 1 if one is not or does not parse, 2 if the cluster cannot be read, 3 if there is none of this name.

Examples:
  kubectl dittofs status files
  kubectl dittofs status -A
  kubectl dittofs status files -o json | jq '.conditions[] | select(.status != \"True\")'
  until kubectl dittofs status files >/dev/null; do sleep 2; done";

const REPORT_EXAMPLES: &str = "\
The archive holds the server, its children, its events and the logs of its pod and of the operator. Of Secrets it holds the metadata,
the names of their keys and the lengths of their values; values that everybody may know (host, user name, certificate) may stand elsewhere.
README.txt in it says what was left out and what could not be read. Look through it before you send it.

Examples:
  kubectl dittofs report files
  kubectl dittofs report files -n storage -o bug-42.tar.gz";

const DIFF_EXAMPLES: &str = "\
Nothing is written: the API server is asked by dry runs, which need the permissions of the writes.
Exit status: 0 if nothing would change, 1 if something would, 2 if there is no answer: an error, or a missing permission.

Examples:
  kubectl dittofs diff files                  what this version of the operator would change
  kubectl dittofs diff -f server.yaml         what a manifest would change
  kustomize build . | kubectl dittofs diff -f -";

const COMPLETION_EXAMPLES: &str = "\
Completes the command kubectl-dittofs. To complete `kubectl dittofs`, put this binary on the PATH as kubectl_complete-dittofs too: kubectl's
own completion runs it.

Examples:
  source <(kubectl dittofs completion bash)
  kubectl dittofs completion zsh > \"${fpath[1]}/_kubectl-dittofs\"";

/// Looks at DittoFS servers.
#[derive(Debug, Parser)]
#[command(name = "kubectl-dittofs", version, after_help = EXAMPLES)]
pub struct Plugin {
    /// What to do, and where.
    #[command(flatten)]
    pub args: PluginArgs,
}

impl Plugin {
    /// Reads the command line. Usage and errors call the command as a user of kubectl does; the completion scripts need
    /// the name of the file, which has no space.
    #[must_use]
    pub fn of_command_line() -> Self {
        let matches = Self::command().bin_name("kubectl dittofs").get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }
}

/// What to do, and where.
#[derive(Debug, Args)]
pub struct PluginArgs {
    /// Which cluster.
    #[command(flatten)]
    pub access: Access,
    /// What to do.
    #[command(subcommand)]
    pub command: PluginCommand,
}

/// Which cluster and namespace.
#[derive(Clone, Debug, Default, Args)]
pub struct Access {
    /// Namespace; that of the kubeconfig's context if not given.
    #[arg(short, long, global = true, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// Context of the kubeconfig; the current one if not given.
    #[arg(long, global = true, value_name = "CONTEXT")]
    pub context: Option<String>,
    /// File with clusters and credentials; $KUBECONFIG or ~/.kube/config if not given.
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
}

/// What the plugin can do.
#[derive(Debug, Subcommand)]
pub enum PluginCommand {
    /// Show servers with their children, conditions and events.
    #[command(after_help = STATUS_EXAMPLES)]
    Status(StatusArgs),
    /// Write an archive for a bug report, without Secrets.
    #[command(after_help = REPORT_EXAMPLES)]
    Report(ReportArgs),
    /// Show what an upgrade of the operator or a manifest would change, and whether the pod restarts.
    #[command(after_help = DIFF_EXAMPLES)]
    Diff(DiffArgs),
    /// Print the children of a manifest, without a cluster.
    Render(RenderArgs),
    /// Print a shell's completion script.
    #[command(after_help = COMPLETION_EXAMPLES)]
    Completion {
        /// The shell.
        shell: Shell,
    },
}

/// Options of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Name of the server; all servers of the namespace if not given.
    pub name: Option<String>,
    /// All namespaces.
    #[arg(short = 'A', long, conflicts_with_all = ["name", "namespace"])]
    pub all_namespaces: bool,
    /// How it is written.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = OutputFormat::Text)]
    pub output: OutputFormat,
    /// Whether text is coloured; `auto` colours on a terminal, unless `NO_COLOR` is set.
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = ColorChoice::Auto)]
    pub color: ColorChoice,
    /// How many of the last events are shown.
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub events: usize,
}

/// Options of `report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Name of the server.
    pub name: String,
    /// The archive; dittofs-report-NAME.tar.gz if not given. A file that exists is not overwritten.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Namespace of the operator; it is looked for in all of them if not given.
    #[arg(long, value_name = "NAMESPACE")]
    pub operator_namespace: Option<String>,
    /// How many lines of each log are taken; fewer if they are too long.
    #[arg(long, value_name = "N", default_value_t = 5000)]
    pub log_lines: i64,
}

/// Options of `diff`.
#[derive(Debug, Args)]
#[group(id = "subject", required = true, multiple = false, args = ["name", "files"])]
pub struct DiffArgs {
    /// Name of a server in the cluster: what would this version of the operator change?
    pub name: Option<String>,
    /// File with DittoServers, `-` for standard input: what would they change? Repeat it for several.
    #[arg(short, long = "file", value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Registry and path that replace `docker.io/percona` in the default database images; as the operator runs with it.
    #[arg(long, value_name = "REGISTRY")]
    pub percona_registry: Option<String>,
    /// Whether the text is coloured; `auto` colours on a terminal, unless `NO_COLOR` is set.
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = ColorChoice::Auto)]
    pub color: ColorChoice,
}

/// How a status is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// A tree, for people.
    Text,
    /// For programs: one object for a named server, else a list.
    Json,
    /// As `json`, in YAML.
    Yaml,
}

/// Whether text is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// In any case.
    Always,
    /// Not at all.
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
    fn the_completion_script_knows_the_flags_of_each_command() {
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
    fn a_diff_is_of_a_name_or_of_files_and_not_of_both() {
        let parsed = |args: &[&str]| Plugin::try_parse_from(args).map(|_| ()).is_ok();
        assert!(parsed(&["kubectl-dittofs", "diff", "files"]));
        assert!(parsed(&["kubectl-dittofs", "diff", "-f", "a", "-f", "b"]));
        assert!(!parsed(&["kubectl-dittofs", "diff"]));
        assert!(!parsed(&["kubectl-dittofs", "diff", "files", "-f", "a"]));
    }

    #[test]
    fn the_namespace_may_stand_before_or_after_the_command() {
        for args in [["-n", "a", "status", "files"], ["status", "files", "-n", "a"]] {
            let args = ["kubectl-dittofs"].into_iter().chain(args);
            let parsed = Plugin::try_parse_from(args).expect("it parses");
            assert_eq!(parsed.args.access.namespace.as_deref(), Some("a"));
        }
    }
}

/// Options of `render`.
#[derive(Debug, Args)]
pub struct RenderArgs {
    /// File with DittoServers, and Secrets if wanted; `-` for standard input. Repeat it for several.
    #[arg(short, long = "file", value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Registry and path that replace `docker.io/percona` in the default database images.
    #[arg(long, value_name = "REGISTRY")]
    pub percona_registry: Option<String>,
}

/// A shell's completion script for a command of this name.
///
/// `clap_complete` 4.6 writes a hyphen in the command's name in two ways in its script for bash, so that the flags of no
/// subcommand are completed; the second way is brought in line with the first here.
#[must_use]
pub fn completion(shell: Shell, command: &mut clap::Command, name: &str) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, command, name, &mut script);
    let torn = format!("{}__subcmd__", name.replace('-', "__subcmd__"));
    let whole = format!("{}__subcmd__", name.replace('-', "__"));
    String::from_utf8_lossy(&script)
        .replace(&torn, &whole)
        .into_bytes()
}
