//! Paths in the server's container. The mounts and the configuration must agree on them (contract, section 2.3).

use crate::api::names;

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
