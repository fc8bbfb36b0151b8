//! `config.yaml`, the server's configuration: keys, order and values of contract section 3.
//!
//! It never contains a secret: those reach the server as variables and mounted files. A value that the server reads from a variable
//! has no placeholder here, because the server binds every key to its variable anyway.

use std::borrow::Cow;

use serde::Serialize;

use super::Error;
use crate::api::{
    DatabaseBackend, DatabaseType, DittoServerSpec, Idmap, KerberosSpec, LdapSpec, LogFormat, LogLevel,
    MachineAccountSpec, defaults,
};
use crate::domain::paths;
use crate::domain::secrets::{CA_KEY, TLS_CERTIFICATE_KEY, TLS_PRIVATE_KEY_KEY};

/// Address on which the server listens: all of the pod's.
const ANY_ADDRESS: &str = "0.0.0.0";

/// Renders the configuration.
///
/// Every text is quoted, so that no YAML version reads it as a number, a boolean, a date or a second key.
///
/// `stays_on_sqlite` keeps the SQLite file whatever database the spec asks for ([`crate::domain::data_home`]).
pub(super) fn render(spec: &DittoServerSpec, stays_on_sqlite: bool) -> Result<String, Error> {
    let options = serde_yaml::ser_options! { quote_all: true };
    let config = Config::of(spec, stays_on_sqlite);
    Ok(serde_yaml::to_string_with_options(&config, options)?)
}

/// The part of the configuration that the server reads at each start: neither LDAP nor Kerberos, which are changed through the API.
pub(super) fn read_at_start(spec: &DittoServerSpec, stays_on_sqlite: bool) -> Result<String, Error> {
    without_ldap(Config {
        kerberos: None,
        ..Config::of(spec, stays_on_sqlite)
    })
}

/// All but LDAP.
pub(super) fn with_kerberos(spec: &DittoServerSpec, stays_on_sqlite: bool) -> Result<String, Error> {
    without_ldap(Config::of(spec, stays_on_sqlite))
}

fn without_ldap(config: Config<'_>) -> Result<String, Error> {
    let options = serde_yaml::ser_options! { quote_all: true };
    let config = Config { ldap: None, ..config };
    Ok(serde_yaml::to_string_with_options(&config, options)?)
}

/// The file. Field order is key order.
#[derive(Serialize)]
struct Config<'a> {
    logging: Logging<'a>,
    shutdown_timeout: String,
    database: Database<'a>,
    controlplane: ControlPlane<'a>,
    admin: Admin<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<Metrics<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ldap: Option<Ldap<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kerberos: Option<Kerberos<'a>>,
}

#[derive(Serialize)]
struct Logging<'a> {
    level: LogLevel,
    format: LogFormat,
    output: &'a str,
}

#[derive(Serialize)]
struct Database<'a> {
    r#type: DatabaseType,
    #[serde(skip_serializing_if = "Option::is_none")]
    sqlite: Option<Sqlite<'a>>,
}

#[derive(Serialize)]
struct Sqlite<'a> {
    path: &'a str,
}

#[derive(Serialize)]
struct ControlPlane<'a> {
    host: &'static str,
    port: i32,
    jwt: Jwt<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<Tls>,
}

#[derive(Serialize)]
struct Jwt<'a> {
    access_token_duration: &'a str,
    refresh_token_duration: &'a str,
}

#[derive(Serialize)]
struct Tls {
    cert_file: String,
    key_file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_ca: Option<String>,
}

#[derive(Serialize)]
struct Admin<'a> {
    username: &'a str,
}

#[derive(Serialize)]
struct Metrics<'a> {
    enabled: bool,
    host: &'static str,
    port: i32,
    path: &'a str,
    auth: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_file: Option<String>,
}

#[derive(Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "the server defines the keys")]
struct Ldap<'a> {
    enabled: bool,
    url: &'a str,
    #[serde(skip_serializing_if = "is_false")]
    start_tls: bool,
    #[serde(skip_serializing_if = "is_false")]
    allow_plaintext: bool,
    base_dn: &'a str,
    bind_dn: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_attr: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    realm: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    idmap: Option<Idmap>,
    #[serde(skip_serializing_if = "is_false")]
    nested_groups: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<LdapTls<'a>>,
}

#[derive(Serialize)]
struct LdapTls<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_cert_file: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "is_false")]
    insecure_skip_verify: bool,
}

#[derive(Serialize)]
struct Kerberos<'a> {
    enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    keytab_path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_principal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    realm: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    netbios_domain: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dns_domain: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    krb5_conf: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    machine_account: Option<MachineAccount<'a>>,
}

#[derive(Serialize)]
struct MachineAccount<'a> {
    enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keytab_path: Option<String>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    dc_address: &'a [String],
}

