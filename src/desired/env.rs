//! Variables of the server's container: the secrets that it takes from its environment (contract, section 2.3).

use k8s_openapi::api::core::v1::{EnvVar, EnvVarSource, SecretKeySelector};

use super::database_tls::SslMode;
use super::paths;
use crate::secrets::{CA_KEY, Purpose, SecretUse};

/// `sslmode` of the database connection.
pub(super) const SSL_MODE: &str = "DITTOFS_DATABASE_POSTGRES_SSLMODE";
/// File with the CA of the database's certificate.
const SSL_ROOT_CERT: &str = "DITTOFS_DATABASE_POSTGRES_SSL_ROOT_CERT";

/// The variables, in the order of the uses. `ssl_mode` is that of a Percona database.
pub(super) fn build(uses: &[SecretUse], ssl_mode: Option<SslMode>) -> Vec<EnvVar> {
    let from_secrets = uses
        .iter()
        .filter_map(|used| Some(from_secret(variable(used.purpose)?, used)));
    let mut variables: Vec<EnvVar> = from_secrets.collect();
    if let Some(mode) = ssl_mode {
        variables.push(literal(SSL_MODE, mode.as_str().to_owned()));
    }
    if ssl_mode == Some(SslMode::VerifyFull) {
        variables.push(literal(SSL_ROOT_CERT, paths::file(paths::POSTGRES_CA, CA_KEY)));
    }
    variables
}

/// The variable from which the server takes a value; `None` if it reads a file.
fn variable(purpose: Purpose) -> Option<&'static str> {
    match purpose {
        Purpose::JwtKey => Some("DITTOFS_CONTROLPLANE_SECRET"),
        Purpose::AdminPassword => Some("DITTOFS_ADMIN_INITIAL_PASSWORD"),
        Purpose::LdapBindPassword => Some("DITTOFS_LDAP_BIND_PASSWORD"),
        Purpose::MachineAccountSecret => Some("DITTOFS_KERBEROS_MACHINE_ACCOUNT_SECRET"),
        Purpose::DatabaseHost => Some("DITTOFS_DATABASE_POSTGRES_HOST"),
        Purpose::DatabasePort => Some("DITTOFS_DATABASE_POSTGRES_PORT"),
        Purpose::DatabaseName => Some("DITTOFS_DATABASE_POSTGRES_DATABASE"),
        Purpose::DatabaseUser => Some("DITTOFS_DATABASE_POSTGRES_USER"),
        Purpose::DatabasePassword => Some("DITTOFS_DATABASE_POSTGRES_PASSWORD"),
        Purpose::DatabaseSslMode => Some(SSL_MODE),
        Purpose::Keytab
        | Purpose::Krb5Conf
        | Purpose::MachineAccountKeytab
        | Purpose::MetricsToken
        | Purpose::TlsCertificate
        | Purpose::TlsKey
        | Purpose::ClientCa
        | Purpose::DatabaseCa => None,
    }
}

fn from_secret(name: &str, used: &SecretUse) -> EnvVar {
    let selector = SecretKeySelector {
        name: used.secret.clone(),
        key: used.key.clone(),
        optional: used.optional.then_some(true),
    };
    EnvVar {
        name: name.to_owned(),
        value_from: Some(EnvVarSource {
            secret_key_ref: Some(selector),
            ..EnvVarSource::default()
        }),
        ..EnvVar::default()
    }
}

fn literal(name: &str, value: String) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value: Some(value),
        ..EnvVar::default()
    }
}
