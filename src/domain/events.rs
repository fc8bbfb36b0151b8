//! Step 7, events: what changed, for `kubectl describe`.
//!
//! There is an event when status or reason of a condition changes, and when a child is written. Events are derived from the
//! stored status: a reconcile without a change has none, and a restarted operator repeats none. The reasons are those of the
//! conditions, or those of the Go operator if they have the same meaning (contract, section 5).

mod api;
mod content;
mod database;
mod server_settings;
mod settings;
mod uploads;
mod volumes;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::events::{Event, EventType};

pub use self::api::{API_REACHABLE, API_UNREACHABLE, SNAPSHOT_POLICY_FAILED};
pub use self::volumes::VOLUME_REPLACED;
use crate::api::{DittoServer, DittoServerStatus, Phase, reasons};
use crate::domain::applied::{Applied, Outcome, Step};
use crate::domain::conditions::{AVAILABLE, CONFIG_READY, DATABASE_READY, PROGRESSING, READY, bounded};
use crate::domain::observed::Observed;

/// Maximum length of a note, in bytes. The API allows 1 KiB.
const NOTE_MAX: usize = 1000;

/// Children were created. One event for each reconcile.
pub const CREATED: &str = "Created";
/// Children were updated: the spec was edited, or another writer changed them. One event for each reconcile.
pub const UPDATED: &str = "Updated";
/// Children that the spec no longer asks for were deleted. One event for each reconcile.
pub const DELETED: &str = "Deleted";
/// The user requested a new signing key, and the server restarts with it.
pub const SECRETS_ROTATED: &str = "SecretsRotated";
/// The database is kept when the server is deleted.
pub const PERCONA_ORPHANED: &str = "PerconaOrphaned";
/// A new server starts without a generated first password, because data of an earlier server exists.
pub const PASSWORD_NOT_GENERATED: &str = "AdminPasswordNotGenerated";
/// The server does all that is asked of it.
pub const SERVER_READY: &str = "Ready";
/// The database cluster serves.
pub const SERVER_DATABASE_READY: &str = "DatabaseReady";
/// The pod is being replaced by a pod of a new revision.
pub const ROLLING_OUT: &str = "RollingOut";
/// A pod is being started or stopped.
pub const SCALING: &str = "Scaling";
/// No pod serves any longer, and no rollout is the reason.
pub const UNAVAILABLE: &str = "Unavailable";
/// A pod that blocked a rollout was deleted. One event for each pod.
pub const POD_REPLACED: &str = "PodReplaced";
/// The user removed the annotation that paused the server.
pub const RESUMED: &str = "Resumed";
/// The server uses another database from now on. No data is copied.
pub const DATABASE_CHANGED: &str = "DatabaseChanged";
/// A pod starts whose connection to the user's PostgreSQL is not encrypted. One event for each change of the StatefulSet.
pub const DATABASE_NOT_ENCRYPTED: &str = "DatabaseNotEncrypted";
/// A child could not be written. The reason is that of the Go operator.
pub const RECONCILE_FAILED: &str = "ReconcileFailed";

/// The events of one reconcile. `is_written` says whether the status is stored. If it is not, the next reconcile finds the same
/// transitions, so only what was done to the children is reported.
#[must_use]
pub fn of_reconcile(
    observed: &Observed,
    before: &DittoServerStatus,
    after: &DittoServerStatus,
    applied: &Applied,
    is_written: bool,
) -> Vec<Event> {
    let mut events = written(&applied.steps, &observed.server);
    events.extend(not_generated(before, &applied.steps));
    if is_written {
        describe_transitions(before, after, &mut events);
        events.extend(settings::warnings(observed, before, after));
        events.extend(api::change(before, after));
        events.extend(api::snapshot_policies(before, after));
        events.extend(server_settings::changes(before, after));
        events.extend(content::changes(&observed.server, before, after));
        events.extend(uploads::change(observed, before, after));
        events.extend(api::restarts(observed, before, after));
        events.extend(api::certificates(observed, before, after));
    }
    events.extend(database::change(observed, applied));
    events.extend(database::not_encrypted(observed, applied));
    events.extend(volumes::replaced(observed, before));
    events
}