impl<'a> Config<'a> {
    fn of(spec: &'a DittoServerSpec, stays_on_sqlite: bool) -> Self {
        Self {
            logging: Logging {
                level: spec.log_level(),
                format: spec.log_format(),
                output: spec.log_output(),
            },
            shutdown_timeout: format!("{}s", defaults::SHUTDOWN_TIMEOUT_SECONDS),
            database: Database::of(spec, stays_on_sqlite),
            controlplane: ControlPlane {
                host: ANY_ADDRESS,
                port: spec.api_port(),
                jwt: Jwt {
                    access_token_duration: spec.access_token_duration(),
                    refresh_token_duration: spec.refresh_token_duration(),
                },
                tls: Tls::of(spec),
            },
            admin: Admin {
                username: spec.admin_username(),
            },
            metrics: Metrics::of(spec),
            ldap: spec.ldap().map(Ldap::of),
            kerberos: spec
                .kerberos()
                .map(|kerberos| Kerberos::of(kerberos, spec.machine_account())),
        }
    }
}

impl<'a> Database<'a> {
    fn of(spec: &'a DittoServerSpec, stays_on_sqlite: bool) -> Self {
        let backend = match spec.database_backend() {
            DatabaseBackend::Percona(_) if stays_on_sqlite => DatabaseBackend::Sqlite {
                path: spec.sqlite_path(),
            },
            backend => backend,
        };
        match backend {
            DatabaseBackend::Sqlite { path } => Self {
                r#type: DatabaseType::Sqlite,
                sqlite: Some(Sqlite { path }),
            },
            DatabaseBackend::OwnPostgres(_) | DatabaseBackend::Percona(_) => Self {
                r#type: DatabaseType::Postgres,
                sqlite: None,
            },
        }
    }
}

impl Tls {
    fn of(spec: &DittoServerSpec) -> Option<Self> {
        spec.cert_secret_name().map(|_| Self {
            cert_file: paths::file(paths::TLS, TLS_CERTIFICATE_KEY),
            key_file: paths::file(paths::TLS, TLS_PRIVATE_KEY_KEY),
            client_ca: spec
                .client_ca_secret_name()
                .map(|_| paths::file(paths::TLS_CLIENT_CA, CA_KEY)),
        })
    }
}

impl<'a> Metrics<'a> {
    fn of(spec: &'a DittoServerSpec) -> Option<Self> {
        let token = spec.metrics_token_ref();
        spec.metrics_enabled().then(|| Self {
            enabled: true,
            host: ANY_ADDRESS,
            port: spec.metrics_port(),
            path: spec.metrics_path(),
            auth: if token.is_some() { "token" } else { "none" },
            token_file: token.map(|_| paths::file(paths::METRICS_TOKEN, paths::METRICS_TOKEN_FILE)),
        })
    }
}

impl<'a> Ldap<'a> {
    fn of(ldap: &'a LdapSpec) -> Self {
        let tls = LdapTls {
            ca_cert_file: paths::ldap_ca_file(ldap),
            insecure_skip_verify: ldap.insecure_skip_verify,
        };
        Self {
            enabled: ldap.enabled,
            url: &ldap.url,
            start_tls: ldap.start_tls,
            allow_plaintext: ldap.allow_plaintext,
            base_dn: &ldap.base_dn,
            bind_dn: &ldap.bind_dn,
            user_attr: present(ldap.user_attr.as_ref()),
            realm: present(ldap.realm.as_ref()),
            idmap: ldap.idmap,
            nested_groups: ldap.nested_groups,
            tls: (tls.ca_cert_file.is_some() || tls.insecure_skip_verify).then_some(tls),
        }
    }
}

impl<'a> Kerberos<'a> {
    fn of(kerberos: &'a KerberosSpec, account: Option<&'a MachineAccountSpec>) -> Self {
        let krb5_conf = match kerberos.krb5_conf_ref() {
            Some(_) => Some(paths::krb5_conf()),
            None => present(kerberos.krb5_conf.as_ref()).map(str::to_owned),
        };
        Self {
            enabled: true,
            keytab_path: kerberos.keytab_ref().map(|_| paths::keytab()),
            service_principal: present(kerberos.service_principal.as_ref()),
            realm: present(kerberos.realm.as_ref()),
            netbios_domain: present(kerberos.netbios_domain.as_ref()),
            dns_domain: present(kerberos.dns_domain.as_ref()),
            krb5_conf,
            machine_account: account.map(MachineAccount::of),
        }
    }
}

impl<'a> MachineAccount<'a> {
    fn of(account: &'a MachineAccountSpec) -> Self {
        Self {
            enabled: true,
            account_name: present(account.account_name.as_ref()),
            keytab_path: account.keytab_ref().map(|_| paths::machine_keytab()),
            dc_address: &account.dc_address,
        }
    }
}

/// An empty text counts as absent, as in the Go operator.
fn present(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.is_empty())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}
