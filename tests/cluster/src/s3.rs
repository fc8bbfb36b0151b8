//! An S3 server on loopback, for servers with a remote store.
//!
//! It is [versitygw](https://github.com/versity/versitygw) with its backend for file systems. Why this one: it is a product with regular releases
//! under the Apache licence, verifies signatures as S3 does, builds from one Go module without C, and keeps each object as a file, so a test sees
//! what arrived without a client of its own. `MinIO` is under the AGPL and takes much longer to build. The crate `s3s-fs` says that it is an
//! experiment and a sample.

use std::ffi::OsString;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use crate::binaries::{self, Progress};
use crate::leash::{Leash, Plan};
use crate::serving::until_serving;
use crate::{plain_http, ports};

const GRACE: Duration = Duration::from_secs(5);
const LONGEST_ANSWER: Duration = Duration::from_secs(1);
/// A path that answers without a signature.
const HEALTH: &str = "/health";

/// Why it does not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A directory, a port or a process.
    #[error("cannot start the S3 server: {0}")]
    Io(#[from] std::io::Error),
    /// It cannot be built.
    #[error(transparent)]
    Build(#[from] binaries::Error),
    /// The thread of the build panicked.
    #[error("the thread that builds the S3 server ended: {0}")]
    Thread(#[from] tokio::task::JoinError),
    /// It ended, or does not answer in time.
    #[error("the S3 server does not start; the end of its log:\n{0}")]
    NotReady(String),
}

/// The keys of its only account.
#[derive(Clone, Debug)]
pub struct Keys {
    /// Access key.
    pub id: String,
    /// Secret key.
    pub secret: String,
}

/// A running S3 server with one empty bucket. When it is dropped, it is stopped and its objects are removed.
#[derive(Debug)]
pub struct S3Server {
    leash: Leash,
    address: SocketAddr,
    bucket: String,
    /// Last: removed once the process is gone.
    directory: TempDir,
}

impl S3Server {
    /// Starts one, and waits until it answers.
    ///
    /// # Errors
    /// When it cannot be built or does not start.
    pub async fn start(keys: Keys, bucket: &str) -> Result<Self, Error> {
        let program = tokio::task::spawn_blocking(|| binaries::versitygw(&Progress::stderr())).await??;
        let mut server = Self::spawn(&program, &keys, bucket)?;
        server.ready().await?;
        Ok(server)
    }

    /// Where it listens, over http.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The name of its bucket.
    #[must_use]
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The keys of the objects in the bucket, in order.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn objects(&self) -> std::io::Result<Vec<String>> {
        let bucket = objects(self.directory.path()).join(&self.bucket);
        let mut keys = Vec::new();
        let mut left = vec![bucket.clone()];
        while let Some(directory) = left.pop() {
            for entry in fs::read_dir(directory)? {
                let path = entry?.path();
                if path.is_dir() {
                    left.push(path);
                } else if let Ok(key) = path.strip_prefix(&bucket) {
                    keys.push(key.display().to_string());
                }
            }
        }
        // Where the server puts parts of objects that are not complete.
        keys.retain(|key| !key.starts_with(".sgwtmp"));
        keys.sort();
        Ok(keys)
    }

    fn spawn(program: &Path, keys: &Keys, bucket: &str) -> Result<Self, Error> {
        let directory = tempfile::Builder::new()
            .prefix("local-control-plane-s3-")
            .tempdir()?;
        // A directory in its directory is a bucket.
        fs::create_dir_all(objects(directory.path()).join(bucket))?;
        fs::create_dir(metadata(directory.path()))?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, ports::free()?));
        Ok(Self {
            leash: Self::leash(program, keys, address, directory.path())?,
            address,
            bucket: bucket.to_owned(),
            directory,
        })
    }

    /// Starts it again with other keys, at the same address and with its objects. It refuses the former keys then.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn rotate(&mut self, keys: Keys) -> Result<(), Error> {
        let program = tokio::task::spawn_blocking(|| binaries::versitygw(&Progress::stderr())).await??;
        self.leash.terminate()?;
        self.leash.ended().await?;
        self.leash = Self::leash(&program, &keys, self.address, self.directory.path())?;
        self.ready().await
    }

    fn leash(program: &Path, keys: &Keys, address: SocketAddr, directory: &Path) -> std::io::Result<Leash> {
        let args: [OsString; 7] = [
            format!("--port={address}").into(),
            format!("--health={HEALTH}").into(),
            "--quiet".into(),
            "posix".into(),
            // Not in extended attributes, which not every file system has.
            "--sidecar".into(),
            metadata(directory).into(),
            objects(directory).into(),
        ];
        let env = [
            ("ROOT_ACCESS_KEY", keys.id.as_str()),
            ("ROOT_SECRET_KEY", keys.secret.as_str()),
        ];
        Leash::start(&Plan {
            program,
            args: &args,
            env: &env.map(|(name, value)| (name.into(), value.into())),
            bare: false,
            user: None,
            directory: Some(directory),
            log: &log(directory),
            pid_file: &directory.join("pid"),
            grace: GRACE,
        })
    }

    async fn ready(&mut self) -> Result<(), Error> {
        let is_ready = || {
            let answer = plain_http::get(self.address, HEALTH, LONGEST_ANSWER);
            answer.is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
        };
        let log = log(self.directory.path());
        let why_not = until_serving(&mut self.leash, &log, is_ready).await?;
        why_not.map_or(Ok(()), |log| Err(Error::NotReady(log)))
    }
}

fn objects(directory: &Path) -> PathBuf {
    directory.join("buckets")
}

fn metadata(directory: &Path) -> PathBuf {
    directory.join("metadata")
}

fn log(directory: &Path) -> PathBuf {
    directory.join("log")
}
