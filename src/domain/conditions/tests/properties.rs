//! What holds in any world.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetStatus};
use proptest::prelude::*;

use super::*;

fn status() -> impl Strategy<Value = StatefulSetStatus> {
    let count = || proptest::option::of(-1..3_i32);
    let revision = || proptest::option::of(prop_oneof!["a", "b", ""]);
    (
        proptest::option::of(0..4_i64),
        -1..3_i32,
        count(),
        count(),
        revision(),
        revision(),
    )
        .prop_map(
            |(
                observed_generation,
                replicas,
                ready_replicas,
                updated_replicas,
                current_revision,
                update_revision,
            )| {
                StatefulSetStatus {
                    observed_generation,
                    replicas,
                    ready_replicas,
                    updated_replicas,
                    current_revision,
                    update_revision,
                    ..StatefulSetStatus::default()
                }
            },
        )
}

fn read<T: Clone + std::fmt::Debug + 'static>(found: T) -> impl Strategy<Value = Read<T>> {
    prop_oneof![
        Just(Read::Found(found)),
        Just(Read::Missing),
        Just(Read::Unreadable("timeout".into()))
    ]
}

/// A world of which every part may be in any state.
fn any_world() -> impl Strategy<Value = (Observed, Applied)> {
    let spec = prop_oneof![
        Just(""),
        Just("replicas: 0"),
        Just(PERCONA),
        Just("percona: {enabled: true}\n  replicas: 0")
    ];
    let parts = (
        spec,
        proptest::option::of(status()),
        0..5_u8,
        any::<bool>(),
        any::<bool>(),
    );
    parts.prop_flat_map(|(spec, status, state, is_foreign, is_deleted)| {
        let mut observed = world(spec);
        if is_deleted {
            Arc::make_mut(&mut observed.server).metadata.deletion_timestamp = Some(Time(at(0)));
        }
        let server = Arc::clone(&observed.server);
        let mut live: StatefulSet = running(&server);
        live.status = status;
        if is_foreign {
            live.metadata = foreign("files");
        }
        let states = ["ready", "initializing", "stopping", "paused", ""];
        let cluster = Arc::new(cluster(&server, states[usize::from(state)]));
        let config = Arc::new(config_map(&server, crate::domain::validate::fixtures::CONFIG));
        let outcome = (0..6_u8, 0..3_u8);
        let secret = prop_oneof![3 => Just(secret(&[("jwt-secret", "0123456789abcdef0123456789abcdef")])), 1 => Just(Read::Missing), 1 => Just(Read::Unreadable("timeout".into()))];
        (Just(observed), read(Arc::new(live)), read(config), read(cluster), outcome, secret).prop_map(
            |(mut observed, live, config_map, cluster, (outcome, kind), secret)| {
                observed.stateful_set = live.clone();
                observed.database.cluster = cluster.clone();
                observed.secrets.insert("files-jwt-secret".into(), secret);
                let kind = ["ConfigMap", "Service", "StatefulSet"][usize::from(kind)];
                let outcome = match outcome {
                    0 => failed(),
                    1 => Outcome::Foreign("Deployment web".into()),
                    2 => Outcome::Terminating,
                    3 => Outcome::Skipped,
                    _ => Outcome::Unchanged,
                };
                let steps = vec![step(kind, "it", outcome)];
                (observed, Applied { steps, config_map, stateful_set: live, database: cluster })
            },
        )
    })
}

proptest! {
    #[test]
    fn ready_is_true_exactly_when_the_others_allow_it((observed, applied) in any_world()) {
        let conditions = judged(&observed, &applied);
        let is = |type_: &str, status: &str| conditions.iter().find(|summary| summary.type_ == type_).map(|summary| summary.status == status);
        let database = is(DATABASE_READY, "True").unwrap_or(true);
        let expected = is(CONFIG_READY, "True") == Some(true)
            && is(AVAILABLE, "True") == Some(true)
            && is(PROGRESSING, "False") == Some(true)
            && database;
        prop_assert_eq!(is(READY, "True"), Some(expected));
    }

    #[test]
    fn a_database_is_judged_exactly_while_percona_is_on((observed, applied) in any_world()) {
        let summary = judged(&observed, &applied);
        // Only there while it is True.
        prop_assert!(summary.iter().all(|summary| summary.type_ != STALLED || summary.status == "True"));
        let types: Vec<String> = summary.into_iter().map(|summary| summary.type_).filter(|type_| type_ != STALLED).collect();
        let expected: &[&str] = if observed.server.spec.percona_enabled() {
            &[READY, AVAILABLE, CONFIG_READY, DATABASE_READY, PROGRESSING]
        } else {
            &[READY, AVAILABLE, CONFIG_READY, PROGRESSING]
        };
        prop_assert_eq!(types, expected);
    }

    // invariant: 10
    #[test]
    fn a_time_moves_exactly_when_its_status_does(
        (observed, applied) in any_world(),
        (observed_later, applied_later) in any_world(),
    ) {
        let first = judged(&observed, &applied);
        let second = with_inputs(&observed_later, &applied_later, |inputs| conditions(inputs, &first, 4, at(60)));
        for now in &second {
            let before = first.iter().find(|before| before.type_ == now.type_);
            let kept = before.is_some_and(|before| before.status == now.status);
            let expected = if kept { at(0) } else { at(60) };
            prop_assert_eq!(now.last_transition_time.0, expected);
            prop_assert_eq!(now.observed_generation, Some(4));
        }
    }

    // invariant: 1
    #[test]
    fn the_same_inputs_give_the_same_conditions((observed, applied) in any_world()) {
        let first = judged(&observed, &applied);
        let at_time = |previous: &[Condition], seconds| {
            with_inputs(&observed, &applied, |inputs| conditions(inputs, previous, 3, at(seconds)))
        };
        prop_assert_eq!(&first, &at_time(&first, 599));
        // A deadline passes once.
        let late = at_time(&first, 601);
        prop_assert_eq!(&late, &at_time(&late, 99_999));
    }

    #[test]
    fn what_is_said_fits_the_api((observed, applied) in any_world()) {
        for summary in judged(&observed, &applied) {
            prop_assert!(!summary.reason.is_empty() && !summary.message.is_empty() && summary.message.len() <= MESSAGE_MAX);
        }
    }
}
