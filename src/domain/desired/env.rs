//! Variables of the server's container: the secrets that it reads from its environment (contract, section 2.3).

use k8s_openapi::api::core::v1::{EnvVar, EnvVarSource, SecretKeySelector};

use super::database_tls::DatabaseTls;
use crate::domain::paths;
use crate::domain::secrets::{CA_KEY, SSL_MODE_VARIABLE, SSL_ROOT_CERT_VARIABLE, SecretUse};

/// The variables, in the order of the uses.
pub(super) fn build(uses: &[SecretUse], tls: DatabaseTls) -> Vec<EnvVar> {
    let from_secrets = uses
        .iter()
        .filter_map(|used| Some(from_secret(used.purpose.variable()?, used)));
    let mut variables: Vec<EnvVar> = from_secrets.collect();
    if let Some(mode) = tls.mode() {
        variables.push(literal(SSL_MODE_VARIABLE, mode.to_owned()));
    }
    if tls.has_ca {
        variables.push(literal(
            SSL_ROOT_CERT_VARIABLE,
            paths::file(paths::POSTGRES_CA, CA_KEY),
        ));
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
