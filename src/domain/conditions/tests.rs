mod children;
mod configuration;
mod deadline;
mod finalizer;
mod hibernation;
mod paused;
mod properties;
mod reasons_page;
mod workload;

use std::sync::Arc;

use super::*;
use crate::domain::applied::{Applied, Outcome};
use crate::domain::cleanup::Progress;
use crate::domain::desired::Desired;
use crate::domain::observed::{KindState, Observed, Read};
use crate::domain::validate::fixtures::{
    PERCONA, applied, at, built, cluster, config_map, failed, foreign, judged, running, secret, step,
    uses_percona, with_inputs, world,
};
use crate::domain::validate::validate;

/// The conditions as `type=status reason`.
fn summary(conditions: &[Condition]) -> Vec<String> {
    conditions
        .iter()
        .map(|condition| format!("{}={} {}", condition.type_, condition.status, condition.reason))
        .collect()
}

fn one(conditions: &[Condition], type_: &str) -> String {
    let condition = condition(conditions, type_);
    format!("{} {}: {}", condition.status, condition.reason, condition.message)
}

fn condition<'a>(conditions: &'a [Condition], type_: &str) -> &'a Condition {
    conditions
        .iter()
        .find(|condition| condition.type_ == type_)
        .expect("the condition")
}

/// A server with this spec that runs, and the conditions of it.
fn of_running(spec: &str) -> (Observed, Applied) {
    let mut observed = world(spec);
    let mut live = running(&observed.server);
    if observed.server.spec.percona_enabled() {
        uses_percona(&mut live, "verify-full");
    }
    observed.stateful_set = Read::Found(Arc::new(live.clone()));
    let applied = applied(&observed, Some(live));
    (observed, applied)
}

#[test]
fn a_running_server_is_ready() {
    let (observed, applied) = of_running("");
    assert_eq!(
        summary(&judged(&observed, &applied)),
        [
            "Ready=True AllConditionsMet",
            "Available=True MinimumReplicasAvailable",
            "ConfigReady=True ConfigValid",
            "Progressing=False ReconcileComplete",
        ]
    );
}

#[test]
fn a_running_server_on_percona_has_a_fifth_condition() {
    let (observed, applied) = of_running(PERCONA);
    let conditions = judged(&observed, &applied);
    assert_eq!(
        summary(&conditions),
        [
            "Ready=True AllConditionsMet",
            "Available=True MinimumReplicasAvailable",
            "ConfigReady=True ConfigValid",
            "DatabaseReady=True PerconaReady",
            "Progressing=False ReconcileComplete",
        ]
    );
    assert!(
        conditions
            .iter()
            .all(|condition| condition.observed_generation == Some(3))
    );
}

#[test]
fn messages_are_those_of_the_contract() {
    let (observed, applied) = of_running(PERCONA);
    let conditions = judged(&observed, &applied);
    assert_eq!(
        one(&conditions, READY),
        "True AllConditionsMet: DittoServer is fully operational"
    );
    assert_eq!(
        one(&conditions, AVAILABLE),
        "True MinimumReplicasAvailable: StatefulSet has 1/1 ready replicas"
    );
    assert_eq!(
        one(&conditions, CONFIG_READY),
        "True ConfigValid: ConfigMap valid and contains configuration"
    );
    assert_eq!(
        one(&conditions, DATABASE_READY),
        "True PerconaReady: PostgreSQL cluster is ready"
    );
    assert_eq!(
        one(&conditions, PROGRESSING),
        "False ReconcileComplete: All resources are up to date"
    );
}

#[test]
fn a_missing_secret_shows_in_three_conditions_and_its_name_in_ready() {
    let spec = "identity: {jwt: {secretRef: {name: tokens, key: signing}}}";
    let mut observed = world(spec);
    observed.secrets.insert("tokens".into(), Read::Missing);
    let conditions = judged(&observed, &applied(&observed, None));
    assert_eq!(
        summary(&conditions),
        [
            "Ready=False ConditionsNotMet",
            "Available=False NoReplicasAvailable",
            "ConfigReady=False SecretNotFound",
            "Progressing=True WaitingForSecrets",
        ]
    );
    let ready = &condition(&conditions, READY).message;
    let expected = "Not ready: [ConfigNotReady NotAvailable StillProgressing]: Secret tokens not found (spec.identity.jwt.secretRef: signing)";
    assert!(ready.starts_with(expected), "{ready}");
}

