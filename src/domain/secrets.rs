//! Which Secrets a DittoServer's pod uses, and for what. Pure.
//!
//! One table serves every step: `observe` reads these Secrets and no other, `validate` checks them, `desired` hashes
//! them, and the watch maps a touched Secret back to the servers that use it.

pub mod generation;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::api::core::v1::{Secret, SecretKeySelector};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use strum::EnumIter;

use crate::api::{DatabaseBackend, DittoServer, names};

/// Key of the certificate in a Secret of type `kubernetes.io/tls`.
pub const TLS_CERTIFICATE_KEY: &str = "tls.crt";
/// Key of the private key in a Secret of type `kubernetes.io/tls`.
pub const TLS_PRIVATE_KEY_KEY: &str = "tls.key";
/// Variable of the server's container with `sslmode` of the database connection.
pub const SSL_MODE_VARIABLE: &str = "DITTOFS_DATABASE_POSTGRES_SSLMODE";
/// Value of [`SSL_MODE_VARIABLE`]: the server verifies the database's certificate and the host in it.
pub const VERIFY_FULL: &str = "verify-full";
/// Key of a CA certificate.
pub const CA_KEY: &str = "ca.crt";

/// What the server does with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter)]
pub enum Purpose {
    /// Signs access tokens. Read at start; at least 32 characters.
    JwtKey,
    /// Password of the first `admin` user. Read at the very first start only; 8 to 72 bytes.
    AdminPassword,
    /// Binds to the LDAP directory. Read at start.
    LdapBindPassword,
    /// Kerberos service keytab. Read at start.
    Keytab,
    /// Kerberos client configuration. Read at start.
    Krb5Conf,
    /// Password of the machine account. Read at start.
    MachineAccountSecret,
    /// Keytab of the machine account. Read at start.
    MachineAccountKeytab,
    /// Bearer token of the metrics endpoint. Read at start.
    MetricsToken,
    /// Server certificate. The server reloads it by itself.
    TlsCertificate,
    /// Key of the server certificate. The server reloads it by itself.
    TlsKey,
    /// CA of client certificates. Read at start.
    ClientCa,
    /// PostgreSQL host. Read at start, as all of the database values.
    DatabaseHost,
    /// PostgreSQL port.
    DatabasePort,
    /// PostgreSQL database name.
    DatabaseName,
    /// PostgreSQL user.
    DatabaseUser,
    /// PostgreSQL password.
    DatabasePassword,
    /// `sslmode` of the connection.
    DatabaseSslMode,
    /// CA of the database's server certificate.
    DatabaseCa,
}

impl Purpose {
    /// Whether the running server must restart to take up a new value (contract, section 11).
    ///
    /// The initial admin password is ignored after the first start, and the server reloads its certificate.
    #[must_use]
    pub fn is_read_at_start(self) -> bool {
        !matches!(self, Self::AdminPassword | Self::TlsCertificate | Self::TlsKey)
    }

    /// Whether a value is known to nobody but who may read the Secret. Hosts, names and certificates are not.
    #[must_use]
    pub fn is_confidential(self) -> bool {
        match self {
            Self::JwtKey
            | Self::AdminPassword
            | Self::LdapBindPassword
            | Self::Keytab
            | Self::MachineAccountSecret
            | Self::MachineAccountKeytab
            | Self::MetricsToken
            | Self::TlsKey
            | Self::DatabasePassword => true,
            Self::Krb5Conf
            | Self::TlsCertificate
            | Self::ClientCa
            | Self::DatabaseHost
            | Self::DatabasePort
            | Self::DatabaseName
            | Self::DatabaseUser
            | Self::DatabaseSslMode
            | Self::DatabaseCa => false,
        }
    }

    /// The variable from which the server takes a value; `None` if it reads a file.
    #[must_use]
    pub fn variable(self) -> Option<&'static str> {
        match self {
            Self::JwtKey => Some("DITTOFS_CONTROLPLANE_SECRET"),
            Self::AdminPassword => Some("DITTOFS_ADMIN_INITIAL_PASSWORD"),
            Self::LdapBindPassword => Some("DITTOFS_LDAP_BIND_PASSWORD"),
            Self::MachineAccountSecret => Some("DITTOFS_KERBEROS_MACHINE_ACCOUNT_SECRET"),
            Self::DatabaseHost => Some("DITTOFS_DATABASE_POSTGRES_HOST"),
            Self::DatabasePort => Some("DITTOFS_DATABASE_POSTGRES_PORT"),
            Self::DatabaseName => Some("DITTOFS_DATABASE_POSTGRES_DATABASE"),
            Self::DatabaseUser => Some("DITTOFS_DATABASE_POSTGRES_USER"),
            Self::DatabasePassword => Some("DITTOFS_DATABASE_POSTGRES_PASSWORD"),
            Self::DatabaseSslMode => Some(SSL_MODE_VARIABLE),
            Self::Keytab
            | Self::Krb5Conf
            | Self::MachineAccountKeytab
            | Self::MetricsToken
            | Self::TlsCertificate
            | Self::TlsKey
            | Self::ClientCa
            | Self::DatabaseCa => None,
        }
    }
}

