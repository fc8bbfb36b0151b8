//! The `dittofs-operator` command.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use dittofs_operator::cli::{Cli, Command, RunArgs};
use dittofs_operator::{api, render, run};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        None => start(&cli.run),
        Some(Command::Run(args)) => start(&args),
        Some(Command::Crd) => api::crd_yaml().map_err(Into::into).and_then(|text| print(&text)),
        Some(Command::Render(args)) => render::files(&args.files, args.percona_registry)
            .map_err(Into::into)
            .and_then(|text| print(&text)),
        Some(Command::Completion { shell }) => {
            clap_complete::generate(shell, &mut Cli::command(), "dittofs-operator", &mut io::stdout());
            Ok(())
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

type AnyError = Box<dyn std::error::Error>;

fn start(args: &RunArgs) -> Result<(), AnyError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    Ok(runtime.block_on(run::run(args))?)
}

/// A reader that has had enough (`| head`) is no error.
fn print(text: &str) -> Result<(), AnyError> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
