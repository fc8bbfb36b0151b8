//! Names that are made from the type of an adapter (contract, section 2.2).

use sha2::{Digest, Sha256};

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

/// Name of the adapter's own port in its Service.
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
        for (adapter_type, sanitised, port) in [
            ("nfs", "nfs", "adapter-nfs"),
            ("SMB", "smb", "adapter-smb"),
            ("My_Own..Proto", "my-own-proto", "adapter-my-3d7b"),
            ("--", "unknown", "adapter-unknown"),
        ] {
            assert_eq!(sanitized(adapter_type), sanitised);
            let name = port_name(&sanitized(adapter_type));
            assert_eq!(name.len(), port.len(), "{name}");
            assert!(name.len() <= PORT_NAME_MAX);
        }
        assert_eq!(port_name("nfs"), "adapter-nfs");
    }
}
