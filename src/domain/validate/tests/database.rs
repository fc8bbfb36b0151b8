//! The PostgreSQL cluster: when a pod may start on it, and when the StatefulSet is not updated.

use std::sync::Arc;

use super::*;
use crate::domain::observed::KindState;
use crate::domain::validate::fixtures::{cluster, foreign, uses_percona};

const PGUSER: &str = "files-postgres-pguser-dittofs";

fn with_percona_pod(mut observed: Observed, sslmode: &str) -> Observed {
    let mut stateful_set = running(&observed.server);
    uses_percona(&mut stateful_set, sslmode);
    observed.stateful_set = Read::Found(Arc::new(stateful_set));
    observed
}

#[test]
fn a_pod_is_not_started_before_its_database_is_there() {
    let unready = |state: &str| {
        let mut observed = world(PERCONA);
        observed.database.cluster = Read::Found(Arc::new(cluster(&observed.server, state)));
        observed
    };
    assert_eq!(
        summary(&unready("initializing")),
        (CLOSED, vec!["PerconaNotReady Waiting Database".into()])
    );
    assert_eq!(
        message(&unready("initializing")),
        "PostgreSQL cluster state: initializing"
    );
    assert_eq!(
        message(&unready("")),
        "PostgreSQL cluster state: not reported yet"
    );

    let mut missing = world(PERCONA);
    missing.database.cluster = Read::Missing;
    assert_eq!(
        summary(&missing),
        (CLOSED, vec!["PerconaNotFound Waiting Database".into()])
    );

    missing.database.kind = KindState::NotServed;
    assert_eq!(
        summary(&missing),
        (CLOSED, vec!["PerconaNotInstalled Waiting Database".into()])
    );
    let text = message(&missing);
    assert!(
        text.contains("install the Percona Operator for PostgreSQL, 2.8.2 or later"),
        "{text}"
    );
    assert!(text.contains("perconapgclusters.pgv2.percona.com"), "{text}");

    missing.database.kind = KindState::Unknown("forbidden".into());
    assert_eq!(
        summary(&missing),
        (CLOSED, vec!["DatabaseUnreadable Unknown Database".into()])
    );
}

#[test]
fn a_cluster_that_cannot_be_read_is_reported_before_its_missing_secret() {
    let mut observed = set(world(PERCONA), PGUSER, Read::Missing);
    observed.database.cluster = Read::Missing;
    observed.database.kind = KindState::Unknown("forbidden".into());
    assert_eq!(
        summary(&observed),
        (
            CLOSED,
            vec![
                "DatabaseUnreadable Unknown Database".into(),
                "DatabaseSecretMissing Unknown Database".into()
            ]
        )
    );
}

#[test]
fn an_outage_of_the_database_leaves_its_pod_alone() {
    let mut observed = with_percona_pod(world(PERCONA), "verify-full");
    observed.database.cluster = Read::Found(Arc::new(cluster(&observed.server, "stopping")));
    assert_eq!(
        summary(&observed),
        (OPEN, vec!["PerconaNotReady Waiting Database".into()])
    );
    observed.database.cluster = Read::Missing;
    observed.database.kind = KindState::NotServed;
    assert_eq!(
        summary(&observed),
        (OPEN, vec!["PerconaNotInstalled Waiting Database".into()])
    );
}

#[test]
fn a_server_that_moves_to_percona_keeps_its_pod_until_the_cluster_is_ready() {
    let mut observed = with_pod(world(PERCONA));
    assert_eq!(
        summary(&observed),
        (OPEN, vec![]),
        "it stays on SQLite until its data has moved"
    );
    let annotations = [(
        "dittofs.dittofs.com/database-migrated".to_owned(),
        "true".to_owned(),
    )];
    Arc::make_mut(&mut observed.server).metadata.annotations = Some(annotations.into());
    observed.database.cluster = Read::Found(Arc::new(cluster(&observed.server, "initializing")));
    assert_eq!(summary(&observed).0, CLOSED);
}

#[test]
fn the_secret_of_the_database_user_always_blocks_the_pod() {
    let running = || with_percona_pod(world(PERCONA), "require");
    let missing = set(running(), PGUSER, Read::Missing);
    assert_eq!(
        summary(&missing),
        (CLOSED, vec!["DatabaseSecretMissing Waiting Database".into()])
    );
    let unread = set(running(), PGUSER, Read::Unreadable("timeout".into()));
    assert_eq!(
        summary(&unread),
        (CLOSED, vec!["DatabaseSecretUnreadable Unknown Database".into()])
    );
    let empty = set(
        running(),
        PGUSER,
        secret(&[("host", "h"), ("port", "5432"), ("dbname", "d"), ("user", "u")]),
    );
    assert_eq!(
        summary(&empty),
        (CLOSED, vec!["DatabaseSecretKeyMissing Waiting Database".into()])
    );
}

