//! The `dittofs-operator` command, which is also the kubectl plugin `kubectl-dittofs`.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use dittofs_operator::cli::{Cli, Command, Plugin, RunArgs};
use dittofs_operator::{api, cli, plugin, render, run};

/// The name under which kubectl finds its plugin.
const PLUGIN: &str = "kubectl-dittofs";

fn main() -> ExitCode {
    if is_called_as_plugin() {
        return plugin::run(&Plugin::of_command_line().args);
    }
    let parsed = Cli::parse();
    let result = match parsed.command {
        None => start(&parsed.run),
        Some(Command::Run(args)) => start(&args),
        Some(Command::Crd) => api::crd_yaml().map_err(Into::into).and_then(|text| print(&text)),
        Some(Command::Reference) => print(&api::reference()),
        Some(Command::Render(args)) => render::files(&args.files, args.percona_registry)
            .map_err(Into::into)
            .and_then(|text| print(&text)),
        Some(Command::Kubectl(args)) => return plugin::run(&args),
        Some(Command::Completion { shell }) => {
            let script = cli::completion(shell, &mut Cli::command(), "dittofs-operator");
            print(&String::from_utf8_lossy(&script))
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn is_called_as_plugin() -> bool {
    let called = std::env::args_os().next().unwrap_or_default();
    Path::new(&called).file_stem().is_some_and(|name| name == PLUGIN)
}

type AnyError = Box<dyn std::error::Error>;

fn start(args: &RunArgs) -> Result<(), AnyError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(run::run(args));
    // A lookup of a name may hang, and cannot be ended: it is left behind.
    runtime.shutdown_background();
    Ok(ended?)
}

/// A reader that has had enough (`| head`) is no error.
fn print(text: &str) -> Result<(), AnyError> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
