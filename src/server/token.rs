//! Tokens for the API of a server, signed with the server's own key.
//!
//! The server checks the signature, the type and the times of a token, and neither its issuer nor an account. So the operator needs
//! no account and stores no password. docs/adr/0013-signed-tokens.md says what this relies on.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::hmac;
use serde_json::json;

use crate::domain::secrets::Confidential;

/// How long a token is valid. It allows for clocks that differ, since the server knows no leeway.
pub const LIFETIME: Duration = Duration::from_secs(300);
/// The user in the audit log of the server. It has the name of the account of the Go operator.
const USER: &str = "k8s-operator";

/// What a token allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// To list adapters.
    Operator,
    /// Everything.
    Admin,
}

impl Role {
    fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

/// A token (JWT, HMAC with SHA-256) that is valid from `now` for [`LIFETIME`].
#[must_use]
pub fn sign(key: &Confidential, role: Role, now: Timestamp) -> String {
    let lifetime = i64::try_from(LIFETIME.as_secs()).unwrap_or(0);
    let claims = json!({
        "iss": "dittofs",
        "sub": USER,
        "uid": USER,
        "username": USER,
        "role": role.as_str(),
        "token_type": "access",
        "iat": now.as_second(),
        "exp": now.as_second() + lifetime,
    });
    let encode = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!(
        "{}.{}",
        encode(&json!({"alg": "HS256", "typ": "JWT"})),
        encode(&claims)
    );
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key.0), signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn claims(token: &str) -> serde_json::Value {
        let payload = token.split('.').nth(1).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
    }

    #[test]
    fn a_token_lives_five_minutes_and_names_its_role() {
        let key = Confidential(Arc::from(&b"0123456789abcdef0123456789abcdef"[..]));
        let token = sign(&key, Role::Operator, Timestamp::from_second(1000).unwrap());
        let claims = claims(&token);
        assert_eq!(
            (claims["iat"].as_i64(), claims["exp"].as_i64()),
            (Some(1000), Some(1300))
        );
        assert_eq!(claims["role"], "operator");
        assert_ne!(
            token,
            sign(&key, Role::Admin, Timestamp::from_second(1000).unwrap())
        );
    }

    #[test]
    fn a_signature_is_that_of_the_standard() {
        // RFC 7515, appendix A.1.1: key and signing input, with its signature.
        let key = URL_SAFE_NO_PAD
            .decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
            .unwrap();
        let input = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), input.as_bytes());
        assert_eq!(
            URL_SAFE_NO_PAD.encode(signature),
            "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
        );
    }
}
