//! `spec.identity`: tokens, the admin user, LDAP and Kerberos.
#![allow(
    clippy::struct_excessive_bools,
    reason = "the fields are those of the Go operator"
)]

use k8s_openapi::api::core::v1::SecretKeySelector;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{defaults, rules, schema};

/// Where the server keeps identities.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[schemars(transform = schema::without_description)]
pub enum IdentityType {
    /// In the control-plane database. The name is historical; nothing is lost at a restart.
    #[default]
    Memory,
}

/// Who may log in, and how.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IdentitySpec {
    /// Only `memory`. Default: `memory`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "memory"))]
    pub r#type: Option<IdentityType>,

    /// Tokens of the REST API. Absent: the operator generates the signing key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwt: Option<JwtSpec>,

    /// The admin user. Absent: the operator generates the initial password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin: Option<AdminSpec>,

    /// Users and groups from an LDAP directory. The server stores this configuration in its database at its
    /// first start; later changes are made in the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ldap: Option<LdapSpec>,

    /// Kerberos for NFS and SMB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kerberos: Option<KerberosSpec>,
}

/// Tokens of the REST API.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JwtSpec {
    /// Secret and key that hold the signing key, at least 32 characters. With `name: ""` the operator generates
    /// one in the Secret `<name>-jwt-secret`.
    #[schemars(schema_with = "schema::secret_key_selector")]
    pub secret_ref: SecretKeySelector,

    /// Life of an access token, as a Go duration, for example `15m`. Default: `15m`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = defaults::ACCESS_TOKEN_DURATION))]
    #[schemars(length(max = 64))]
    #[x_kube(validation = rules::positive_go_duration())]
    pub access_token_duration: Option<String>,

    /// Life of a refresh token, as a Go duration, for example `168h`. Default: `168h` (a week).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = defaults::REFRESH_TOKEN_DURATION))]
    #[schemars(length(max = 64))]
    #[x_kube(validation = rules::positive_go_duration())]
    pub refresh_token_duration: Option<String>,
}

/// The admin user.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdminSpec {
    /// Name of the admin user in the configuration file. The server names it `admin` whatever is written here.
    /// Default: `admin`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = defaults::ADMIN_USERNAME))]
    pub username: Option<String>,

    /// Secret and key that hold the initial password, in clear text, 8 to 72 bytes. Read at the first start only.
    /// Absent: the operator generates one in the Secret `<name>-admin-bootstrap-credentials`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::named_secret_key_selector")]
    pub password_secret_ref: Option<SecretKeySelector>,
}

/// How Windows identities become POSIX ones.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[schemars(transform = schema::without_description)]
pub enum Idmap {
    /// From the directory's `uidNumber` and `gidNumber`.
    #[default]
    Rfc2307,
    /// Computed from the relative identifier (RID).
    Rid,
}

/// Users and groups from an LDAP directory.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::ldap_has_password())]
#[x_kube(validation = rules::ldap_url())]
#[x_kube(validation = rules::ldap_encrypted())]
#[x_kube(validation = rules::ldap_names())]
pub struct LdapSpec {
    /// Use the directory. Needs `bindPasswordSecretRef`. Default: false.
    #[serde(default, skip_serializing_if = "is_false")]
    pub enabled: bool,

    /// URL of the directory: `ldaps://host:636`, or `ldap://host:389` together with `startTLS` or `allowPlaintext`.
    #[schemars(length(max = 2048))]
    pub url: String,

    /// Upgrade an `ldap://` connection to TLS. Default: false.
    #[serde(rename = "startTLS", default, skip_serializing_if = "is_false")]
    pub start_tls: bool,

    /// Allow an `ldap://` connection without TLS: passwords cross the network in clear text. Default: false.
    #[serde(default, skip_serializing_if = "is_false")]
    pub allow_plaintext: bool,

    /// Where searches start, for example `dc=example,dc=com`.
    #[serde(rename = "baseDN")]
    #[schemars(length(max = 4096))]
    pub base_dn: String,

    /// Who searches, for example `cn=dittofs,ou=services,dc=example,dc=com`.
    #[serde(rename = "bindDN")]
    #[schemars(length(max = 4096))]
    pub bind_dn: String,

    /// Secret and key that hold the password of `bindDN`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::named_secret_key_selector")]
    pub bind_password_secret_ref: Option<SecretKeySelector>,

    /// Attribute that holds the login name. Server default: `sAMAccountName`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_attr: Option<String>,

    /// Kerberos realm of these users.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub realm: Option<String>,

    /// Source of POSIX identities: `rfc2307` or `rid`. Server default: `rfc2307`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idmap: Option<Idmap>,

    /// Follow groups in groups. Default: false.
    #[serde(default, skip_serializing_if = "is_false")]
    pub nested_groups: bool,

    /// Path of a CA file that the image itself contains; nothing is mounted for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_cert_file: Option<String>,

    /// Accept any certificate of the directory. For tests only. Default: false.
    #[serde(default, skip_serializing_if = "is_false")]
    pub insecure_skip_verify: bool,
}

/// Kerberos for NFS and SMB.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::kerberos_principal())]
#[x_kube(validation = rules::kerberos_keytab())]
#[x_kube(validation = rules::kerberos_domains())]
#[x_kube(validation = rules::machine_account_named())]
#[x_kube(validation = rules::machine_account_has_credentials())]
pub struct KerberosSpec {
    /// Use Kerberos. Needs `servicePrincipal` and `keytabSecretRef`. Default: false, the rest is then ignored.
    #[serde(default, skip_serializing_if = "is_false")]
    pub enabled: bool,

    /// Principal of the server, for example `nfs/files.example.com@EXAMPLE.COM`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub service_principal: Option<String>,

    /// Realm. Absent: the part of `servicePrincipal` after `@`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub realm: Option<String>,

    /// NetBIOS name of the domain, for example `EXAMPLE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub netbios_domain: Option<String>,

    /// DNS name of the domain. Absent: the realm in lower case.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub dns_domain: Option<String>,

    /// Path of a `krb5.conf` that the image itself contains. Ignored with `krb5ConfSecretRef`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub krb5_conf: Option<String>,

    /// Secret and key that hold the keytab of `servicePrincipal`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::secret_key_selector")]
    pub keytab_secret_ref: Option<SecretKeySelector>,

    /// Secret and key that hold a `krb5.conf`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::secret_key_selector")]
    pub krb5_conf_secret_ref: Option<SecretKeySelector>,

    /// The server's account in Active Directory, for NTLM pass-through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine_account: Option<MachineAccountSpec>,
}

/// The server's account in Active Directory.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MachineAccountSpec {
    /// Use the account. Needs `kerberos.enabled`, `accountName`, and `secretRef` or `keytabSecretRef`.
    /// Default: false.
    #[serde(default, skip_serializing_if = "is_false")]
    pub enabled: bool,

    /// Name of the account, for example `FILES$`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub account_name: Option<String>,

    /// Secret and key that hold the account's password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::secret_key_selector")]
    pub secret_ref: Option<SecretKeySelector>,

    /// Secret and key that hold the account's keytab.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::secret_key_selector")]
    pub keytab_secret_ref: Option<SecretKeySelector>,

    /// Domain controllers, as `host` or `host:port`, in the order in which they are tried.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dc_address: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}
