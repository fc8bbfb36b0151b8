//! The kubectl plugin: what its commands say of real servers, and their exit status.

mod diff;
mod report;
mod status;

use std::path::Path;
use std::process::{Command, Output};

use crate::support::World;

/// What a command said.
struct Said {
    text: String,
    error: String,
    code: Option<i32>,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            text: String::from_utf8(output.stdout).expect("UTF-8"),
            error: String::from_utf8(output.stderr).expect("UTF-8"),
            code: output.status.code(),
        }
    }
}

/// The binary under its own name.
fn command(kubeconfig: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dittofs-operator"));
    command
        .arg("kubectl")
        .env("KUBECONFIG", kubeconfig)
        .env_remove("NO_COLOR");
    command
}

/// Runs a command of the plugin in the world's namespace.
async fn plugin(world: &World, args: &[&str]) -> Said {
    let mut command = command(&world.control_plane().kubeconfig());
    command.args(["-n", &world.namespace]).args(args);
    run(command).await
}

/// Off the runtime's threads, where the operator of the test works meanwhile.
async fn run(mut command: Command) -> Said {
    let output = tokio::task::spawn_blocking(move || command.output());
    output.await.expect("no panic").expect("the command runs").into()
}
