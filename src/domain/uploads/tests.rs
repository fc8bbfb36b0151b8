use std::sync::Arc;

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use serde_json::json;

use super::*;
use crate::api::DittoServerStatus;
use crate::domain::desired::{Desired, Workload, desired};
use crate::domain::observed::UploadsReport;
use crate::domain::settings::Settings;
use crate::domain::testing;
use crate::domain::validate::PodGate;

const STORE: &str = "remoteStores: [{name: cold, s3: {bucket: files, credentialsSecretRef: {name: s3}}}]";

/// A server with a ready pod and its volumes, at the second 0.
fn running(spec: &str) -> Observed {
    let mut observed = testing::running(spec);
    observed.pods = Read::Found(vec![pod(true)]);
    let claim = json!({"metadata": {"name": "content-files-0"}});
    let claim: PersistentVolumeClaim = serde_json::from_value(claim).unwrap();
    observed.claims = Read::Found(vec![Arc::new(claim)]);
    observed
}

fn pod(is_ready: bool) -> Arc<Pod> {
    let status = if is_ready { "True" } else { "False" };
    let pod = json!({
        "metadata": {"name": "files-0", "uid": "pod"},
        "status": {"conditions": [{"type": "Ready", "status": status}]},
    });
    Arc::new(serde_json::from_value(pod).unwrap())
}

fn with_status(observed: &mut Observed, uploads: Option<UploadsStatus>) {
    let mut server = observed.server.as_ref().clone();
    server.status = Some(DittoServerStatus {
        uploads,
        ..server.status.unwrap_or_default()
    });
    observed.server = Arc::new(server);
}

/// The plan once its own status is stored, so many seconds after the first.
fn next(observed: &mut Observed, end: &End, seconds: i64) -> Plan {
    let first = plan(observed, Some(end));
    with_status(observed, first.status);
    observed.at = Timestamp::from_second(seconds).unwrap();
    plan(observed, Some(end))
}

fn state(plan: &Plan) -> Option<DrainState> {
    plan.status.as_ref().map(|status| status.state)
}

fn deleted(observed: &mut Observed, annotation: Option<&str>) {
    let mut server = observed.server.as_ref().clone();
    server.metadata.deletion_timestamp = Some(Time(observed.at));
    let annotation = annotation.map(|value| {
        (
            crate::api::names::DELETE_WITHOUT_UPLOAD_ANNOTATION.to_owned(),
            value.to_owned(),
        )
    });
    server.metadata.annotations = annotation.map(|annotation| [annotation].into());
    observed.server = Arc::new(server);
}

#[test]
fn a_server_without_a_remote_store_is_ended_without_being_asked() {
    for spec in ["", "uploads: {drainTimeoutSeconds: 0}"] {
        for end in [End::STOP, End::rollout("a".into()), End::DELETION] {
            assert_eq!(
                plan(&running(spec), Some(&end)),
                Plan::default(),
                "{spec} {end:?}"
            );
        }
    }
}

#[test]
fn a_server_whose_remote_store_left_the_spec_is_still_asked() {
    let mut observed = running("");
    let mut server = observed.server.as_ref().clone();
    let store = crate::api::RemoteStoreStatus {
        name: "cold".into(),
        ..Default::default()
    };
    server.status = Some(DittoServerStatus {
        remote_stores: vec![store],
        ..DittoServerStatus::default()
    });
    observed.server = Arc::new(server);
    assert!(plan(&observed, Some(&End::STOP)).asks);
    assert!(
        plan(&running("uploads: {}"), Some(&End::STOP)).asks,
        "a store made with dfsctl"
    );
}

#[test]
fn a_stop_waits_until_the_status_says_that_everything_is_uploaded() {
    let mut observed = running(STORE);
    let asked = next(&mut observed, &End::STOP, 10);
    assert!(asked.holds && asked.asks, "{asked:?}");
    assert_eq!(asked.recheck_in, Some(Duration::from_secs(590)));
    observed.uploads.is_drained = true;
    let told = plan(&observed, Some(&End::STOP));
    assert_eq!(state(&told), Some(DrainState::Drained));
    assert!(told.holds, "the status does not say it yet");
    let free = next(&mut observed, &End::STOP, 11);
    assert_eq!((state(&free), free.holds), (Some(DrainState::Drained), false));
}

#[test]
fn a_stop_waits_for_a_limited_time() {
    for (spec, seconds) in [
        (STORE.to_owned(), 600),
        (format!("{STORE}\nuploads: {{drainTimeoutSeconds: 5}}"), 5),
    ] {
        let mut observed = running(&spec);
        observed.uploads.failure = Some("504".into());
        assert!(next(&mut observed, &End::STOP, seconds - 1).holds, "{spec}");
        let late = next(&mut observed, &End::STOP, seconds);
        assert_eq!(
            (state(&late), late.holds),
            (Some(DrainState::NotDrained), false),
            "{spec}"
        );
        assert_eq!(late.status.unwrap().message.as_deref(), Some("504"));
    }
}

