//! The command line.

pub mod go_flags;
pub mod shard;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use self::go_flags::GoFlags;
use self::shard::{ShardArg, shard_selector};
#[cfg(feature = "otel")]
use super::traces::args::TracesArgs;
use crate::api::duration::parse_go;
use crate::api::{DittoServer, DittoServerSpec};
use crate::cluster::leader;
use crate::cluster::leader::timing::Timing;
use crate::command::telemetry::LogLineFormat;
use crate::domain::server_api;
use crate::domain::settings::Settings;
use crate::plugin::args::{self, PluginArgs, RenderArgs};

const EXAMPLES: &str = "\
Examples:
  dittofs-operator                                  run against $KUBECONFIG, or in a pod
  dittofs-operator run --watch-namespace team-a --watch-namespace team-b
  dittofs-operator crd | kubectl apply --server-side -f -
  dittofs-operator render -f server.yaml            print the children of a manifest
  dittofs-operator kubectl status files             the same as `kubectl dittofs status files`
  source <(dittofs-operator completion bash)";

const RUN_EXAMPLES: &str = "\
Examples:
  dittofs-operator run
  KUBECONFIG=~/.kube/config dittofs-operator run --watch-namespace storage --log-level debug
  dittofs-operator run --bind-address 127.0.0.1:8081 --concurrency 32
  dittofs-operator run --percona-registry registry.example.com/mirror
  dittofs-operator run --leader-elect --shard-selector 'team in (a,b)'       one of several operators";

const CRD_EXAMPLES: &str = "\
Examples:
  dittofs-operator crd | kubectl apply --server-side -f -
  dittofs-operator crd > crds/dittoservers.yaml";

const RENDER_EXAMPLES: &str = "\
Examples:
  dittofs-operator render -f server.yaml
  dittofs-operator render -f server.yaml -f secrets.yaml    with Secrets, for the config hash
  kustomize build . | dittofs-operator render -f -
  diff <(dittofs-operator render -f old.yaml) <(dittofs-operator render -f new.yaml)";

const COMPLETION_EXAMPLES: &str = "\
Examples:
  source <(dittofs-operator completion bash)
  dittofs-operator completion zsh > \"${fpath[1]}/_dittofs-operator\"
  dittofs-operator completion fish > ~/.config/fish/completions/dittofs-operator.fish";

/// Runs DittoFS file servers on Kubernetes.
///
/// Watches DittoServers. For each of them, creates and updates a StatefulSet with its volumes, configuration, Secrets, Services,
/// a NetworkPolicy and, optionally, a PostgreSQL cluster (Percona).
#[derive(Debug, Parser)]
#[command(name = "dittofs-operator", version, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// The command. Default: `run`.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Options of `run`. They also work without the word `run`.
    #[command(flatten)]
    pub run: RunArgs,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the operator (the default).
    #[command(after_help = RUN_EXAMPLES)]
    Run(Box<RunArgs>),
    /// Print the CustomResourceDefinition.
    #[command(after_help = CRD_EXAMPLES)]
    Crd,
    /// Print the children of a manifest, without a cluster.
    ///
    /// Needs no cluster. Secrets in the input are used only for the config hash. Their values are never printed.
    #[command(after_help = RENDER_EXAMPLES)]
    Render(RenderArgs),
    /// Run a command of the kubectl plugin: status, report, render, diff.
    ///
    /// The same as `kubectl dittofs`, for which this binary must be on the PATH under the name kubectl-dittofs.
    #[command(after_help = args::EXAMPLES)]
    Kubectl(Box<PluginArgs>),
    /// Print the API reference, in Markdown.
    #[command(hide = true)]
    Reference,
    /// Print the completion script of a shell.
    #[command(after_help = COMPLETION_EXAMPLES)]
    Completion {
        /// The shell.
        shell: Shell,
    },
}

