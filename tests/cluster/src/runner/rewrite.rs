//! Container paths become host paths, and the wildcard address becomes the pod's. Pure.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

const ANY_ADDRESS: &str = "0.0.0.0";

/// How texts of a pod are rewritten: arguments, environment and the copies of its ConfigMaps. A process has no root
/// directory and no network of its own here, so it must be told where things really are.
#[derive(Clone, Debug)]
pub(super) struct Rewrite {
    /// Container path and host path, the longest container path first.
    paths: Vec<(String, PathBuf)>,
    address: Ipv4Addr,
}

impl Rewrite {
    pub(super) fn new(paths: impl IntoIterator<Item = (String, PathBuf)>, address: Ipv4Addr) -> Self {
        let trimmed = paths
            .into_iter()
            .map(|(inside, outside)| (inside.trim_end_matches('/').to_owned(), outside));
        let mut paths: Vec<_> = trimmed.filter(|(inside, _)| !inside.is_empty()).collect();
        // Stable: of two equal paths the first one wins.
        paths.sort_by_key(|(inside, _)| std::cmp::Reverse(inside.len()));
        Self { paths, address }
    }

    /// The same with one more path, which wins over an equal one.
    pub(super) fn with(&self, inside: &str, outside: &Path) -> Self {
        let first = (inside.to_owned(), outside.to_owned());
        Self::new(
            std::iter::once(first).chain(self.paths.iter().cloned()),
            self.address,
        )
    }

    /// The host path of a container path, if it is below a mount.
    pub(super) fn path(&self, path: &str) -> Option<PathBuf> {
        let (inside, outside) = self.mount_of(path)?;
        Some(outside.join(path[inside.len()..].trim_start_matches('/')))
    }

    /// Replaces each absolute path below a mount, and `0.0.0.0`.
    pub(super) fn text(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        let mut before = None;
        while let Some(next) = rest.chars().next() {
            let replaced = if before.is_some_and(continues) {
                None
            } else {
                self.replace(rest)
            };
            let length = if let Some((length, by)) = replaced {
                out.push_str(&by);
                length
            } else {
                out.push(next);
                next.len_utf8()
            };
            before = rest[..length].chars().next_back();
            rest = &rest[length..];
        }
        out
    }

    /// What the beginning of the text is replaced by, and how long that beginning is.
    fn replace(&self, text: &str) -> Option<(usize, String)> {
        if let Some(after) = text.strip_prefix(ANY_ADDRESS) {
            let is_whole = !after.starts_with(continues);
            return is_whole.then(|| (ANY_ADDRESS.len(), self.address.to_string()));
        }
        let (inside, outside) = self.mount_of(text)?;
        Some((inside.len(), outside.display().to_string()))
    }

    fn mount_of(&self, text: &str) -> Option<&(String, PathBuf)> {
        self.paths.iter().find(|(inside, _)| {
            text.strip_prefix(inside.as_str())
                .is_some_and(|after| after.starts_with('/') || !after.starts_with(continues))
        })
    }
}

/// Whether a path or an address goes on with this character.
fn continues(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '/' | '.' | '-' | '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewrite() -> Rewrite {
        let paths = [
            ("/data", "/h/data"),
            ("/data/store/", "/h/store"),
            ("/config", "/h/c"),
        ];
        let paths = paths.map(|(inside, outside)| (inside.to_owned(), outside.into()));
        Rewrite::new(paths, Ipv4Addr::new(127, 64, 0, 1))
    }

    #[test]
    fn the_longest_mount_path_wins_and_only_whole_path_elements_count() {
        let cases = [
            ("/config/config.yaml", "/h/c/config.yaml"),
            ("--config=/config/a", "--config=/h/c/a"),
            ("path: '/data/store/meta'", "path: '/h/store/meta'"),
            ("/data/stored", "/h/data/stored"),
            ("/data:/config", "/h/data:/h/c"),
            ("/configuration", "/configuration"),
            ("https://host/config/x", "https://host/config/x"),
            ("/other/data", "/other/data"),
            ("größer /data", "größer /h/data"),
        ];
        for (text, expected) in cases {
            assert_eq!(rewrite().text(text), expected);
        }
    }

    #[test]
    fn the_wildcard_address_becomes_the_address_of_the_pod() {
        let cases = [
            ("host: '0.0.0.0'", "host: '127.64.0.1'"),
            ("0.0.0.0:8080", "127.64.0.1:8080"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("10.0.0.0.0", "10.0.0.0.0"),
        ];
        for (text, expected) in cases {
            assert_eq!(rewrite().text(text), expected);
        }
    }

    #[test]
    fn a_path_outside_every_mount_has_no_host_path() {
        assert_eq!(
            rewrite().path("/data/store/meta/x"),
            Some("/h/store/meta/x".into())
        );
        assert_eq!(rewrite().path("/etc/passwd"), None);
    }

    #[test]
    fn a_path_that_is_added_wins() {
        let more = rewrite().with("/config", Path::new("/other"));
        assert_eq!(more.path("/config"), Some("/other".into()));
    }
}