fn describe_transitions(before: &DittoServerStatus, after: &DittoServerStatus, events: &mut Vec<Event>) {
    let statuses = Statuses { before, after };
    let describe_transitions = [
        (CONFIG_READY, config_ready as DescribeTransition),
        (DATABASE_READY, database_ready),
        (PROGRESSING, progressing),
        (AVAILABLE, available),
        (READY, ready),
    ];
    for (type_, describe) in describe_transitions {
        let Some(transition) = statuses.transition(type_) else {
            continue;
        };
        // One cause may change several conditions. It has one event.
        let event = describe(&statuses, &transition);
        let event = event.filter(|event| !events.iter().any(|earlier: &Event| earlier.note == event.note));
        events.extend(event);
    }
}

/// The status before and after one reconcile.
struct Statuses<'a> {
    before: &'a DittoServerStatus,
    after: &'a DittoServerStatus,
}

/// A condition whose status or reason changed.
struct Transition<'a> {
    before: Option<&'a Condition>,
    now: &'a Condition,
}

type DescribeTransition = fn(&Statuses<'_>, &Transition<'_>) -> Option<Event>;

impl<'a> Statuses<'a> {
    fn transition(&self, type_: &str) -> Option<Transition<'a>> {
        let now = find(self.after, type_)?;
        let before = find(self.before, type_);
        let is_same = before.is_some_and(|before| before.status == now.status && before.reason == now.reason);
        (!is_same).then_some(Transition { before, now })
    }

    fn reason(&self, type_: &str) -> Option<&'a str> {
        find(self.after, type_).map(|condition| condition.reason.as_str())
    }
}

fn find<'a>(status: &'a DittoServerStatus, type_: &str) -> Option<&'a Condition> {
    status
        .conditions
        .iter()
        .find(|condition| condition.type_ == type_)
}

impl Transition<'_> {
    fn is_true(&self) -> bool {
        self.now.status == "True"
    }

    fn was(&self, status: &str) -> bool {
        self.before.is_some_and(|before| before.status == status)
    }

    fn had(&self, reason: &str) -> bool {
        self.before.is_some_and(|before| before.reason == reason)
    }
}

/// Whether an outcome belongs to a verb.
type Did = fn(&Outcome) -> bool;

/// The children that were written, one event for each verb.
fn written(steps: &[Step], server: &DittoServer) -> Vec<Event> {
    let verbs: [(&str, &str, Did); 3] = [
        (CREATED, "Create", |outcome| matches!(outcome, Outcome::Created)),
        (UPDATED, "Update", |outcome| matches!(outcome, Outcome::Updated)),
        (DELETED, "Delete", |outcome| matches!(outcome, Outcome::Deleted)),
    ];
    let replaced = steps.iter().filter_map(|step| match &step.outcome {
        Outcome::Replaced(why) => Some(event(EventType::Warning, POD_REPLACED, "Replace", why.clone())),
        _ => None,
    });
    verbs
        .into_iter()
        .filter_map(|(reason, action, did)| list(steps, reason, action, did))
        .chain(replaced)
        .chain(steps.iter().filter_map(rotated))
        .chain(steps.iter().filter_map(|step| released(step, server)))
        .collect()
}

fn rotated(step: &Step) -> Option<Event> {
    let note = format!(
        "Secret {} has a new signing key, as requested. The server restarts once, and all users must sign in again. The first admin password is not rotated, because a server that was started once ignores it: change it on the server",
        step.name
    );
    matches!(step.outcome, Outcome::Rotated).then(|| normal(SECRETS_ROTATED, "Rotate", note))
}

