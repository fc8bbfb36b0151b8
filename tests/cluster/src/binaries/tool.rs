//! Programs that are not part of the control plane, built from pinned Go modules like its components.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::build::{Target, build_missing};
use super::installed::assets;
use super::{Error, Progress, base_dir};
use crate::component::{DFS, HELM, VERSITYGW};

/// Helm, in the pinned version, whatever is on the machine: the output of another may differ.
///
/// Blocks: a first build takes about a minute on two cores.
///
/// # Errors
/// When it is not in the cache and cannot be built: see [`Error`].
pub fn helm(progress: &Progress) -> Result<PathBuf, Error> {
    cached(
        Target {
            program: "helm",
            package: "helm.sh/helm/v4/cmd/helm",
            module: &HELM,
            stamp: None,
        },
        progress,
    )
}

/// The S3 server of [`crate::s3`], in the pinned version.
///
/// Blocks: a first build takes about two minutes on two cores.
///
/// # Errors
/// When it is not in the cache and cannot be built: see [`Error`].
pub fn versitygw(progress: &Progress) -> Result<PathBuf, Error> {
    cached(
        Target {
            program: "versitygw",
            package: "github.com/versity/versitygw/cmd/versitygw",
            module: &VERSITYGW,
            stamp: None,
        },
        progress,
    )
}

/// The DittoFS server, in the pinned version: the file `dfs` of `KUBEBUILDER_ASSETS` if it is of this version, otherwise
/// from the cache. It has a cache directory of its own: another version of it does not build Kubernetes again.
///
/// Blocks: a first build takes about two minutes on two cores.
///
/// # Errors
/// When it is not there and cannot be built: see [`Error`].
pub fn dfs(progress: &Progress) -> Result<PathBuf, Error> {
    let target = Target {
        program: "dfs",
        package: "github.com/marmos91/dittofs/cmd/dfs",
        module: &DFS,
        stamp: Some("main.version"),
    };
    let Some(program) = assets(target.program) else {
        return cached(target, progress);
    };
    let path = program.display();
    let version = target.module.version();
    if is_version(&program, version) {
        progress.say(&format!("using {path}"));
        return Ok(program);
    }
    progress.say(&format!(
        "{path} is not used: `dfs version` does not say {version}"
    ));
    cached(target, progress)
}

/// The first line is `dfs v0.29.0`. The server prints it on standard error.
fn is_version(program: &Path, version: &str) -> bool {
    let output = Command::new(program).arg("version").output();
    let first = output.map(|output| [output.stdout, output.stderr].concat());
    first.is_ok_and(|text| String::from_utf8_lossy(&text).split_whitespace().nth(1) == Some(version))
}

fn cached(target: Target, progress: &Progress) -> Result<PathBuf, Error> {
    let directory = format!("{}-{}", target.program, target.module.version());
    let cache = base_dir()?.join("tools").join(directory);
    let program = cache.join(target.program);
    if !program.is_file() {
        build_missing(&[target], &cache, progress)?;
    }
    Ok(program)
}
