//! The command line of the bench.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

const EXAMPLES: &str = "\
Examples:
  make bench                                                            everything; takes hours
  make bench BENCH_FLAGS='--only cold-start --servers 100,1000'
  make bench BENCH_FLAGS='--only restart,at-rest --servers 500 --rest-minutes 1 --print'
  make bench BENCH_FLAGS='--only cold-start --operator-flag=--concurrency=48 --print'";

/// Measures the operator with many servers, on etcd and kube-apiserver alone.
///
/// The release binary of the operator runs as a process. Next to it, a bare client does the same work with the fewest calls. The
/// results replace those in docs/performance.md; scenarios that did not run keep their results.
#[derive(Debug, Parser)]
#[command(name = "make bench", after_help = EXAMPLES)]
pub struct Flags {
    /// Scenarios to run, separated by commas. Default: all.
    #[arg(long, value_name = "SCENARIO", value_delimiter = ',', value_enum)]
    pub only: Vec<Scenario>,
    /// Numbers of servers, separated by commas. Default: those of each scenario.
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=50_000))]
    pub servers: Vec<u32>,
    /// Repetitions. Default: 5, and 3 from 5,000 servers on.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub repetitions: Option<u32>,
    /// Edits of the scenario edit-one, and of each repetition of the scenario isolation.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    pub edits: u32,
    /// Length of the scenario at-rest, and of the rest after the scenario shares.
    #[arg(long, value_name = "MINUTES", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    pub rest_minutes: u64,
    /// Where the servers get their signing key and password from.
    #[arg(long, value_name = "KIND", value_enum, default_value_t = Secrets::Shared)]
    pub secrets: Secrets,
    /// A flag for the operator. Can be repeated.
    #[arg(long, value_name = "FLAG", allow_hyphen_values = true)]
    pub operator_flag: Vec<String>,
    /// Page that gets the results.
    #[arg(long, value_name = "FILE", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/performance.md"))]
    pub page: PathBuf,
    /// Only print the results; leave the page as it is.
    #[arg(long)]
    pub print: bool,
    /// `cargo bench` passes this flag.
    #[arg(long, hide = true)]
    bench: bool,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Scenario {
    /// An operator starts, and no server has children.
    ColdStart,
    /// An operator starts, and everything is in place.
    Restart,
    /// One server is edited.
    EditOne,
    /// One server is edited, with and without servers with which something is wrong.
    Isolation,
    /// All servers are edited at the same time.
    EditAll,
    /// One child of every server is deleted.
    DeletedChildren,
    /// All servers are deleted.
    MassDelete,
    /// Nothing happens.
    AtRest,
    /// All servers get a user and a share.
    Shares,
}

/// Where the servers get their signing key and password from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Secrets {
    /// From one Secret of the user.
    Shared,
    /// The operator generates two Secrets for each server.
    Generated,
}

/// Scenarios with at least this many servers are repeated less often.
const MANY: usize = 5000;

impl Flags {
    /// Whether a scenario runs.
    pub fn runs(&self, scenario: Scenario) -> bool {
        self.only.is_empty() || self.only.contains(&scenario)
    }

    /// The numbers of servers of a scenario. Empty if it does not run.
    pub fn sizes(&self, scenario: Scenario) -> Vec<usize> {
        if !self.runs(scenario) {
            return Vec::new();
        }
        if !self.servers.is_empty() {
            return self.servers.iter().map(|servers| *servers as usize).collect();
        }
        match scenario {
            Scenario::ColdStart => vec![100, 1000, 5000],
            Scenario::Restart => vec![500, 2000, 10_000],
            Scenario::EditOne => vec![5000],
            Scenario::Isolation => vec![200, 1000],
            Scenario::EditAll | Scenario::DeletedChildren => vec![500, 2000],
            Scenario::MassDelete | Scenario::Shares => vec![1000],
            Scenario::AtRest => vec![2000],
        }
    }

    /// How often something is repeated.
    pub fn repetitions(&self, servers: usize) -> usize {
        let default = if servers >= MANY { 3 } else { 5 };
        self.repetitions
            .map_or(default, |repetitions| repetitions as usize)
    }

    /// How long nothing happens.
    pub fn rest(&self) -> Duration {
        Duration::from_secs(60 * self.rest_minutes)
    }
}
