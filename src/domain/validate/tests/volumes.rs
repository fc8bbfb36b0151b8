//! Claims that are being deleted, and what an earlier server left.

use std::sync::Arc;

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;

use super::*;
use crate::domain::validate::fixtures::{at, claim, cluster};

const ANNOTATION: &str = "dittofs.io/control-plane-database";

fn terminating(volume: &str) -> PersistentVolumeClaim {
    let mut claim = claim(volume, &[]);
    claim.metadata.deletion_timestamp = Some(Time(at(0)));
    claim.spec = serde_json::from_value(json!({"volumeName": format!("pv-{volume}")})).expect("a spec");
    claim
}

/// A running server with the volumes `metadata`, `content` and `controlplane`.
fn with_volumes(claims: Vec<PersistentVolumeClaim>) -> Observed {
    let mut observed = with_pod(world(""));
    if let Read::Found(live) = &mut observed.stateful_set {
        let templates = ["metadata", "content", "controlplane"];
        let templates: Vec<_> = templates
            .iter()
            .map(|name| json!({"metadata": {"name": name}}))
            .collect();
        let spec = Arc::make_mut(live).spec.as_mut().expect("a spec");
        spec.volume_claim_templates = serde_json::from_value(json!(templates)).expect("templates");
    }
    observed.claims = Read::Found(claims.into_iter().map(Arc::new).collect());
    observed
}

// invariant: 13
#[test]
fn a_claim_that_is_deleted_under_a_pod_blocks_the_pod_and_says_how_to_keep_the_data() {
    let blocked = (CLOSED, vec!["VolumeClaimTerminating Terminal Config".to_owned()]);
    for volume in ["metadata", "content", "controlplane"] {
        let observed = with_volumes(vec![terminating(volume)]);
        assert_eq!(summary(&observed), blocked, "{volume}");
        let text = message(&observed);
        for part in [
            format!("PersistentVolumeClaim {volume}-files-0 was deleted"),
            "until pod files-0 ends".into(),
            format!("kubectl patch persistentvolume pv-{volume}"),
            "Retain".into(),
        ] {
            assert!(text.contains(&part), "{part}: {text}");
        }
    }
    let two = with_volumes(vec![terminating("metadata"), terminating("controlplane")]);
    assert!(
        message(&two).contains("metadata-files-0, controlplane-files-0"),
        "{}",
        message(&two)
    );
}

#[test]
fn claims_that_no_pod_loses_block_nothing() {
    let open = (OPEN, vec![]);
    assert_eq!(summary(&with_volumes(vec![claim("metadata", &[])])), open);
    assert_eq!(
        summary(&with_volumes(vec![terminating("unknown")])),
        open,
        "not of the server"
    );
    let mut deleting = with_volumes(vec![terminating("metadata")]);
    Arc::make_mut(&mut deleting.server).metadata.deletion_timestamp = Some(Time(at(0)));
    assert_eq!(summary(&deleting), open, "the server is deleted with its data");
}

/// A new server with this spec beside the claim that an earlier one left.
fn after(spec: &str, annotations: &[(&str, &str)], has_cluster: bool) -> Observed {
    let mut observed = world(spec);
    observed.claims = Read::Found(vec![Arc::new(claim("controlplane", annotations))]);
    if has_cluster {
        observed.database.cluster = Read::Found(Arc::new(cluster(&observed.server, "ready")));
    }
    observed
}

#[test]
fn a_new_server_is_not_started_on_another_database_than_the_one_with_the_data() {
    let (percona, own) = ([(ANNOTATION, "percona")], [(ANNOTATION, "postgres")]);
    let again = [(ANNOTATION, "postgres-again")];
    let blocked = (CLOSED, vec!["DataInOtherDatabase Terminal Config".to_owned()]);
    for (what, observed, field) in [
        ("Percona, then SQLite", after("", &percona, true), "spec.percona"),
        (
            "Percona, then an own PostgreSQL",
            after(OWN_POSTGRES, &percona, true),
            "spec.percona",
        ),
        (
            "an own PostgreSQL, then SQLite",
            after("", &own, false),
            "spec.database.postgresSecretRef",
        ),
        (
            "an own PostgreSQL again, then SQLite",
            after("", &again, false),
            "spec.database.postgresSecretRef",
        ),
    ] {
        assert_eq!(summary(&observed), blocked, "{what}");
        let text = message(&observed);
        assert!(text.contains(&format!("Set {field} again")), "{what}: {text}");
        let way_out =
            "kubectl annotate persistentvolumeclaim controlplane-files-0 dittofs.io/control-plane-database-";
        assert!(text.contains(way_out), "{what}: {text}");
    }
}

#[test]
fn a_new_server_is_started_where_the_data_is_or_no_data_is_left() {
    let (percona, own) = ([(ANNOTATION, "percona")], [(ANNOTATION, "postgres")]);
    for (what, observed) in [
        ("Percona again", after(PERCONA, &percona, true)),
        ("an own PostgreSQL again", after(OWN_POSTGRES, &own, false)),
        ("SQLite again", after("", &[], false)),
        ("the cluster was deleted", after("", &percona, false)),
        ("the server exists", with_pod(after("", &percona, true))),
    ] {
        assert_eq!(summary(&observed), (OPEN, vec![]), "{what}");
    }
}

