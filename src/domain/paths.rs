//! Paths in the server's container. The mounts and the configuration must agree on them (contract, section 2.3).

use std::borrow::Cow;

use crate::api::{LdapSpec, names};
use crate::domain::secrets::CA_KEY;

/// Mount of the ConfigMap.
pub(super) const CONFIG: &str = "/config";
/// The configuration file, an argument of the server.
pub(super) const CONFIG_FILE: &str = "/config/config.yaml";
/// Mount of the volume `controlplane`.
pub(super) const CONTROL_PLANE: &str = names::CONTROL_PLANE_MOUNT;
/// Mount of the volume `metadata`.
pub(super) const METADATA: &str = names::METADATA_MOUNT;
/// Mount of the volume `content`.
pub(super) const CONTENT: &str = names::CONTENT_MOUNT;
/// Mount of the server's certificate.
pub(super) const TLS: &str = "/tls";
/// Mount of the CA of client certificates.
pub(super) const TLS_CLIENT_CA: &str = "/tls-client-ca";
/// Mount of the scrapers' token.
pub(super) const METRICS_TOKEN: &str = "/metrics-token";
/// Mount of the service keytab.
pub(super) const KEYTAB: &str = "/kerberos";
/// Mount of the Kerberos client configuration.
pub(super) const KRB5_CONF: &str = "/kerberos-krb5";
/// Mount of the machine account's keytab.
pub(super) const MACHINE_KEYTAB: &str = "/kerberos-machine";
/// Mount of the CA of the database.
pub(super) const POSTGRES_CA: &str = "/postgres-ca";
/// Mount of the CA of the directory.
pub(super) const LDAP_CA: &str = "/ldap-ca";
/// The server's directory for temporary files.
pub(super) const TEMPORARY: &str = "/tmp";

/// File of the scrapers' token in its mount.
pub(super) const METRICS_TOKEN_FILE: &str = "token";
/// File of the service keytab in its mount.
pub(super) const KEYTAB_FILE: &str = "dittofs.keytab";
/// File of the Kerberos client configuration in its mount.
pub(super) const KRB5_CONF_FILE: &str = "krb5.conf";
/// File of the machine account's keytab in its mount.
pub(super) const MACHINE_KEYTAB_FILE: &str = "machine.keytab";

/// Full path of a file in a mount.
pub(super) fn file(mount: &str, file: &str) -> String {
    format!("{mount}/{file}")
}

/// The file with the CA of the directory: a mounted Secret, or a file that the user provides.
#[must_use]
pub fn ldap_ca_file(ldap: &LdapSpec) -> Option<Cow<'_, str>> {
    let is_mounted = ldap
        .ca_secret_ref
        .as_ref()
        .is_some_and(|reference| !reference.name.is_empty());
    if is_mounted {
        return Some(file(LDAP_CA, CA_KEY).into());
    }
    let of_user = ldap.ca_cert_file.as_deref().filter(|file| !file.is_empty());
    of_user.map(Cow::from)
}

/// The service keytab.
#[must_use]
pub fn keytab() -> String {
    file(KEYTAB, KEYTAB_FILE)
}

/// The Kerberos client configuration.
#[must_use]
pub fn krb5_conf() -> String {
    file(KRB5_CONF, KRB5_CONF_FILE)
}

/// The machine account's keytab.
#[must_use]
pub fn machine_keytab() -> String {
    file(MACHINE_KEYTAB, MACHINE_KEYTAB_FILE)
}
