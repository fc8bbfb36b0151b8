//! Which Secrets the pod of a DittoServer uses, and for what.
//!
//! One table serves every step: `observe` reads these Secrets and no others, `validate` checks them, `desired` hashes
//! them, and the watch maps a changed Secret back to the servers that use it.
//!
//! | file | what is in it |
//! |---|---|
//! | `secrets/purpose.rs` | what the server does with a value |
//! | `secrets/confidential.rs` | a value outside its Secret |
//! | `secrets/data.rs` | a Secret that was read |
//! | `secrets/generation.rs` | when a missing Secret may be generated |

mod confidential;
mod data;
pub mod generation;
mod purpose;

#[cfg(test)]
mod tests;

use k8s_openapi::api::core::v1::SecretKeySelector;
use kube::ResourceExt;

pub use self::confidential::Confidential;
pub use self::data::SecretData;
pub use self::purpose::{Purpose, SSL_MODE_VARIABLE, SSL_ROOT_CERT_VARIABLE};
use crate::api::{DatabaseBackend, DittoServer, names};

/// Key of the certificate in a Secret of type `kubernetes.io/tls`.
pub const TLS_CERTIFICATE_KEY: &str = "tls.crt";
/// Key of the private key in a Secret of type `kubernetes.io/tls`.
pub const TLS_PRIVATE_KEY_KEY: &str = "tls.key";
/// Value of [`SSL_MODE_VARIABLE`]: the server verifies the database's certificate and the host in it.
pub const VERIFY_FULL: &str = "verify-full";
/// Key of `sslmode` in the Secret of the user's own PostgreSQL.
pub const SSL_MODE_KEY: &str = "sslmode";
/// Key of a CA certificate.
pub const CA_KEY: &str = "ca.crt";

/// Who provides a Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The user named it in this field of the spec.
    User(&'static str),
    /// This operator generates it.
    Managed,
    /// Percona's operator writes it.
    Percona,
}

/// One key of one Secret that the pod uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretUse {
    /// Name of the Secret, in the server's namespace.
    pub secret: String,
    /// Key in it.
    pub key: String,
    /// What the server does with it.
    pub purpose: Purpose,
    /// Who provides it.
    pub origin: Origin,
    /// Whether the server starts without it.
    pub optional: bool,
}

/// Every key of a Secret that the pod of `server` uses, in a fixed order: variables first, as the pod lists them, then files
/// (contract, section 2.3).
///
/// The field `optional` of a Secret reference in the spec has no effect, and never had one: the pod needs what the spec names.
#[must_use]
pub fn uses(server: &DittoServer) -> Vec<SecretUse> {
    let mut uses = vec![jwt_key(server), admin_password(server)];
    uses.extend(identity_variables(server));
    uses.extend(database(server));
    uses.extend(tls(server));
    uses.extend(identity_files(server));
    uses
}

/// The Secrets that are kept for a server in addition to those that its pod uses: all that the Go operator or this one generated
/// for it, whether or not the pod uses them now.
#[must_use]
pub fn kept(server: &DittoServer) -> [String; 4] {
    let name = server.name_any();
    [
        names::jwt_secret(&name),
        names::admin_bootstrap_secret(&name),
        names::legacy_admin_secret(&name),
        names::operator_credentials_secret(&name),
    ]
}

/// The names of the Secrets that matter to a server: its pod uses them, they are kept for it, or the operator needs them to call its
/// API or writes their values to it. A name may occur twice.
pub fn names(server: &DittoServer) -> impl Iterator<Item = String> {
    let used = uses(server).into_iter().map(|used| used.secret);
    let of_operator = server.spec.operator_cert_secret_name().map(str::to_owned);
    used.chain(kept(server))
        .chain(of_operator)
        .chain(of_content(server))
}

/// The Secrets with what the operator writes to the server: passwords of users, and keys of remote stores.
fn of_content(server: &DittoServer) -> impl Iterator<Item = String> {
    let spec = &server.spec;
    let users = spec.users.iter().map(|user| &user.password_secret_ref.name);
    let stores = spec
        .remote_stores
        .iter()
        .map(|store| &store.s3.credentials_secret_ref.name);
    users.chain(stores).filter(|name| !name.is_empty()).cloned()
}

/// Whether the Secret of the user's own PostgreSQL has a CA with which the server verifies the database. Other modes do not use it.
#[must_use]
pub fn verifies_with_ca(secret: &SecretData) -> bool {
    asks_to_verify(secret) && secret.value(CA_KEY).is_some()
}

/// Whether the Secret of the user's own PostgreSQL has a mode in which the server verifies the database.
#[must_use]
pub fn asks_to_verify(secret: &SecretData) -> bool {
    let mode = secret.value(SSL_MODE_KEY).unwrap_or_default();
    mode.starts_with(b"verify-")
}

fn jwt_key(server: &DittoServer) -> SecretUse {
    match server.spec.jwt_secret_ref() {
        Some(reference) => named(Purpose::JwtKey, reference, "spec.identity.jwt.secretRef"),
        None => SecretUse {
            secret: names::jwt_secret(&server.name_any()),
            key: names::JWT_SECRET_KEY.to_owned(),
            purpose: Purpose::JwtKey,
            origin: Origin::Managed,
            optional: false,
        },
    }
}

