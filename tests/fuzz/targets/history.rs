//! The pure steps of a reconcile, over several states of the cluster, each with the status that the one before wrote.

use std::sync::Arc;
use std::time::Duration;

use dittofs_operator::api::{DittoServer, DittoServerStatus, reasons};
use dittofs_operator::domain::applied::{Applied, FailureClass, Outcome, Step, WriteFailure};
use dittofs_operator::domain::cleanup::Progress;
use dittofs_operator::domain::conditions::{self, Inputs, OURS, conditions, time_left};
use dittofs_operator::domain::desired::{Desired, desired};
use dittofs_operator::domain::observed::Observed;
use dittofs_operator::domain::settings::Settings;
use dittofs_operator::domain::validate::{Verdict, validate};
use dittofs_operator::domain::{events, server_api, status};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde_json::{Value, json};

use super::input::Input;
use super::world::{self, CANARY};
use super::{checks, spec};

/// Longest message, and longest note of an event, in bytes.
const LONGEST: usize = 1000;
/// Largest status, in bytes. Above 1.5 MiB etcd refuses the object.
const LARGEST_STATUS: usize = 128 << 10;

fn outcome(input: &mut Input<'_>) -> Outcome {
    let classes = [
        FailureClass::Invalid,
        FailureClass::Denied,
        FailureClass::Raced,
        FailureClass::Call,
    ];
    match input.below(16) {
        0 => Outcome::Created,
        1 => Outcome::Updated,
        2 => Outcome::Foreign(input.text()),
        3 => Outcome::Terminating,
        4 => Outcome::Recreating(input.text()),
        5 => Outcome::NamespaceTerminating,
        // The operator composes the reason, so it is never empty.
        6 => Outcome::Replaced(format!("the pod is replaced: {}", input.text())),
        7 => Outcome::ServerGone,
        8 => Outcome::Overridden(input.text()),
        9 => Outcome::Contested {
            message: input.text(),
            retry_in: Duration::from_secs(1),
        },
        10 => Outcome::Withheld,
        11 => Outcome::NotGenerated,
        12 => Outcome::Skipped,
        13 => Outcome::Failed(WriteFailure {
            verb: Some("apply"),
            text: input.text(),
            class: *input.pick(&classes),
        }),
        _ => Outcome::Unchanged,
    }
}

fn applied(observed: &Observed, input: &mut Input<'_>) -> Applied {
    let kinds = [
        "Secret",
        "ConfigMap",
        "Service",
        "NetworkPolicy",
        "PerconaPGCluster",
        "StatefulSet",
        "Pod",
        "PersistentVolumeClaim",
    ];
    let step = |input: &mut Input<'_>| Step {
        kind: kinds[input.below(kinds.len())],
        name: (*input.pick(&["files", "files-config", "files-jwt-secret"])).to_owned(),
        outcome: outcome(input),
    };
    Applied {
        steps: (0..input.below(5)).map(|_| step(input)).collect(),
        ..Applied::nothing(observed)
    }
}

/// What one reconcile concludes.
struct Reconciled {
    status: DittoServerStatus,
    /// Everything that it shows to users and logs.
    shown: String,
    notes: Vec<String>,
}

fn reconcile(observed: &Observed, applied: &Applied, progress: &Progress, now: Timestamp) -> Reconciled {
    let settings = Settings::default();
    let server = observed.server.as_ref();
    let verdict: Verdict<'_> = validate(observed);
    let desired = verdict
        .valid
        .as_ref()
        .map(|valid| desired(valid, &settings))
        .transpose();
    let inputs = Inputs::new(
        observed,
        &verdict,
        desired.as_ref().map_err(ToString::to_string),
        applied,
        progress.clone(),
    );
    let before = server.status.clone().unwrap_or_default();
    let conditions = conditions(
        &inputs,
        &before.conditions,
        server.metadata.generation.unwrap_or_default(),
        now,
    );
    let left = time_left(&inputs, &conditions, now);
    let after = status::next(&inputs, conditions);
    let events = events::of_reconcile(observed, &before, &after, applied, true);
    let target = server_api::target(&verdict, observed, &settings);
    let children = desired
        .as_ref()
        .ok()
        .and_then(Option::as_ref)
        .map(children)
        .unwrap_or_default();
    let notes: Vec<String> = events.into_iter().filter_map(|event| event.note).collect();
    let shown = format!(
        "{}\n{notes:?}\n{}\n{:?}\n{desired:?}\n{target:?}\n{left:?}\n{children:?}",
        json!(after),
        applied.summary(),
        (&observed.secrets, &observed.fresh, verdict.all())
    );
    Reconciled {
        status: after,
        shown,
        notes,
    }
}

/// The children, without the values of Secrets.
fn children(desired: &Desired) -> Vec<Value> {
    let manifests = desired.clone().into_manifests().into_iter();
    let mut children: Vec<Value> = manifests
        .map(|manifest| serde_json::to_value(manifest).expect("JSON"))
        .collect();
    checks::children(&children);
    checks::differ(&children);
    children.retain(|child| child["kind"] != "Secret");
    for child in &children {
        let text = serde_yaml::to_string(child).expect("YAML");
        let read: Value = serde_yaml::from_str(&text).expect("YAML");
        assert_eq!(&read, child, "YAML keeps every text");
    }
    children
}

fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

fn check_conditions(after: &DittoServerStatus, before: &[Condition], server: &DittoServer, now: Timestamp) {
    let found = &after.conditions;
    let is =
        |type_: &str, status: &str| find(found, type_).is_some_and(|condition| condition.status == status);
    let has_database = server.spec.percona_enabled();
    let ready = is(conditions::CONFIG_READY, "True")
        && is(conditions::AVAILABLE, "True")
        && find(found, conditions::PROGRESSING).is_some_and(|progressing| {
            // A rollout that has passed its deadline is not finished.
            progressing.status == "False" && progressing.reason != reasons::PROGRESS_DEADLINE_EXCEEDED
        })
        && (!has_database || is(conditions::DATABASE_READY, "True"));
    assert_eq!(is(conditions::READY, "True"), ready, "{found:#?}");
    for type_ in OURS {
        let count = found.iter().filter(|condition| condition.type_ == type_).count();
        let expected = match type_ {
            conditions::STALLED => usize::from(is(type_, "True")),
            conditions::DATABASE_READY => usize::from(has_database),
            _ => 1,
        };
        assert_eq!(count, expected, "{type_}: {found:#?}");
    }
    for condition in found {
        let reason = &condition.reason;
        assert!(
            reason.starts_with(|c: char| c.is_ascii_alphabetic())
                && reason.chars().all(|c| c.is_ascii_alphanumeric()),
            "{reason}"
        );
        assert!(
            !condition.message.is_empty() && condition.message.len() <= LONGEST,
            "{condition:?}"
        );
        let kept = find(before, &condition.type_).filter(|before| before.status == condition.status);
        let expected = kept.map_or(now, |before| before.last_transition_time.0);
        assert_eq!(
            condition.last_transition_time.0, expected,
            "a time moves exactly when the status does: {condition:?}"
        );
    }
}

/// One reconcile, and a second one of the same state.
fn step(server: &mut DittoServer, input: &mut Input<'_>, now: Timestamp) {
    let mut observed = world::observed(server.clone(), input, now);
    let applied = applied(&observed, input);
    let progress = Progress {
        finalizer_error: input.one_in(6).then(|| input.text()),
        pending: input.one_in(6).then(|| input.text()),
    };
    let before = server.status.clone().unwrap_or_default();
    let first = reconcile(&observed, &applied, &progress, now);
    check_conditions(&first.status, &before.conditions, server, now);
    assert!(
        json!(first.status).to_string().len() <= LARGEST_STATUS,
        "the status is too large"
    );
    assert!(
        first
            .notes
            .iter()
            .all(|note| !note.is_empty() && note.len() <= LONGEST),
        "{:?}",
        first.notes
    );
    if let Some(at) = first.shown.find(CANARY) {
        let from = (0..=at.saturating_sub(300))
            .rev()
            .find(|from| first.shown.is_char_boundary(*from));
        panic!(
            "a value of a Secret is shown: …{}",
            &first.shown[from.unwrap_or(0)..at + CANARY.len()]
        );
    }
    // The status is stored, and the next reconcile finds nothing new.
    server.status = serde_json::from_value(json!(first.status)).ok();
    assert_eq!(
        server.status.as_ref(),
        Some(&first.status),
        "the API server keeps the status as it is"
    );
    observed.server = Arc::new(server.clone());
    let second = reconcile(&observed, &applied, &progress, now);
    assert!(
        !status::changed(&first.status, &second.status),
        "{:#?}\n{:#?}",
        first.status,
        second.status
    );
}

/// The target.
pub fn histories(data: &[u8]) {
    let mut input = Input::new(data);
    let mut now = 1_800_000_000;
    let Some(mut server) = parsed(&mut input) else {
        return;
    };
    for _ in 0..=input.below(3) {
        if input.one_in(4)
            && let Some(edited) = parsed(&mut input)
        {
            server.spec = edited.spec;
            server.metadata.generation = server.metadata.generation.map(|generation| generation + 1);
        }
        if input.one_in(8) {
            server.metadata.deletion_timestamp = serde_json::from_value(json!("2027-01-15T08:00:00Z")).ok();
            server.metadata.finalizers = input
                .one_in(2)
                .then(|| vec!["dittofs.dittofs.com/cleanup".to_owned()]);
        }
        // A clock may be set back.
        now += *input.pick(&[1, 30, 601, 100_000, 0, -100]);
        step(
            &mut server,
            &mut input,
            Timestamp::from_second(now).expect("a time"),
        );
    }
}

/// A server that the schema may refuse, as one that was stored before.
fn parsed(input: &mut Input<'_>) -> Option<DittoServer> {
    let manifest = spec::manifest(input);
    serde_json::from_value(dittofs_operator::api::admission::without_nulls(&manifest)).ok()
}
