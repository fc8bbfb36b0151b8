//! The operator's release binary as a process, and what the kernel says about it.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use local_control_plane::plain_http;

use crate::error::{Error, Result, io};
use crate::kernel::{TICK, process};
use crate::world::World;

/// How long the operator may take to answer.
const ANSWER: Duration = Duration::from_secs(30);
/// How long the operator may take to stop.
const STOP: Duration = Duration::from_secs(30);

/// A running operator. It is killed when dropped.
pub struct Operator {
    child: Child,
    metrics: SocketAddr,
    log: PathBuf,
    /// When it was started.
    pub started: Timestamp,
}

/// What the operator says about its work.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Reconciles since its start.
    pub reconciles: usize,
    /// Servers in the queue.
    pub queued: usize,
    /// Whether its caches have synced.
    pub is_synced: bool,
}

/// Where the operator finds the servers and their APIs.
pub struct Setup<'a> {
    /// The namespaces that it watches. Its Lease is in the first one.
    pub namespaces: &'a [&'a str],
    /// `--server-url-template`.
    pub server_url_template: &'a str,
    /// More flags.
    pub flags: &'a [String],
}

impl Operator {
    /// Starts it with leader election, as the chart does.
    pub fn start(world: &World, setup: &Setup<'_>) -> Result<Self> {
        let metrics = free_address()?;
        let log = std::env::temp_dir().join(format!("dittofs-bench-{}.log", metrics.port()));
        let output = File::create(&log).map_err(io("the log of the operator"))?;
        let started = Timestamp::now();
        let child = Command::new(env!("CARGO_BIN_EXE_dittofs-operator"))
            .args([
                "run",
                "--bind-address=0",
                "--metrics-secure=false",
                "--leader-elect",
            ])
            .args(["--watch-namespace", &setup.namespaces.join(",")])
            .args(["--leader-election-namespace", setup.namespaces[0]])
            .args(["--metrics-bind-address", &metrics.to_string()])
            .args(["--server-url-template", setup.server_url_template])
            .args(setup.flags)
            .arg("--kubeconfig")
            .arg(world.kubeconfig())
            // They would change what runs.
            .env_remove("RUST_LOG")
            .env_remove("WATCH_NAMESPACE")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(output)
            .spawn()
            .map_err(io("the operator"))?;
        Ok(Self {
            child,
            metrics,
            log,
            started,
        })
    }

    /// CPU time that it has used.
    pub fn cpu(&self) -> Result<Duration> {
        let process = process(self.child.id());
        let process = process.ok_or_else(|| Error::Failed("the operator is gone".into()))?;
        Ok(TICK * process.ticks)
    }

    /// Resident memory in KiB.
    pub fn memory(&self) -> Result<u64> {
        self.kib("VmRSS:")
    }

    /// The largest resident memory so far, in KiB.
    pub fn peak_memory(&self) -> Result<u64> {
        self.kib("VmHWM:")
    }

    fn kib(&self, field: &str) -> Result<u64> {
        let status = self.proc("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        number.ok_or_else(|| Error::Failed(format!("the kernel reports no {field}")))
    }

    fn proc(&self, file: &str) -> Result<String> {
        let path = format!("/proc/{}/{file}", self.child.id());
        std::fs::read_to_string(&path).map_err(io(path))
    }

    /// Fails if it has ended.
    pub fn check(&mut self) -> Result<()> {
        let ended = self.child.try_wait().map_err(io("the operator"))?;
        ended.map_or(Ok(()), |status| Err(self.ended(status)))
    }

    /// Asks it for its progress. `None` while it does not answer yet.
    pub fn progress(&mut self) -> Result<Option<Progress>> {
        self.check()?;
        let Ok(text) = plain_http::get(self.metrics, "/metrics", ANSWER) else {
            return Ok(None);
        };
        let sum = |metric: &str| -> usize {
            let lines = text.lines().filter(|line| line.starts_with(metric));
            lines
                .filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok())
                .sum()
        };
        Ok(Some(Progress {
            reconciles: sum("dittofs_operator_reconciles_total"),
            queued: sum("dittofs_operator_queue_depth "),
            is_synced: sum("dittofs_operator_synced ") == 1,
        }))
    }

    /// Stops it (SIGTERM) and waits for its end.
    pub async fn stop(mut self) -> Result<()> {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status();
        sent.map_err(io("kill"))?;
        let began = Instant::now();
        while began.elapsed() < STOP {
            match self.child.try_wait().map_err(io("the operator"))? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(self.ended(status)),
                None => tokio::time::sleep(TICK).await,
            }
        }
        Err(Error::Failed(format!(
            "the operator does not stop within {STOP:?}"
        )))
    }

    fn ended(&self, status: ExitStatus) -> Error {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(10).collect();
        let end = lines.into_iter().rev().collect::<Vec<_>>().join("\n");
        Error::Failed(format!("the operator ended ({status}):\n{end}"))
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.log);
    }
}

fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(io("a port"))?;
    listener.local_addr().map_err(io("a port"))
}