/// Who answers for a Secret.
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
    /// What it is for.
    pub purpose: Purpose,
    /// Who answers for it.
    pub origin: Origin,
    /// Whether the server starts without it.
    pub optional: bool,
}

/// Everything that the pod of `server` uses of Secrets, in a fixed order: variables first, as the pod lists them, then
/// files (contract, section 2.3).
///
/// The `optional` of a Secret reference in the spec has no effect, as it never had: what the spec names is needed.
#[must_use]
pub fn uses(server: &DittoServer) -> Vec<SecretUse> {
    let mut uses = vec![jwt_key(server), admin_password(server)];
    uses.extend(identity_variables(server));
    uses.extend(database(server));
    uses.extend(tls(server));
    uses.extend(identity_files(server));
    uses
}

/// The Secrets that are kept for a server beside those that its pod uses: everything that the Go operator or ours has
/// generated for it, whether or not it is in use now.
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

/// The Secrets that matter to a server: its pod uses them, or they are kept for it. One may be named twice.
pub fn names(server: &DittoServer) -> impl Iterator<Item = String> {
    let used = uses(server).into_iter().map(|used| used.secret);
    used.chain(kept(server))
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

/// The managed password is optional: a server that has started once runs without it, and its Secret may be deleted after
/// the first login.
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

/// The keys of the user's Secret are fixed; the `key` of the reference never had a meaning.
fn own_postgres(secret: &str) -> Vec<SecretUse> {
    let origin = Origin::User("spec.database.postgresSecretRef");
    let keys = [
        (Purpose::DatabaseHost, "host", false),
        (Purpose::DatabaseName, "database", false),
        (Purpose::DatabaseUser, "user", false),
        (Purpose::DatabasePassword, "password", false),
        (Purpose::DatabasePort, "port", true),
        (Purpose::DatabaseSslMode, "sslmode", true),
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

/// A Secret that was read: its data, and what of its metadata tells whose it is. Never printed: `Debug` shows the keys
/// only.
#[derive(Clone, Default, PartialEq)]
pub struct SecretData {
    values: BTreeMap<String, Vec<u8>>,
    metadata: ObjectMeta,
}

impl SecretData {
    /// Wraps decoded data.
    #[must_use]
    pub fn new(values: BTreeMap<String, Vec<u8>>) -> Self {
        Self {
            values,
            metadata: ObjectMeta::default(),
        }
    }

    /// Takes a Secret as it was read.
    #[must_use]
    pub fn of(secret: &Secret) -> Self {
        let values = secret.data.iter().flatten();
        Self {
            values: values
                .map(|(name, value)| (name.clone(), value.0.clone()))
                .collect(),
            metadata: identity(&secret.metadata),
        }
    }

    /// The value of a key, if it is there and not empty.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&[u8]> {
        self.values
            .get(key)
            .map(Vec::as_slice)
            .filter(|value| !value.is_empty())
    }

    /// Name, UID, version, labels and owners, and of the annotations the one that rotation writes.
    #[must_use]
    pub fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }
}

/// Other annotations may quote the data (`kubectl apply` does), and nobody reads them.
fn identity(metadata: &ObjectMeta) -> ObjectMeta {
    let rotated = metadata.annotations.iter().flatten();
    ObjectMeta {
        name: metadata.name.clone(),
        namespace: metadata.namespace.clone(),
        uid: metadata.uid.clone(),
        resource_version: metadata.resource_version.clone(),
        labels: metadata.labels.clone(),
        owner_references: metadata.owner_references.clone(),
        annotations: Some(
            rotated
                .filter(|(key, _)| *key == names::ROTATED_FOR_ANNOTATION)
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
        ),
        ..ObjectMeta::default()
    }
}

#[cfg(test)]
impl SecretData {
    /// Sets a value.
    pub(crate) fn set(&mut self, key: &str, value: &[u8]) {
        self.values.insert(key.to_owned(), value.to_vec());
    }

    /// Sets the metadata.
    pub(crate) fn with_metadata(mut self, metadata: ObjectMeta) -> Self {
        self.metadata = metadata;
        self
    }
}

impl fmt::Debug for SecretData {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.values.keys()).finish()
    }
}
