//! Passwords, and what PostgreSQL stores instead of them.

use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::error::Unspecified;
use ring::rand::{SecureRandom, SystemRandom};
use ring::{digest, hmac, pbkdf2};

/// PostgreSQL's default number of rounds.
const ROUNDS: NonZeroU32 = NonZeroU32::MIN.saturating_add(4095);

/// The symbols that Percona's "ASCII" passwords are made of: they exercise quoting and URI escapes.
const SYMBOLS: &[u8] =
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789()*+,-./:;<=>?@[]^_{|}";
const LENGTH: usize = 24;

/// A random password.
pub(crate) fn password() -> Result<String, Unspecified> {
    let mut bytes = [0; LENGTH];
    SystemRandom::new().fill(&mut bytes)?;
    Ok(bytes
        .iter()
        .map(|byte| char::from(SYMBOLS[usize::from(*byte) % SYMBOLS.len()]))
        .collect())
}

/// The SCRAM-SHA-256 verifier of a password (RFC 5803), with a random salt.
pub(super) fn verifier(password: &str) -> Result<String, Unspecified> {
    let mut salt = [0; 16];
    SystemRandom::new().fill(&mut salt)?;
    Ok(verifier_with(password, &salt))
}

fn verifier_with(password: &str, salt: &[u8]) -> String {
    let mut salted = [0; digest::SHA256_OUTPUT_LEN];
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA256,
        ROUNDS,
        salt,
        password.as_bytes(),
        &mut salted,
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, &salted);
    let stored = digest::digest(&digest::SHA256, hmac::sign(&key, b"Client Key").as_ref());
    let server = hmac::sign(&key, b"Server Key");
    format!(
        "SCRAM-SHA-256${ROUNDS}:{}${}:{}",
        STANDARD.encode(salt),
        STANDARD.encode(stored),
        STANDARD.encode(server)
    )
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::verifier_with;

    /// The exchange of RFC 7677, section 3: user "user", password "pencil".
    #[test]
    fn the_verifier_is_the_one_of_the_published_exchange() {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        assert_eq!(
            verifier_with("pencil", &salt),
            "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
        );
    }
}
