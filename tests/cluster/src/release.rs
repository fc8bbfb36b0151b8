//! The minor releases of Kubernetes whose servers can be built, and which one is asked for.

use crate::component::GoModule;

/// The environment variable that selects a release: `1.33`. If it is unset or empty, the newest release is used.
pub const VARIABLE: &str = "KUBERNETES_VERSION";

/// A minor release of Kubernetes: a Go module with pinned requirements (`scripts/pin-kubernetes` writes it).
#[derive(Debug)]
pub(crate) struct Release {
    /// `33` for 1.33.
    pub minor: u32,
    pub module: GoModule,
}

macro_rules! release {
    ($minor:literal) => {
        Release {
            minor: $minor,
            module: GoModule {
                go_mod: include_str!(concat!("../components/kubernetes-1.", $minor, "/go.mod")),
                go_sum: include_str!(concat!("../components/kubernetes-1.", $minor, "/go.sum")),
                tools: include_str!(concat!("../components/kubernetes-1.", $minor, "/tools.go")),
                requirement: "k8s.io/kubernetes",
            },
        }
    };
}

/// The newest release comes first.
static RELEASES: [Release; 3] = [release!(37), release!(35), release!(33)];

/// `KUBERNETES_VERSION` names a release that is not pinned.
#[derive(Debug, thiserror::Error)]
#[error("{VARIABLE} is {asked:?}; use one of {}", names().join(", "))]
pub struct Unknown {
    asked: String,
}

impl Release {
    /// The newest release.
    pub(crate) fn newest() -> &'static Self {
        &RELEASES[0]
    }

    /// The release that the environment asks for, if it asks for one.
    pub(crate) fn asked() -> Result<Option<&'static Self>, Unknown> {
        let asked = std::env::var(VARIABLE).unwrap_or_default();
        if asked.is_empty() {
            return Ok(None);
        }
        Self::named(&asked).map(Some)
    }

    fn named(name: &str) -> Result<&'static Self, Unknown> {
        let found = RELEASES.iter().find(|release| release.name() == name);
        found.ok_or_else(|| Unknown {
            asked: name.to_owned(),
        })
    }

    fn name(&self) -> String {
        format!("1.{}", self.minor)
    }
}

fn names() -> Vec<String> {
    RELEASES.iter().map(Release::name).collect()
}

#[cfg(test)]
mod tests {
    use super::{RELEASES, Release};

    #[test]
    fn each_release_pins_a_patch_version_of_its_minor_release() {
        for release in &RELEASES {
            let version = release.module.version();
            let is_of_release = version.starts_with(&format!("v{}.", release.name()));
            assert!(is_of_release, "{}: {version}", release.name());
        }
        assert!(
            RELEASES
                .iter()
                .is_sorted_by_key(|release| std::cmp::Reverse(release.minor))
        );
    }

    #[test]
    fn an_unknown_release_is_refused_with_the_names_of_the_known_ones() {
        assert_eq!(Release::named("1.35").expect("it is pinned").minor, 35);
        let error = Release::named("1.34").expect_err("it is not pinned");
        let expected = r#"KUBERNETES_VERSION is "1.34"; use one of 1.37, 1.35, 1.33"#;
        assert_eq!(error.to_string(), expected);
    }
}
