//! How the server's connection to PostgreSQL is secured (contract, section 11, "Database").
//!
//! Percona's PostgreSQL accepts clients over TLS only. Its certificate names the host to which the server connects, so the server
//! verifies it as soon as the CA of the cluster is known. For the user's own PostgreSQL, the user chooses `sslmode` in the Secret; if it
//! asks for verification, the CA in the same Secret is used.

use strum::IntoStaticStr;

use crate::domain::secrets::{Origin, Purpose};
use crate::domain::validate::Valid;
use crate::domain::workload::pod_template;

/// `sslmode` of the connection to a Percona database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub(super) enum SslMode {
    /// Encrypted; the database's certificate is not verified.
    Require,
    /// Encrypted, and the certificate must be signed by the cluster's CA and name the host.
    VerifyFull,
}

/// What the pod template says about the connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct DatabaseTls {
    /// The mode that the operator chooses; `None` without a Percona database.
    mode: Option<SslMode>,
    /// Whether the server gets a CA.
    pub(super) has_ca: bool,
}

impl DatabaseTls {
    /// A pod that verifies keeps verifying, even if the CA is missing: the deletion of a Secret must not lower the protection.
    pub(super) fn of(valid: &Valid<'_>) -> Self {
        let mut uses = valid.uses.iter();
        let Some(ca) = uses.find(|used| used.purpose == Purpose::DatabaseCa) else {
            return Self::default();
        };
        let has_value = valid.observed.value(ca).is_some();
        if ca.origin != Origin::Percona {
            return Self {
                mode: None,
                has_ca: has_value,
            };
        }
        let live = valid.observed.stateful_set.found();
        let has_ca = has_value || live.is_some_and(|live| pod_template::verifies_database(live));
        let mode = if has_ca {
            SslMode::VerifyFull
        } else {
            SslMode::Require
        };
        Self {
            mode: Some(mode),
            has_ca,
        }
    }

    /// The mode as PostgreSQL clients write it, if the operator chooses it.
    pub(super) fn mode(self) -> Option<&'static str> {
        self.mode.map(Into::into)
    }
}
