//! Values in Secrets that would crash the server at its start. They are found before the server starts with them.
//!
//! The rules are those of the server (contract, section 3). A message never contains a value, nor its length.

use crate::api::reasons;
use crate::domain::secrets::Purpose;

/// Minimum length of the signing key, in bytes. The server calls them characters.
const JWT_KEY_MIN: usize = 32;
/// Length of a password, in bytes. bcrypt accepts no more than 72.
const PASSWORD: std::ops::RangeInclusive<usize> = 8..=72;
/// The modes that the server passes to its PostgreSQL driver.
const SSL_MODES: [&str; 4] = ["disable", "require", "verify-ca", "verify-full"];

/// What is wrong with a value: the reason, and what to do.
type Problem = (&'static str, &'static str);

/// Judges a value.
pub(super) fn problem(purpose: Purpose, value: &[u8]) -> Option<Problem> {
    of_variable(purpose, value)
        .or_else(|| of_pem(purpose, value))
        .or_else(|| of_text(purpose, value))
}

/// Rules for every value that becomes an environment variable.
fn of_variable(purpose: Purpose, value: &[u8]) -> Option<Problem> {
    purpose.variable()?;
    if !fits_variable(value) {
        return Some((
            reasons::SECRET_VALUE_NOT_TEXT,
            "is not text, but the server reads it from an environment variable: use UTF-8 without NUL bytes, for example base64",
        ));
    }
    let has_newline = !has_own_rule(purpose) && value.ends_with(b"\n");
    has_newline.then_some((
        reasons::SECRET_VALUE_ENDS_WITH_NEWLINE,
        "ends with a newline, which the server does not remove: write it without the newline, for example with echo -n or kubectl create secret --from-literal",
    ))
}

/// Certificates and keys.
fn of_pem(purpose: Purpose, value: &[u8]) -> Option<Problem> {
    let (is_valid, reason, remedy) = match purpose {
        Purpose::TlsCertificate => (
            has_certificate(value),
            reasons::TLS_CERTIFICATE_INVALID,
            "contains no certificate in PEM format: use the certificate chain",
        ),
        Purpose::TlsKey => (
            has_private_key(value),
            reasons::TLS_KEY_INVALID,
            "contains no unencrypted private key in PEM format: use the key of the certificate",
        ),
        Purpose::ClientCa => (
            has_certificate(value),
            reasons::CLIENT_CA_INVALID,
            "contains no certificate in PEM format: use the CA of the client certificates",
        ),
        Purpose::LdapCa => (
            has_certificate(value),
            reasons::LDAP_CA_INVALID,
            "contains no certificate in PEM format: use the CA of the LDAP directory",
        ),
        Purpose::DatabaseCa => (
            has_certificate(value),
            reasons::DATABASE_CA_INVALID,
            "contains no certificate in PEM format: use the CA of the PostgreSQL server",
        ),
        _ => return None,
    };
    (!is_valid).then_some((reason, remedy))
}

fn of_text(purpose: Purpose, value: &[u8]) -> Option<Problem> {
    let text = || std::str::from_utf8(value).unwrap_or_default();
    let (is_valid, reason, remedy) = match purpose {
        Purpose::JwtKey => (
            value.len() >= JWT_KEY_MIN,
            reasons::JWT_KEY_TOO_SHORT,
            "needs at least 32 characters: use a longer key, for example from openssl rand -base64 48",
        ),
        Purpose::AdminPassword => (
            PASSWORD.contains(&value.len()),
            reasons::ADMIN_PASSWORD_INVALID,
            "needs 8 to 72 bytes: use another password",
        ),
        Purpose::MetricsToken => (
            !value.trim_ascii().is_empty(),
            reasons::METRICS_TOKEN_EMPTY,
            "is only white space: use a token, or remove the reference to serve metrics without a token",
        ),
        Purpose::DatabasePort => (
            text().parse::<u16>().is_ok_and(|port| port > 0),
            reasons::DATABASE_PORT_INVALID,
            "is not a port number from 1 to 65535: correct it, or remove the key to use 5432",
        ),
        Purpose::DatabaseSslMode => (
            SSL_MODES.contains(&text()),
            reasons::DATABASE_SSL_MODE_INVALID,
            "must be disable, require, verify-ca or verify-full",
        ),
        _ => return None,
    };
    (!is_valid).then_some((reason, remedy))
}

/// Values with which a newline does not matter, or that another rule refuses. Any bytes can sign tokens.
fn has_own_rule(purpose: Purpose) -> bool {
    matches!(
        purpose,
        Purpose::JwtKey | Purpose::DatabasePort | Purpose::DatabaseSslMode
    )
}

/// Container runtimes require variables in UTF-8, and the kernel ends a variable at the first NUL byte.
fn fits_variable(value: &[u8]) -> bool {
    std::str::from_utf8(value).is_ok() && !value.contains(&0)
}

/// Go's TLS reads blocks of this type and skips others.
fn has_certificate(value: &[u8]) -> bool {
    has_block(value, |label| label == "CERTIFICATE")
}

