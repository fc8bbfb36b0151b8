//! Names of objects for a share.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::domain::adapters::sanitized;

/// Longest name: that of a label's value, because tools label objects with the names of volumes and claims.
const NAME_MAX: usize = 63;
/// Bytes of the hash in a name.
const HASH_BYTES: usize = 5;

/// A valid name for an object, made of names of other things. Different parts have different names: unless all parts consist of
/// lower-case letters and digits, a hash of the parts is at the end.
pub(super) fn object_name(parts: &[&str]) -> String {
    let is_plain = |part: &&str| {
        let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        !part.is_empty() && part.bytes().all(is_allowed)
    };
    let joined = parts.join("-");
    if parts.iter().all(is_plain) && joined.len() <= NAME_MAX {
        return joined;
    }
    let digest = Sha256::digest(parts.join("\0"));
    let hash = digest[..HASH_BYTES].iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    });
    let kept: String = sanitized(&joined)
        .chars()
        .take(NAME_MAX - 1 - hash.len())
        .collect();
    format!("{}-{hash}", kept.trim_end_matches('-'))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn is_dns_label(name: &str) -> bool {
        let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        name.len() <= NAME_MAX
            && name.chars().all(is_allowed)
            && !name.starts_with('-')
            && name.ends_with(|c: char| c != '-')
    }

    #[test]
    fn plain_names_are_joined_and_others_have_a_hash() {
        assert_eq!(object_name(&["storage", "files", "media"]), "storage-files-media");
        assert_eq!(
            object_name(&["storage", "files", "My_Files"]),
            object_name(&["storage", "files", "My_Files"])
        );
        let long = "x".repeat(300);
        let shares = [
            "media", "Media", "my-files", "my_files", "My_Files", "my/files", "m\u{fc}", "\u{fc}", "", &long,
        ];
        let names: BTreeSet<String> = shares
            .iter()
            .map(|share| object_name(&["storage", "files", share]))
            .chain([object_name(&["storage", "files-my", "files"])])
            .collect();
        assert_eq!(names.len(), shares.len() + 1, "{names:?}");
        assert!(names.iter().all(|name| is_dns_label(name)), "{names:?}");
    }

    proptest! {
        #[test]
        fn every_name_is_valid(namespace in "[a-z]([-a-z0-9]{0,61}[a-z0-9])?", server in "[a-z]([-a-z0-9]{0,49}[a-z0-9])?", share in ".{0,80}") {
            let name = object_name(&[&namespace, &server, &share]);
            prop_assert!(is_dns_label(&name), "{}", name);
        }

        #[test]
        fn shares_that_differ_have_names_that_differ(one in "[aA_/-]{1,4}", other in "[aA_/-]{1,4}") {
            prop_assume!(one != other);
            prop_assert_ne!(object_name(&["n", "s", &one]), object_name(&["n", "s", &other]));
        }
    }
}
