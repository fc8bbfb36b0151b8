//! On what the figures were measured.

use std::process::Command;

use local_control_plane::Component;
use local_control_plane::binaries::{Binaries, Progress};

use crate::error::{Result, io};

/// The machine and the versions.
pub struct Machine {
    cores: usize,
    processor: String,
    memory_gib: u64,
    kernel: String,
    commit: String,
    kubernetes: String,
    etcd: String,
}

impl Machine {
    /// Asks the kernel, git and the programs. Fails only if a program of the control plane cannot be found.
    pub fn read() -> Result<Self> {
        let components = [Component::Etcd, Component::ApiServer];
        let binaries = Binaries::provide(&components, &Progress::stderr());
        let binaries = binaries.map_err(|error| crate::error::Error::Failed(error.to_string()))?;
        let version = |component| -> Result<String> {
            let Some((program, _)) = binaries.get(component) else {
                return Ok("unknown".into());
            };
            let output = Command::new(program).arg("--version").output();
            let output = output.map_err(io(program.display().to_string()))?;
            Ok(last_word(&String::from_utf8_lossy(&output.stdout)))
        };
        Ok(Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            processor: field("/proc/cpuinfo", "model name"),
            memory_gib: memory_gib(),
            kernel: file("/proc/sys/kernel/osrelease"),
            commit: commit(),
            kubernetes: version(Component::ApiServer)?,
            etcd: version(Component::Etcd)?,
        })
    }

    /// All of it in one sentence.
    pub fn line(&self) -> String {
        let Self {
            cores,
            processor,
            memory_gib,
            kernel,
            commit,
            kubernetes,
            etcd,
        } = self;
        format!(
            "operator {commit}, Kubernetes {kubernetes}, etcd {etcd}; {cores} cores ({processor}), {memory_gib} GiB of memory, Linux {kernel}"
        )
    }
}

fn file(path: &str) -> String {
    std::fs::read_to_string(path)
        .unwrap_or_default()
        .trim()
        .to_owned()
}

fn field(path: &str, name: &str) -> String {
    let text = file(path);
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_default()
        .trim_start_matches([' ', '\t', ':'])
        .trim()
        .to_owned()
}

fn memory_gib() -> u64 {
    let total = field("/proc/meminfo", "MemTotal");
    let kib = total.split(' ').next().and_then(|kib| kib.parse::<u64>().ok());
    kib.unwrap_or_default() >> 20
}

/// The commit of the checkout, marked if files differ from it.
fn commit() -> String {
    let output = Command::new("git")
        .args(["describe", "--always", "--dirty", "--exclude=*", "--abbrev=10"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output();
    output.map_or_else(
        |_| "unknown".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

/// The version in the first line: `etcd Version: 3.6.0`, `Kubernetes v1.33.0`.
fn last_word(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.rsplit(' ')
        .next()
        .unwrap_or_default()
        .trim_start_matches('v')
        .to_owned()
}