/// Options of `run`.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// Namespace to watch. Can be repeated. Default: all namespaces.
    #[arg(
        long,
        value_name = "NAMESPACE",
        env = "WATCH_NAMESPACE",
        value_delimiter = ','
    )]
    watch_namespace: Vec<String>,
    /// Reconcile only the DittoServers with these labels, for example `team in (a,b)` or `!team`. Several operators with different
    /// selectors divide a cluster. Each selector has a Lease, so --leader-elect is required. Default: all DittoServers.
    #[arg(long, value_name = "SELECTOR", env = "SHARD_SELECTOR", default_value = "", hide_default_value = true, value_parser = shard_selector)]
    pub shard_selector: ShardArg,
    /// Maximum number of DittoServers that are reconciled at the same time. A reconcile that takes longer than 2 s, for example because
    /// of a slow admission webhook, does not count, up to as many again.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    pub concurrency: u16,
    /// Path of the kubeconfig file. Default: $KUBECONFIG, ~/.kube/config, or the service account of the pod.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Address of the admin server (/healthz, /readyz). 0 disables it.
    #[arg(long, value_name = "ADDRESS", default_value = ":8081", value_parser = bind_address, visible_alias = "health-probe-bind-address")]
    pub bind_address: BindAddress,
    /// Metrics.
    #[command(flatten)]
    pub metrics: MetricsArgs,
    /// Enable leader election. Needed when more than one replica runs.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true")]
    pub leader_elect: std::primitive::bool,
    /// Leader election.
    #[command(flatten)]
    pub election: ElectionArgs,
    /// Registry and path that replace `docker.io/percona` in the default database images.
    #[arg(long, value_name = "REGISTRY")]
    pub percona_registry: Option<String>,
    /// Address of the API of each server, with the placeholders {scheme}, {name}, {namespace}, {domain} and {port}. Default: the
    /// Service of the API, {scheme}://{name}-api.{namespace}.svc:{port}.
    #[arg(long, value_name = "URL", value_parser = url_template)]
    pub server_url_template: Option<String>,
    /// DNS domain of the cluster. A certificate of a server may be valid for the name of its Service in this domain. Default: the
    /// domain in /etc/resolv.conf, or cluster.local.
    #[arg(long, value_name = "DOMAIN")]
    pub cluster_domain: Option<String>,
    /// Log level, or a filter such as `info,kube=debug`.
    #[arg(long, value_name = "FILTER", env = "RUST_LOG", default_value = "info")]
    log_level: String,
    /// Format of log lines.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = LogLineFormat::Auto)]
    log_format: LogLineFormat,
    /// Flags of the Go operator.
    #[command(flatten)]
    pub go: GoFlags,
    /// Traces.
    #[cfg(feature = "otel")]
    #[command(flatten)]
    pub traces: TracesArgs,
}

/// Options of `/metrics`.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Metrics")]
pub struct MetricsArgs {
    /// Address of /metrics. 0 disables it.
    #[arg(long = "metrics-bind-address", value_name = "ADDRESS", default_value = "0", value_parser = bind_address)]
    pub address: BindAddress,
    /// Serve /metrics over TLS, and only to clients whose token has the permission to `get` this path.
    #[arg(long = "metrics-secure", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "true", default_missing_value = "true")]
    pub secure: std::primitive::bool,
    /// Folder with the certificate and its key. They are reloaded when they change. Default: a certificate generated at start.
    #[arg(long = "metrics-cert-path", value_name = "FOLDER")]
    pub cert_path: Option<PathBuf>,
    /// File name of the certificate.
    #[arg(long = "metrics-cert-name", value_name = "FILE", default_value = "tls.crt")]
    pub cert_name: String,
    /// File name of the key.
    #[arg(long = "metrics-cert-key", value_name = "FILE", default_value = "tls.key")]
    pub cert_key: String,
}

/// Options of the leader election.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Leader election")]
pub struct ElectionArgs {
    /// How long a candidate waits after the last change of the lease before it acquires the lease.
    #[arg(long = "leader-elect-lease-duration", value_name = "DURATION", default_value = "15s", value_parser = duration)]
    pub lease_duration: Duration,
    /// How long the leader continues if it cannot renew the lease. After that it exits.
    #[arg(long = "leader-elect-renew-deadline", value_name = "DURATION", default_value = "10s", value_parser = duration)]
    pub renew_deadline: Duration,
    /// Time between two attempts to acquire or renew the lease.
    #[arg(long = "leader-elect-retry-period", value_name = "DURATION", default_value = "2s", value_parser = duration)]
    pub retry_period: Duration,
    /// Namespace of the lease. Default: the namespace of the pod, or of the kubeconfig's context.
    #[arg(long = "leader-election-namespace", value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// Name of the lease. The default is that of the Go operator, so that both never run at the same time. With --shard-selector, a hash
    /// of the selector is added.
    #[arg(long = "leader-election-id", value_name = "NAME", default_value = leader::LEASE)]
    pub id: String,
}

impl RunArgs {
    /// The log filter.
    #[must_use]
    pub fn log_level(&self) -> &str {
        self.go.log_level().unwrap_or(&self.log_level)
    }

    /// The format of log lines.
    #[must_use]
    pub fn log_format(&self) -> LogLineFormat {
        self.go.log_format().unwrap_or(self.log_format)
    }

    /// The namespaces to watch. Empty means all. As in other operators, an empty variable also means all.
    #[must_use]
    pub fn namespaces(&self) -> Vec<String> {
        let mut namespaces: Vec<String> = self
            .watch_namespace
            .iter()
            .map(|namespace| namespace.trim().to_owned())
            .filter(|namespace| !namespace.is_empty())
            .collect();
        namespaces.sort_unstable();
        namespaces.dedup();
        namespaces
    }
}

