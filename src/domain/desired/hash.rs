//! The config hash. It changes exactly when something changes that the running server read at its start.

use crate::domain::digest::Digest;
use crate::domain::secrets::{Purpose, SecretUse};

/// SHA-256, in hex, over the rendered configuration and the values that the server reads at start.
///
/// `config` has neither LDAP nor Kerberos; `kerberos` is the fingerprint of the latter. `value` gives the value of a use; absent values
/// are omitted. The order of `uses` does not matter. Every part is preceded by its length, so that bytes that move from one part to the
/// next change the hash.
pub(super) fn config_hash<'v>(
    config: &str,
    kerberos: Option<&str>,
    uses: &[SecretUse],
    value: impl Fn(&SecretUse) -> Option<&'v [u8]>,
) -> String {
    let parts: Vec<&str> = [config].into_iter().chain(kerberos).collect();
    digest(&parts, uses, Purpose::is_read_at_start, value)
}

/// The hash of operators that restarted a server before a change of Kerberos was written: `config` has the Kerberos block.
pub(super) fn hash_with_kerberos<'v>(
    config: &str,
    uses: &[SecretUse],
    value: impl Fn(&SecretUse) -> Option<&'v [u8]>,
) -> String {
    let is_part = |purpose: Purpose| purpose.is_read_at_start() || purpose == Purpose::MachineAccountSecret;
    digest(&[config], uses, is_part, value)
}

/// The hash of operators that restarted a server to change LDAP, too: it is also over the bind password. `config` has both blocks.
pub(super) fn hash_with_ldap<'v>(
    config: &str,
    uses: &[SecretUse],
    value: impl Fn(&SecretUse) -> Option<&'v [u8]>,
) -> String {
    let written = [Purpose::MachineAccountSecret, Purpose::LdapBindPassword];
    let is_part = |purpose: Purpose| purpose.is_read_at_start() || written.contains(&purpose);
    digest(&[config], uses, is_part, value)
}

fn digest<'v>(
    texts: &[&str],
    uses: &[SecretUse],
    is_part: impl Fn(Purpose) -> bool,
    value: impl Fn(&SecretUse) -> Option<&'v [u8]>,
) -> String {
    let mut read_at_start: Vec<&SecretUse> = uses.iter().filter(|used| is_part(used.purpose)).collect();
    read_at_start.sort_by_key(|used| (used.purpose, &used.secret, &used.key));
    let mut digest = Digest::default();
    for text in texts {
        digest.add(text.as_bytes());
    }
    for used in read_at_start {
        if let Some(value) = value(used) {
            digest.add(used.secret.as_bytes());
            digest.add(used.key.as_bytes());
            digest.add(value);
        }
    }
    digest.hex()
}
