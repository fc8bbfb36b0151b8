//! `local-control-plane`: a Kubernetes control plane on loopback.

mod cli;

use std::error::Error;
use std::io::{Read, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use cli::{Cli, Command, NfsFile, SizeName, SmbFile, Transfer};
use local_control_plane::binaries::{self, Binaries, Progress};
use local_control_plane::percona::{PerconaSimulator, SimulatorOptions};
use local_control_plane::runner::{PodRunner, RunnerOptions};
use local_control_plane::{ControlPlane, Options, Size, demo, nfs, smb};
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failure(&error),
    };
    let code = runtime.block_on(async {
        // Whichever comes first drops the other: everything that was started ends with it.
        let result = tokio::select! {
            result = run(cli.command) => result,
            result = interrupted() => result,
        };
        result.map_or_else(|error| failure(error.as_ref()), |()| ExitCode::SUCCESS)
    });
    // A build on its own thread would be waited for; its leash ends it with this process.
    runtime.shutdown_background();
    code
}

fn failure(error: &dyn Error) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::FAILURE
}

/// Ctrl-C or SIGTERM.
async fn interrupted() -> Result<(), Box<dyn Error>> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => result?,
        _ = terminate.recv() => {}
    }
    eprintln!("\nstopping");
    Ok(())
}

async fn run(command: Command) -> Result<(), Box<dyn Error>> {
    match command {
        Command::Build { size } => build(size.size).await,
        Command::Start(options) => start(options).await,
        Command::Demo(options) => Ok(demo::run(demo(options)).await?),
        Command::Nfs(call) => nfs(call).await,
        Command::Smb(call) => smb(call).await,
    }
}

async fn nfs(call: Transfer<NfsFile>) -> Result<(), Box<dyn Error>> {
    let (Transfer::Put(NfsFile { path, uid }) | Transfer::Get(NfsFile { path, uid })) = &call;
    let (server, share) = (path.server, &path.share);
    let mut mount = nfs::Mount::of(*server.ip(), server.port(), share, *uid).await?;
    match call {
        Transfer::Put(_) => mount.write(&path.file, &input()?).await?,
        Transfer::Get(_) => output(&mount.read(&path.file).await?)?,
    }
    Ok(())
}

async fn smb(call: Transfer<SmbFile>) -> Result<(), Box<dyn Error>> {
    let (Transfer::Put(target) | Transfer::Get(target)) = &call;
    let SmbFile { path, user, password } = target;
    let (server, share) = (path.server, &path.share);
    let mut mount = smb::Mount::of(*server.ip(), server.port(), share, user, password).await?;
    match call {
        Transfer::Put(_) => mount.write(&path.file, &input()?).await?,
        Transfer::Get(_) => output(&mount.read(&path.file).await?)?,
    }
    Ok(())
}

fn input() -> std::io::Result<Vec<u8>> {
    let mut content = Vec::new();
    std::io::stdin().read_to_end(&mut content)?;
    Ok(content)
}

fn output(content: &[u8]) -> std::io::Result<()> {
    std::io::stdout().write_all(content)
}

async fn build(size: SizeName) -> Result<(), Box<dyn Error>> {
    let provide = move || {
        let progress = Progress::stderr();
        let binaries = Binaries::provide(size.size().components(), &progress)?;
        let mut tools = Vec::new();
        if size.size() == Size::Full {
            tools.push(("dfs", binaries::dfs(&progress)?));
            tools.push(("versitygw", binaries::versitygw(&progress)?));
        }
        Ok::<_, binaries::Error>((binaries, tools))
    };
    let (binaries, tools) = tokio::task::spawn_blocking(provide).await??;
    for (component, path, _) in binaries.iter() {
        println!("{component}: {}", path.display());
    }
    for (tool, path) in tools {
        println!("{tool}: {}", path.display());
    }
    Ok(())
}

async fn start(options: cli::Start) -> Result<(), Box<dyn Error>> {
    let control_plane = ControlPlane::start(Options {
        size: options.size.size(),
        nodes: options.nodes,
        log_dir: options.log_dir,
        ..Options::default()
    })
    .await?;
    let startup_delay = Duration::from_secs(options.database_delay);
    let _simulator = if options.percona_simulator {
        let simulator_options = SimulatorOptions {
            startup_delay,
            ..SimulatorOptions::default()
        };
        Some(PerconaSimulator::start(control_plane.client_config(), simulator_options).await?)
    } else {
        None
    };
    let _runner = if options.pod_runner {
        let dfs = tokio::task::spawn_blocking(|| binaries::dfs(&Progress::stderr())).await??;
        Some(PodRunner::start(&control_plane, RunnerOptions::dfs(dfs))?)
    } else {
        None
    };
    println!("export KUBECONFIG={}", control_plane.kubeconfig().display());
    eprintln!("running; end with Ctrl-C");
    std::future::pending().await
}

fn demo(options: cli::Demo) -> demo::Demo {
    let control_plane = Options {
        nodes: options.nodes,
        log_dir: options.log_dir,
        ..Options::full()
    };
    demo::Demo {
        use_existing: options.use_existing,
        apply: options.apply,
        real: options.real,
        operator: options.operator,
        operator_args: options.operator_arg,
        operator_log: options.operator_log,
        database_delay: Duration::from_secs(options.database_delay),
        until_ready: options.until_ready.then(|| Duration::from_secs(options.timeout)),
        options: control_plane,
    }
}

impl SizeName {
    const fn size(self) -> Size {
        match self {
            Self::Api => Size::ApiOnly,
            Self::Full => Size::Full,
        }
    }
}
