use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::domain::applied::{Applied, Outcome};
use crate::domain::conditions::conditions;
use crate::domain::observed::{Observed, Read};
use crate::domain::validate::fixtures::{
    PERCONA, applied, at, foreign, running, secret, stateful_set, step, with_inputs, world,
};

fn status_of(observed: &Observed, applied: &Applied) -> DittoServerStatus {
    with_inputs(observed, applied, |inputs| {
        next(inputs, conditions(inputs, &[], 3, at(0)))
    })
}

// invariant: 10
#[test]
fn the_status_of_a_running_server() {
    let observed = world(PERCONA);
    let mut status = status_of(&observed, &applied(&observed, Some(running(&observed.server))));
    status.conditions.clear();
    let expected = DittoServerStatus {
        observed_generation: Some(3),
        replicas: Some(1),
        ready_replicas: Some(1),
        available_replicas: Some(1),
        selector: Some("app=dittofs-server,instance=files".into()),
        phase: Some(Phase::Running),
        config_hash: Some("abc".into()),
        percona_cluster_name: Some("files-postgres".into()),
        ..DittoServerStatus::default()
    };
    assert_eq!(status, expected);
}

// invariant: 2
#[test]
fn nothing_that_was_merely_built_is_in_the_status() {
    let observed = world("");
    let status = status_of(&observed, &applied(&observed, None));
    assert_eq!((status.config_hash, status.ready_replicas), (None, Some(0)));
    assert_eq!(status.percona_cluster_name, None);
}

#[test]
fn the_phase_is_the_first_that_fits() {
    let starting = json!({"observedGeneration": 2, "replicas": 1});
    let phase_of =
        |spec: &str, status: Option<&serde_json::Value>, change: fn(&mut Observed, &mut Applied)| {
            let mut observed = world(spec);
            let live = status.map(|status| stateful_set(&observed.server, status));
            let mut applied = applied(&observed, live);
            change(&mut observed, &mut applied);
            status_of(&observed, &applied).phase.expect("a phase")
        };
    let ready = json!({"observedGeneration": 2, "replicas": 1, "readyReplicas": 1});
    let short_key: fn(&mut Observed, &mut Applied) = |observed, _| {
        observed
            .secrets
            .insert("files-jwt-secret".into(), secret(&[("jwt-secret", "short")]));
    };
    let conflict: fn(&mut Observed, &mut Applied) = |_, applied| {
        applied.steps.push(step(
            "StatefulSet",
            "files",
            Outcome::Foreign("Deployment web".into()),
        ));
    };
    let deleted: fn(&mut Observed, &mut Applied) = |observed, _| {
        Arc::make_mut(&mut observed.server).metadata.deletion_timestamp = Some(Time(at(0)));
    };
    let missing: fn(&mut Observed, &mut Applied) = |observed, _| {
        observed.secrets.insert("files-jwt-secret".into(), secret(&[]));
    };
    let nothing: fn(&mut Observed, &mut Applied) = |_, _| {};
    let table = [
        (phase_of("", Some(&ready), nothing), Phase::Running),
        (phase_of("", Some(&starting), nothing), Phase::Pending),
        (phase_of("", None, nothing), Phase::Pending),
        (phase_of("", None, missing), Phase::Pending),
        (phase_of("", None, short_key), Phase::Failed),
        (phase_of("", None, conflict), Phase::Failed),
        (phase_of("", Some(&ready), short_key), Phase::Running),
        (phase_of("replicas: 0", None, short_key), Phase::Stopped),
        (phase_of("replicas: 0", Some(&ready), nothing), Phase::Stopped),
        (phase_of("replicas: 0", Some(&ready), deleted), Phase::Deleting),
    ];
    for (row, (phase, expected)) in table.into_iter().enumerate() {
        assert_eq!(phase, expected, "row {row}");
    }
}

// invariant: 2
#[test]
fn a_foreign_stateful_set_gives_no_numbers() {
    let observed = world("");
    let mut other = running(&observed.server);
    other.metadata = foreign("files");
    let status = status_of(&observed, &applied(&observed, Some(other)));
    assert_eq!(
        (status.ready_replicas, status.config_hash, status.phase),
        (Some(0), None, Some(Phase::Failed))
    );
}

#[test]
fn numbers_that_cannot_be_read_stay() {
    let mut observed = world("");
    let known = status_of(&observed, &applied(&observed, Some(running(&observed.server))));
    Arc::make_mut(&mut observed.server).status = Some(known);
    let mut unread = applied(&observed, None);
    unread.stateful_set = Read::Unreadable("timeout".into());
    let status = status_of(&observed, &unread);
    assert_eq!(
        (status.ready_replicas, status.config_hash.as_deref()),
        (Some(1), Some("abc"))
    );
    assert_eq!(status.phase, Some(Phase::Running));
    assert_eq!(status.conditions[0].status, "Unknown");
}

#[test]
fn the_order_of_conditions_and_those_of_others_are_no_change() {
    let observed = world("");
    let status = status_of(&observed, &applied(&observed, Some(running(&observed.server))));
    let mut stored = status.clone();
    stored.conditions.reverse();
    stored.conditions.push(Condition {
        type_: "example.org/Audited".into(),
        ..stored.conditions[0].clone()
    });
    assert!(!changed(&stored, &status));
}

#[test]
fn any_difference_of_ours_is_a_change() {
    let observed = world("");
    let status = status_of(&observed, &applied(&observed, Some(running(&observed.server))));
    let edits: [fn(&mut DittoServerStatus); 7] = [
        |status| status.observed_generation = Some(2),
        |status| status.ready_replicas = Some(0),
        |status| status.phase = None,
        |status| status.config_hash = None,
        |status| status.conditions[0].message.push('!'),
        |status| drop(status.conditions.pop()),
        |status| {
            let stale = Condition {
                type_: "Authenticated".into(),
                ..status.conditions[0].clone()
            };
            status.conditions.push(stale);
        },
    ];
    for (row, edit) in edits.iter().enumerate() {
        let mut before = status.clone();
        edit(&mut before);
        assert!(changed(&before, &status), "row {row}");
    }
    assert!(changed(&DittoServerStatus::default(), &status));
}

proptest! {
    // invariant: 3
    #[test]
    fn a_second_look_at_the_same_world_changes_nothing(ready in 0..2_i32, seen in 0..3_i64) {
        let mut observed = world(PERCONA);
        let live = stateful_set(&observed.server, &json!({"observedGeneration": seen, "replicas": 1, "readyReplicas": ready}));
        let applied = applied(&observed, Some(live));
        let first = status_of(&observed, &applied);
        Arc::make_mut(&mut observed.server).status = Some(first.clone());
        let second = with_inputs(&observed, &applied, |inputs| {
            next(inputs, conditions(inputs, &first.conditions, 3, at(60)))
        });
        prop_assert!(!changed(&first, &second));
    }
}
