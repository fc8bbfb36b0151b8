use std::sync::Arc;

use super::*;
use crate::domain::validate::fixtures::{PERCONA, claim, running, uses_percona, world};

const ANNOTATION: &str = "dittofs.io/control-plane-database";
const PERCONAS: [(&str, &str); 1] = [(ANNOTATION, names::IN_PERCONA)];
const OWN: [(&str, &str); 1] = [(ANNOTATION, names::IN_OWN_POSTGRES)];
const BACK_IN_OWN: [(&str, &str); 1] = [(ANNOTATION, names::BACK_IN_OWN_POSTGRES)];
const BACK: [(&str, &str); 1] = [(ANNOTATION, names::BACK_IN_SQLITE)];

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
fn which_servers_stay_on_sqlite() {
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
            "one whose move the user confirmed",
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
            with_claim(world(PERCONA), &PERCONAS),
            false,
        ),
        (
            "a re-created one whose move the user confirmed",
            confirmed(with_claim(world(PERCONA), &[])),
            false,
        ),
        (
            "one that returned to its file after a confirmed move",
            confirmed(with_server(with_claim(world(PERCONA), &BACK), false)),
            true,
        ),
        (
            "a re-created one that had returned to its file",
            confirmed(with_claim(world(PERCONA), &BACK)),
            true,
        ),
        (
            "a re-created one whose data was in a PostgreSQL of the user's",
            with_claim(world(PERCONA), &OWN),
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

fn on_own_postgres(mut observed: Observed) -> Observed {
    let mut live = running(&observed.server);
    uses_percona(&mut live, "require");
    let pod = live.spec.as_mut().and_then(|spec| spec.template.spec.as_mut());
    for variable in pod
        .into_iter()
        .flat_map(|pod| pod.containers[0].env.iter_mut().flatten())
    {
        let source = variable
            .value_from
            .as_mut()
            .and_then(|source| source.secret_key_ref.as_mut());
        if let Some(source) = source {
            source.name = "own".into();
        }
    }
    observed.stateful_set = Read::Found(Arc::new(live));
    observed
}

#[test]
fn which_servers_are_not_moved_from_the_users_own_postgresql() {
    let table = [
        ("one that runs on it", on_own_postgres(world(PERCONA)), true),
        (
            "one whose move the user confirmed",
            confirmed(on_own_postgres(world(PERCONA))),
            false,
        ),
        ("one that stays by its spec", on_own_postgres(world("")), false),
        (
            "one that returned to it after a confirmed move",
            confirmed(with_claim(on_own_postgres(world(PERCONA)), &BACK_IN_OWN)),
            true,
        ),
        ("a re-created one", with_claim(world(PERCONA), &OWN), true),
        (
            "a re-created one whose data was in Percona",
            with_claim(world(PERCONA), &PERCONAS),
            false,
        ),
        (
            "one that runs on the file",
            with_server(world(PERCONA), false),
            false,
        ),
        (
            "one that runs on Percona",
            with_server(world(PERCONA), true),
            false,
        ),
    ];
    for (what, observed, expected) in table {
        assert_eq!(leaves_own_postgres(&observed), expected, "{what}");
        assert!(!expected || !is_pending(&observed), "{what} is not on the file");
    }
}

#[test]
fn the_annotation_follows_the_pod_and_remembers_a_confirmation_that_is_used_up() {
    let annotations_for = |observed: &Observed, annotations: &[(&str, &str)]| {
        let live = observed.stateful_set.found().unwrap();
        annotation_for(&observed.server, live, &claim("controlplane", annotations))
    };
    let on_file = |spec: &str| with_server(world(spec), false);
    let table = [
        (
            "on Percona",
            with_server(world(PERCONA), true),
            &[][..],
            Some(names::IN_PERCONA),
        ),
        (
            "on a PostgreSQL of the user's",
            on_own_postgres(world("")),
            &[],
            Some(names::IN_OWN_POSTGRES),
        ),
        ("on the file", on_file(""), &PERCONAS, None),
        (
            "back on the file",
            confirmed(on_file("")),
            &PERCONAS,
            Some(names::BACK_IN_SQLITE),
        ),
        ("on its way to Percona", confirmed(on_file(PERCONA)), &[], None),
        (
            "asked to go to Percona again",
            confirmed(on_file(PERCONA)),
            &BACK,
            Some(names::BACK_IN_SQLITE),
        ),
        ("without a confirmation", on_file(PERCONA), &BACK, None),
    ];
    for (what, observed, before, expected) in table {
        assert_eq!(annotations_for(&observed, before), expected, "{what}");
    }
}
