//! A PostgreSQL of this machine on loopback, for a server with a database of its own.

use std::ffi::OsString;
use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::geteuid;
use tempfile::TempDir;

use crate::leash::{Leash, Plan};
use crate::percona::scram;
use crate::text::last_lines;
use crate::{binaries, files, ports};

/// Where Debian's packages put the programs, which are not in `PATH` then: `VERSION/bin`.
const DEBIAN: &str = "/usr/lib/postgresql";
/// PostgreSQL refuses to run as root. It runs as this user instead (`nobody` on Linux).
const UNPRIVILEGED: u32 = 65534;
const USER: &str = "dittofs";
/// `initdb` makes it.
const DATABASE: &str = "postgres";
const LONGEST_START: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);
/// Time for a fast shutdown.
const GRACE: Duration = Duration::from_secs(5);
const QUOTED_LINES: usize = 20;

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
    /// `initdb` failed.
    #[error("initdb failed: {0}")]
    InitDb(String),
    /// It ended, or does not accept connections in time.
    #[error("PostgreSQL does not start; the end of its log:\n{0}")]
    NotReady(String),
}

/// A running PostgreSQL with an empty database. When it is dropped, it is stopped and its data is removed.
#[derive(Debug)]
pub struct Postgres {
    leash: Leash,
    port: u16,
    password: String,
    /// Last: removed once the process is gone.
    directory: TempDir,
}

impl Postgres {
    /// Starts one and waits until it accepts connections. `None` if this machine has no `initdb` and `postgres`, neither in
    /// `PATH` nor where Debian's packages put them.
    ///
    /// # Errors
    /// When the programs are there and fail.
    pub async fn start() -> Result<Option<Self>, Error> {
        let Some(programs) = programs() else {
            return Ok(None);
        };
        let started = tokio::task::spawn_blocking(move || Self::spawn(&programs));
        let mut postgres = started.await??;
        postgres.ready().await?;
        Ok(Some(postgres))
    }

    /// The keys and values of a Secret for `spec.database.postgresSecretRef`.
    #[must_use]
    pub fn secret(&self) -> [(&'static str, String); 5] {
        [
            ("host", Ipv4Addr::LOCALHOST.to_string()),
            ("port", self.port.to_string()),
            ("database", DATABASE.to_owned()),
            ("user", USER.to_owned()),
            ("password", self.password.clone()),
        ]
    }

    fn spawn(programs: &Path) -> Result<Self, Error> {
        let directory = tempfile::Builder::new()
            .prefix("local-control-plane-postgres-")
            .tempdir()?;
        let user = geteuid().is_root().then_some(UNPRIVILEGED);
        let password = scram::password().map_err(|_| Error::NoRandomNumbers)?;
        initialise(programs, directory.path(), user, &password)?;
        let port = ports::free()?;
        let args = [
            format!("-D{}", data(directory.path()).display()),
            format!("-p{port}"),
            // The data is thrown away: nothing need reach the disk.
            "-F".to_owned(),
            format!("-clisten_addresses={}", Ipv4Addr::LOCALHOST),
            "-cunix_socket_directories=".to_owned(),
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
            directory,
        })
    }

    async fn ready(&mut self) -> Result<(), Error> {
        let status = data(self.directory.path()).join("postmaster.pid");
        let deadline = Instant::now() + LONGEST_START;
        // `pg_ctl` looks at the same line.
        let is_ready =
            || fs::read_to_string(&status).is_ok_and(|text| text.lines().any(|line| line.trim() == "ready"));
        while !is_ready() {
            if self.leash.exited()?.is_some() || Instant::now() > deadline {
                let log = fs::read_to_string(log(self.directory.path())).unwrap_or_default();
                return Err(Error::NotReady(last_lines(&log, QUOTED_LINES)));
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
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

/// Makes an empty database in the directory, which the user then owns.
fn initialise(programs: &Path, directory: &Path, user: Option<u32>, password: &str) -> Result<(), Error> {
    let password_file = directory.join("password");
    files::write_private(&password_file, password.as_bytes())?;
    let mut command = Command::new(programs.join("initdb"));
    if let Some(user) = user {
        for path in [directory, &password_file] {
            chown(path, Some(user), Some(user))?;
        }
        command.uid(user).gid(user);
    }
    let output = command
        .current_dir(directory)
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
        ])
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::InitDb(
        String::from_utf8_lossy(&output.stderr).into_owned(),
    ))
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
