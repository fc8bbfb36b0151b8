//! Fields that admission refuses today, in stored objects.

use super::*;

#[test]
fn a_name_that_fits_no_child_builds_nothing() {
    for name in [&"a".repeat(53), "1files", "files.one", "Files", "files-", ""] {
        let mut observed = world("");
        let mut server: DittoServer = server("");
        server.metadata.name = Some(name.into());
        observed.server = Arc::new(server);
        assert_eq!(
            summary(&observed),
            (None, vec!["InvalidName Terminal Config".into()]),
            "{name}"
        );
    }
}

#[test]
fn a_stored_server_of_52_characters_keeps_working() {
    let mut observed = world("");
    let mut server: DittoServer = server("");
    server.metadata.name = Some("a".repeat(52));
    observed.server = Arc::new(server);
    assert!(validate(&observed).valid.is_some());
}

#[test]
fn stored_fields_on_which_the_server_exits_are_terminal() {
    let table = [
        (
            "identity: {jwt: {secretRef: {name: '', key: k}, accessTokenDuration: soon}}",
            "accessTokenDuration",
        ),
        (
            "identity: {jwt: {secretRef: {name: '', key: k}, refreshTokenDuration: 7d}}",
            "refreshTokenDuration",
        ),
        ("metrics: {enabled: true, port: 8080}", "spec.metrics.port"),
        (
            "metrics: {enabled: true, port: 65536}",
            "spec.metrics.port is 65536",
        ),
        ("controlPlane: {port: 65536}", "spec.controlPlane.port is 65536"),
        ("controlPlane: {port: -1}", "spec.controlPlane.port is -1"),
        (
            "identity: {ldap: {enabled: true, url: 'ldaps://d', baseDN: b, bindDN: c}}",
            "bindPasswordSecretRef",
        ),
        (
            "identity: {ldap: {enabled: true, url: 'ldap://d', baseDN: b, bindDN: c, bindPasswordSecretRef: {name: s, key: k}}}",
            "startTLS",
        ),
        (
            "identity: {ldap: {enabled: true, url: 'http://d', baseDN: b, bindDN: c, bindPasswordSecretRef: {name: s, key: k}}}",
            "ldaps://",
        ),
    ];
    for (spec, part) in table {
        let observed = world(spec);
        assert_eq!(
            summary(&observed),
            (CLOSED, vec!["InvalidSpec Terminal Config".into()]),
            "{spec}"
        );
        assert!(
            message(&observed).contains(part),
            "{part} in {}",
            message(&observed)
        );
    }
}

#[test]
fn two_databases_at_once_are_refused() {
    let observed = world(&format!("{PERCONA}\n  {OWN_POSTGRES}"));
    assert_eq!(
        summary(&observed),
        (CLOSED, vec!["ConflictingDatabases Terminal Config".into()])
    );
}
