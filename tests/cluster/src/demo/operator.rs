//! The operator's process.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::Error;
use crate::leash::{Leash, Plan};
use crate::text::last_lines;

/// Time for the operator's own graceful stop.
const GRACE: Duration = Duration::from_secs(10);
const QUOTED_LINES: usize = 30;

/// The operator on a leash: it ends with the demo.
pub(super) struct Operator {
    leash: Leash,
    log: PathBuf,
    /// Last: removed once the process is gone.
    _directory: TempDir,
}

impl Operator {
    /// Starts it with `KUBECONFIG` set, or with the environment's if there is none to set.
    pub(super) fn start(
        path: &Path,
        args: &[String],
        kubeconfig: Option<&Path>,
        log: Option<&Path>,
    ) -> Result<Self, Error> {
        let failed = |source| Error::Operator {
            path: path.to_owned(),
            source,
        };
        // Looked at here: the shell that holds the process could say so only in the log.
        let program = path.canonicalize().map_err(failed)?;
        let directory = tempfile::Builder::new()
            .prefix("local-control-plane-demo-")
            .tempdir()
            .map_err(failed)?;
        let log = log.map_or_else(|| directory.path().join("operator.log"), Path::to_owned);
        let env: Vec<_> = kubeconfig
            .map(|path| (OsString::from("KUBECONFIG"), path.as_os_str().to_owned()))
            .into_iter()
            .collect();
        let plan = Plan {
            program: &program,
            args: &args.iter().map(OsString::from).collect::<Vec<_>>(),
            env: &env,
            bare: false,
            user: None,
            directory: None,
            log: &log,
            pid_file: &directory.path().join("pid"),
            grace: GRACE,
        };
        let leash = Leash::start(&plan).map_err(failed)?;
        Ok(Self {
            leash,
            log,
            _directory: directory,
        })
    }

    pub(super) fn log(&self) -> &Path {
        &self.log
    }

    /// The end of its log.
    pub(super) fn log_tail(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        last_lines(&String::from_utf8_lossy(&text), QUOTED_LINES)
    }

    /// An error if it ended by itself.
    pub(super) fn check(&mut self) -> Result<(), Error> {
        let status = match self.leash.exited() {
            Ok(None) => return Ok(()),
            Ok(Some(status)) => status.to_string(),
            Err(error) => error.to_string(),
        };
        Err(Error::OperatorEnded {
            status,
            log: self.log_tail(),
        })
    }
}
