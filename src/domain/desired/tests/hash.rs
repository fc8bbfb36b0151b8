//! What changes the config hash, and what does not: a pod restarts exactly when its hash changes.

use proptest::prelude::*;

use super::manifests::EVERYTHING;
use crate::api::{DittoServerStatus, IdentityProviderStatus, names};
use crate::domain::desired::{Workload, config, desired, hash};
use crate::domain::observed::{Observed, Read};
use crate::domain::secrets::{self, Origin, Purpose, SecretUse};
use crate::domain::server_settings::kerberos;
use crate::domain::settings::Settings;
use crate::domain::testing::{self, valid};
use crate::domain::validate::PodGate;

fn hash_of(observed: &Observed) -> String {
    match desired(&valid(observed, PodGate::Open), &Settings::default())
        .expect("children")
        .workload
    {
        Workload::Run { config_hash, .. } => config_hash,
        other => panic!("the pod would not run: {other:?}"),
    }
}

const DATABASES: [&str; 2] = [
    "percona: {enabled: true}",
    "database: {postgresSecretRef: {name: pg, key: host}}",
];

#[test]
fn it_is_a_sha_256_in_hex() {
    let hash = hash_of(&testing::ready(""));
    assert_eq!(hash.len(), 64);
    assert!(
        hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')),
        "{hash}"
    );
}

// invariant: 4
#[test]
fn it_is_the_same_from_release_to_release() {
    let uses = [use_of(Purpose::JwtKey, "s", "k")];
    assert_eq!(
        hash::config_hash("config", None, &uses, |_| Some(b"value")),
        // printf of the parts, each behind its length as 8 bytes, little end first, through sha256sum.
        "22a1b34f37719052579953b293ca8e5d5ee616283c9bccb4639966db84bc0e8e"
    );
}

// invariant: 4
#[test]
fn every_secret_that_the_server_reads_at_start_changes_it_and_no_other() {
    let mutual_tls = "controlPlane: {certSecretName: cert, clientCASecretName: ca}";
    for spec in [EVERYTHING, mutual_tls].into_iter().chain(DATABASES) {
        let observed = testing::ready(spec);
        for used in secrets::uses(&observed.server) {
            let mut rotated = observed.clone();
            testing::set(&mut rotated, &used.secret, &used.key, b"another value");
            let changed = hash_of(&rotated) != hash_of(&observed);
            assert_eq!(changed, used.purpose.is_read_at_start(), "{used:?}");
        }
    }
}

#[test]
fn an_optional_value_that_comes_changes_it() {
    let observed = testing::ready(DATABASES[1]);
    let mut without = observed.clone();
    without.secrets.insert("pg".into(), Read::Missing);
    for key in ["host", "database", "user", "password"] {
        let used = secrets::uses(&observed.server)
            .into_iter()
            .find(|used| used.key == key)
            .unwrap();
        testing::set(&mut without, "pg", key, &testing::accepted_value(used.purpose));
    }
    assert_ne!(hash_of(&without), hash_of(&observed));
}

#[test]
fn keys_that_the_server_does_not_use_do_not_change_it() {
    let observed = testing::ready(DATABASES[1]);
    let mut more = observed.clone();
    testing::set(&mut more, "pg", "connection-string", b"postgres://");
    assert_eq!(hash_of(&more), hash_of(&observed));
}

#[test]
fn a_secret_that_this_pass_creates_counts_as_the_next_pass_will_read_it() {
    let before = testing::nothing("");
    let mut after = before.clone();
    let key = before.fresh.jwt_key.clone();
    testing::set(&mut after, "files-jwt-secret", "jwt-secret", key.as_bytes());
    assert_eq!(hash_of(&before), hash_of(&after));
}

#[test]
fn fresh_values_do_not_matter_where_the_secret_is_there() {
    let observed = testing::running("");
    let mut next = observed.clone();
    next.fresh.jwt_key = "another".into();
    assert_eq!(hash_of(&next), hash_of(&observed));
}

#[test]
fn what_the_server_does_not_read_does_not_change_it() {
    let plain = hash_of(&testing::ready(""));
    for spec in [
        "replicas: 0",
        "image: marmos91c/dittofs:v1",
        "service: {type: LoadBalancer, annotations: {a: b}}",
        "adapterServices: {type: ClusterIP}",
        "adapterDiscovery: {pollingInterval: 1m}",
        "snapshotPolicies: [{share: /a, interval: '@daily'}]",
        "metrics: {enabled: false, port: 9999}",
        "resources: {limits: {memory: 1Gi}}",
        "storage: {metadataSize: 20Gi, contentSize: 1Gi}",
        "terminationGracePeriodSeconds: 90",
        "identity: {admin: {passwordSecretRef: {name: own, key: p}}}",
        "identity: {ldap: {url: 'ldaps://l', baseDN: b, bindDN: d}}",
    ] {
        assert_eq!(hash_of(&testing::ready(spec)), plain, "{spec}");
    }
}

