//! The operator's binary as a separate process, with signals.

use std::collections::BTreeSet;
use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::{Request, StatusCode};
use kube::{Client, Config};
use local_control_plane::plain_http;
use local_control_plane::rights::Account;

use super::account::{self, Kubeconfig};
use super::{World, server_double, wait};

/// How long a test waits between two reads of something that cannot be watched.
pub const POLL: Duration = Duration::from_millis(20);

/// A running operator, killed when dropped. Its log is kept in a file and shown when a test fails.
pub struct Process {
    child: Child,
    /// Where its admin server listens.
    pub admin: SocketAddr,
    log: PathBuf,
    _kubeconfig: Kubeconfig,
}

impl Process {
    /// Starts it for the world's namespace, with the chart's rules and no others, and with more arguments.
    pub async fn start(world: &World, arguments: &[&str]) -> Self {
        Self::start_with(world, arguments, &[]).await
    }

    /// As [`Self::start`], with environment variables too.
    pub async fn start_with(world: &World, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let account = account::elected(world).await;
        Self::spawn(world, &account, arguments, variables).await
    }

    /// As [`Self::start`], under another account.
    pub async fn start_as(world: &World, account: &Account, arguments: &[&str]) -> Self {
        Self::spawn(world, account, arguments, &[]).await
    }

    /// As [`Self::start_as`], for all namespaces. The control plane must not have another operator.
    pub async fn start_cluster_wide(world: &World, account: &Account, arguments: &[&str]) -> Self {
        let kubeconfig = Kubeconfig::of(world, account).await;
        Self::spawn_in(world, kubeconfig, &[], arguments, &[])
    }

    /// As [`Self::start`], behind a proxy with this URL.
    pub async fn start_behind(world: &World, url: &str) -> Self {
        let kubeconfig = Kubeconfig::of(world, &account::elected(world).await).await;
        kubeconfig.set_server(url);
        let scope = ["--watch-namespace", &world.namespace];
        Self::spawn_in(world, kubeconfig, &scope, &[], &[])
    }

    async fn spawn(world: &World, account: &Account, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let scope = ["--watch-namespace", &world.namespace];
        let kubeconfig = Kubeconfig::of(world, account).await;
        Self::spawn_in(world, kubeconfig, &scope, arguments, variables)
    }

    fn spawn_in(
        world: &World,
        kubeconfig: Kubeconfig,
        scope: &[&str],
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        let admin = free_address();
        let log = std::env::temp_dir().join(format!(
            "dittofs-operator-{}-{}-{}.log",
            std::process::id(),
            world.namespace,
            admin.port()
        ));
        let output = File::create(&log).expect("a log file");
        let child = Command::new(env!("CARGO_BIN_EXE_dittofs-operator"))
            .args(["run", "--bind-address", &admin.to_string()])
            .args(scope)
            .args(["--server-url-template", &server_double::template()])
            .args(arguments)
            .env("KUBECONFIG", &kubeconfig.path)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(output)
            .spawn()
            .expect("the operator starts");
        Self {
            child,
            admin,
            log,
            _kubeconfig: kubeconfig,
        }
    }

    /// Sends it a signal: `TERM`, `STOP`, `CONT`, `KILL`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .status();
        assert!(status.expect("kill runs").success(), "{name} is delivered");
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + wait::LONGEST;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(Instant::now() < deadline, "the operator does not end");
            tokio::time::sleep(POLL).await;
        }
    }

    /// Its open TCP connections, those of its servers included.
    pub fn connections(&self) -> usize {
        const ESTABLISHED: &str = "01";
        let process = PathBuf::from(format!("/proc/{}", self.child.id()));
        let own: BTreeSet<String> = std::fs::read_dir(process.join("fd"))
            .expect("its files")
            .filter_map(|file| std::fs::read_link(file.ok()?.path()).ok())
            .filter_map(|target| {
                Some(
                    target
                        .to_str()?
                        .strip_prefix("socket:[")?
                        .trim_end_matches(']')
                        .to_owned(),
                )
            })
            .collect();
        ["tcp", "tcp6"]
            .iter()
            .flat_map(|table| {
                let text = std::fs::read_to_string(process.join("net").join(table)).unwrap_or_default();
                text.lines().map(str::to_owned).collect::<Vec<_>>()
            })
            .filter(|line| {
                let fields: Vec<&str> = line.split_whitespace().collect();
                fields.get(3) == Some(&ESTABLISHED) && fields.get(9).is_some_and(|inode| own.contains(*inode))
            })
            .count()
    }

    /// Its memory (resident set) in KiB.
    pub fn memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).expect("its status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        number.expect("a number")
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until a path of the admin server answers 200; returns the answer.
    pub async fn answers(&self, path: &str) -> String {
        let deadline = Instant::now() + wait::LONGEST;
        loop {
            let answer = get(self.admin, path).unwrap_or_default();
            if answer.starts_with("HTTP/1.1 200") {
                return answer;
            }
            assert!(Instant::now() < deadline, "{path} answers {answer}");
            tokio::time::sleep(POLL).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- log of the operator at {}\n{}", self.admin, self.log());
        }
        let _ = std::fs::remove_file(&self.log);
    }
}

/// One request without TLS.
pub fn get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    plain_http::get(address, path, Duration::from_secs(10))
}

/// The answer of `/metrics` over TLS, with or without a token.
pub async fn scrape_securely(address: SocketAddr, token: Option<&str>) -> StatusCode {
    let mut config = Config::new(format!("https://{address}").parse().expect("an address"));
    config.accept_invalid_certs = true;
    config.connect_timeout = Some(Duration::from_secs(10));
    let client = Client::try_from(config).expect("a client");
    let mut request = Request::get("/metrics");
    if let Some(token) = token {
        request = request.header("Authorization", format!("Bearer {token}"));
    }
    let request = request.body(kube::client::Body::empty()).expect("a request");
    client.send(request).await.expect("an answer").status()
}

/// A free address that no other test of this process uses.
pub fn free_address() -> SocketAddr {
    static GIVEN: Mutex<BTreeSet<SocketAddr>> = Mutex::new(BTreeSet::new());
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        if given.insert(address) {
            return address;
        }
    }
}
