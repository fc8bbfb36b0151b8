//! Tokens, the admin user, LDAP and Kerberos.

use super::Expect::{Accepted, Refused, RefusedBySchema};
use super::{Case, create, update};

/// Tokens and the admin user.
pub const IDENTITY: &[Case] = &[
    create(
        "a managed signing key with its own durations is accepted",
        "{storage: {metadataSize: 10Gi}, identity: {jwt: {secretRef: {name: '', key: ''}, accessTokenDuration: 1.5h, refreshTokenDuration: 720h}}}",
        Accepted,
    ),
    create(
        "tokens without a Secret reference are refused",
        "{storage: {metadataSize: 10Gi}, identity: {jwt: {accessTokenDuration: 15m}}}",
        RefusedBySchema("spec.identity.jwt.secretRef", "Required value"),
    ),
    create(
        "a token duration in days is refused",
        "{storage: {metadataSize: 10Gi}, identity: {jwt: {secretRef: {key: k}, refreshTokenDuration: 7d}}}",
        Refused(
            "spec.identity.jwt.refreshTokenDuration",
            "units are ns, us, ms, s, m and h",
        ),
    ),
    create(
        "a negative token duration is refused",
        "{storage: {metadataSize: 10Gi}, identity: {jwt: {secretRef: {key: k}, accessTokenDuration: -15m}}}",
        Refused("spec.identity.jwt.accessTokenDuration", "above zero"),
    ),
    create(
        "a signing key without a key name is refused",
        "{storage: {metadataSize: 10Gi}, identity: {jwt: {secretRef: {name: jwt, key: ''}}}}",
        Refused("spec.identity.jwt.secretRef.key", "must be a key of the Secret"),
    ),
    create(
        "a Secret reference without key is refused",
        "{storage: {metadataSize: 10Gi}, identity: {jwt: {secretRef: {name: jwt}}}}",
        RefusedBySchema("spec.identity.jwt.secretRef.key", "Required value"),
    ),
    create(
        "an admin password without a Secret is refused",
        "{storage: {metadataSize: 10Gi}, identity: {admin: {passwordSecretRef: {name: '', key: password}}}}",
        Refused(
            "spec.identity.admin.passwordSecretRef.name",
            "must name a Secret: set it, or remove the whole reference",
        ),
    ),
    create(
        "a CA of the directory in a Secret is accepted",
        "{storage: {metadataSize: 10Gi}, identity: {ldap: {url: 'ldaps://ad', baseDN: dc=x, bindDN: cn=y, caSecretRef: {name: ad, key: ca.crt}}}}",
        Accepted,
    ),
    create(
        "two sources of the CA of the directory are refused",
        "{storage: {metadataSize: 10Gi}, identity: {ldap: {url: 'ldaps://ad', baseDN: dc=x, bindDN: cn=y, caCertFile: /ca.pem, caSecretRef: {name: ad, key: ca.crt}}}}",
        Refused("spec.identity.ldap.caSecretRef", "remove one of them"),
    ),
    create(
        "a Secret name with a slash is refused",
        "{storage: {metadataSize: 10Gi}, identity: {admin: {passwordSecretRef: {name: other/secret, key: password}}}}",
        Refused(
            "spec.identity.admin.passwordSecretRef.name",
            "must be the name of a Secret",
        ),
    ),
    create(
        "another identity store is refused",
        "{storage: {metadataSize: 10Gi}, identity: {type: ldap}}",
        RefusedBySchema("spec.identity.type", "supported values: \"memory\""),
    ),
];

