mod agreement;
mod database;
mod stored;
mod volumes;

use crate::api::names;
use std::sync::Arc;

use super::fixtures::{OWN_POSTGRES, PERCONA, claim, running, secret, server, world};
use super::*;
use crate::api::DittoServer;

/// A verdict in short: the gate, and each violation as `reason severity concern`.
fn summary(observed: &Observed) -> (Option<PodGate>, Vec<String>) {
    let verdict = validate(observed);
    let line = |violation: &Violation| {
        format!(
            "{} {:?} {:?}",
            violation.reason, violation.severity, violation.concern
        )
    };
    (
        verdict.valid.as_ref().map(|valid| valid.pod),
        verdict.all().iter().map(line).collect(),
    )
}

fn message(observed: &Observed) -> String {
    validate(observed)
        .all()
        .first()
        .expect("a violation")
        .message
        .clone()
}

fn with_pod(mut observed: Observed) -> Observed {
    observed.stateful_set = Read::Found(Arc::new(running(&observed.server)));
    observed
}

fn set(mut observed: Observed, name: &str, read: Read<crate::domain::secrets::SecretData>) -> Observed {
    assert!(
        observed.secrets.contains_key(name),
        "{name} is not used: {:?}",
        observed.secrets.keys()
    );
    observed.secrets.insert(name.into(), read);
    observed
}

const OPEN: Option<PodGate> = Some(PodGate::Open);
const CLOSED: Option<PodGate> = Some(PodGate::Closed);
const JWT: &str = "identity: {jwt: {secretRef: {name: tokens, key: signing}}}";

#[test]
fn a_world_in_order_has_no_violation() {
    let tls = "controlPlane: {certSecretName: cert, clientCASecretName: ca}";
    for spec in ["", PERCONA, OWN_POSTGRES, JWT, tls] {
        assert_eq!(summary(&world(spec)), (OPEN, vec![]), "{spec}");
        assert_eq!(summary(&with_pod(world(spec))), (OPEN, vec![]), "{spec}, running");
    }
}

#[test]
fn missing_managed_secrets_are_fine_until_a_server_runs() {
    let mut observed = world("");
    observed
        .secrets
        .values_mut()
        .for_each(|read| *read = Read::Missing);
    assert_eq!(summary(&observed), (OPEN, vec![]));
    let observed = with_pod(observed);
    let lost = (CLOSED, vec!["ManagedSecretLost Terminal Config".into()]);
    assert_eq!(summary(&observed), lost);
    let message = message(&observed);
    assert!(
        message.contains("files-jwt-secret") && message.contains("jwt-secret of at least 32 characters"),
        "{message}"
    );
}

#[test]
fn a_server_that_is_being_deleted_has_not_lost_the_key_that_is_deleted_with_it() {
    let mut observed = with_pod(world(""));
    observed.secrets.insert("files-jwt-secret".into(), Read::Missing);
    let mut server = DittoServer::clone(&observed.server);
    server.metadata.deletion_timestamp = serde_json::from_str("\"2026-01-01T00:00:00Z\"").unwrap();
    observed.server = Arc::new(server);
    assert_eq!(summary(&observed), (OPEN, vec![]));
}

#[test]
fn a_lost_key_is_reported_if_volumes_exist_and_a_request_for_a_new_one_solves_it() {
    let lost = (CLOSED, vec!["ManagedSecretLost Terminal Config".into()]);
    let mut left = world("");
    left.secrets.insert("files-jwt-secret".into(), Read::Missing);
    left.claims = Read::Found(vec![Arc::new(claim("metadata", &[]))]);
    let mut asked_before = with_pod(left.clone());
    for observed in [&mut left, &mut asked_before] {
        assert_eq!(summary(observed), lost);
        ask(observed, "monday");
        assert_eq!(summary(observed), (OPEN, vec![]));
    }
    let Read::Found(live) = &mut asked_before.stateful_set else {
        panic!("a StatefulSet");
    };
    let answered = ("dittofs.io/rotated-for".to_owned(), "monday".to_owned());
    Arc::make_mut(live).metadata.annotations = Some([answered].into());
    assert_eq!(summary(&asked_before), lost, "this request has had its key");
    ask(&mut asked_before, "tuesday");
    assert_eq!(summary(&asked_before), (OPEN, vec![]));
}