#[test]
fn what_the_server_reads_changes_it() {
    let plain = hash_of(&testing::ready(""));
    for spec in [
        "controlPlane: {port: 8081}",
        "metrics: {enabled: true}",
        "logging: {level: DEBUG}",
        "database: {sqlite: {path: /data/controlplane/b.db}}",
        "identity: {jwt: {secretRef: {name: '', key: k}, accessTokenDuration: 1m}}",
        DATABASES[0],
        DATABASES[1],
    ] {
        assert_ne!(hash_of(&testing::ready(spec)), plain, "{spec}");
    }
}

const LDAP: &str = "identity: {ldap: {enabled: true, url: 'ldaps://l', baseDN: b, bindDN: d, bindPasswordSecretRef: {name: l, key: p}}}";

// invariant: 4
#[test]
fn a_template_with_the_hash_of_an_earlier_operator_keeps_it_until_something_that_it_covers_changes() {
    let with_ldap = |observed: &Observed| {
        let config = config::render(&observed.server.spec, false).unwrap();
        let uses = secrets::uses(&observed.server);
        hash::hash_with_ldap(&config, &uses, |used| observed.value(used))
    };
    let with_kerberos = |observed: &Observed| {
        let config = config::with_kerberos(&observed.server.spec, false).unwrap();
        let uses = secrets::uses(&observed.server);
        hash::hash_with_kerberos(&config, &uses, |used| observed.value(used))
    };
    keeps_the_former_hash(LDAP, "l", "p", with_ldap);
    keeps_the_former_hash(KERBEROS, "m", "p", with_kerberos);
    keeps_the_former_hash(KERBEROS, "m", "p", with_ldap);
}

/// `secret` and `key` are those of a value that the former hash covers and today's does not.
fn keeps_the_former_hash(spec: &str, secret: &str, key: &str, former: impl Fn(&Observed) -> String) {
    let mut observed = testing::running(spec);
    let own = hash_of(&observed);
    let former = former(&observed);
    assert_ne!(own, former);
    set_live_hash(&mut observed, &former);
    assert_eq!(hash_of(&observed), former, "an upgrade restarts nothing");
    set_applied(&mut observed, None);
    assert_eq!(hash_of(&observed), former, "nor does what the operator learns");
    testing::set(&mut observed, secret, key, b"another password");
    assert_eq!(hash_of(&observed), own, "the first change brings the new hash");
    set_live_hash(&mut observed, &own);
    testing::set(&mut observed, secret, key, b"a third password");
    assert_eq!(
        hash_of(&observed),
        own,
        "from then on it changes without a restart"
    );
}

const KERBEROS: &str = "identity: {kerberos: {enabled: true, servicePrincipal: nfs/files@X.ORG, netbiosDomain: X, keytabSecretRef: {name: k, key: k}, machineAccount: {enabled: true, accountName: FILES$, secretRef: {name: m, key: p}}}}";

/// The status of a server that has Kerberos as the spec declares it, or with this principal.
fn set_applied(observed: &mut Observed, principal: Option<&str>) {
    let mut server = (*observed.server).clone();
    server.status = None;
    if let Some(principal) = principal {
        let kerberos = server.spec.identity.as_mut().unwrap().kerberos.as_mut();
        kerberos.unwrap().service_principal = Some(principal.to_owned());
    }
    let applied = IdentityProviderStatus {
        r#type: "kerberos".into(),
        applied: true,
        applied_fingerprint: kerberos::in_config_hash(&server),
        ..IdentityProviderStatus::default()
    };
    let status = DittoServerStatus {
        identity_providers: vec![applied],
        ..DittoServerStatus::default()
    };
    std::sync::Arc::make_mut(&mut observed.server).status = Some(status);
}

// invariant: 4
#[test]
fn a_change_of_kerberos_changes_it_when_it_was_written_to_the_server_and_not_before() {
    let mut observed = testing::running(KERBEROS);
    let first = hash_of(&observed);
    set_applied(&mut observed, None);
    assert_eq!(
        hash_of(&observed),
        first,
        "what a new server is found to have is no news"
    );
    let changed = KERBEROS.replace("nfs/files@X.ORG", "nfs/other@X.ORG");
    let status = observed.server.status.clone();
    testing::edit(&mut observed, &changed);
    std::sync::Arc::make_mut(&mut observed.server).status = status;
    assert_eq!(hash_of(&observed), first, "it is not written yet");
    set_applied(&mut observed, None);
    assert_ne!(hash_of(&observed), first);
    set_applied(&mut observed, Some("nfs/files@X.ORG"));
    assert_eq!(hash_of(&observed), first);
}

