use std::sync::Arc;

use super::*;
use crate::validate::fixtures::{PERCONA, claim, running, uses_percona, world};

const MARK: [(&str, &str); 1] = [("dittofs.io/control-plane-database", "postgres")];

fn with_claim(mut observed: Observed, annotations: &[(&str, &str)]) -> Observed {
    observed.claims = Read::Found(vec![Arc::new(claim("controlplane", annotations))]);
    observed
}

fn with_server(mut observed: Observed, in_postgres: bool) -> Observed {
    let mut live = running(&observed.server);
    if in_postgres {
        uses_percona(&mut live, "require");
    }
    observed.stateful_set = Read::Found(Arc::new(live));
    observed
}

fn confirmed(mut observed: Observed) -> Observed {
    let annotation = (names::DATABASE_MIGRATED_ANNOTATION.to_owned(), "true".to_owned());
    Arc::make_mut(&mut observed.server).metadata.annotations = Some([annotation].into());
    observed
}

#[test]
fn who_stays_on_sqlite() {
    let table = [
        ("a new server", world(PERCONA), false),
        (
            "one that runs on the file",
            with_server(world(PERCONA), false),
            true,
        ),
        (
            "one that runs on Percona",
            with_server(with_claim(world(PERCONA), &[]), true),
            false,
        ),
        (
            "one that the user has moved",
            confirmed(with_server(world(PERCONA), false)),
            false,
        ),
        (
            "one on the file by its spec",
            with_server(world(""), false),
            false,
        ),
        (
            "a re-created one whose volume may hold the file",
            with_claim(world(PERCONA), &[]),
            true,
        ),
        (
            "a re-created one whose data was in PostgreSQL",
            with_claim(world(PERCONA), &MARK),
            false,
        ),
        (
            "a re-created one that the user has moved",
            confirmed(with_claim(world(PERCONA), &[])),
            false,
        ),
    ];
    for (what, observed, expected) in table {
        assert_eq!(is_pending(&observed), expected, "{what}");
    }
}

#[test]
fn a_stateful_set_that_never_had_a_pod_holds_no_data() {
    let mut observed = with_server(world(PERCONA), false);
    if let Read::Found(live) = &mut observed.stateful_set {
        Arc::make_mut(live).status = None;
    }
    assert!(!is_pending(&observed));
    assert!(is_pending(&with_claim(observed.clone(), &[])));
    observed.claims = Read::Unreadable("forbidden".into());
    assert!(is_pending(&observed), "there may be a volume");
}

#[test]
fn a_server_that_stays_uses_no_secret_of_the_database() {
    let used = |observed: &Observed| uses(observed).iter().any(|used| used.origin == Origin::Percona);
    assert!(used(&world(PERCONA)));
    assert!(!used(&with_server(world(PERCONA), false)));
}