impl ElectionArgs {
    /// The durations of the election.
    ///
    /// # Errors
    /// If they would allow two leaders, or only one attempt to renew.
    pub fn timing(&self) -> Result<Timing, leader::timing::Error> {
        Timing::new(self.lease_duration, self.renew_deadline, self.retry_period)
    }
}

/// Accepts Go's notation, as other operators do.
fn duration(text: &str) -> Result<Duration, String> {
    parse_go(text).ok_or_else(|| format!("{text:?} is not a duration such as 15s, 500ms or 1m30s"))
}

/// A template that gives an address for some server.
fn url_template(text: &str) -> Result<String, String> {
    let settings = Settings {
        server_url_template: Some(text.to_owned()),
        ..Settings::default()
    };
    let sample = server_api::url(&DittoServer::new("files", DittoServerSpec::default()), &settings);
    let is_address = sample
        .parse::<http::Uri>()
        .is_ok_and(|uri| uri.authority().is_some() && matches!(uri.scheme_str(), Some("http" | "https")));
    if is_address && !sample.contains(['{', '}']) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "{text:?} is not an address such as {}",
        server_api::DEFAULT_URL_TEMPLATE
    ))
}

/// An address to listen on. `None` disables the listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BindAddress(pub Option<SocketAddr>);

/// Accepts `ip:port`, `:port` (all IPv4 and IPv6 addresses, as in Go), and `0` (disabled).
fn bind_address(text: &str) -> Result<BindAddress, String> {
    if text == "0" {
        return Ok(BindAddress(None));
    }
    let full = if text.starts_with(':') {
        format!("[::]{text}")
    } else {
        text.to_owned()
    };
    let address = full
        .parse()
        .map_err(|_| format!("{text:?} is not an address such as 0.0.0.0:8081, :8081 or 0"))?;
    Ok(BindAddress(Some(address)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn run_is_the_default_and_needs_no_flag() {
        let cli = Cli::try_parse_from(["dittofs-operator"]).expect("no flag is required");
        assert!(cli.command.is_none());
        assert_eq!(cli.run.concurrency, 16);
        assert!(!cli.run.leader_elect);
    }

    #[test]
    fn flags_of_run_work_without_the_word_run() {
        let args = [
            "dittofs-operator",
            "--watch-namespace",
            "a",
            "--watch-namespace",
            "b",
            "--leader-elect",
        ];
        let cli = Cli::try_parse_from(args).expect("flags of run are accepted");
        assert_eq!(cli.run.namespaces(), ["a", "b"]);
        assert!(cli.run.leader_elect);
    }

    #[test]
    fn namespaces_are_trimmed_and_an_empty_list_means_all() {
        for (text, expected) in [("", vec![]), (" , ", vec![]), ("b, a,b,", vec!["a", "b"])] {
            let cli = Cli::try_parse_from(["dittofs-operator", "--watch-namespace", text]).expect("a list");
            assert_eq!(cli.run.namespaces(), expected, "{text:?}");
        }
    }

    #[test]
    fn the_election_has_the_durations_of_client_go_and_accepts_others_in_gos_notation() {
        let cli = Cli::try_parse_from(["dittofs-operator"]).expect("no flag is required");
        let timing = cli.run.election.timing().expect("the defaults go together");
        assert_eq!(
            [timing.lease, timing.renew, timing.retry].map(|time| time.as_secs()),
            [15, 10, 2]
        );
        assert_eq!(cli.run.election.id, "b837d6c8.dittofs.com");
        let shorter = ["dittofs-operator", "--leader-elect-lease-duration=9s"];
        let cli = Cli::try_parse_from(shorter).expect("a duration");
        let refused = cli
            .run
            .election
            .timing()
            .expect_err("shorter than the renew deadline");
        assert!(
            refused.to_string().contains("--leader-elect-renew-deadline"),
            "{refused}"
        );
        assert!(Cli::try_parse_from(["dittofs-operator", "--leader-elect-retry-period=2"]).is_err());
    }

    #[test]
    fn the_admin_address_accepts_the_forms_of_the_go_operator() {
        for (text, expected) in [
            (":8081", Some("[::]:8081")),
            ("127.0.0.1:1", Some("127.0.0.1:1")),
            ("[::1]:2", Some("[::1]:2")),
            ("0", None),
        ] {
            let expected = expected.map(|address| address.parse().expect("an address"));
            assert_eq!(bind_address(text), Ok(BindAddress(expected)), "{text}");
        }
        let manifest = [
            "dittofs-operator",
            "--metrics-bind-address=:8443",
            "--metrics-secure=false",
        ];
        let metrics = Cli::try_parse_from(manifest)
            .expect("flags of the Go operator")
            .run
            .metrics;
        assert_eq!(metrics.address.0.map(|address| address.port()), Some(8443));
        assert!(!metrics.secure);
        assert!(
            bind_address("localhost")
                .unwrap_err()
                .contains("such as 0.0.0.0:8081")
        );
    }
}