#[test]
fn a_server_that_cannot_be_asked_is_stopped_at_once_and_not_deleted() {
    let mut unready = running(STORE);
    unready.pods = Read::Found(vec![pod(false)]);
    let mut old = running(STORE);
    old.uploads = UploadsReport {
        is_refused: true,
        failure: Some("404".into()),
        ..UploadsReport::default()
    };
    for observed in [unready, old] {
        assert!(!plan(&observed, Some(&End::STOP)).holds);
        let deletion = plan(&observed, Some(&End::DELETION));
        assert!(deletion.holds, "{deletion:?}");
        let pending = deletion.pending().unwrap();
        assert!(pending.contains("delete-without-upload"), "{pending}");
    }
    let mut unread = running(STORE);
    unread.pods = Read::Unreadable("403".into());
    assert!(plan(&unread, Some(&End::STOP)).holds, "there may be a pod to ask");
}

#[test]
fn a_deletion_waits_for_the_uploads_or_for_the_user() {
    let mut observed = running(STORE);
    deleted(&mut observed, None);
    let late = next(&mut observed, &End::DELETION, 10_000);
    assert_eq!(state(&late), Some(DrainState::NotDrained));
    assert!(late.holds && late.asks, "{late:?}");
    for (value, holds) in [("yes", true), ("false", true), ("true", false)] {
        deleted(&mut observed, Some(value));
        assert_eq!(plan(&observed, Some(&End::DELETION)).holds, holds, "{value}");
    }
    deleted(&mut observed, None);
    observed.uploads.is_drained = true;
    assert!(!next(&mut observed, &End::DELETION, 10_001).holds);
    observed.uploads = UploadsReport::default();
    assert!(
        plan(&observed, Some(&End::DELETION)).holds,
        "it runs again, and was not asked since"
    );
}

#[test]
fn a_deletion_of_volumes_that_are_gone_or_that_go_anyway_does_not_wait() {
    let mut observed = running(STORE);
    deleted(&mut observed, None);
    let mut claim = PersistentVolumeClaim::default();
    claim.metadata.deletion_timestamp = Some(Time(observed.at));
    for claims in [vec![], vec![Arc::new(claim)]] {
        observed.claims = Read::Found(claims);
        assert!(!plan(&observed, Some(&End::DELETION)).holds);
    }
    observed.claims = Read::Unreadable("403".into());
    assert!(plan(&observed, Some(&End::DELETION)).holds);
}

#[test]
fn what_a_stopped_server_did_not_upload_holds_up_its_deletion() {
    for (is_drained, holds) in [(true, false), (false, true)] {
        let mut observed = running(STORE);
        observed.uploads.is_drained = is_drained;
        let stop = next(&mut observed, &End::STOP, 600);
        with_status(&mut observed, stop.status);
        observed.uploads = UploadsReport::default();
        deleted(&mut observed, None);
        for pods in [Read::Found(vec![pod(false)]), Read::Unreadable("403".into())] {
            let mut running = observed.clone();
            running.pods = pods;
            assert!(
                plan(&running, Some(&End::DELETION)).holds,
                "its pod may have written since"
            );
        }
        observed.pods = Read::Found(vec![]);
        assert!(plan(&observed, Some(&End::DELETION)).holds, "it was to run");
        for stateful_set in [Read::Found(Arc::new(stopped(&observed))), Read::Missing] {
            observed.stateful_set = stateful_set;
            assert_eq!(plan(&observed, Some(&End::DELETION)).holds, holds, "{is_drained}");
        }
    }
}

#[test]
fn a_server_that_runs_again_starts_anew() {
    let mut observed = running(STORE);
    observed.uploads.is_drained = true;
    let drained = next(&mut observed, &End::STOP, 1);
    with_status(&mut observed, drained.status);
    assert_eq!(plan(&observed, None).status, None, "it runs");
    observed.stateful_set = Read::Found(Arc::new(stopped(&observed)));
    assert_eq!(state(&plan(&observed, None)), Some(DrainState::Drained));
}

fn stopped(observed: &Observed) -> StatefulSet {
    let mut set = observed.stateful_set.found().unwrap().as_ref().clone();
    set.spec.as_mut().unwrap().replicas = Some(0);
    set
}

#[test]
fn a_stop_that_does_not_follow_its_uploads_soon_waits_for_new_ones() {
    let mut observed = running(STORE);
    observed.uploads.is_drained = true;
    assert!(!next(&mut observed, &End::STOP, 299).holds);
    observed.uploads = UploadsReport::default();
    observed.at = Timestamp::from_second(300).unwrap();
    let again = plan(&observed, Some(&End::STOP));
    assert_eq!((state(&again), again.holds), (Some(DrainState::Draining), true));
}

#[test]
fn what_was_not_uploaded_in_time_is_not_waited_for_again() {
    let mut observed = running(STORE);
    observed.uploads = UploadsReport {
        is_refused: true,
        failure: Some("404".into()),
        ..UploadsReport::default()
    };
    for end in [End::STOP, End::rollout("a".into())] {
        let refused = plan(&observed, Some(&end));
        let mut later = observed.clone();
        later.uploads = UploadsReport::default();
        with_status(&mut later, refused.status.clone());
        assert_eq!(plan(&later, Some(&end)), Plan::free(refused.status), "{end:?}");
    }
}

