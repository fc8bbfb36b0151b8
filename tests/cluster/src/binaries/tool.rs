//! Programs that are not part of the control plane, built from pinned Go modules like its components.

use std::path::PathBuf;

use super::build::{Target, build_missing};
use super::{Error, Progress, base_dir};
use crate::component::HELM;

/// Helm, in the pinned version, whatever is on the machine: the output of another may differ.
///
/// Blocks: a first build takes about a minute on two cores.
///
/// # Errors
/// When it is not in the cache and cannot be built: see [`Error`].
pub fn helm(progress: &Progress) -> Result<PathBuf, Error> {
    let target = Target {
        program: "helm",
        package: "helm.sh/helm/v4/cmd/helm",
        module: &HELM,
        stamp: None,
    };
    let cache = base_dir()?.join("tools").join(format!("helm-{}", HELM.version()));
    let program = cache.join(target.program);
    if !program.is_file() {
        build_missing(&[target], &cache, progress)?;
    }
    Ok(program)
}
