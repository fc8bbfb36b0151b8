//! How the server's connection to a Percona database is secured (contract, section 11, "Database").
//!
//! Percona's PostgreSQL accepts clients over TLS only. Its certificate names the host to which the server connects, so the server
//! verifies it as soon as the CA of the cluster is known.

use strum::IntoStaticStr;

use crate::domain::secrets::Purpose;
use crate::domain::validate::Valid;
use crate::domain::workload::pod_template;

/// `sslmode` of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub(super) enum SslMode {
    /// Encrypted; the database's certificate is not verified.
    Require,
    /// Encrypted, and the certificate must be signed by the cluster's CA and name the host.
    VerifyFull,
}

impl SslMode {
    /// The name as PostgreSQL clients write it.
    pub(super) fn as_str(self) -> &'static str {
        self.into()
    }

    /// The mode for a server with a Percona database; `None` for any other server.
    ///
    /// A pod that verifies keeps verifying, even if the CA is missing: the deletion of a Secret must not lower the protection.
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