#[test]
fn a_bad_value_blocks_a_running_server_from_following_but_not_from_serving() {
    let (mut observed, applied) = of_running("identity: {jwt: {secretRef: {name: tokens, key: k}}}");
    observed
        .secrets
        .insert("tokens".into(), secret(&[("k", "short")]));
    assert_eq!(
        summary(&judged(&observed, &applied)),
        [
            "Ready=False ConditionsNotMet",
            "Available=True MinimumReplicasAvailable",
            "ConfigReady=False JwtKeyTooShort",
            "Progressing=False Blocked",
            "Stalled=True ConditionsNotMet",
        ]
    );
}

#[test]
fn what_cannot_be_read_is_unknown_and_not_false() {
    let (mut observed, mut applied) = of_running(PERCONA);
    observed.database.kind = KindState::Unknown("forbidden".into());
    applied.config_map = Read::Unreadable("timeout".into());
    applied.stateful_set = Read::Unreadable("timeout".into());
    applied.database = Read::Unreadable("forbidden".into());
    let conditions = judged(&observed, &applied);
    assert_eq!(
        summary(&conditions),
        [
            "Ready=Unknown ConditionsUnknown",
            "Available=Unknown StatefulSetUnreadable",
            "ConfigReady=Unknown ConfigMapUnreadable",
            "DatabaseReady=Unknown DatabaseUnreadable",
            "Progressing=Unknown StatefulSetUnreadable",
        ]
    );
    let ready = &condition(&conditions, READY).message;
    assert!(
        ready.starts_with("Not ready: [ConfigUnknown AvailabilityUnknown ProgressUnknown DatabaseUnknown]: "),
        "{ready}"
    );
}

#[test]
fn an_unreadable_secret_leaves_ready_unknown() {
    let (mut observed, applied) = of_running("identity: {jwt: {secretRef: {name: tokens, key: k}}}");
    observed
        .secrets
        .insert("tokens".into(), Read::Unreadable("timeout".into()));
    assert_eq!(
        summary(&judged(&observed, &applied)),
        [
            "Ready=Unknown ConditionsUnknown",
            "Available=True MinimumReplicasAvailable",
            "ConfigReady=Unknown SecretUnreadable",
            "Progressing=Unknown WaitingForSecrets",
        ]
    );
}

#[test]
fn a_known_failure_says_more_than_an_unknown_one() {
    let (observed, mut applied) = of_running("");
    applied.config_map = Read::Missing;
    applied.stateful_set = Read::Unreadable("timeout".into());
    let conditions = judged(&observed, &applied);
    assert_eq!(condition(&conditions, READY).status, "False");
    let ready = &condition(&conditions, READY).message;
    assert!(
        ready.contains(
            "[ConfigNotReady AvailabilityUnknown ProgressUnknown]: ConfigMap files-config not found"
        ),
        "{ready}"
    );
}

// invariant: 2
#[test]
fn the_config_map_must_hold_what_was_rendered() {
    let (observed, mut applied) = of_running("");
    let mut with = |config: Read<Arc<k8s_openapi::api::core::v1::ConfigMap>>| {
        applied.config_map = config;
        condition(&judged(&observed, &applied), CONFIG_READY)
            .reason
            .clone()
    };
    let mut without_key = config_map(&observed.server, "");
    without_key.data = None;
    assert_eq!(with(Read::Missing), "ConfigMapNotFound");
    assert_eq!(with(Read::Found(Arc::new(without_key))), "ConfigMissing");
    assert_eq!(
        with(Read::Found(Arc::new(config_map(&observed.server, "edited")))),
        "ConfigOutdated"
    );
}

