//! Variables of the server's container: the secrets that it reads from its environment (contract, section 2.3).

use k8s_openapi::api::core::v1::{EnvVar, EnvVarSource, SecretKeySelector};

use super::database_tls::SslMode;
use super::paths;
use crate::domain::secrets::{CA_KEY, SSL_MODE_VARIABLE, SecretUse};

/// File with the CA of the database's certificate.
pub(super) const SSL_ROOT_CERT: &str = "DITTOFS_DATABASE_POSTGRES_SSL_ROOT_CERT";

/// The variables, in the order of the uses. `ssl_mode` is that of a Percona database.
pub(super) fn build(uses: &[SecretUse], ssl_mode: Option<SslMode>) -> Vec<EnvVar> {
    let from_secrets = uses
        .iter()
        .filter_map(|used| Some(from_secret(used.purpose.variable()?, used)));
    let mut variables: Vec<EnvVar> = from_secrets.collect();
    if let Some(mode) = ssl_mode {
        variables.push(literal(SSL_MODE_VARIABLE, mode.as_str().to_owned()));
    }
    if ssl_mode == Some(SslMode::VerifyFull) {
        variables.push(literal(SSL_ROOT_CERT, paths::file(paths::POSTGRES_CA, CA_KEY)));
    }
    variables
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
