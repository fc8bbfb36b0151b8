//! Step 7, events: what changed, as a story in `kubectl describe`. Pure, but for `events/publish.rs`.
//!
//! An event is told when a condition's status or reason changes, and when a child is written. It is derived from the
//! stored status, so a fixpoint tells nothing, and a restarted operator repeats nothing. The reasons are those of the
//! conditions, and those of the Go operator where the same is meant (contract, section 5).

mod database;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::events::{Event, EventType};

pub use self::database::{Run, moved};
use crate::api::{DittoServerStatus, Phase, reasons};
use crate::domain::applied::{Applied, Outcome, Step};
use crate::domain::conditions::{AVAILABLE, CONFIG_READY, DATABASE_READY, PROGRESSING, READY, bounded};

/// Longest note, in bytes: the API allows 1 KiB.
const NOTE_MAX: usize = 1000;

/// Children were created. One event for all of one pass.
pub const CREATED: &str = "Created";
/// Children were changed: the spec moved on, or somebody had edited them. One event for all of one pass.
pub const UPDATED: &str = "Updated";
/// Children that the spec no longer wants were deleted. One event for all of one pass.
pub const DELETED: &str = "Deleted";
/// The user asked for a new signing key, and the server restarts on it.
pub const SECRETS_ROTATED: &str = "SecretsRotated";
/// The database stays and no longer follows the server.
pub const PERCONA_ORPHANED: &str = "PerconaOrphaned";
/// A new server starts without a generated first password: data of an earlier one is there.
pub const PASSWORD_NOT_GENERATED: &str = "AdminPasswordNotGenerated";
/// The server does all that is asked of it.
pub const SERVER_READY: &str = "Ready";
/// The database cluster serves.
pub const SERVER_DATABASE_READY: &str = "DatabaseReady";
/// The pod is being replaced by one of a new revision.
pub const ROLLING_OUT: &str = "RollingOut";
/// A pod is being started or stopped.
pub const SCALING: &str = "Scaling";
/// No pod serves any more, and no rollout explains it.
pub const UNAVAILABLE: &str = "Unavailable";
/// A pod that kept a rollout from going on was deleted. One event for each pod.
pub const POD_REPLACED: &str = "PodReplaced";
/// The user has removed the annotation that paused the server.
pub const RESUMED: &str = "Resumed";
/// The server uses another database from now on. No row goes along.
pub const DATABASE_CHANGED: &str = "DatabaseChanged";
/// A child could not be written; the Go operator's reason for it.
pub const RECONCILE_FAILED: &str = "ReconcileFailed";

/// What is to be told of one reconcile.
#[must_use]
pub fn story(before: &DittoServerStatus, after: &DittoServerStatus, applied: &Applied) -> Vec<Event> {
    let mut story = written(&applied.steps);
    let scene = Scene { before, after };
    let chapters = [
        (CONFIG_READY, config_ready as Chapter),
        (DATABASE_READY, database_ready),
        (PROGRESSING, progressing),
        (AVAILABLE, available),
        (READY, ready),
    ];
    for (type_, chapter) in chapters {
        let Some(change) = scene.change(type_) else {
            continue;
        };
        // One cause shows in several conditions; it is told once.
        let told = chapter(&scene, &change);
        story.extend(told.filter(|event| !story.iter().any(|earlier| earlier.note == event.note)));
    }
    story
}

/// The status before and after one reconcile.
struct Scene<'a> {
    before: &'a DittoServerStatus,
    after: &'a DittoServerStatus,
}

/// A condition whose status or reason changed.
struct Change<'a> {
    before: Option<&'a Condition>,
    now: &'a Condition,
}

type Chapter = fn(&Scene<'_>, &Change<'_>) -> Option<Event>;