#[test]
fn what_the_server_reads_of_kerberos_at_its_start_changes_it() {
    let plain = hash_of(&testing::ready(KERBEROS));
    for (from, to, is_other) in [
        ("nfs/files@X.ORG", "nfs/other@X.ORG", true),
        ("netbiosDomain: X", "netbiosDomain: Z", true),
        ("netbiosDomain: X", "netbiosDomain: X, realm: Y.ORG", true),
        (
            "netbiosDomain: X",
            "netbiosDomain: X, realm: X.ORG, dnsDomain: x.org",
            false,
        ),
        (
            "netbiosDomain: X",
            "netbiosDomain: X, krb5Conf: /other/krb5.conf",
            true,
        ),
        ("FILES$", "OTHER$", true),
        (
            "accountName: FILES$",
            "accountName: FILES$, dcAddress: [dc1]",
            false,
        ),
    ] {
        let changed = hash_of(&testing::ready(&KERBEROS.replace(from, to)));
        assert_eq!(changed != plain, is_other, "{to}");
    }
}

fn set_live_hash(observed: &mut Observed, hash: &str) {
    let Read::Found(set) = &mut observed.stateful_set else {
        panic!("the StatefulSet exists")
    };
    let spec = std::sync::Arc::make_mut(set).spec.as_mut().unwrap();
    let annotations = spec.template.metadata.as_mut().unwrap().annotations.as_mut();
    let hash = (names::CONFIG_HASH_ANNOTATION.to_owned(), hash.to_owned());
    annotations.unwrap().extend([hash]);
}

#[test]
fn labels_annotations_and_the_generation_do_not_change_it() {
    let observed = testing::ready("");
    let mut touched = observed.clone();
    let server = std::sync::Arc::make_mut(&mut touched.server);
    server.metadata.labels = Some([("a".to_owned(), "b".to_owned())].into());
    server.metadata.annotations = Some([("a".to_owned(), "b".to_owned())].into());
    server.metadata.generation = Some(7);
    server.metadata.resource_version = Some("9".into());
    assert_eq!(hash_of(&touched), hash_of(&observed));
}

fn use_of(purpose: Purpose, secret: &str, key: &str) -> SecretUse {
    SecretUse {
        secret: secret.into(),
        key: key.into(),
        purpose,
        origin: Origin::Managed,
        optional: false,
    }
}

/// The hash of a configuration and one secret.
fn hash_of_parts(config: &str, secret: &str, key: &str, value: &[u8]) -> String {
    hash::config_hash(config, None, &[use_of(Purpose::JwtKey, secret, key)], |_| {
        Some(value)
    })
}

proptest! {
    #[test]
    fn two_inputs_have_the_same_hash_only_if_they_are_equal(
        a in ("[ab]{0,4}", "[ab]{0,4}", "[ab]{0,4}", "[ab]{0,4}"),
        b in ("[ab]{0,4}", "[ab]{0,4}", "[ab]{0,4}", "[ab]{0,4}"),
    ) {
        let hash = |(config, secret, key, value): &(String, String, String, String)| {
            hash_of_parts(config, secret, key, value.as_bytes())
        };
        prop_assert_eq!(hash(&a) == hash(&b), a == b);
    }

    #[test]
    fn bytes_that_move_from_one_part_to_the_next_change_it(text in "[a-z]{5,20}", cut in 1_usize..4) {
        let (one, two) = text.split_at(cut);
        let (three, four) = text.split_at(cut + 1);
        prop_assert_ne!(hash_of_parts("", "s", one, two.as_bytes()), hash_of_parts("", "s", three, four.as_bytes()));
        prop_assert_ne!(hash_of_parts("", one, two, b"v"), hash_of_parts("", three, four, b"v"));
        prop_assert_ne!(hash_of_parts(one, two, "k", b"v"), hash_of_parts(three, four, "k", b"v"));
    }

    #[test]
    fn the_order_of_the_uses_does_not_matter(values in prop::collection::vec(any::<Vec<u8>>(), 3)) {
        let purposes = [Purpose::JwtKey, Purpose::Keytab, Purpose::DatabaseCa];
        let uses = purposes.map(|purpose| use_of(purpose, "s", &format!("{purpose:?}")));
        let mut turned = uses.clone();
        turned.reverse();
        let value = |used: &SecretUse| {
            let index = purposes.iter().position(|purpose| *purpose == used.purpose)?;
            Some(values[index].as_slice())
        };
        prop_assert_eq!(hash::config_hash("c", None, &uses, value), hash::config_hash("c", None, &turned, value));
    }

    #[test]
    fn any_other_signing_key_changes_it(key in prop::collection::vec(any::<u8>(), 1..80)) {
        prop_assume!(key != testing::JWT_KEY.as_bytes());
        let observed = testing::ready("");
        let mut rotated = observed.clone();
        testing::set(&mut rotated, "files-jwt-secret", "jwt-secret", &key);
        prop_assert_ne!(hash_of(&rotated), hash_of(&observed));
    }

    #[test]
    fn any_initial_admin_password_leaves_it(password in prop::collection::vec(any::<u8>(), 1..80)) {
        let observed = testing::ready("");
        let mut changed = observed.clone();
        testing::set(&mut changed, "files-admin-bootstrap-credentials", "password", &password);
        prop_assert_eq!(hash_of(&changed), hash_of(&observed));
    }
}
