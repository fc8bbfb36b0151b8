//! The database stops after its server and starts before it.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use crate::api::percona::PerconaPGCluster;
use crate::domain::desired::{DatabaseChange, Desired, Workload, desired};
use crate::domain::observed::{Observed, Read};
use crate::domain::settings::Settings;
use crate::domain::testing;
use crate::domain::validate::{fixtures, validate};

const HIBERNATES: &str = "{percona: {enabled: true, hibernate: whenStopped}, replicas: 0}";
const RUNS: &str = "{percona: {enabled: true, hibernate: whenStopped}, replicas: 1}";

fn children(observed: &Observed) -> Desired {
    let verdict = validate(observed);
    desired(&verdict.valid.expect("a valid server"), &Settings::default()).expect("children")
}

/// A server that ran with `before` and now has `now` as its spec; its StatefulSet has so many replicas left.
fn edited(before: &str, now: &str, replicas: i32) -> Observed {
    let mut observed = testing::running(before);
    testing::edit(&mut observed, now);
    let ca = fixtures::CERTIFICATE.as_bytes();
    testing::set(&mut observed, "files-postgres-cluster-cert", "ca.crt", ca);
    if let Read::Found(stateful_set) = &mut observed.stateful_set {
        let set = Arc::make_mut(stateful_set);
        set.metadata.generation = Some(2);
        set.spec.as_mut().expect("a spec").replicas = Some(replicas);
        let status: Value = json!({"observedGeneration": 2, "replicas": replicas});
        set.status = serde_json::from_value(status).expect("a status");
    }
    observed
}

fn set_cluster(observed: &mut Observed, pause: Option<bool>, state: &str) {
    let mut cluster: PerconaPGCluster = testing::percona("{postgresVersion: 17}", &json!({"state": state}));
    // As `testing::percona` has no owner, it counts as ours by this label.
    cluster.metadata.labels = Some(
        [(
            "app.kubernetes.io/managed-by".to_owned(),
            "dittofs-operator".to_owned(),
        )]
        .into(),
    );
    cluster.spec.pause = pause;
    observed.database.cluster = Read::Found(Arc::new(cluster));
}

fn pause(observed: &Observed) -> Option<bool> {
    let DatabaseChange::Apply(cluster) = children(observed).database else {
        panic!("a cluster");
    };
    cluster.spec.pause
}

#[test]
fn the_database_pauses_once_the_pod_is_gone() {
    let mut observed = edited(RUNS, HIBERNATES, 0);
    set_cluster(&mut observed, None, "ready");
    assert_eq!(pause(&observed), Some(true));

    observed.pods = Read::Found(vec![Arc::new(Pod::default())]);
    assert_eq!(pause(&observed), None, "the pod still stops");

    let mut running = edited(RUNS, HIBERNATES, 1);
    set_cluster(&mut running, None, "ready");
    assert_eq!(pause(&running), None, "the pod is not told to stop yet");
}

#[test]
fn a_database_pauses_only_if_the_user_says_so() {
    let mut observed = edited(
        "{percona: {enabled: true}}",
        "{percona: {enabled: true}, replicas: 0}",
        0,
    );
    set_cluster(&mut observed, None, "ready");
    assert_eq!(pause(&observed), None);
}

#[test]
fn a_paused_database_stays_paused_while_the_state_of_the_server_is_unknown() {
    let mut observed = edited(RUNS, HIBERNATES, 0);
    observed.pods = Read::Unreadable("timed out".into());
    for (paused, wanted) in [(Some(true), Some(true)), (None, None)] {
        set_cluster(&mut observed, paused, "paused");
        assert_eq!(pause(&observed), wanted);
    }
}

#[test]
fn the_pause_is_released_at_once_when_the_server_is_to_run() {
    let mut observed = edited(RUNS, RUNS, 0);
    set_cluster(&mut observed, Some(true), "paused");
    assert_eq!(pause(&observed), None);
}

#[test]
fn a_stopped_server_starts_after_its_database() {
    let mut observed = edited(RUNS, RUNS, 0);
    for (pause, state) in [
        (Some(true), "paused"),
        (Some(true), "ready"),
        (None, "initializing"),
        (None, "paused"),
    ] {
        set_cluster(&mut observed, pause, state);
        assert_eq!(
            children(&observed).workload,
            Workload::Hold { replicas: 0 },
            "{pause:?} {state}"
        );
    }
    set_cluster(&mut observed, None, "ready");
    assert!(matches!(children(&observed).workload, Workload::Run { .. }));
}

#[test]
fn an_outage_of_the_database_stops_no_running_pod() {
    for spec in [RUNS, "{percona: {enabled: true}}"] {
        let mut observed = edited(spec, spec, 1);
        set_cluster(&mut observed, None, "initializing");
        let Workload::Run { stateful_set, .. } = children(&observed).workload else {
            panic!("the pod uses the database already: it goes on");
        };
        assert_eq!(stateful_set.spec.expect("a spec").replicas, Some(1));
    }
}

#[test]
fn an_edit_of_a_hibernating_server_does_not_wake_its_database() {
    let mut observed = edited(RUNS, HIBERNATES, 0);
    if let Read::Found(stateful_set) = &mut observed.stateful_set {
        // Written, and not seen by its controller yet.
        Arc::make_mut(stateful_set).metadata.generation = Some(3);
    }
    set_cluster(&mut observed, Some(true), "paused");
    assert_eq!(pause(&observed), Some(true));
    set_cluster(&mut observed, None, "ready");
    assert_eq!(pause(&observed), None, "a pod may be left");
}