#[test]
fn a_server_that_had_its_own_key_may_have_a_generated_one() {
    let mut observed = with_pod(world(""));
    observed.secrets.insert("files-jwt-secret".into(), Read::Missing);
    let Read::Found(live) = &mut observed.stateful_set else {
        panic!("a StatefulSet");
    };
    let template = serde_json::json!({"containers": [{"name": "dittofs", "env": [
        {"name": "DITTOFS_CONTROLPLANE_SECRET", "valueFrom": {"secretKeyRef": {"name": "own", "key": "k"}}},
    ]}]});
    let spec = Arc::make_mut(live).spec.as_mut().expect("a spec");
    spec.template.spec = serde_json::from_value(template).ok();
    assert_eq!(summary(&observed), (OPEN, vec![]));
}

fn ask(observed: &mut Observed, value: &str) {
    let annotation = (names::ROTATE_SECRETS_ANNOTATION.to_owned(), value.to_owned());
    Arc::make_mut(&mut observed.server).metadata.annotations = Some([annotation].into());
}

#[test]
fn nothing_is_started_while_it_is_unknown_whether_an_earlier_server_left_data() {
    let mut observed = world("");
    observed.claims = Read::Unreadable("forbidden".into());
    assert_eq!(summary(&observed), (OPEN, vec![]), "its Secrets are there");
    observed
        .secrets
        .insert("files-admin-bootstrap-credentials".into(), Read::Missing);
    let blocked = (CLOSED, vec!["VolumeClaimsUnreadable Unknown Config".into()]);
    assert_eq!(summary(&observed), blocked);
    let mut percona = world(PERCONA);
    percona.claims = Read::Unreadable("forbidden".into());
    assert_eq!(summary(&percona), blocked);
    assert_eq!(summary(&with_pod(observed)), (OPEN, vec![]), "the server exists");
}

#[test]
fn no_secret_is_promised_without_random_bytes() {
    let mut observed = world("");
    observed.secrets.insert("files-jwt-secret".into(), Read::Missing);
    observed.fresh = crate::domain::observed::FreshSecrets::default();
    assert_eq!(
        summary(&observed),
        (CLOSED, vec!["SecretNotFound Waiting Config".into()])
    );
}

#[test]
fn a_managed_secret_without_its_key_is_not_overwritten() {
    let observed = set(world(""), "files-jwt-secret", secret(&[("other", "x")]));
    assert_eq!(
        summary(&observed),
        (CLOSED, vec!["SecretKeyMissing Waiting Config".into()])
    );
    assert!(
        message(&observed).contains("never overwritten"),
        "{}",
        message(&observed)
    );
}

#[test]
fn a_missing_secret_is_named_with_its_keys_and_the_field_that_refers_to_it() {
    let observed = set(
        world("controlPlane: {certSecretName: cert}"),
        "cert",
        Read::Missing,
    );
    assert_eq!(
        summary(&observed),
        (CLOSED, vec!["SecretNotFound Waiting Config".into()])
    );
    assert_eq!(
        message(&observed),
        "Secret cert not found (spec.controlPlane.certSecretName: tls.crt, tls.key): create it with these keys, or correct the reference"
    );
}

#[test]
fn a_missing_or_empty_key_is_named() {
    for data in [&[("other", "x")][..], &[("signing", "")][..]] {
        let observed = set(world(JWT), "tokens", secret(data));
        assert_eq!(
            summary(&observed),
            (CLOSED, vec!["SecretKeyMissing Waiting Config".into()])
        );
        let message = message(&observed);
        for part in ["tokens", "signing", "spec.identity.jwt.secretRef", "add the key"] {
            assert!(message.contains(part), "{part} in {message}");
        }
    }
}

#[test]
fn an_unreadable_secret_is_unknown_and_blocks_the_pod() {
    let observed = set(world(JWT), "tokens", Read::Unreadable("forbidden".into()));
    assert_eq!(
        summary(&observed),
        (CLOSED, vec!["SecretUnreadable Unknown Config".into()])
    );
    assert!(message(&observed).contains("forbidden"));
}

#[test]
fn a_secret_that_was_not_looked_for_is_unknown() {
    let mut observed = world(JWT);
    observed.secrets.clear();
    assert_eq!(
        summary(&observed).1,
        [
            "SecretUnreadable Unknown Config",
            "SecretUnreadable Unknown Config"
        ]
    );
}