#[test]
fn a_new_server_is_not_started_without_the_content_volume_of_an_earlier_one() {
    let mut observed = world("");
    observed.claims = Read::Found(vec![Arc::new(claim("content", &[]))]);
    let blocked = (CLOSED, vec!["ContentVolumeNotInSpec Terminal Config".to_owned()]);
    assert_eq!(summary(&observed), blocked);
    let text = message(&observed);
    assert!(text.contains("Set spec.storage.contentSize again"), "{text}");
    assert!(text.contains("PersistentVolumeClaim content-files-0"), "{text}");
    assert_eq!(
        summary(&with_pod(observed)),
        (OPEN, vec![]),
        "a live server keeps its volume"
    );
    let mut gone = world("");
    gone.claims = Read::Found(vec![Arc::new(terminating("content"))]);
    assert_eq!(summary(&gone), (OPEN, vec![]), "it is being deleted");
}

#[test]
fn a_value_that_ends_with_a_newline_is_reported() {
    let own = |key: &str, value: &str| {
        let mut data = vec![
            ("host", "db"),
            ("database", "d"),
            ("user", "u"),
            ("password", "p"),
            ("sslmode", "require"),
        ];
        data.retain(|(name, _)| *name != key);
        data.push((key, value));
        set(world(OWN_POSTGRES), "pg", secret(&data))
    };
    let blocked = (
        CLOSED,
        vec!["SecretValueEndsWithNewline Terminal Config".to_owned()],
    );
    for key in ["host", "database", "user", "password"] {
        assert_eq!(summary(&own(key, "value\n")), blocked, "{key}");
        assert_eq!(summary(&own(key, "value")), (OPEN, vec![]), "{key}");
    }
    let name = "files-admin-bootstrap-credentials";
    let admin = set(world(""), name, secret(&[("password", "a-good-value\n")]));
    assert_eq!(summary(&admin), blocked);
    assert_eq!(
        summary(&with_pod(admin)),
        (OPEN, vec![]),
        "the server has read it already"
    );
    let jwt = secret(&[("signing", "0123456789abcdef0123456789abcdef\n")]);
    assert_eq!(
        summary(&set(world(JWT), "tokens", jwt)),
        (OPEN, vec![]),
        "any bytes can sign"
    );
}

#[test]
fn a_ca_that_the_server_verifies_with_must_be_a_certificate() {
    let with = |mode: &str, ca: &str| {
        let data = [
            ("host", "db"),
            ("database", "d"),
            ("user", "u"),
            ("password", "p"),
            ("sslmode", mode),
            ("ca.crt", ca),
        ];
        summary(&set(world(OWN_POSTGRES), "pg", secret(&data)))
    };
    let invalid = (CLOSED, vec!["DatabaseCaInvalid Terminal Config".to_owned()]);
    for mode in ["verify-ca", "verify-full"] {
        assert_eq!(with(mode, "MIIB"), invalid, "{mode}");
        assert_eq!(
            with(mode, crate::domain::validate::fixtures::CERTIFICATE),
            (OPEN, vec![]),
            "{mode}"
        );
    }
    assert_eq!(with("require", "MIIB"), (OPEN, vec![]), "it is not used");
}

#[test]
fn a_server_that_verifies_its_own_postgresql_is_not_updated_without_the_ca() {
    let keys = [
        ("host", "db"),
        ("database", "d"),
        ("user", "u"),
        ("password", "p"),
    ];
    let with = |extra: &[(&str, &str)]| {
        let data = [&keys[..], extra].concat();
        let mut observed = set(with_pod(world(OWN_POSTGRES)), "pg", secret(&data));
        let env = json!([
            {"name": "DITTOFS_DATABASE_POSTGRES_HOST", "valueFrom": {"secretKeyRef": {"name": "pg", "key": "host"}}},
            {"name": "DITTOFS_DATABASE_POSTGRES_SSL_ROOT_CERT", "value": "/postgres-ca/ca.crt"},
        ]);
        let Read::Found(live) = &mut observed.stateful_set else {
            panic!("a StatefulSet");
        };
        let pod = Arc::make_mut(live)
            .spec
            .as_mut()
            .and_then(|spec| spec.template.spec.as_mut());
        pod.expect("a pod").containers[0].env = serde_json::from_value(env).expect("variables");
        summary(&observed)
    };
    let blocked = (
        CLOSED,
        vec!["DatabaseCertificateMissing Waiting Config".to_owned()],
    );
    assert_eq!(with(&[("sslmode", "verify-full")]), blocked);
    assert_eq!(
        with(&[("sslmode", "require")]),
        (OPEN, vec![]),
        "the user no longer wants it"
    );
    let ca = ("ca.crt", crate::domain::validate::fixtures::CERTIFICATE);
    assert_eq!(with(&[("sslmode", "verify-full"), ca]), (OPEN, vec![]));
}
