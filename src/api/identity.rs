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

/// Where the server stores identities.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[schemars(transform = schema::without_description)]
pub enum IdentityType {
    /// In the control-plane database. The name is historical: identities survive a restart.
    #[default]
    Memory,
}

/// Authentication: tokens, the admin user, LDAP and Kerberos.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IdentitySpec {
    /// Must be `memory`, which means the control-plane database. Default: `memory`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "memory"))]
    pub r#type: Option<IdentityType>,

    /// Tokens of the REST API. Absent: the operator generates the signing key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwt: Option<JwtSpec>,

    /// The admin user. Absent: the operator generates the initial password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin: Option<AdminSpec>,

    /// Users and groups from an LDAP directory. The operator writes this configuration through the API of the server, without a
    /// restart, and writes it again if it was changed there. If the block is removed, the operator switches LDAP off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ldap: Option<LdapSpec>,

    /// Kerberos for NFS and SMB. The operator writes it through the API of the server as well, and a change restarts the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kerberos: Option<KerberosSpec>,
}

/// Tokens of the REST API.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JwtSpec {
    /// Secret and key with the signing key, at least 32 characters. With `name: ""` the operator generates one in the
    /// Secret `<name>-jwt-secret`.
    #[schemars(schema_with = "schema::secret_key_selector")]
    pub secret_ref: SecretKeySelector,

    /// Lifetime of an access token, as a Go duration, for example `15m`. Default: `15m`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = defaults::ACCESS_TOKEN_DURATION))]
    #[schemars(length(max = 64))]
    #[x_kube(validation = rules::positive_go_duration())]
    pub access_token_duration: Option<String>,

    /// Lifetime of a refresh token, as a Go duration, for example `168h`. Default: `168h` (a week).
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
    /// Name of the admin user in the configuration file. The server ignores it: the user is always `admin`.
    /// Default: `admin`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = defaults::ADMIN_USERNAME))]
    pub username: Option<String>,

    /// Secret and key with the initial password, in clear text, 8 to 72 bytes. The server reads it at its first start
    /// only. Absent: the operator generates one in the Secret `<name>-admin-bootstrap-credentials`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::named_secret_key_selector")]
    pub password_secret_ref: Option<SecretKeySelector>,
}

/// How Windows identities are mapped to POSIX identities.
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
#[x_kube(validation = rules::identity::ldap_has_password())]
#[x_kube(validation = rules::identity::ldap_url())]
#[x_kube(validation = rules::identity::ldap_encrypted())]
#[x_kube(validation = rules::identity::ldap_names())]
#[x_kube(validation = rules::identity::ldap_one_ca())]
pub struct LdapSpec {
    /// Enable LDAP. Needs `bindPasswordSecretRef`. Default: false.
    #[serde(default, skip_serializing_if = "is_false")]
    pub enabled: bool,

    /// URL of the directory: `ldaps://host:636`, or `ldap://host:389` with `startTLS` or `allowPlaintext`.
    #[schemars(length(max = 2048))]
    pub url: String,

    /// Upgrade an `ldap://` connection to TLS. Default: false.
    #[serde(rename = "startTLS", default, skip_serializing_if = "is_false")]
    pub start_tls: bool,

    /// Allow an `ldap://` connection without TLS: passwords cross the network in clear text. Default: false.
    #[serde(default, skip_serializing_if = "is_false")]
    pub allow_plaintext: bool,

    /// Base DN of searches, for example `dc=example,dc=com`.
    #[serde(rename = "baseDN")]
    #[schemars(length(max = 4096))]
    pub base_dn: String,

    /// DN of the user that searches, for example `cn=dittofs,ou=services,dc=example,dc=com`.
    #[serde(rename = "bindDN")]
    #[schemars(length(max = 4096))]
    pub bind_dn: String,

    /// Secret and key with the password of `bindDN`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::named_secret_key_selector")]
    pub bind_password_secret_ref: Option<SecretKeySelector>,

    /// Attribute with the login name. Server default: `sAMAccountName`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_attr: Option<String>,

    /// Kerberos realm of these users.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub realm: Option<String>,

    /// Source of POSIX identities. `rfc2307`: the attributes `uidNumber` and `gidNumber` of the directory. `rid`: computed
    /// from the relative identifier. Server default: `rfc2307`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idmap: Option<Idmap>,

    /// Resolve nested groups. Default: false.
    #[serde(default, skip_serializing_if = "is_false")]
    pub nested_groups: bool,

    /// Secret and key with the CA of the directory, in PEM format. The operator mounts it; a new CA in the Secret needs no restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::named_secret_key_selector")]
    pub ca_secret_ref: Option<SecretKeySelector>,

    /// Path of a CA file in the image, or on a volume of `spec.podTemplate`. Cannot be used together with `caSecretRef`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_cert_file: Option<String>,

    /// Do not verify the certificate of the directory. For tests only. Default: false.
    #[serde(default, skip_serializing_if = "is_false")]
    pub insecure_skip_verify: bool,
}

/// Kerberos for NFS and SMB.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::identity::kerberos_principal())]
#[x_kube(validation = rules::identity::kerberos_keytab())]
#[x_kube(validation = rules::identity::kerberos_domains())]
#[x_kube(validation = rules::identity::machine_account_named())]
#[x_kube(validation = rules::identity::machine_account_has_credentials())]
pub struct KerberosSpec {
    /// Enable Kerberos. Needs `servicePrincipal` and `keytabSecretRef`. If false, the other fields are ignored. Default:
    /// false.
    #[serde(default, skip_serializing_if = "is_false")]
    pub enabled: bool,

    /// Principal of the server, for example `nfs/files.example.com@EXAMPLE.COM`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub service_principal: Option<String>,

    /// Kerberos realm. Absent: the part of `servicePrincipal` after `@`.
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

    /// Path of a `krb5.conf` in the pod. Ignored if `krb5ConfSecretRef` is set. Default: `/etc/krb5.conf`, which the image of DittoFS
    /// does not have; without the file the server does not start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub krb5_conf: Option<String>,

    /// Secret and key with the keytab of `servicePrincipal`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::secret_key_selector")]
    pub keytab_secret_ref: Option<SecretKeySelector>,

    /// Secret and key with a `krb5.conf`. The server needs one: the image of DittoFS has none.
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
    /// Enable the account. Needs `kerberos.enabled`, `accountName`, and `secretRef` or `keytabSecretRef`. DittoFS 0.29.0 also needs
    /// `secretRef`, `realm` and `netbiosDomain`: without one of them it starts, and NTLM pass-through stays off. Default: false.
    #[serde(default, skip_serializing_if = "is_false")]
    pub enabled: bool,

    /// Name of the account, for example `FILES$`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub account_name: Option<String>,

    /// Secret and key with the password of the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::secret_key_selector")]
    pub secret_ref: Option<SecretKeySelector>,

    /// Secret and key with the keytab of the account. DittoFS 0.29.0 does not use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::secret_key_selector")]
    pub keytab_secret_ref: Option<SecretKeySelector>,

    /// Domain controllers, as `host` or `host:port`. The server tries them in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dc_address: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}
