//! The `dittofs-operator` command, which is also the kubectl plugin `kubectl-dittofs`.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use dittofs_operator::command::cli::{Cli, Command, RunArgs};
use dittofs_operator::command::run;
use dittofs_operator::plugin::args::{self, Plugin};
use dittofs_operator::plugin::render;
use dittofs_operator::{api, plugin};

/// Gives freed memory back soon, also in the image: musl's own allocator is slow with several threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Name under which kubectl finds the plugin.
const PLUGIN: &str = "kubectl-dittofs";
/// Name under which kubectl finds the completion of the plugin.
const COMPLETION: &str = "kubectl_complete-dittofs";

fn main() -> ExitCode {
    if is_called(PLUGIN) {
        return plugin::run(&Plugin::of_command_line().args);
    }
    if is_called(COMPLETION) {
        let words = std::env::args_os().skip(1);
        let words: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
        plugin::complete(&words);
        return ExitCode::SUCCESS;
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
            let script = args::completion(shell, &mut Cli::command(), "dittofs-operator");
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

fn is_called(name: &str) -> bool {
    let called = std::env::args_os().next().unwrap_or_default();
    Path::new(&called).file_stem().is_some_and(|stem| stem == name)
}

type AnyError = Box<dyn std::error::Error>;

fn start(args: &RunArgs) -> Result<(), AnyError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(run::run(args));
    // A DNS lookup may hang and cannot be cancelled, so do not wait for it.
    runtime.shutdown_background();
    Ok(ended?)
}

/// A closed pipe (`| head`) is not an error.
fn print(text: &str) -> Result<(), AnyError> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
