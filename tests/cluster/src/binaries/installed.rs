//! Executables that are already on the machine, if their version fits.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Origin, Progress};
use crate::component::Component;
use crate::release::{Release, VARIABLE};

/// Oldest Kubernetes minor release that may serve: the tests use what 1.33 made stable or default
/// (native sleep in `preStop`, CRD validation ratcheting).
const MIN_KUBERNETES_MINOR: u32 = 33;
/// Oldest etcd that API servers of that age support.
const MIN_ETCD: (u32, u32) = (3, 5);
/// Oldest kwok whose stages take the queries of `manifests/stages/`.
const MIN_KWOK: (u32, u32) = (0, 7);

type Programs = BTreeMap<Component, (PathBuf, Origin)>;

/// What is on the machine and fits.
pub(super) struct Found {
    pub programs: Programs,
    /// The minor release of the Kubernetes servers among them.
    pub kubernetes_minor: Option<u32>,
}

/// Looks through `KUBEBUILDER_ASSETS` and `PATH`. If a release is asked for, Kubernetes servers of another one do not fit.
pub(super) fn find(components: &[Component], asked: Option<&Release>, progress: &Progress) -> Found {
    let mut found = Programs::new();
    let mut releases = BTreeMap::new();
    for component in components {
        let Some((path, origin)) = candidates(component.program()).next() else {
            continue;
        };
        match fitting_version(*component, asked, &path) {
            Ok(version) => {
                releases.insert(*component, version);
                found.insert(*component, (path, origin));
            }
            Err(reason) => progress.say(&format!("{} is not used: {reason}", path.display())),
        }
    }
    drop_mixed_kubernetes(components, &mut found, &releases, progress);
    for (path, _) in found.values() {
        progress.say(&format!("using {}", path.display()));
    }
    Found {
        kubernetes_minor: found
            .contains_key(&Component::ApiServer)
            .then(|| releases[&Component::ApiServer].1),
        programs: found,
    }
}

/// The first file of that name in a directory of `PATH`.
pub(crate) fn on_path(program: &'static str) -> Option<PathBuf> {
    candidates(program)
        .find(|(_, origin)| *origin == Origin::Path)
        .map(|(path, _)| path)
}

/// The file of that name in `KUBEBUILDER_ASSETS`.
pub(super) fn assets(program: &'static str) -> Option<PathBuf> {
    candidates(program)
        .find(|(_, origin)| *origin == Origin::Assets)
        .map(|(path, _)| path)
}

fn candidates(program: &'static str) -> impl Iterator<Item = (PathBuf, Origin)> {
    let assets = std::env::var_os("KUBEBUILDER_ASSETS").filter(|value| !value.is_empty());
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories: Vec<_> = assets
        .map(|directory| (PathBuf::from(directory), Origin::Assets))
        .into_iter()
        .chain(std::env::split_paths(&path).map(|directory| (directory, Origin::Path)))
        .collect();
    directories
        .into_iter()
        .map(move |(directory, origin)| (directory.join(program), origin))
        .filter(|(path, _)| path.is_file())
}

/// Kubernetes servers may differ by few minor releases only, and a controller manager must not be newer
/// than its API server: a set that is not of one release is refused as a whole.
fn drop_mixed_kubernetes(
    components: &[Component],
    found: &mut Programs,
    releases: &BTreeMap<Component, (u32, u32)>,
    progress: &Progress,
) {
    let wanted: Vec<_> = components
        .iter()
        .filter(|component| component.is_kubernetes())
        .collect();
    let mut versions: Vec<_> = wanted.iter().map(|component| releases.get(component)).collect();
    versions.dedup();
    if versions.len() <= 1 {
        return;
    }
    for component in wanted {
        if let Some((path, _)) = found.remove(component) {
            let path = path.display();
            progress.say(&format!(
                "{path} is not used: the Kubernetes servers found are not all of one release"
            ));
        }
    }
}

fn fitting_version(component: Component, asked: Option<&Release>, path: &Path) -> Result<(u32, u32), String> {
    let output = Command::new(path)
        .arg("--version")
        .output()
        .map_err(|error| format!("it does not run: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = parse_version(&text).ok_or_else(|| "`--version` names no version".to_owned())?;
    let minimum = match component {
        Component::Etcd => MIN_ETCD,
        Component::Kwok => MIN_KWOK,
        _ => (1, MIN_KUBERNETES_MINOR),
    };
    if version < minimum {
        return Err(format!(
            "it is version {}.{}, and at least {}.{} is needed",
            version.0, version.1, minimum.0, minimum.1
        ));
    }
    let asked = asked.filter(|release| component.is_kubernetes() && version != (1, release.minor));
    if let Some(release) = asked {
        let (major, minor) = version;
        return Err(format!(
            "it is version {major}.{minor}, and {VARIABLE} asks for 1.{}",
            release.minor
        ));
    }
    Ok(version)
}

/// The first `[v]X.Y.Z` in the text, as (X, Y).
fn parse_version(text: &str) -> Option<(u32, u32)> {
    text.split_whitespace().find_map(|word| {
        let mut numbers = word.trim_start_matches('v').splitn(3, '.');
        let major = numbers.next()?.parse().ok()?;
        let minor = numbers.next()?.parse().ok()?;
        numbers.next().map(|_| (major, minor))
    })
}

#[cfg(test)]
mod tests {
    use super::parse_version;

    #[test]
    fn versions_are_read_as_each_component_prints_them() {
        let cases = [
            (
                "etcd Version: 3.7.3\nGit SHA: unknown\nGo Version: go1.26.8\n",
                Some((3, 7)),
            ),
            ("Kubernetes v1.37.2\n", Some((1, 37))),
            ("kwok version v0.8.0 go1.26.8 (linux/amd64)\n", Some((0, 8))),
            ("Kubernetes v0.0.0-master+$Format:%H$\n", Some((0, 0))),
            ("unknown\n", None),
        ];
        for (text, version) in cases {
            assert_eq!(parse_version(text), version, "{text}");
        }
    }
}
