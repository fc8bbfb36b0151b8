//! Builds executables from the pinned Go modules, into the cache.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use super::{Error, Progress};
use crate::component::{Component, GoModule};
use crate::leash::{Leash, Plan};
use crate::release::Release;
use crate::text::last_lines;

/// How often a running build is checked.
const POLL: Duration = Duration::from_millis(200);
/// How much of a failed build's output an error quotes.
const QUOTED_LINES: usize = 20;

/// What to build.
#[derive(Clone, Copy)]
pub(super) struct Target {
    pub program: &'static str,
    /// The Go package.
    pub package: &'static str,
    pub module: &'static GoModule,
    /// A variable that the linker sets to the version.
    pub stamp: Option<&'static str>,
}

impl Target {
    fn version(self) -> &'static str {
        self.module.version()
    }
}

impl Target {
    /// The executable of a component, in the version that the release pins.
    pub(super) fn of(component: Component, release: &'static Release) -> Self {
        Self {
            program: component.program(),
            package: component.package(),
            module: component.module(release),
            // kubectl and Helm cannot parse the version that Kubernetes has by default.
            stamp: component
                .is_kubernetes()
                .then_some("k8s.io/component-base/version.gitVersion"),
        }
    }
}

/// Builds with Go what is not in the cache yet. Only one process builds at a time.
pub(super) fn build_missing(targets: &[Target], cache: &Path, progress: &Progress) -> Result<(), Error> {
    create_dir(cache)?;
    let _lock = lock(&cache.join(".lock"), progress)?;
    // Looked at again under the lock: another process may just have built them.
    let missing: Vec<_> = targets
        .iter()
        .copied()
        .filter(|target| !cache.join(target.program).is_file())
        .collect();
    let Some(first) = missing.first() else {
        return Ok(());
    };
    let no_go = Error::NoGo {
        program: first.program,
        version: first.version(),
    };
    let go = super::on_path("go").ok_or(no_go)?;
    let total = missing.len();
    let start = Instant::now();
    progress.say(&format!(
        "building {total} programs from Go modules into {} (about two minutes each on two cores, once)",
        cache.display()
    ));
    for (index, target) in missing.into_iter().enumerate() {
        let step = format!(
            "building {} {}, program {} of {total}",
            target.program,
            target.version(),
            index + 1
        );
        progress.say(&step);
        build(&go, target, cache, &|elapsed| {
            progress.tick(&format!("{step}, {}", seconds(elapsed)));
        })?;
    }
    progress.say(&format!("built {total} programs in {}", seconds(start.elapsed())));
    Ok(())
}

fn build(go: &Path, target: Target, cache: &Path, tick: &dyn Fn(Duration)) -> Result<(), Error> {
    let scratch = tempfile::Builder::new()
        .prefix(".build-")
        .tempdir_in(cache)
        .map_err(|source| Error::Cache {
            path: cache.to_owned(),
            source,
        })?;
    let module = write_module(target.module, scratch.path())?;
    // Not in the module directory: Go would take an existing directory of that name as the place to put it.
    let output = scratch.path().join(target.program);
    let log = scratch.path().join("build.log");
    let status = run_go(go, target, &module, &output, &log, tick)?;
    if !status.success() {
        let said = fs::read(&log).unwrap_or_default();
        return Err(Error::Build {
            program: target.program,
            version: target.version(),
            status: status.to_string(),
            output: last_lines(&String::from_utf8_lossy(&said), QUOTED_LINES),
        });
    }
    // The rename makes the executable appear whole or not at all.
    let path = cache.join(target.program);
    fs::rename(&output, &path).map_err(|source| Error::Cache { path, source })
}

/// Runs `go build` on a leash: an interrupted build does not go on alone.
fn run_go(
    go: &Path,
    target: Target,
    module: &Path,
    output: &Path,
    log: &Path,
    tick: &dyn Fn(Duration),
) -> Result<ExitStatus, Error> {
    let flags = linker_flags(target);
    let mut args: Vec<OsString> = ["build", "-ldflags", &flags, "-o"].map(OsString::from).to_vec();
    args.extend([output.as_os_str().to_owned(), target.package.into()]);
    // No C compiler is needed, and a workspace file of the user must not change the pinned versions.
    let env = [("CGO_ENABLED", "0"), ("GOWORK", "off")].map(|(name, value)| (name.into(), value.into()));
    let cache_error = |source| Error::Cache {
        path: module.to_owned(),
        source,
    };
    let mut leash = Leash::start(&Plan {
        program: go,
        args: &args,
        env: &env,
        bare: false,
        user: None,
        directory: Some(module),
        log,
        pid_file: &module.join("pid"),
        grace: Duration::ZERO,
    })
    .map_err(cache_error)?;
    let start = Instant::now();
    loop {
        if let Some(status) = leash.exited().map_err(cache_error)? {
            return Ok(status);
        }
        tick(start.elapsed());
        std::thread::sleep(POLL);
    }
}

/// Strips symbols, and stamps the version in where that is asked for.
fn linker_flags(target: Target) -> String {
    match target.stamp {
        Some(variable) => format!("-s -w -X {variable}={}", target.version()),
        None => "-s -w".to_owned(),
    }
}

fn write_module(module: &GoModule, scratch: &Path) -> Result<PathBuf, Error> {
    let directory = scratch.join("module");
    create_dir(&directory)?;
    for (name, text) in [
        ("go.mod", module.go_mod),
        ("go.sum", module.go_sum),
        ("tools.go", module.tools),
    ] {
        let path = directory.join(name);
        fs::write(&path, text).map_err(|source| Error::Cache { path, source })?;
    }
    Ok(directory)
}

fn create_dir(path: &Path) -> Result<(), Error> {
    fs::create_dir_all(path).map_err(|source| Error::Cache {
        path: path.to_owned(),
        source,
    })
}

/// Takes the lock; the operating system releases it when the file is closed, also after a crash.
fn lock(path: &Path, progress: &Progress) -> Result<File, Error> {
    let cache_error = |source| Error::Cache {
        path: path.to_owned(),
        source,
    };
    let file = File::create(path).map_err(cache_error)?;
    let start = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {
                let elapsed = seconds(start.elapsed());
                progress.tick(&format!(
                    "waiting for another process that builds the same components, {elapsed}"
                ));
                std::thread::sleep(POLL);
            }
            Err(TryLockError::Error(source)) => return Err(cache_error(source)),
        }
    }
}

fn seconds(elapsed: Duration) -> String {
    let total = elapsed.as_secs();
    if total < 60 {
        format!("{total} s")
    } else {
        format!("{} min {:02} s", total / 60, total % 60)
    }
}
