mod data;
mod life;

use std::sync::Arc;

use k8s_openapi::api::apps::v1::StatefulSet;
use serde_json::json;

use super::*;
use crate::domain::applied::Applied;
use crate::domain::conditions::conditions;
use crate::domain::observed::{Observed, Read};
use crate::domain::status;
use crate::domain::validate::fixtures::{
    PERCONA, applied, at, cluster, failed, running, secret, stateful_set, step, uses_percona, with_inputs,
    world,
};

/// A server whose reconciles follow each other.
struct Life {
    observed: Observed,
    status: DittoServerStatus,
    seconds: i64,
}

impl Life {
    fn new(spec: &str) -> Self {
        Self {
            observed: world(spec),
            status: DittoServerStatus::default(),
            seconds: 0,
        }
    }

    /// One reconcile. Returns its events, as `type reason: note`.
    fn reconcile(&mut self, applied: &Applied) -> Vec<String> {
        self.seconds += 1;
        let after = with_inputs(&self.observed, applied, |inputs| {
            status::next(
                inputs,
                conditions(inputs, &self.status.conditions, 3, at(self.seconds)),
            )
        });
        let events = of_reconcile(&self.observed, &self.status, &after, applied, true);
        self.status = after;
        self.observed.stateful_set = applied.stateful_set.clone();
        events.iter().map(line).collect()
    }

    fn pod(&self, status: &serde_json::Value) -> Applied {
        self.with_pod(stateful_set(&self.observed.server, status))
    }

    fn pod_ready(&self) -> Applied {
        self.with_pod(running(&self.observed.server))
    }

    /// The pod uses the database that the spec asks for.
    fn with_pod(&self, mut pod: StatefulSet) -> Applied {
        if self.observed.server.spec.percona_enabled() {
            uses_percona(&mut pod, "verify-full");
        }
        applied(&self.observed, Some(pod))
    }

    /// A server that has become ready.
    fn ready(spec: &str) -> Self {
        let mut life = Self::new(spec);
        let pod = life.pod_ready();
        life.reconcile(&pod);
        life
    }
}

fn line(event: &Event) -> String {
    let type_ = if event.type_ == EventType::Normal {
        "Normal"
    } else {
        "Warning"
    };
    format!(
        "{type_} {}: {}",
        event.reason,
        event.note.as_deref().unwrap_or_default()
    )
}

#[test]
fn a_database_that_is_kept_has_an_event() {
    let mut life = Life::ready("");
    let mut released = life.pod_ready();
    released.steps = vec![step("PerconaPGCluster", "files-postgres", Outcome::Released)];
    assert_eq!(
        life.reconcile(&released),
        [
            "Normal PerconaOrphaned: PerconaPGCluster files-postgres is kept, with its data and Secrets. A DittoServer of the same name uses it again"
        ]
    );
}

// invariant: 3
#[test]
fn a_reconcile_without_a_change_and_a_restarted_operator_have_no_events() {
    for spec in ["", PERCONA, "replicas: 0"] {
        let mut life = Life::ready(spec);
        let mut same = life.pod_ready();
        same.steps = vec![step("ConfigMap", "files-config", Outcome::Unchanged)];
        assert_eq!(life.reconcile(&same), Vec::<String>::new(), "{spec}");
    }
}

#[test]
fn the_begin_and_the_end_of_a_violation_have_one_event_each() {
    let mut life = Life::ready("identity: {jwt: {secretRef: {name: tokens, key: k}}}");
    let good = life.observed.secrets["tokens"].clone();
    life.observed
        .secrets
        .insert("tokens".into(), secret(&[("k", "short")]));
    let events = life.reconcile(&life.pod_ready());
    assert_eq!(events.len(), 1, "{events:?}");
    assert!(
        events[0].starts_with("Warning JwtKeyTooShort: Secret tokens, key k (spec.identity.jwt.secretRef): "),
        "{events:?}"
    );
    assert_eq!(
        life.reconcile(&life.pod_ready()),
        Vec::<String>::new(),
        "it does not repeat"
    );
    life.observed.secrets.insert("tokens".into(), good);
    assert_eq!(
        life.reconcile(&life.pod_ready()),
        [
            "Normal ConfigValid: Configuration and Secrets are valid",
            "Normal Ready: DittoServer is fully operational"
        ]
    );
}

#[test]
fn a_cause_of_several_conditions_has_one_event() {
    let table = [
        (
            "ConfigMap",
            failed(),
            "Warning ReconcileFailed: Failed to reconcile ConfigMap it: create failed: Forbidden (HTTP 403)",
        ),
        (
            "Service",
            failed(),
            "Warning ReconcileFailed: Failed to reconcile Service it: create failed: Forbidden (HTTP 403)",
        ),
        (
            "StatefulSet",
            Outcome::Foreign("Deployment web".into()),
            "Warning ResourceConflict: StatefulSet it exists and belongs to Deployment web. The operator does not change it: delete it, or choose another name for the DittoServer",
        ),
    ];
    for (kind, outcome, expected) in table {
        let mut life = Life::ready("");
        let mut now = life.pod_ready();
        now.steps = vec![step(kind, "it", outcome)];
        assert_eq!(life.reconcile(&now), [expected], "{kind}");
    }
}

