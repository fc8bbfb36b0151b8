//! Which Secrets servers use.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::domain::testing;

/// Uses of a server with this spec, as `purpose secret/key who`; a `?` marks an optional one.
fn table(spec: &str) -> Vec<String> {
    let server = testing::server(spec);
    uses(&server)
        .iter()
        .map(|used| {
            let who = match used.origin {
                Origin::User(field) => field,
                Origin::Managed => "managed",
                Origin::Percona => "percona",
            };
            let mark = if used.optional { "?" } else { "" };
            format!("{:?} {}/{}{mark} {who}", used.purpose, used.secret, used.key)
        })
        .collect()
}

const MANAGED: [&str; 2] = [
    "JwtKey files-jwt-secret/jwt-secret managed",
    "AdminPassword files-admin-bootstrap-credentials/password? managed",
];

#[test]
fn a_minimal_server_uses_the_two_managed_secrets() {
    assert_eq!(table(""), MANAGED);
}

#[test]
fn a_signing_key_reference_without_a_name_means_the_managed_one() {
    assert_eq!(table("identity: {jwt: {secretRef: {name: '', key: k}}}"), MANAGED);
}

#[test]
fn the_users_own_secrets_replace_the_managed_ones() {
    let spec = "identity: {jwt: {secretRef: {name: j, key: k, optional: true}}, admin: {passwordSecretRef: {name: a, key: p}}}";
    assert_eq!(
        table(spec),
        [
            "JwtKey j/k spec.identity.jwt.secretRef",
            "AdminPassword a/p spec.identity.admin.passwordSecretRef"
        ]
    );
}

#[test]
fn an_own_postgresql_secret_has_fixed_keys() {
    let field = "spec.database.postgresSecretRef";
    assert_eq!(
        table("database: {postgresSecretRef: {name: pg, key: whatever}}")[2..],
        [
            format!("DatabaseHost pg/host {field}"),
            format!("DatabaseName pg/database {field}"),
            format!("DatabaseUser pg/user {field}"),
            format!("DatabasePassword pg/password {field}"),
            format!("DatabasePort pg/port? {field}"),
            format!("DatabaseSslMode pg/sslmode? {field}"),
            format!("DatabaseCa pg/ca.crt? {field}"),
        ]
    );
}

#[test]
fn percona_gives_the_database_variables_and_perhaps_a_ca() {
    assert_eq!(
        table("percona: {enabled: true}")[2..],
        [
            "DatabaseHost files-postgres-pguser-dittofs/host percona",
            "DatabasePort files-postgres-pguser-dittofs/port percona",
            "DatabaseName files-postgres-pguser-dittofs/dbname percona",
            "DatabaseUser files-postgres-pguser-dittofs/user percona",
            "DatabasePassword files-postgres-pguser-dittofs/password percona",
            "DatabaseCa files-postgres-cluster-cert/ca.crt? percona",
        ]
    );
}

#[test]
fn a_client_ca_is_used_only_with_a_server_certificate() {
    assert_eq!(table("controlPlane: {clientCASecretName: ca}"), MANAGED);
    assert_eq!(
        table("controlPlane: {certSecretName: cert, clientCASecretName: ca}")[2..],
        [
            "TlsCertificate cert/tls.crt spec.controlPlane.certSecretName",
            "TlsKey cert/tls.key spec.controlPlane.certSecretName",
            "ClientCa ca/ca.crt spec.controlPlane.clientCASecretName",
        ]
    );
}

const KERBEROS: &str = "keytabSecretRef: {name: k, key: a}, krb5ConfSecretRef: {name: k, key: b}, \
    machineAccount: {enabled: true, secretRef: {name: k, key: c}, keytabSecretRef: {name: k, key: d}}";

#[test]
fn kerberos_secrets_count_only_while_kerberos_is_enabled() {
    let table_with = |enabled: bool| {
        table(&format!(
            "identity: {{kerberos: {{enabled: {enabled}, {KERBEROS}}}}}"
        ))
    };
    assert_eq!(table_with(false), MANAGED);
    assert_eq!(
        table_with(true)[2..],
        [
            "MachineAccountSecret k/c spec.identity.kerberos.machineAccount.secretRef",
            "Keytab k/a spec.identity.kerberos.keytabSecretRef",
            "Krb5Conf k/b spec.identity.kerberos.krb5ConfSecretRef",
            "MachineAccountKeytab k/d spec.identity.kerberos.machineAccount.keytabSecretRef",
        ]
    );
}

#[test]
fn the_metrics_token_counts_only_while_metrics_are_enabled() {
    assert_eq!(
        table("metrics: {enabled: false, bearerTokenSecret: {name: t, key: k}}"),
        MANAGED
    );
    assert_eq!(
        table("metrics: {enabled: true, bearerTokenSecret: {name: t, key: k}}")[2..],
        ["MetricsToken t/k spec.metrics.bearerTokenSecret"]
    );
}

#[test]
fn the_bind_password_is_passed_on_even_while_ldap_is_disabled() {
    let spec = "identity: {ldap: {url: u, baseDN: b, bindDN: d, bindPasswordSecretRef: {name: l, key: p}}}";
    assert_eq!(
        table(spec)[2..],
        ["LdapBindPassword l/p spec.identity.ldap.bindPasswordSecretRef"]
    );
}

// invariant: 5
#[test]
fn no_value_is_printed() {
    let data = SecretData::new(BTreeMap::from([("key".to_owned(), b"hunter2".to_vec())]));
    let text = format!("{data:?}");
    assert!(
        text.contains("key") && !text.contains("hunter2") && !text.contains("104"),
        "{text}"
    );
}

#[test]
fn only_what_the_server_never_reads_again_or_reloads_needs_no_restart() {
    let every_purpose = [
        Purpose::JwtKey,
        Purpose::AdminPassword,
        Purpose::LdapBindPassword,
        Purpose::Keytab,
        Purpose::Krb5Conf,
        Purpose::MachineAccountSecret,
        Purpose::MachineAccountKeytab,
        Purpose::MetricsToken,
        Purpose::TlsCertificate,
        Purpose::TlsKey,
        Purpose::ClientCa,
        Purpose::LdapCa,
        Purpose::DatabaseHost,
        Purpose::DatabasePort,
        Purpose::DatabaseName,
        Purpose::DatabaseUser,
        Purpose::DatabasePassword,
        Purpose::DatabaseSslMode,
        Purpose::DatabaseCa,
    ];
    let no_restart: BTreeSet<Purpose> = every_purpose
        .into_iter()
        .filter(|purpose| !purpose.is_read_at_start())
        .collect();
    assert_eq!(
        no_restart,
        BTreeSet::from([
            Purpose::AdminPassword,
            Purpose::LdapBindPassword,
            Purpose::LdapCa,
            Purpose::MachineAccountSecret,
            Purpose::TlsCertificate,
            Purpose::TlsKey
        ])
    );
}