impl<'a> Scene<'a> {
    fn change(&self, type_: &str) -> Option<Change<'a>> {
        let now = find(self.after, type_)?;
        let before = find(self.before, type_);
        let is_same = before.is_some_and(|before| before.status == now.status && before.reason == now.reason);
        (!is_same).then_some(Change { before, now })
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

impl Change<'_> {
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

/// Whether an outcome is of the verb that is told.
type Did = fn(&Outcome) -> bool;

/// The children that were written, one event for each verb.
fn written(steps: &[Step]) -> Vec<Event> {
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
        .chain(steps.iter().filter_map(released))
        .chain(steps.iter().filter_map(not_generated))
        .collect()
}

fn rotated(step: &Step) -> Option<Event> {
    let note = format!(
        "Secret {} has a new signing key, as asked for; the server restarts on it once, and everybody signs in anew. The first admin password is not rotated, because a server that has started once ignores it: change it through the server",
        step.name
    );
    matches!(step.outcome, Outcome::Rotated).then(|| normal(SECRETS_ROTATED, "Rotate", note))
}

fn released(step: &Step) -> Option<Event> {
    let told = || database_stays(&format!("{} {}", step.kind, step.name));
    matches!(step.outcome, Outcome::Released).then(told)
}

/// What becomes of a database that does not go with its server.
pub(crate) fn database_stays(cluster: &str) -> Event {
    let note = format!(
        "{cluster}: stays, with its data and Secrets; a DittoServer of the same name takes it up again"
    );
    normal(PERCONA_ORPHANED, "Delete", note)
}

fn not_generated(step: &Step) -> Option<Event> {
    let note = format!(
        "Secret {} is missing and is not generated: data of an earlier server is there, and it may know another password. If it is new to the server, create the Secret by hand, with the key password, before the first start (docs/adr/0007)",
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

fn config_ready(_: &Scene<'_>, change: &Change<'_>) -> Option<Event> {
    if !change.is_true() {
        return warning_of(change.now, "Validate");
    }
    let is_recovery = change.before.is_some() && !change.was("True");
    is_recovery.then(|| {
        normal(
            &change.now.reason,
            "Validate",
            "Configuration and Secrets are valid".into(),
        )
    })
}

fn database_ready(scene: &Scene<'_>, change: &Change<'_>) -> Option<Event> {
    let name = scene.after.percona_cluster_name.as_deref().unwrap_or_default();
    let hibernation = [reasons::PERCONA_HIBERNATING, reasons::PERCONA_PAUSING];
    if hibernation.contains(&change.now.reason.as_str()) {
        return Some(normal(
            &change.now.reason,
            "Hibernate",
            change.now.message.clone(),
        ));
    }
    if change.now.reason == reasons::MIGRATION_PENDING {
        return warning_of(change.now, "WaitForDatabase");
    }
    if change.is_true() {
        return Some(normal(
            SERVER_DATABASE_READY,
            "WaitForDatabase",
            format!("PostgreSQL cluster {name} is ready"),
        ));
    }
    if change.now.reason == reasons::PERCONA_NOT_READY {
        let state = change.now.message.rsplit(": ").next().unwrap_or_default();
        let note = format!("Waiting for PostgreSQL cluster {name} (state: {state})");
        return Some(event(
            EventType::Warning,
            reasons::PERCONA_NOT_READY,
            "WaitForDatabase",
            note,
        ));
    }
    warning_of(change.now, "WaitForDatabase")
}

/// Waiting and blocking have a cause in another condition, which tells it; a change of the StatefulSet that its
/// controller has not seen lasts for a moment.
fn progressing(_: &Scene<'_>, change: &Change<'_>) -> Option<Event> {
    let now = change.now;
    let told = |reason: &str, action: &str| Some(normal(reason, action, now.message.clone()));
    let reason = now.reason.as_str();
    let was_paused = change.had(reasons::PAUSED);
    match reason {
        reasons::PROGRESS_DEADLINE_EXCEEDED => warning_of(now, "RollOut"),
        reasons::PAUSED if was_paused => None,
        reasons::PAUSED => told(reason, "Pause"),
        _ if was_paused && reason != reasons::DELETING => {
            let note = format!("No longer paused. {}", now.message);
            Some(normal(RESUMED, "Resume", note))
        }
        // With most drivers it lasts for seconds.
        reasons::FILE_SYSTEM_RESIZE_PENDING => told(reason, "GrowVolume"),
        reason if reasons::STUCK_VOLUME.contains(&reason) => warning_of(now, "GrowVolume"),
        _ if !change.is_true() => None,
        reasons::VOLUME_GROWING => told(reason, "GrowVolume"),
        reasons::ROLLOUT_IN_PROGRESS => told(ROLLING_OUT, "RollOut"),
        reasons::SCALING_REPLICAS => told(SCALING, "Scale"),
        reasons::DELETING => told(reason, "Delete"),
        reasons::RESOURCE_TERMINATING => told(reason, "Reconcile"),
        reasons::RESOURCE_CONFLICT | reasons::APPLY_FAILED => warning_of(now, "Reconcile"),
        _ => None,
    }
}

/// That a server became available is told by `Ready`; that it stopped to be is news, unless it is being replaced.
fn available(scene: &Scene<'_>, change: &Change<'_>) -> Option<Event> {
    if change.now.reason == reasons::RESOURCE_CONFLICT {
        return warning_of(change.now, "Reconcile");
    }
    if change.now.status != "False" || !change.was("True") {
        return None;
    }
    let replacing = [reasons::ROLLOUT_IN_PROGRESS, reasons::STATEFUL_SET_UPDATING];
    let is_replaced = scene
        .reason(PROGRESSING)
        .is_some_and(|reason| replacing.contains(&reason));
    let note = format!("No pod is ready. {}", change.now.message);
    (!change.had(reasons::STOPPED) && !is_replaced)
        .then(|| event(EventType::Warning, UNAVAILABLE, "Watch", note))
}

fn ready(scene: &Scene<'_>, change: &Change<'_>) -> Option<Event> {
    if !change.is_true() || change.was("True") {
        return None;
    }
    let is_stopped = scene.after.phase == Some(Phase::Stopped);
    let reason = if is_stopped {
        reasons::STOPPED
    } else {
        SERVER_READY
    };
    Some(normal(reason, "Reconcile", change.now.message.clone()))
}

/// A condition's own words, as a warning.
fn warning_of(condition: &Condition, action: &str) -> Option<Event> {
    let reason = match condition.reason.as_str() {
        reasons::APPLY_FAILED => RECONCILE_FAILED,
        // Made with the other children in the same pass, or told by what keeps them from being made.
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