#[test]
fn children_that_cannot_be_built_are_reported() {
    let observed = world("");
    let verdict = validate(&observed);
    let applied = applied(&observed, None);
    let inputs = Inputs::new(
        &observed,
        &verdict,
        Err("no YAML".into()),
        &applied,
        Progress::default(),
    );
    let summary = summary(&conditions(&inputs, &[], 3, at(0)));
    assert_eq!(
        summary[2..],
        [
            "ConfigReady=False BuildFailed",
            "Progressing=False Blocked",
            "Stalled=True ConditionsNotMet"
        ]
    );
}

#[test]
fn a_database_cluster_that_this_reconcile_created_is_judged_as_it_is_now() {
    let mut observed = world(PERCONA);
    observed.database.cluster = Read::Missing;
    let mut applied = applied(&observed, None);
    applied.database = Read::Found(Arc::new(cluster(&observed.server, "initializing")));
    let conditions = judged(&observed, &applied);
    assert_eq!(
        one(&conditions, DATABASE_READY),
        "False PerconaNotReady: PostgreSQL cluster state: initializing"
    );
    assert_eq!(condition(&conditions, PROGRESSING).reason, "WaitingForDatabase");
}

#[test]
fn an_outage_of_the_database_shows_while_the_pod_serves() {
    let (mut observed, mut applied) = of_running(PERCONA);
    let down = Read::Found(Arc::new(cluster(&observed.server, "stopping")));
    (observed.database.cluster, applied.database) = (down.clone(), down);
    let conditions = judged(&observed, &applied);
    assert_eq!(
        summary(&conditions),
        [
            "Ready=False ConditionsNotMet",
            "Available=True MinimumReplicasAvailable",
            "ConfigReady=True ConfigValid",
            "DatabaseReady=False PerconaNotReady",
            "Progressing=False ReconcileComplete",
        ]
    );
    assert_eq!(
        condition(&conditions, READY).message,
        "Not ready: [DatabaseNotReady]: PostgreSQL cluster state: stopping"
    );
}

#[test]
fn a_deletion_is_progress_and_not_ready() {
    let (mut observed, applied) = of_running("");
    let server = Arc::make_mut(&mut observed.server);
    server.metadata.deletion_timestamp = Some(Time(at(0)));
    let conditions = judged(&observed, &applied);
    assert_eq!(condition(&conditions, PROGRESSING).reason, "Deleting");
    assert_eq!(
        one(&conditions, READY),
        "False ConditionsNotMet: Not ready: [StillProgressing]: DittoServer is being deleted"
    );
}

#[test]
fn a_name_that_fits_no_child_is_reported() {
    let mut observed = world("");
    Arc::make_mut(&mut observed.server).metadata.name = Some("files.one".into());
    let applied = Applied::nothing(&observed);
    assert_eq!(
        summary(&judged(&observed, &applied))[2..],
        [
            "ConfigReady=False InvalidName",
            "Progressing=False Blocked",
            "Stalled=True ConditionsNotMet"
        ]
    );
}

#[test]
fn an_object_that_does_not_parse_is_reported() {
    let conditions = unparsable("spec.replicas: a string", &[], 4, at(0));
    assert_eq!(
        summary(&conditions)[2..],
        [
            "ConfigReady=False InvalidSpec",
            "Progressing=False Blocked",
            "Stalled=True InvalidSpec"
        ]
    );
    assert!(
        condition(&conditions, READY)
            .message
            .contains("spec.replicas: a string")
    );
}

#[test]
fn long_messages_are_cut_between_characters() {
    assert_eq!(bounded("short".into(), 10), "short");
    assert_eq!(bounded("ääääää".into(), 10), "äää...");
    let (observed, mut applied) = of_running("");
    applied.config_map = Read::Unreadable("é".repeat(5000));
    let conditions = judged(&observed, &applied);
    assert!(
        conditions
            .iter()
            .all(|condition| condition.message.len() <= MESSAGE_MAX)
    );
}