#[test]
fn a_server_that_verifies_its_database_never_stops_to() {
    let ca = "files-postgres-cluster-cert";
    let lost = |sslmode| set(with_percona_pod(world(PERCONA), sslmode), ca, Read::Missing);
    assert_eq!(
        summary(&lost("verify-full")),
        (CLOSED, vec!["DatabaseCertificateMissing Waiting Database".into()])
    );
    assert_eq!(
        summary(&lost("require")),
        (OPEN, vec![]),
        "it did not verify before"
    );
    assert_eq!(
        summary(&set(world(PERCONA), ca, Read::Missing)),
        (OPEN, vec![]),
        "it did not run before"
    );
    let bad = set(world(PERCONA), ca, secret(&[("ca.crt", "no PEM")]));
    assert_eq!(
        summary(&bad),
        (CLOSED, vec!["DatabaseSecretInvalid Terminal Database".into()])
    );
}

#[test]
fn a_cluster_of_another_owner_is_used_only_if_the_user_allows_it() {
    let foreign_cluster = |spec: &str| {
        let mut observed = world(spec);
        let mut cluster = cluster(&observed.server, "ready");
        cluster.metadata = foreign("files-postgres");
        observed.database.cluster = Read::Found(Arc::new(cluster));
        observed
    };
    let refused = foreign_cluster(PERCONA);
    assert_eq!(
        summary(&refused),
        (CLOSED, vec!["ResourceConflict Terminal Database".into()])
    );
    assert!(
        message(&refused).contains("spec.percona.adoptExisting"),
        "{}",
        message(&refused)
    );
    let mut adopted = foreign_cluster("percona: {enabled: true, adoptExisting: true}");
    assert_eq!(
        summary(&adopted),
        summary(&refused),
        "the cluster does not allow it"
    );
    if let Read::Found(cluster) = &mut adopted.database.cluster {
        let annotation = (names::ADOPT_ANNOTATION.to_owned(), "files".to_owned());
        Arc::make_mut(cluster).metadata.annotations = Some([annotation].into());
    }
    assert_eq!(summary(&adopted), (OPEN, vec![]));
}

#[test]
fn a_cluster_that_is_deleted_with_its_server_is_not_used() {
    let mut observed = world(PERCONA);
    let mut old = cluster(&observed.server, "ready");
    old.metadata.owner_references.as_mut().expect("an owner")[0].uid = "u0".into();
    observed.database.cluster = Read::Found(Arc::new(old));
    assert_eq!(
        summary(&observed),
        (CLOSED, vec!["PerconaNotReady Waiting Database".into()])
    );
}

#[test]
fn another_postgresql_version_needs_its_image() {
    let with_version = |spec: &str, image: Option<&str>| {
        let mut observed = world(spec);
        let mut cluster = cluster(&observed.server, "ready");
        cluster.spec.postgres_version = Some(16);
        cluster.spec.image = image.map(Into::into);
        observed.database.cluster = Read::Found(Arc::new(cluster));
        observed
    };
    let refused = with_version(PERCONA, None);
    assert_eq!(
        summary(&refused),
        (CLOSED, vec!["PostgresImageRequired Terminal Database".into()])
    );
    assert!(
        message(&refused).contains("spec.percona.images.postgres"),
        "{}",
        message(&refused)
    );
    assert_eq!(
        summary(&with_version(PERCONA, Some("registry/pg:16"))),
        (OPEN, vec![])
    );
    let named = "percona: {enabled: true, images: {postgres: 'registry/pg:16'}}";
    assert_eq!(summary(&with_version(named, None)), (OPEN, vec![]));
}

#[test]
fn a_cluster_that_percona_does_not_look_at_has_a_hint_after_a_while() {
    let mut observed = world(PERCONA);
    let mut unseen = cluster(&observed.server, "");
    unseen.status = None;
    let created = crate::domain::validate::fixtures::at(0);
    unseen.metadata.creation_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(created));
    observed.database.cluster = Read::Found(Arc::new(unseen));
    let mut at = |seconds| {
        observed.at = crate::domain::validate::fixtures::at(seconds);
        (message(&observed), recheck_in(&observed))
    };
    let (early, recheck) = at(30);
    assert_eq!(early, "PostgreSQL cluster state: not reported yet");
    assert_eq!(recheck, Some(std::time::Duration::from_secs(91)));
    let (late, recheck) = at(120);
    assert!(
        late.starts_with("PostgreSQL cluster state: not reported yet. ") && late.contains("WATCH_NAMESPACE"),
        "{late}"
    );
    assert_eq!(recheck, None);
}