fn has_private_key(value: &[u8]) -> bool {
    has_block(value, |label| {
        label.ends_with("PRIVATE KEY") && !label.starts_with("ENCRYPTED")
    })
}

/// Whether there is a complete PEM block with a matching label. The server judges its contents.
fn has_block(value: &[u8], fits: impl Fn(&str) -> bool) -> bool {
    let text = String::from_utf8_lossy(value);
    text.lines().map(str::trim_end).any(|line| {
        let label = line
            .strip_prefix("-----BEGIN ")
            .and_then(|rest| rest.strip_suffix("-----"));
        label.is_some_and(|label| fits(label) && text.contains(&format!("-----END {label}-----")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";

    #[test]
    fn values_that_would_crash_the_server_have_a_reason_each() {
        let long = "x".repeat(73);
        let table: [(Purpose, &str, Option<&str>); 27] = [
            (
                Purpose::JwtKey,
                "0123456789012345678901234567890",
                Some("JwtKeyTooShort"),
            ),
            (Purpose::JwtKey, "01234567890123456789012345678901", None),
            (Purpose::AdminPassword, "1234567", Some("AdminPasswordInvalid")),
            (Purpose::AdminPassword, "12345678", None),
            (Purpose::AdminPassword, &long[..72], None),
            (Purpose::AdminPassword, &long, Some("AdminPasswordInvalid")),
            (Purpose::MetricsToken, " \n\t", Some("MetricsTokenEmpty")),
            (Purpose::MetricsToken, " token\n", None),
            (
                Purpose::TlsCertificate,
                "certificate",
                Some("TlsCertificateInvalid"),
            ),
            (Purpose::TlsCertificate, CERTIFICATE, None),
            (
                Purpose::TlsCertificate,
                "-----BEGIN CERTIFICATE-----\ncut",
                Some("TlsCertificateInvalid"),
            ),
            (Purpose::TlsKey, CERTIFICATE, Some("TlsKeyInvalid")),
            (
                Purpose::TlsKey,
                "-----BEGIN EC PRIVATE KEY-----\nx\n-----END EC PRIVATE KEY-----",
                None,
            ),
            (
                Purpose::TlsKey,
                "-----BEGIN PRIVATE KEY-----\r\nx\r\n-----END PRIVATE KEY-----\r\n",
                None,
            ),
            (
                Purpose::TlsKey,
                "-----BEGIN ENCRYPTED PRIVATE KEY-----\nx\n-----END ENCRYPTED PRIVATE KEY-----",
                Some("TlsKeyInvalid"),
            ),
            (Purpose::ClientCa, "MIIB", Some("ClientCaInvalid")),
            (Purpose::DatabaseCa, "MIIB", Some("DatabaseCaInvalid")),
            (Purpose::LdapCa, "MIIB", Some("LdapCaInvalid")),
            (Purpose::DatabasePort, "5432", None),
            (Purpose::DatabasePort, "0", Some("DatabasePortInvalid")),
            (Purpose::DatabasePort, "65536", Some("DatabasePortInvalid")),
            (Purpose::DatabasePort, "5432\n", Some("DatabasePortInvalid")),
            (Purpose::DatabasePort, "-1", Some("DatabasePortInvalid")),
            (Purpose::DatabaseSslMode, "require", None),
            (Purpose::DatabaseSslMode, "prefer", Some("DatabaseSslModeInvalid")),
            (Purpose::DatabasePassword, "x", None),
            (Purpose::Keytab, "x", None),
        ];
        for (purpose, value, expected) in table {
            let reason = problem(purpose, value.as_bytes()).map(|(reason, _)| reason);
            assert_eq!(reason, expected, "{purpose:?} {value:?}");
        }
    }

    #[test]
    fn bytes_that_are_not_text_are_judged_too() {
        assert!(problem(Purpose::DatabasePort, b"\xff").is_some());
        assert!(problem(Purpose::TlsKey, b"\xff\xfe").is_some());
    }

    #[test]
    fn a_value_that_becomes_a_variable_must_be_utf8_without_nul() {
        let reason = |purpose, value: &[u8]| problem(purpose, value).map(|(reason, _)| reason);
        for purpose in [
            Purpose::JwtKey,
            Purpose::AdminPassword,
            Purpose::LdapBindPassword,
            Purpose::MachineAccountSecret,
            Purpose::DatabasePassword,
        ] {
            let not_text = Some("SecretValueNotText");
            assert_eq!(reason(purpose, &[0xff; 32]), not_text, "{purpose:?}");
            assert_eq!(reason(purpose, &[0; 32]), not_text, "{purpose:?}");
            assert_eq!(reason(purpose, "ä".repeat(16).as_bytes()), None, "{purpose:?}");
        }
        assert_eq!(reason(Purpose::Keytab, &[0x05, 0x02, 0x00, 0xff]), None);
        assert_eq!(reason(Purpose::MetricsToken, &[0xff]), None);
    }
}
