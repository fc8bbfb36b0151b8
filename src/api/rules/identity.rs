//! Rules across fields of `spec.identity`.

use kube::core::Rule;

use super::ratcheted;

/// LDAP has a bind password. Without one the server exits.
pub fn ldap_has_password() -> Rule {
    ratcheted(
        "!has(self.enabled) || !self.enabled || has(self.bindPasswordSecretRef)",
        ".bindPasswordSecretRef",
        "spec.identity.ldap.enabled needs spec.identity.ldap.bindPasswordSecretRef with the password of bindDN: set it, or disable LDAP",
    )
}

/// The URL is an LDAP URL. With any other the server exits.
pub fn ldap_url() -> Rule {
    ratcheted(
        r"!has(self.enabled) || !self.enabled || self.url.matches('^(?i:ldaps?)://[^/\\s]+(/\\S*)?$')",
        ".url",
        "spec.identity.ldap.url must be ldaps://<host> or ldap://<host>, for example ldaps://ad.example.com:636",
    )
}

/// LDAP is encrypted, unless clear text is allowed. Otherwise the server exits.
pub fn ldap_encrypted() -> Rule {
    ratcheted(
        "!has(self.enabled) || !self.enabled || !self.url.matches('^(?i:ldap)://') || (has(self.startTLS) && self.startTLS) || (has(self.allowPlaintext) && self.allowPlaintext)",
        ".url",
        "spec.identity.ldap.url is ldap://, which sends passwords in clear text: use ldaps://, or set spec.identity.ldap.startTLS: true (or allowPlaintext: true to accept clear text)",
    )
}

/// LDAP has a base DN and a bind DN. Without them the server exits.
pub fn ldap_names() -> Rule {
    ratcheted(
        "!has(self.enabled) || !self.enabled || (self.baseDN != '' && self.bindDN != '')",
        ".baseDN",
        "spec.identity.ldap.baseDN and spec.identity.ldap.bindDN must not be empty, for example dc=example,dc=com",
    )
}

/// LDAP has one CA.
pub fn ldap_one_ca() -> Rule {
    ratcheted(
        "!has(self.caSecretRef) || !has(self.caCertFile) || self.caCertFile == ''",
        ".caSecretRef",
        "spec.identity.ldap.caSecretRef and spec.identity.ldap.caCertFile cannot be used together, because the server reads one file: remove one of them",
    )
}

/// Kerberos needs a principal.
pub fn kerberos_principal() -> Rule {
    ratcheted(
        "!has(self.enabled) || !self.enabled || (has(self.servicePrincipal) && self.servicePrincipal != '')",
        ".servicePrincipal",
        "spec.identity.kerberos.enabled needs spec.identity.kerberos.servicePrincipal, for example nfs/files.example.com@EXAMPLE.COM",
    )
}

/// Kerberos needs a keytab.
pub fn kerberos_keytab() -> Rule {
    ratcheted(
        "!has(self.enabled) || !self.enabled || (has(self.keytabSecretRef) && has(self.keytabSecretRef.name) && self.keytabSecretRef.name != '')",
        ".keytabSecretRef",
        "spec.identity.kerberos.enabled needs spec.identity.kerberos.keytabSecretRef with the keytab of servicePrincipal: set its name and key",
    )
}

/// Realm and domains do not contain separators. Otherwise the server exits.
pub fn kerberos_domains() -> Rule {
    ratcheted(
        r"!has(self.enabled) || !self.enabled || ((!has(self.realm) || !self.realm.matches('[@/\\s]')) && (!has(self.dnsDomain) || !self.dnsDomain.matches('[@/\\s]')) && (!has(self.netbiosDomain) || !self.netbiosDomain.matches('[@/.\\s]')))",
        ".realm",
        "spec.identity.kerberos.realm, dnsDomain and netbiosDomain must not contain '@', '/' or spaces, and netbiosDomain no '.': for example EXAMPLE.COM, example.com and EXAMPLE",
    )
}

/// An enabled machine account has a name.
pub fn machine_account_named() -> Rule {
    ratcheted(
        "!has(self.enabled) || !self.enabled || !has(self.machineAccount) || !has(self.machineAccount.enabled) || !self.machineAccount.enabled || (has(self.machineAccount.accountName) && self.machineAccount.accountName != '')",
        ".machineAccount.accountName",
        "spec.identity.kerberos.machineAccount.enabled needs spec.identity.kerberos.machineAccount.accountName, for example FILES$",
    )
}

/// An enabled machine account has credentials.
pub fn machine_account_has_credentials() -> Rule {
    ratcheted(
        "!has(self.enabled) || !self.enabled || !has(self.machineAccount) || !has(self.machineAccount.enabled) || !self.machineAccount.enabled || (has(self.machineAccount.secretRef) && has(self.machineAccount.secretRef.name) && self.machineAccount.secretRef.name != '') || (has(self.machineAccount.keytabSecretRef) && has(self.machineAccount.keytabSecretRef.name) && self.machineAccount.keytabSecretRef.name != '')",
        ".machineAccount.secretRef",
        "spec.identity.kerberos.machineAccount.enabled needs spec.identity.kerberos.machineAccount.secretRef or keytabSecretRef, with the account's password or keytab",
    )
}
