//! What the server does with the value of a Secret.

use strum::EnumIter;

/// Variable of the server's container with `sslmode` of the database connection.
pub const SSL_MODE_VARIABLE: &str = "DITTOFS_DATABASE_POSTGRES_SSLMODE";

/// Variable of the server's container with the file of the CA of the database's certificate.
pub const SSL_ROOT_CERT_VARIABLE: &str = "DITTOFS_DATABASE_POSTGRES_SSL_ROOT_CERT";

/// What the server does with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter)]
pub enum Purpose {
    /// Signs access tokens. Read at start; at least 32 characters.
    JwtKey,
    /// Password of the first `admin` user. Read at the very first start only; 8 to 72 bytes.
    AdminPassword,
    /// Binds to the LDAP directory. Read at start.
    LdapBindPassword,
    /// CA of the LDAP directory. The server reads it at each connection.
    LdapCa,
    /// Kerberos service keytab. Read at start.
    Keytab,
    /// Kerberos client configuration. Read at start.
    Krb5Conf,
    /// Password of the machine account. Read at the first start; then the server gets it through its API.
    MachineAccountSecret,
    /// Keytab of the machine account. Read at start.
    MachineAccountKeytab,
    /// Bearer token of the metrics endpoint. Read at start.
    MetricsToken,
    /// Server certificate. The server reloads it without a restart.
    TlsCertificate,
    /// Key of the server certificate. The server reloads it without a restart.
    TlsKey,
    /// CA of client certificates. Read at start.
    ClientCa,
    /// PostgreSQL host. Read at start, like all values of the database.
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
    /// CA of the database's server certificate. Used only if the server verifies it.
    DatabaseCa,
}

impl Purpose {
    /// Whether the running server must restart to use a new value (contract, section 11).
    ///
    /// It ignores the initial admin password after its first start, reloads its certificate, and reads the CA of the directory
    /// at each connection. It gets new passwords of LDAP and of the machine account through its API.
    #[must_use]
    pub fn is_read_at_start(self) -> bool {
        let is_read_later = matches!(
            self,
            Self::AdminPassword
                | Self::TlsCertificate
                | Self::TlsKey
                | Self::LdapCa
                | Self::LdapBindPassword
                | Self::MachineAccountSecret
        );
        !is_read_later
    }

    /// Whether only readers of the Secret may know the value. Hosts, names and certificates are not confidential.
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
            | Self::LdapCa
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
            | Self::LdapCa
            | Self::DatabaseCa => None,
        }
    }
}