/// LDAP.
pub const LDAP: &[Case] = &[
    create(
        "LDAP over TLS is accepted",
        "{storage: {metadataSize: 10Gi}, identity: {ldap: {enabled: true, url: 'ldaps://ad.example.com:636', baseDN: 'dc=x', bindDN: 'cn=y', bindPasswordSecretRef: {name: ldap, key: password}}}}",
        Accepted,
    ),
    create(
        "LDAP without password is refused",
        "{storage: {metadataSize: 10Gi}, identity: {ldap: {enabled: true, url: 'ldaps://ad', baseDN: 'dc=x', bindDN: 'cn=y'}}}",
        Refused(
            "spec.identity.ldap.bindPasswordSecretRef",
            "with the password of bindDN",
        ),
    ),
    create(
        "LDAP in clear text without allowPlaintext is refused",
        "{storage: {metadataSize: 10Gi}, identity: {ldap: {enabled: true, url: 'ldap://ad', baseDN: 'dc=x', bindDN: 'cn=y', bindPasswordSecretRef: {name: ldap, key: password}}}}",
        Refused(
            "spec.identity.ldap.url",
            "use ldaps://, or set spec.identity.ldap.startTLS: true",
        ),
    ),
    create(
        "LDAP with StartTLS is accepted",
        "{storage: {metadataSize: 10Gi}, identity: {ldap: {enabled: true, url: 'ldap://ad:389', startTLS: true, baseDN: 'dc=x', bindDN: 'cn=y', bindPasswordSecretRef: {name: ldap, key: password}}}}",
        Accepted,
    ),
    create(
        "LDAP in clear text with allowPlaintext is accepted",
        "{storage: {metadataSize: 10Gi}, identity: {ldap: {enabled: true, url: 'ldap://ad', allowPlaintext: true, baseDN: 'dc=x', bindDN: 'cn=y', bindPasswordSecretRef: {name: ldap, key: password}}}}",
        Accepted,
    ),
    create(
        "an LDAP URL of another scheme is refused",
        "{storage: {metadataSize: 10Gi}, identity: {ldap: {enabled: true, url: 'https://ad', baseDN: 'dc=x', bindDN: 'cn=y', bindPasswordSecretRef: {name: ldap, key: password}}}}",
        Refused(
            "spec.identity.ldap.url",
            "must be ldaps://<host> or ldap://<host>",
        ),
    ),
    create(
        "LDAP without a base is refused",
        "{storage: {metadataSize: 10Gi}, identity: {ldap: {enabled: true, url: 'ldaps://ad', baseDN: '', bindDN: 'cn=y', bindPasswordSecretRef: {name: ldap, key: password}}}}",
        Refused("spec.identity.ldap.baseDN", "must not be empty"),
    ),
    create(
        "a disabled LDAP block may be incomplete",
        "{storage: {metadataSize: 10Gi}, identity: {ldap: {url: 'later', baseDN: '', bindDN: ''}}}",
        Accepted,
    ),
    update(
        "a stored LDAP block without password does not prevent another edit",
        "{storage: {metadataSize: 10Gi}, identity: {ldap: {enabled: true, url: 'ldaps://ad', baseDN: 'dc=x', bindDN: 'cn=y'}}}",
        "{storage: {metadataSize: 10Gi}, identity: {ldap: {enabled: true, url: 'ldaps://ad2', baseDN: 'dc=x', bindDN: 'cn=y'}}}",
        Accepted,
    ),
];

/// Kerberos.
pub const KERBEROS: &[Case] = &[
    create(
        "Kerberos with a machine account is accepted",
        "{storage: {metadataSize: 10Gi}, identity: {kerberos: {enabled: true, servicePrincipal: 'nfs/f@X', realm: EXAMPLE.COM, netbiosDomain: EXAMPLE, dnsDomain: example.com, keytabSecretRef: {name: k, key: keytab}, machineAccount: {enabled: true, accountName: 'F$', secretRef: {name: m, key: p}}}}}",
        Accepted,
    ),
    create(
        "Kerberos without principal is refused",
        "{storage: {metadataSize: 10Gi}, identity: {kerberos: {enabled: true, keytabSecretRef: {name: k, key: keytab}}}}",
        Refused(
            "spec.identity.kerberos.servicePrincipal",
            "for example nfs/files.example.com@EXAMPLE.COM",
        ),
    ),
    create(
        "Kerberos without keytab is refused",
        "{storage: {metadataSize: 10Gi}, identity: {kerberos: {enabled: true, servicePrincipal: 'nfs/f@X', keytabSecretRef: {name: '', key: keytab}}}}",
        Refused("spec.identity.kerberos.keytabSecretRef", "set its name and key"),
    ),
    create(
        "a krb5.conf Secret without key is refused",
        "{storage: {metadataSize: 10Gi}, identity: {kerberos: {krb5ConfSecretRef: {name: k, key: ''}}}}",
        Refused(
            "spec.identity.kerberos.krb5ConfSecretRef.key",
            "must be a key of the Secret",
        ),
    ),
    create(
        "a NetBIOS domain with a dot is refused",
        "{storage: {metadataSize: 10Gi}, identity: {kerberos: {enabled: true, servicePrincipal: 'nfs/f@X', netbiosDomain: EXAMPLE.COM, keytabSecretRef: {name: k, key: keytab}}}}",
        Refused("spec.identity.kerberos.realm", "netbiosDomain no '.'"),
    ),
    create(
        "a machine account without name is refused",
        "{storage: {metadataSize: 10Gi}, identity: {kerberos: {enabled: true, servicePrincipal: 'nfs/f@X', keytabSecretRef: {name: k, key: keytab}, machineAccount: {enabled: true, secretRef: {name: m, key: p}}}}}",
        Refused(
            "spec.identity.kerberos.machineAccount.accountName",
            "for example FILES$",
        ),
    ),
    create(
        "a machine account without password and keytab is refused",
        "{storage: {metadataSize: 10Gi}, identity: {kerberos: {enabled: true, servicePrincipal: 'nfs/f@X', keytabSecretRef: {name: k, key: keytab}, machineAccount: {enabled: true, accountName: 'F$'}}}}",
        Refused(
            "spec.identity.kerberos.machineAccount.secretRef",
            "with the account's password or keytab",
        ),
    ),
    create(
        "a disabled Kerberos block may be incomplete",
        "{storage: {metadataSize: 10Gi}, identity: {kerberos: {machineAccount: {enabled: true}}}}",
        Accepted,
    ),
];