#[test]
fn a_stop_ends_although_the_status_cannot_be_written() {
    let mut observed = running(STORE);
    observed.uploads.asked_at = Some(observed.at);
    for is_drained in [false, true] {
        observed.uploads.is_drained = is_drained;
        observed.at = Timestamp::from_second(599).unwrap();
        let waiting = plan(&observed, Some(&End::STOP));
        assert!(waiting.holds && waiting.recheck_in >= Some(SOON), "{waiting:?}");
        observed.at = Timestamp::from_second(600).unwrap();
        assert!(!plan(&observed, Some(&End::STOP)).holds, "{is_drained}");
    }
}

#[test]
fn only_what_is_wanted_and_other_than_what_runs_ends_a_pod() {
    let observed = running("");
    assert_eq!(end(&observed, 1, None), None);
    assert_eq!(end(&observed, 0, None), Some(End::STOP));
    let mut paused = observed.clone();
    let mut server = paused.server.as_ref().clone();
    let annotation = (crate::api::names::PAUSED_ANNOTATION.to_owned(), "true".to_owned());
    server.metadata.annotations = Some([annotation].into());
    paused.server = Arc::new(server);
    assert_eq!(end(&paused, 0, None), None);
}

/// What is desired for another spec than the one that runs.
fn edited(observed: &Observed, spec: &str) -> Desired {
    let mut edited = observed.clone();
    edited.server = Arc::new(testing::server(spec));
    let valid = testing::valid(&edited, PodGate::Open);
    desired(&valid, &Settings::default()).unwrap()
}

fn desired_workload(observed: &Observed, spec: &str) -> (Workload, Plan) {
    let desired = edited(observed, spec);
    (desired.workload, desired.uploads)
}

#[test]
fn a_rollout_waits_for_uploads_only_where_the_spec_says_so() {
    const EDIT: &str = "image: example.org/dittofs:2";
    let drains = format!("{STORE}\nuploads: {{drainBeforeRollout: true}}");
    for (spec, holds) in [(STORE, false), (&drains, true)] {
        let mut observed = running(spec);
        // As the operator applies it.
        let mut set = observed.stateful_set.found().unwrap().as_ref().clone();
        let hash = compare::applied_hash(&serde_json::to_value(&set).unwrap()).unwrap();
        let annotations = set.metadata.annotations.get_or_insert_default();
        annotations.insert(APPLIED_HASH_ANNOTATION.into(), hash);
        observed.stateful_set = Read::Found(Arc::new(set));
        let (workload, plan) = desired_workload(&observed, &format!("{spec}\n{EDIT}"));
        assert_eq!(plan.holds, holds, "{spec}");
        assert_eq!(workload == Workload::Hold { replicas: 1 }, holds, "{workload:?}");
        let (_, plan) = desired_workload(&observed, spec);
        assert_eq!(plan, Plan::default(), "nothing differs");
    }
}

#[test]
fn a_pod_that_uploads_keeps_running_whatever_else_changes() {
    let observed = running(STORE);
    for spec in ["replicas: 0", "replicas: 0\nimage: example.org/dittofs:2"] {
        let (workload, plan) = desired_workload(&observed, &format!("{STORE}\n{spec}"));
        assert!(plan.holds && plan.asks);
        assert_eq!(workload, Workload::Hold { replicas: 1 });
    }
}

#[test]
fn a_pod_that_has_lost_its_stateful_set_uploads_before_a_new_one_stops_it() {
    let mut observed = running(STORE);
    observed.stateful_set = Read::Missing;
    observed.config_map = Read::Found(Arc::default());
    let desired = edited(&observed, &format!("{STORE}\nreplicas: 0"));
    assert!(desired.uploads.holds && desired.uploads.asks);
    assert_eq!(desired.workload, Workload::Await);
    assert_eq!(desired.config_map, None, "its container may restart");
    assert_eq!(end(&observed, 1, None), None, "a new one adopts it");
    observed.pods = Read::Found(vec![pod(false)]);
    assert_eq!(end(&observed, 0, None), None, "it cannot be asked");
}

#[test]
fn a_server_that_uploads_is_reached_at_the_port_of_its_pod() {
    let mut observed = running(STORE);
    let container = json!({"name": "dittofs", "ports": [{"name": "api", "containerPort": 8080}]});
    let mut pod = pod(true).as_ref().clone();
    pod.spec = Some(serde_json::from_value(json!({"containers": [container]})).unwrap());
    observed.pods = Read::Found(vec![Arc::new(pod)]);
    for (replicas, expected) in [(0, 8080), (1, 8081)] {
        let edit = format!("{STORE}\nreplicas: {replicas}\ncontrolPlane: {{port: 8081}}");
        let service = edited(&observed, &edit).api_service;
        let ports = service.spec.and_then(|spec| spec.ports).unwrap();
        assert_eq!(ports[0].port, expected, "{replicas} replicas");
    }
}