/// The managed password is optional: a server that was started once runs without it, and its Secret may be deleted after the first
/// login.
fn admin_password(server: &DittoServer) -> SecretUse {
    match server.spec.admin_password_ref() {
        Some(reference) => named(
            Purpose::AdminPassword,
            reference,
            "spec.identity.admin.passwordSecretRef",
        ),
        None => SecretUse {
            secret: names::admin_bootstrap_secret(&server.name_any()),
            key: names::PASSWORD_KEY.to_owned(),
            purpose: Purpose::AdminPassword,
            origin: Origin::Managed,
            optional: true,
        },
    }
}

fn identity_variables(server: &DittoServer) -> impl Iterator<Item = SecretUse> {
    let bind_password = server.spec.ldap_bind_password_ref().map(|reference| {
        named(
            Purpose::LdapBindPassword,
            reference,
            "spec.identity.ldap.bindPasswordSecretRef",
        )
    });
    let account = server
        .spec
        .machine_account()
        .and_then(|account| account.password_ref())
        .map(|reference| {
            named(
                Purpose::MachineAccountSecret,
                reference,
                "spec.identity.kerberos.machineAccount.secretRef",
            )
        });
    bind_password.into_iter().chain(account)
}

fn database(server: &DittoServer) -> Vec<SecretUse> {
    match server.spec.database_backend() {
        DatabaseBackend::Sqlite { .. } => Vec::new(),
        DatabaseBackend::OwnPostgres(reference) => own_postgres(&reference.name),
        DatabaseBackend::Percona(_) => percona(&server.name_any()),
    }
}

/// The keys of the user's Secret are fixed. The `key` of the reference never had a meaning.
fn own_postgres(secret: &str) -> Vec<SecretUse> {
    let origin = Origin::User("spec.database.postgresSecretRef");
    let keys = [
        (Purpose::DatabaseHost, "host", false),
        (Purpose::DatabaseName, "database", false),
        (Purpose::DatabaseUser, "user", false),
        (Purpose::DatabasePassword, "password", false),
        (Purpose::DatabasePort, "port", true),
        (Purpose::DatabaseSslMode, SSL_MODE_KEY, true),
        (Purpose::DatabaseCa, CA_KEY, true),
    ];
    keys.map(|(purpose, key, optional)| fixed(secret, key, purpose, origin, optional))
        .into()
}

/// Keys of the Secrets that Percona's operator writes for a user and for a cluster.
fn percona(server: &str) -> Vec<SecretUse> {
    let user = names::percona_user_secret(server);
    let keys = [
        (Purpose::DatabaseHost, "host"),
        (Purpose::DatabasePort, "port"),
        (Purpose::DatabaseName, "dbname"),
        (Purpose::DatabaseUser, "user"),
        (Purpose::DatabasePassword, "password"),
    ];
    let variables = keys.map(|(purpose, key)| fixed(&user, key, purpose, Origin::Percona, false));
    let ca = fixed(
        &names::percona_cert_secret(server),
        CA_KEY,
        Purpose::DatabaseCa,
        Origin::Percona,
        true,
    );
    variables.into_iter().chain([ca]).collect()
}

fn tls(server: &DittoServer) -> Vec<SecretUse> {
    let mut uses = Vec::new();
    if let Some(secret) = server.spec.cert_secret_name() {
        let origin = Origin::User("spec.controlPlane.certSecretName");
        uses.push(fixed(
            secret,
            TLS_CERTIFICATE_KEY,
            Purpose::TlsCertificate,
            origin,
            false,
        ));
        uses.push(fixed(secret, TLS_PRIVATE_KEY_KEY, Purpose::TlsKey, origin, false));
    }
    if let Some(secret) = server.spec.client_ca_secret_name() {
        let origin = Origin::User("spec.controlPlane.clientCASecretName");
        uses.push(fixed(secret, CA_KEY, Purpose::ClientCa, origin, false));
    }
    uses
}

fn identity_files(server: &DittoServer) -> impl Iterator<Item = SecretUse> {
    let kerberos = server.spec.kerberos();
    let account = server.spec.machine_account();
    [
        server
            .spec
            .metrics_token_ref()
            .map(|reference| named(Purpose::MetricsToken, reference, "spec.metrics.bearerTokenSecret")),
        kerberos
            .and_then(|kerberos| kerberos.keytab_ref())
            .map(|reference| {
                named(
                    Purpose::Keytab,
                    reference,
                    "spec.identity.kerberos.keytabSecretRef",
                )
            }),
        kerberos
            .and_then(|kerberos| kerberos.krb5_conf_ref())
            .map(|reference| {
                named(
                    Purpose::Krb5Conf,
                    reference,
                    "spec.identity.kerberos.krb5ConfSecretRef",
                )
            }),
        account.and_then(|account| account.keytab_ref()).map(|reference| {
            let field = "spec.identity.kerberos.machineAccount.keytabSecretRef";
            named(Purpose::MachineAccountKeytab, reference, field)
        }),
        server
            .spec
            .ldap_ca_ref()
            .map(|reference| named(Purpose::LdapCa, reference, "spec.identity.ldap.caSecretRef")),
    ]
    .into_iter()
    .flatten()
}

fn named(purpose: Purpose, reference: &SecretKeySelector, field: &'static str) -> SecretUse {
    fixed(
        &reference.name,
        &reference.key,
        purpose,
        Origin::User(field),
        false,
    )
}

fn fixed(secret: &str, key: &str, purpose: Purpose, origin: Origin, optional: bool) -> SecretUse {
    SecretUse {
        secret: secret.to_owned(),
        key: key.to_owned(),
        purpose,
        origin,
        optional,
    }
}