#[test]
fn drift_that_is_corrected_has_an_event() {
    let mut life = Life::ready("");
    let mut now = life.pod_ready();
    now.steps = vec![
        step("Service", "files-api", Outcome::Updated),
        step("Service", "files-metrics", Outcome::Deleted),
        step("ConfigMap", "files-config", Outcome::Updated),
    ];
    assert_eq!(
        life.reconcile(&now),
        [
            "Normal Updated: Updated Service files-api, ConfigMap files-config",
            "Normal Deleted: Deleted Service files-metrics"
        ]
    );
}

#[test]
fn the_begin_and_the_end_of_a_database_outage_have_events() {
    let mut life = Life::ready(PERCONA);
    let mut events = Vec::new();
    for state in ["stopping", "stopping", "ready"] {
        life.observed.database.cluster = Read::Found(Arc::new(cluster(&life.observed.server, state)));
        events.extend(life.reconcile(&life.pod_ready()));
    }
    assert_eq!(
        events,
        [
            "Warning PerconaNotReady: Waiting for PostgreSQL cluster files-postgres (state: stopping)",
            "Normal DatabaseReady: PostgreSQL cluster files-postgres is ready",
            "Normal Ready: DittoServer is fully operational",
        ]
    );
}

#[test]
fn notes_fit_the_api() {
    let mut life = Life::ready("");
    let mut now = life.pod_ready();
    now.steps = (0..200)
        .map(|index| step("Service", &format!("files-{index}"), Outcome::Updated))
        .collect();
    assert!(life.reconcile(&now)[0].len() < 1024);
}

#[test]
fn a_pod_that_was_deleted_for_a_rollout_has_an_event() {
    let mut life = Life::ready("");
    let mut now = life.pod_ready();
    let why = "Deleted pod files-0 of revision a".to_owned();
    now.steps = vec![step("Pod", "files-0", Outcome::Replaced(why))];
    assert_eq!(
        life.reconcile(&now),
        ["Warning PodReplaced: Deleted pod files-0 of revision a"]
    );
}

#[test]
fn data_that_is_still_in_sqlite_has_one_event_and_so_has_a_new_key() {
    let mut life = Life::new(PERCONA);
    let mut on_sqlite = applied(&life.observed, Some(running(&life.observed.server)));
    life.observed.stateful_set = on_sqlite.stateful_set.clone();
    let events = life.reconcile(&on_sqlite);
    assert_eq!(events.len(), 2, "{events:?}");
    assert!(events[0].starts_with("Warning MigrationPending: "), "{events:?}");
    assert!(events[1].starts_with("Normal Ready: "), "{events:?}");
    assert_eq!(life.reconcile(&on_sqlite), Vec::<String>::new());

    on_sqlite.steps = vec![step("Secret", "files-jwt-secret", Outcome::Rotated)];
    let events = life.reconcile(&on_sqlite);
    assert_eq!(events.len(), 1, "{events:?}");
    assert!(
        events[0].starts_with("Normal SecretsRotated: Secret files-jwt-secret has a new signing key"),
        "{events:?}"
    );
}

#[test]
fn a_transition_whose_status_is_not_stored_is_not_reported_but_writes_are() {
    let life = Life::new("");
    let mut created = life.pod_ready();
    created.steps = vec![step("StatefulSet", "files", Outcome::Created)];
    let before = DittoServerStatus::default();
    let after = with_inputs(&life.observed, &created, |inputs| {
        status::next(inputs, conditions(inputs, &[], 3, at(1)))
    });
    let reasons = |is_written: bool| -> Vec<String> {
        let events = of_reconcile(&life.observed, &before, &after, &created, is_written);
        events.into_iter().map(|event| event.reason).collect()
    };
    assert_eq!(reasons(false), ["Created"]);
    assert!(reasons(true).len() > 1);
}

#[test]
fn a_missing_password_is_reported_first_and_at_the_start_of_the_pod_and_not_in_every_reconcile() {
    let mut life = Life::new("");
    let count = |events: &[String]| {
        events
            .iter()
            .filter(|event| event.contains("AdminPasswordNotGenerated"))
            .count()
    };
    let mut waiting = Applied::nothing(&life.observed);
    waiting.steps = vec![step(
        "Secret",
        "files-admin-bootstrap-credentials",
        Outcome::NotGenerated,
    )];
    assert_eq!(count(&life.reconcile(&waiting)), 1);
    assert_eq!(count(&life.reconcile(&waiting)), 0);
    assert_eq!(count(&life.reconcile(&waiting)), 0);
    let mut created = life.pod_ready();
    created.steps = waiting.steps.clone();
    created.steps.push(step("StatefulSet", "files", Outcome::Created));
    assert_eq!(count(&life.reconcile(&created)), 1);
}