/// While Percona is enabled, a release only removes the owner reference that an earlier version set.
fn released(step: &Step, server: &DittoServer) -> Option<Event> {
    let event = || database_kept(&format!("{} {}", step.kind, step.name));
    (matches!(step.outcome, Outcome::Released) && !server.spec.percona_enabled()).then(event)
}

/// The event of a database that is kept when its server is deleted.
pub(crate) fn database_kept(cluster: &str) -> Event {
    let note =
        format!("{cluster} is kept, with its data and Secrets. A DittoServer of the same name uses it again");
    normal(PERCONA_ORPHANED, "Delete", note)
}

/// Reported in the first reconcile of a server, and again when its pod is created without the Secret. Not in between: the step is
/// in every reconcile.
fn not_generated(before: &DittoServerStatus, steps: &[Step]) -> Vec<Event> {
    let is_created = |step: &Step| step.kind == "StatefulSet" && step.outcome == Outcome::Created;
    if before.conditions.is_empty() || steps.iter().any(is_created) {
        steps.iter().filter_map(password_not_generated).collect()
    } else {
        Vec::new()
    }
}

fn password_not_generated(step: &Step) -> Option<Event> {
    let note = format!(
        "Secret {} is missing and is not generated: data of an earlier server exists, and it may know another password. If the data is new, create the Secret with the key password before the first start (docs/adr/0007)",
        step.name
    );
    matches!(step.outcome, Outcome::NotGenerated).then(|| normal(PASSWORD_NOT_GENERATED, "Generate", note))
}

fn list(steps: &[Step], reason: &str, action: &str, did: Did) -> Option<Event> {
    let names: Vec<String> = steps
        .iter()
        .filter(|step| did(&step.outcome))
        .map(|step| format!("{} {}", step.kind, step.name))
        .collect();
    (!names.is_empty()).then(|| {
        event(
            EventType::Normal,
            reason,
            action,
            format!("{reason} {}", names.join(", ")),
        )
    })
}

fn config_ready(_: &Statuses<'_>, transition: &Transition<'_>) -> Option<Event> {
    if !transition.is_true() {
        return warning_of(transition.now, "Validate");
    }
    let is_recovery = transition.before.is_some() && !transition.was("True");
    is_recovery.then(|| {
        normal(
            &transition.now.reason,
            "Validate",
            "Configuration and Secrets are valid".into(),
        )
    })
}

fn database_ready(statuses: &Statuses<'_>, transition: &Transition<'_>) -> Option<Event> {
    let name = statuses.after.percona_cluster_name.as_deref().unwrap_or_default();
    let hibernation = [reasons::PERCONA_HIBERNATING, reasons::PERCONA_PAUSING];
    if hibernation.contains(&transition.now.reason.as_str()) {
        return Some(normal(
            &transition.now.reason,
            "Hibernate",
            transition.now.message.clone(),
        ));
    }
    if transition.now.reason == reasons::MIGRATION_PENDING {
        return warning_of(transition.now, "WaitForDatabase");
    }
    if transition.is_true() {
        return Some(normal(
            SERVER_DATABASE_READY,
            "WaitForDatabase",
            format!("PostgreSQL cluster {name} is ready"),
        ));
    }
    if transition.now.reason == reasons::PERCONA_NOT_READY {
        let message = &transition.now.message;
        let state = message
            .strip_prefix("PostgreSQL cluster state: ")
            .unwrap_or(message);
        let note = format!("Waiting for PostgreSQL cluster {name} (state: {state})");
        return Some(event(
            EventType::Warning,
            reasons::PERCONA_NOT_READY,
            "WaitForDatabase",
            note,
        ));
    }
    warning_of(transition.now, "WaitForDatabase")
}

