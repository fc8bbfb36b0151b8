//! A PostgreSQL of this machine on loopback, for a server with a database of its own.

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::net::Ipv4Addr;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use rustix::process::geteuid;
use tempfile::TempDir;

use crate::leash::{Leash, Plan};
use crate::percona::scram;
use crate::pki::{self, Authority};
use crate::serving::until_serving;
use crate::{binaries, files, ports};

/// Where Debian's packages put the programs, which are not in `PATH` then: `VERSION/bin`.
const DEBIAN: &str = "/usr/lib/postgresql";
/// What it serves TLS with, in its directory.
const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";
/// PostgreSQL refuses to run as root. It runs as this user instead (`nobody` on Linux).
const UNPRIVILEGED: u32 = 65534;
const USER: &str = "dittofs";
/// `initdb` makes it.
const DATABASE: &str = "postgres";
/// Time for a fast shutdown.
const GRACE: Duration = Duration::from_secs(5);

/// Why it does not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A directory, a port or a process.
    #[error("cannot start PostgreSQL: {0}")]
    Io(#[from] std::io::Error),
    /// The thread of `initdb` panicked.
    #[error("the thread that runs initdb ended: {0}")]
    Thread(#[from] tokio::task::JoinError),
    /// No password could be made.
    #[error("no random numbers")]
    NoRandomNumbers,
    /// No certificate could be made.
    #[error("cannot make a certificate for PostgreSQL: {0}")]
    Certificate(#[from] pki::Error),
    /// `initdb` failed.
    #[error("initdb failed: {0}")]
    InitDb(String),
    /// A database could not be made.
    #[error("cannot make the databases: {0}")]
    Databases(String),
    /// It ended, or does not accept connections in time.
    #[error("PostgreSQL does not start; the end of its log:\n{0}")]
    NotReady(String),
}

/// A running PostgreSQL with empty databases. It accepts connections with and without TLS. When it is dropped, it is stopped and
/// its data is removed.
#[derive(Debug)]
pub struct Postgres {
    leash: Leash,
    port: u16,
    password: String,
    ca: String,
    /// Last: removed once the process is gone.
    directory: TempDir,
}

impl Postgres {
    /// Starts one with an empty database, and with these others, and waits until it accepts connections. `None` if this machine has
    /// no `initdb` and `postgres`, neither in `PATH` nor where Debian's packages put them.
    ///
    /// # Errors
    /// When the programs are there and fail.
    pub async fn start(others: Vec<String>) -> Result<Option<Self>, Error> {
        let Some(programs) = programs() else {
            return Ok(None);
        };
        let started = tokio::task::spawn_blocking(move || Self::spawn(&programs, &others));
        let mut postgres = started.await??;
        postgres.ready().await?;
        Ok(Some(postgres))
    }

    /// The keys and values of a Secret for `spec.database.postgresSecretRef`.
    #[must_use]
    pub fn secret(&self) -> [(&'static str, String); 5] {
        self.secret_of(DATABASE)
    }

    /// The same for one of the other databases.
    #[must_use]
    pub fn secret_of(&self, database: &str) -> [(&'static str, String); 5] {
        [
            ("host", Ipv4Addr::LOCALHOST.to_string()),
            ("port", self.port.to_string()),
            ("database", database.to_owned()),
            ("user", USER.to_owned()),
            ("password", self.password.clone()),
        ]
    }

    /// The CA that has signed its certificate, in PEM.
    #[must_use]
    pub fn ca(&self) -> &str {
        &self.ca
    }

    fn spawn(programs: &Path, others: &[String]) -> Result<Self, Error> {
        let directory = tempfile::Builder::new()
            .prefix("local-control-plane-postgres-")
            .tempdir()?;
        let user = geteuid().is_root().then_some(UNPRIVILEGED);
        let password = scram::password().map_err(|_| Error::NoRandomNumbers)?;
        let run = Run {
            programs,
            directory: directory.path(),
            user,
        };
        let ca = run.certify()?;
        run.initialise(&password)?;
        run.make_databases(others)?;
        let port = ports::free()?;
        let args = [
            format!("-D{}", data(directory.path()).display()),
            format!("-p{port}"),
            // The data is thrown away: nothing need reach the disk.
            "-F".to_owned(),
            format!("-clisten_addresses={}", Ipv4Addr::LOCALHOST),
            "-cunix_socket_directories=".to_owned(),
            "-cssl=on".to_owned(),
            format!("-cssl_cert_file={}", directory.path().join(CERTIFICATE).display()),
            format!("-cssl_key_file={}", directory.path().join(KEY).display()),
        ];
        let leash = Leash::start(&Plan {
            program: &programs.join("postgres"),
            args: &args.map(OsString::from),
            env: &[],
            bare: false,
            user,
            directory: Some(directory.path()),
            log: &log(directory.path()),
            pid_file: &directory.path().join("pid"),
            grace: GRACE,
        })?;
        Ok(Self {
            leash,
            port,
            password,
            ca,
            directory,
        })
    }

    async fn ready(&mut self) -> Result<(), Error> {
        let status = data(self.directory.path()).join("postmaster.pid");
        // `pg_ctl` looks at the same line.
        let is_ready =
            || fs::read_to_string(&status).is_ok_and(|text| text.lines().any(|line| line.trim() == "ready"));
        let log = log(self.directory.path());
        let why_not = until_serving(&mut self.leash, &log, is_ready).await?;
        why_not.map_or(Ok(()), |log| Err(Error::NotReady(log)))
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Fast: it does not wait until its clients have left. It fails if the process has ended already.
        let _ = self.leash.interrupt();
    }
}

fn data(directory: &Path) -> PathBuf {
    directory.join("data")
}

fn log(directory: &Path) -> PathBuf {
    directory.join("log")
}

/// How the programs run: where, and as whom.
struct Run<'a> {
    programs: &'a Path,
    directory: &'a Path,
    user: Option<u32>,
}

impl Run<'_> {
    /// Makes a certificate for loopback. Returns the CA.
    fn certify(&self) -> Result<String, Error> {
        let authority = Authority::new("local PostgreSQL").map_err(pki::Error::from)?;
        let address = Ipv4Addr::LOCALHOST.to_string();
        let identity = authority
            .server(&address, &[&address])
            .map_err(pki::Error::from)?;
        self.give(CERTIFICATE, &identity.certificate)?;
        self.give(KEY, &identity.key)?;
        Ok(authority.pem())
    }

    /// Makes an empty database in the directory, which the user then owns.
    fn initialise(&self, password: &str) -> Result<(), Error> {
        if let Some(user) = self.user {
            chown(self.directory, Some(user), Some(user))?;
        }
        self.give("password", password)?;
        let mut command = self.command("initdb");
        command
            .args([
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--no-locale",
                "--no-sync",
            ])
            .args([
                "--no-instructions",
                &format!("--username={USER}"),
                "--pwfile=password",
                "--pgdata=data",
            ]);
        checked(&command.output()?).map_err(Error::InitDb)
    }

    /// Makes more databases. In single-user mode, because a machine with a server need not have a client.
    fn make_databases(&self, names: &[String]) -> Result<(), Error> {
        let mut command = self.command("postgres");
        command
            // Each line of the input is a statement. An error ends the program.
            .args(["--single", "-F", "-D", "data", "-c", "exit_on_error=on", DATABASE])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn()?;
        if let Some(mut input) = child.stdin.take() {
            for name in names {
                writeln!(input, "CREATE DATABASE \"{name}\"")?;
            }
        }
        checked(&child.wait_with_output()?).map_err(Error::Databases)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command.current_dir(self.directory);
        command
    }

    /// Writes a file that only the user can read.
    fn give(&self, name: &str, content: &str) -> Result<(), Error> {
        let path = self.directory.join(name);
        files::write_private(&path, content.as_bytes())?;
        if let Some(user) = self.user {
            chown(&path, Some(user), Some(user))?;
        }
        Ok(())
    }
}

/// What a program that failed said.
fn checked(output: &Output) -> Result<(), String> {
    let said = || String::from_utf8_lossy(&output.stderr).into_owned();
    output.status.success().then_some(()).ok_or_else(said)
}

/// The directory with the programs.
fn programs() -> Option<PathBuf> {
    // `initdb` looks for the others next to itself.
    let of_path = binaries::on_path("initdb").and_then(|initdb| initdb.canonicalize().ok());
    let of_path = of_path.and_then(|initdb| initdb.parent().map(Path::to_owned));
    let versions = fs::read_dir(DEBIAN).into_iter().flatten().flatten();
    let mut directories = of_path
        .into_iter()
        .chain(versions.map(|version| version.path().join("bin")));
    directories.find(|directory| {
        ["initdb", "postgres"].map(|program| directory.join(program).is_file()) == [true; 2]
    })
}
