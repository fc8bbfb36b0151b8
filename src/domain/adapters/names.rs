//! Names that are made from the type of an adapter (contract, section 2.2).

use sha2::{Digest, Sha256};

/// Longest type: it is the value of a label.
pub const TYPE_MAX: usize = 63;
/// Longest name of a port in Kubernetes.
const PORT_NAME_MAX: usize = 15;
/// Characters of a long name that stay.
const KEPT: usize = 10;

/// The type as a part of the name of an object: lower case, other characters become `-`.
#[must_use]
pub fn sanitized(adapter_type: &str) -> String {
    let lower = adapter_type.to_lowercase();
    let allowed = lower.chars().map(|character| match character {
        'a'..='z' | '0'..='9' => character,
        _ => '-',
    });
    let mut name = String::new();
    for character in allowed {
        if character != '-' || !name.ends_with('-') {
            name.push(character);
        }
    }
    let name = name.trim_matches('-');
    if name.is_empty() { "unknown" } else { name }.to_owned()
}

/// Name of the adapter's own port in its Service, made of the [`sanitized`] type. As in the Go operator, the hash in a long name is
/// that of the sanitized type.
#[must_use]
pub fn port_name(adapter_type: &str) -> String {
    let name = format!("adapter-{adapter_type}");
    if name.len() <= PORT_NAME_MAX {
        return name;
    }
    let digest = Sha256::digest(adapter_type.as_bytes());
    let kept: String = name.chars().take(KEPT).collect();
    format!(
        "{}-{:02x}{:02x}",
        kept.trim_end_matches('-'),
        digest[0],
        digest[1]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_go_operator() {
        for (adapter_type, name, port) in [
            ("nfs", "nfs", "adapter-nfs"),
            ("SMB", "smb", "adapter-smb"),
            ("--", "unknown", "adapter-unknown"),
            ("exactly", "exactly", "adapter-exactly"),
            // printf my-own-proto | sha256sum
            ("My_Own..Proto", "my-own-proto", "adapter-my-90bf"),
            // printf a-long-name | sha256sum. The hyphen in front of the hash is trimmed first.
            ("a-long-name", "a-long-name", "adapter-a-78f4"),
        ] {
            assert_eq!(sanitized(adapter_type), name);
            let port_name = port_name(&sanitized(adapter_type));
            assert_eq!(port_name, port);
            assert!(port_name.len() <= PORT_NAME_MAX);
        }
    }
}
