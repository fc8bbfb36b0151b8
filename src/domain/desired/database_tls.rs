//! How the server's connection to a Percona database is secured (contract, section 11, "Database").
//!
//! Percona's PostgreSQL admits clients over TLS only. Its certificate names the host that the server connects to, so the
//! server verifies it as soon as the cluster's CA is known.

use crate::domain::secrets::{Purpose, VERIFY_FULL};
use crate::domain::validate::Valid;
use crate::domain::workload::pod_template;

/// `sslmode` of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SslMode {
    /// Encrypted; the database's certificate is not verified.
    Require,
    /// Encrypted, and the certificate must be of the cluster's CA and name the host.
    VerifyFull,
}

impl SslMode {
    /// The name as PostgreSQL clients write it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Require => "require",
            Self::VerifyFull => VERIFY_FULL,
        }
    }

    /// The mode for a server with a Percona database; `None` for any other server.
    ///
    /// A pod that verifies goes on verifying, even if the CA is gone: whoever deletes a Secret must not be able to
    /// lower the protection.
    pub(super) fn of(valid: &Valid<'_>) -> Option<Self> {
        let ca = valid
            .uses
            .iter()
            .find(|used| used.purpose == Purpose::DatabaseCa)?;
        let has_ca = valid.observed.value(ca).is_some();
        let verifies = valid
            .observed
            .stateful_set
            .found()
            .is_some_and(|live| pod_template::verifies_database(live));
        Some(if has_ca || verifies {
            Self::VerifyFull
        } else {
            Self::Require
        })
    }
}
