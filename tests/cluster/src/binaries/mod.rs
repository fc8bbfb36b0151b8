//! Finds or builds the executables of the components.
//!
//! Order: `KUBEBUILDER_ASSETS`, then `PATH`, each only in a version that fits; then the cache; then a
//! build from the pinned Go modules into the cache (`build`). What was refused, and why, is reported.
//! `KUBERNETES_VERSION` selects the minor release of the Kubernetes servers.

mod build;
mod installed;
mod progress;
mod tool;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::component::Component;
use crate::release::{self, Release};

pub(crate) use installed::on_path;
pub use progress::Progress;
pub use tool::{dfs, helm, versitygw};

/// Why the executables could not be provided.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither `XDG_CACHE_HOME` nor `HOME` is set.
    #[error("no cache directory: set XDG_CACHE_HOME or HOME")]
    NoCacheDir,
    /// A file in the cache could not be written.
    #[error("cannot write the cache of control-plane executables at {path}: {source}", path = path.display())]
    Cache {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The environment asks for a release that is not pinned.
    #[error(transparent)]
    Release(#[from] release::Unknown),
    /// There is no Go toolchain.
    #[error(
        "{program} {version} is not on this machine and Go, which builds it, is not either: install Go 1.26 or newer \
         (https://go.dev/dl), or point KUBEBUILDER_ASSETS at a directory with {program}"
    )]
    NoGo {
        /// What was to be built.
        program: &'static str,
        /// In which version.
        version: &'static str,
    },
    /// `go build` failed.
    #[error("building {program} {version} failed ({status}); the end of what `go build` said:\n{output}")]
    Build {
        /// What was being built.
        program: &'static str,
        /// In which version.
        version: &'static str,
        /// How Go ended.
        status: String,
        /// The last lines of its output.
        output: String,
    },
}

/// Where an executable came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// `KUBEBUILDER_ASSETS`.
    Assets,
    /// A directory of `PATH`.
    Path,
    /// The cache, perhaps after a build.
    Cache,
}

/// The executables of a control plane.
#[derive(Clone, Debug)]
pub struct Binaries {
    programs: BTreeMap<Component, (PathBuf, Origin)>,
    kubernetes_minor: u32,
}

impl Binaries {
    /// Finds the executables of the given components, and builds those that are missing.
    ///
    /// Blocks: a first build takes about ten minutes on two cores. Two processes that call this at the
    /// same time build once; the second one waits.
    ///
    /// # Errors
    /// When an executable is missing and cannot be built: see [`Error`].
    pub fn provide(components: &[Component], progress: &Progress) -> Result<Self, Error> {
        let asked = Release::asked()?;
        let release = asked.unwrap_or(Release::newest());
        let installed = installed::find(components, asked, progress);
        let mut programs = installed.programs;
        let cache = cache_dir(release)?;
        let missing: Vec<_> = components
            .iter()
            .copied()
            .filter(|component| !programs.contains_key(component))
            .collect();
        if missing
            .iter()
            .any(|component| !cache.join(component.program()).is_file())
        {
            let targets: Vec<_> = missing
                .iter()
                .map(|component| build::Target::of(*component, release))
                .collect();
            build::build_missing(&targets, &cache, progress)?;
        }
        for component in missing {
            programs.insert(component, (cache.join(component.program()), Origin::Cache));
        }
        Ok(Self {
            programs,
            kubernetes_minor: installed.kubernetes_minor.unwrap_or(release.minor),
        })
    }

    /// The minor release of the Kubernetes servers: `33` for 1.33.
    #[must_use]
    pub const fn kubernetes_minor(&self) -> u32 {
        self.kubernetes_minor
    }

    /// The executable of a component, and where it was found.
    #[must_use]
    pub fn get(&self, component: Component) -> Option<(&Path, Origin)> {
        self.programs
            .get(&component)
            .map(|(path, origin)| (path.as_path(), *origin))
    }

    /// All executables, in start order.
    pub fn iter(&self) -> impl Iterator<Item = (Component, &Path, Origin)> {
        self.programs
            .iter()
            .map(|(component, (path, origin))| (*component, path.as_path(), *origin))
    }
}

/// The directory of the built executables: outside the checkout, keyed by the pinned versions.
///
/// # Errors
/// [`Error::NoCacheDir`] when the environment names no cache directory.
fn cache_dir(release: &'static Release) -> Result<PathBuf, Error> {
    let version = |component: Component| component.module(release).version();
    let key = format!(
        "k8s-{}_etcd-{}_kwok-{}",
        version(Component::ApiServer),
        version(Component::Etcd),
        version(Component::Kwok)
    );
    Ok(base_dir()?.join("control-plane").join(key))
}

/// The directory of everything that this project caches.
fn base_dir() -> Result<PathBuf, Error> {
    let absolute = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    // The XDG base directory specification: a relative value is ignored.
    let base = absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .ok_or(Error::NoCacheDir)?;
    Ok(base.join("dittofs-operator"))
}