/// Another condition reports why the server waits or is blocked. A change of the StatefulSet that its controller has not observed
/// lasts only a moment.
fn progressing(_: &Statuses<'_>, transition: &Transition<'_>) -> Option<Event> {
    let now = transition.now;
    let as_reported = |reason: &str, action: &str| Some(normal(reason, action, now.message.clone()));
    let reason = now.reason.as_str();
    let was_paused = transition.had(reasons::PAUSED);
    match reason {
        reasons::PROGRESS_DEADLINE_EXCEEDED => warning_of(now, "RollOut"),
        reasons::PAUSED if was_paused => None,
        reasons::PAUSED => as_reported(reason, "Pause"),
        _ if was_paused && reason != reasons::DELETING => {
            let note = format!("No longer paused. {}", now.message);
            Some(normal(RESUMED, "Resume", note))
        }
        // With most drivers it lasts seconds.
        reasons::FILE_SYSTEM_RESIZE_PENDING => as_reported(reason, "ExpandVolume"),
        reasons::VOLUME_CLAIM_UNUSED => warning_of(now, "ExpandVolume"),
        reason if reasons::BLOCKED_VOLUME.contains(&reason) => warning_of(now, "ExpandVolume"),
        reasons::FIELD_OVERRIDDEN => warning_of(now, "Reconcile"),
        _ if !transition.is_true() => None,
        reasons::VOLUME_GROWING => as_reported(reason, "ExpandVolume"),
        reasons::ROLLOUT_IN_PROGRESS => as_reported(ROLLING_OUT, "RollOut"),
        reasons::SCALING_REPLICAS => as_reported(SCALING, "Scale"),
        reasons::DELETING => as_reported(reason, "Delete"),
        reasons::RESOURCE_TERMINATING => as_reported(reason, "Reconcile"),
        reasons::RESOURCE_CONFLICT | reasons::APPLY_FAILED | reasons::FIELD_CONFLICT => {
            warning_of(now, "Reconcile")
        }
        _ => None,
    }
}

/// `Ready` reports that a server became available. Here, only its loss is reported, unless the pod is being replaced.
fn available(statuses: &Statuses<'_>, transition: &Transition<'_>) -> Option<Event> {
    if transition.now.reason == reasons::RESOURCE_CONFLICT {
        return warning_of(transition.now, "Reconcile");
    }
    if transition.now.status != "False" || !transition.was("True") {
        return None;
    }
    let replacing = [reasons::ROLLOUT_IN_PROGRESS, reasons::STATEFUL_SET_UPDATING];
    let is_replaced = statuses
        .reason(PROGRESSING)
        .is_some_and(|reason| replacing.contains(&reason));
    let note = format!("No pod is ready. {}", transition.now.message);
    (!transition.had(reasons::STOPPED) && !is_replaced)
        .then(|| event(EventType::Warning, UNAVAILABLE, "Watch", note))
}

fn ready(statuses: &Statuses<'_>, transition: &Transition<'_>) -> Option<Event> {
    if !transition.is_true() || transition.was("True") {
        return None;
    }
    let is_stopped = statuses.after.phase == Some(Phase::Stopped);
    let reason = if is_stopped {
        reasons::STOPPED
    } else {
        SERVER_READY
    };
    Some(normal(reason, "Reconcile", transition.now.message.clone()))
}

/// The message of a condition, as a warning.
fn warning_of(condition: &Condition, action: &str) -> Option<Event> {
    let reason = match condition.reason.as_str() {
        reasons::APPLY_FAILED => RECONCILE_FAILED,
        // Created with the other children in the same reconcile, or reported by what prevents that.
        reasons::CONFIG_MAP_NOT_FOUND | reasons::PERCONA_NOT_FOUND => return None,
        reason => reason,
    };
    Some(event(
        EventType::Warning,
        reason,
        action,
        condition.message.clone(),
    ))
}

fn normal(reason: &str, action: &str, note: String) -> Event {
    event(EventType::Normal, reason, action, note)
}

pub(crate) fn event(type_: EventType, reason: &str, action: &str, note: String) -> Event {
    Event {
        type_,
        reason: reason.to_owned(),
        action: action.to_owned(),
        note: Some(bounded(note, NOTE_MAX)),
        secondary: None,
    }
}

#[cfg(test)]
mod tests;