#[test]
fn a_signing_key_that_is_no_text_is_terminal_and_named() {
    let bytes = [("signing".to_owned(), vec![0xff; 32])];
    let data = crate::domain::secrets::SecretData::new(bytes.into());
    let observed = set(world(JWT), "tokens", Read::Found(data));
    assert_eq!(
        summary(&observed),
        (CLOSED, vec!["SecretValueNotText Terminal Config".into()])
    );
    assert!(
        message(&observed)
            .starts_with("Secret tokens, key signing (spec.identity.jwt.secretRef): the value is not text")
    );
}

// invariant: 5
#[test]
fn a_crashing_value_is_terminal_and_never_quoted() {
    let observed = set(world(JWT), "tokens", secret(&[("signing", "hunter2")]));
    assert_eq!(
        summary(&observed),
        (CLOSED, vec!["JwtKeyTooShort Terminal Config".into()])
    );
    let message = message(&observed);
    for part in [
        "tokens",
        "signing",
        "spec.identity.jwt.secretRef",
        "at least 32 characters",
    ] {
        assert!(message.contains(part), "{part} in {message}");
    }
    assert!(!message.contains("hunter2"), "{message}");
}

#[test]
fn a_missing_managed_admin_password_never_stops_a_server() {
    let observed = set(
        with_pod(world("")),
        "files-admin-bootstrap-credentials",
        Read::Missing,
    );
    assert_eq!(summary(&observed), (OPEN, vec![]));
}

#[test]
fn what_needs_manual_action_comes_first_and_what_could_not_be_read_last() {
    let spec = "identity: {jwt: {secretRef: {name: a, key: k}}, admin: {passwordSecretRef: {name: b, key: k}}}\n  controlPlane: {certSecretName: c}";
    let observed = set(world(spec), "a", Read::Unreadable("timeout".into()));
    let observed = set(observed, "b", Read::Missing);
    let observed = set(observed, "c", secret(&[("tls.crt", "no"), ("tls.key", "no")]));
    assert_eq!(
        summary(&observed).1,
        [
            "TlsCertificateInvalid Terminal Config",
            "TlsKeyInvalid Terminal Config",
            "SecretNotFound Waiting Config",
            "SecretUnreadable Unknown Config",
        ]
    );
}

#[test]
fn a_connection_string_is_refused_with_the_keys_that_are_needed() {
    for data in [
        &[("connection", "postgres://u:hunter2@db/x")][..],
        &[("connection-string", "host=db password=hunter2")][..],
    ] {
        let observed = set(world(OWN_POSTGRES), "pg", secret(data));
        assert_eq!(
            summary(&observed),
            (CLOSED, vec!["ConnectionStringUnsupported Terminal Config".into()])
        );
        let message = message(&observed);
        for part in [
            "pg",
            "host, database, user and password",
            "never leaves its Secret",
        ] {
            assert!(message.contains(part), "{part} in {message}");
        }
        assert!(!message.contains("hunter2"), "{message}");
    }
}

#[test]
fn an_own_postgresql_secret_with_its_parts_may_also_hold_a_connection_string() {
    let parts = [
        ("host", "db"),
        ("database", "d"),
        ("user", "u"),
        ("password", "p"),
        ("connection-string", "postgres://"),
    ];
    assert_eq!(
        summary(&set(world(OWN_POSTGRES), "pg", secret(&parts))),
        (OPEN, vec![])
    );
}

#[test]
fn all_missing_parts_of_an_own_postgresql_secret_are_listed() {
    let observed = set(
        world(OWN_POSTGRES),
        "pg",
        secret(&[("host", "db"), ("port", "70000")]),
    );
    assert_eq!(
        summary(&observed).1,
        [
            "DatabasePortInvalid Terminal Config",
            "SecretKeyMissing Waiting Config"
        ]
    );
    let violations = validate(&observed).all();
    assert!(
        violations[1]
            .message
            .contains("lacks the keys database, user, password"),
        "{}",
        violations[1].message
    );
}

#[test]
fn nothing_is_started_while_it_is_unknown_whether_a_server_exists() {
    let mut observed = world("");
    observed.stateful_set = Read::Unreadable("timeout".into());
    assert_eq!(summary(&observed), (CLOSED, vec![]));
}
