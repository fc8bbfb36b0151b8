//! Uploads before an end: with a remote store, blocks that are not uploaded yet are on the volumes only.
//!
//! Before the pod is stopped (`replicas: 0`, hibernation), before its volumes are deleted (`storage.retention: Delete`), and before a
//! rollout where the spec says so, the server is asked to upload everything (`server/drains.rs` makes the call). The status says what
//! became of it **before** the server is ended: an operator that dies in between knows it.
//!
//! A stop waits for a limited time, because the volumes stay. A deletion waits without limit: for the uploads, or for the user.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::Value;

use crate::api::names::APPLIED_HASH_ANNOTATION;
use crate::api::{DrainBefore, DrainState, Retention, UploadsStatus};
use crate::domain::compare;
use crate::domain::observed::{Observed, Read};
use crate::domain::workload::{pods, rollout};

/// What ends the running server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    before: DrainBefore,
    /// Tells a rollout from others.
    revision: Option<String>,
}

impl End {
    /// Its pod is stopped, and its volumes stay.
    pub const STOP: Self = Self::of(DrainBefore::Stop);
    /// Its volumes are deleted.
    pub const DELETION: Self = Self::of(DrainBefore::Deletion);

    const fn of(before: DrainBefore) -> Self {
        Self {
            before,
            revision: None,
        }
    }

    /// A new pod replaces the running one. The text tells this rollout from others.
    #[must_use]
    pub fn rollout(revision: String) -> Self {
        Self {
            before: DrainBefore::Rollout,
            revision: Some(revision),
        }
    }

    fn is_deletion(&self) -> bool {
        self.before == DrainBefore::Deletion
    }
}

/// What follows for the uploads of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// What the status says.
    pub status: Option<UploadsStatus>,
    /// Whether the server must not be ended yet.
    pub holds: bool,
    /// Whether the server is to be asked.
    pub asks: bool,
    /// When this is to be looked at again, although nothing changes.
    pub recheck_in: Option<Duration>,
}

impl Plan {
    fn free(status: Option<UploadsStatus>) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    /// What a deleted server waits for. `None` if nothing holds it up.
    #[must_use]
    pub fn pending(&self) -> Option<String> {
        let status = self.status.as_ref().filter(|_| self.holds)?;
        Some(match status.state {
            DrainState::Draining => "the server uploads blocks that only they have".to_owned(),
            DrainState::Drained => "everything is uploaded".to_owned(),
            DrainState::NotDrained => format!(
                "not everything that they have is in the remote stores: {}. {REMEDY}",
                status.message.as_deref().unwrap_or_default()
            ),
        })
    }
}

/// Pause before the next look at something that is expected soon.
const SOON: Duration = Duration::from_secs(1);
/// How long a running server has nothing to upload after it has uploaded everything: it is stopped meanwhile.
const FRESH: SignedDuration = SignedDuration::from_mins(5);

/// What a user can do about a deletion that waits.
pub const REMEDY: &str = "To keep the volumes, set spec.storage.retention to Retain. To delete them with what was not uploaded, set the annotation dittofs.dittofs.com/delete-without-upload to \"true\"";

/// What follows if the server is about to be ended in this way.
#[must_use]
pub fn plan(observed: &Observed, end: Option<&End>) -> Plan {
    let server = observed.server.as_ref();
    let Some(end) = end else {
        return Plan::free(at_rest(observed));
    };
    let Some(timeout) = server.spec.drain_timeout().filter(|_| server.uploads()) else {
        return Plan::default();
    };
    let status = server.status.as_ref();
    let known = status.and_then(|status| status.uploads.as_ref());
    if end.is_deletion() && (server.deletes_without_upload() || !has_volumes(observed)) {
        return Plan::free(known.cloned());
    }
    let known = known.filter(|known| is_about(known, end, observed));
    if known.is_some_and(|known| is_over(known, end, observed.at)) {
        return Plan::free(known.cloned());
    }
    let is_running = pods::serving(&observed.pods).is_some();
    let since = since(known.filter(|known| known.state != DrainState::Drained), observed);
    let left = left(since, timeout, observed.at);
    let (state, message) = outcome(observed, is_running, left.is_zero());
    let (holds, recheck_in) = match state {
        DrainState::Draining => (true, Some(left.max(SOON))),
        // The status says it first, so that a later deletion of the stopped server knows it. If the status cannot be written, the stop
        // does not wait for ever.
        DrainState::Drained => (!end.is_deletion() && !left.is_zero(), Some(SOON)),
        DrainState::NotDrained => (end.is_deletion(), None),
    };
    let is_drained = state == DrainState::Drained;
    Plan {
        holds,
        asks: holds && is_running && !is_drained,
        recheck_in: recheck_in.filter(|_| holds),
        status: Some(UploadsStatus {
            state,
            before: end.before,
            since: Some(Time(if is_drained { observed.at } else { since })),
            message,
            revision: end.revision.clone(),
        }),
    }
}

/// Since when the server is asked, also if the status could not be written.
fn since(known: Option<&UploadsStatus>, observed: &Observed) -> Timestamp {
    let known = known.and_then(|known| known.since.as_ref()).map(|time| time.0);
    let asked_at = observed.uploads.asked_at;
    known.into_iter().chain(asked_at).min().unwrap_or(observed.at)
}

/// Whether what the status says decides. A deletion is decided by uploads only. A stop must follow its uploads soon: clients go on writing.
fn is_over(known: &UploadsStatus, end: &End, now: Timestamp) -> bool {
    let age = known.since.as_ref().map(|since| now.duration_since(since.0));
    match (known.state, end.before) {
        (DrainState::Draining, _) | (DrainState::NotDrained, DrainBefore::Deletion) => false,
        (DrainState::Drained, DrainBefore::Stop) => age.is_some_and(|age| age < FRESH),
        (DrainState::NotDrained, DrainBefore::Stop) | (_, DrainBefore::Rollout | DrainBefore::Deletion) => {
            true
        }
    }
}

/// What has become of the uploads, and why they are not complete.
fn outcome(observed: &Observed, is_running: bool, is_late: bool) -> (DrainState, Option<String>) {
    let report = &observed.uploads;
    if report.is_drained {
        return (DrainState::Drained, None);
    }
    if !is_running && matches!(observed.pods, Read::Found(_)) {
        let text = "no pod of the server is ready, so it could not be asked";
        return (DrainState::NotDrained, Some(text.into()));
    }
    if !is_late && !report.is_refused {
        return (DrainState::Draining, report.failure.clone());
    }
    let text = report.failure.clone().unwrap_or_else(|| {
        if report.asked_at.is_some() {
            "the server was still uploading".into()
        } else {
            "the server could not be asked, because the key or a certificate of its API cannot be read".into()
        }
    });
    (DrainState::NotDrained, Some(text))
}

/// What is known of the uploads while nothing ends the server. While it runs, that is nothing.
fn at_rest(observed: &Observed) -> Option<UploadsStatus> {
    let known = observed.server.status.as_ref()?.uploads.clone()?;
    let stateful_set = observed.stateful_set.found();
    if stateful_set.is_some_and(|set| rollout::replicas(set) > 0) {
        return None;
    }
    Some(if known.state == DrainState::Draining {
        UploadsStatus {
            state: DrainState::NotDrained,
            message: Some("the pod was stopped before the server had answered".into()),
            ..known
        }
    } else {
        known
    })
}

/// Whether what the status says is about this end. A stopped server has the volumes that it had when it stopped.
fn is_about(known: &UploadsStatus, end: &End, observed: &Observed) -> bool {
    let is_same = known.before == end.before && known.revision == end.revision;
    let is_of_the_stop = end.is_deletion() && known.before == DrainBefore::Stop && is_stopped(observed);
    // What was uploaded before an earlier start of the server says nothing of what it has now.
    let is_stale = end.is_deletion() && known.state == DrainState::Drained && !is_stopped(observed);
    (is_same && !is_stale) || is_of_the_stop
}

/// Whether the server has no pod, and is to have none.
fn is_stopped(observed: &Observed) -> bool {
    let has_no_pod = observed.pods.found().is_some_and(Vec::is_empty);
    let wants_none = match &observed.stateful_set {
        Read::Found(set) => rollout::replicas(set) == 0,
        Read::Missing => true,
        Read::Unreadable(_) => false,
    };
    has_no_pod && wants_none
}

/// The time that is left for the uploads.
fn left(since: Timestamp, timeout: Duration, now: Timestamp) -> Duration {
    let timeout = SignedDuration::try_from(timeout).unwrap_or(SignedDuration::MAX);
    let end = since.checked_add(timeout).unwrap_or(Timestamp::MAX);
    Duration::try_from(end.duration_since(now)).unwrap_or(Duration::ZERO)
}

/// Whether there are volumes that are not being deleted anyway, with their namespace, for example.
fn has_volumes(observed: &Observed) -> bool {
    match &observed.claims {
        Read::Found(claims) => claims
            .iter()
            .any(|claim| claim.metadata.deletion_timestamp.is_none()),
        Read::Missing => false,
        Read::Unreadable(_) => true,
    }
}

/// How a pod that runs would be ended by `replicas`, and by another pod template.
#[must_use]
pub fn end(observed: &Observed, replicas: i32, desired: Option<&StatefulSet>) -> Option<End> {
    if observed.server.is_paused() || !runs(observed) {
        return None;
    }
    if replicas == 0 {
        return Some(End::STOP);
    }
    let live = observed.stateful_set.found()?;
    let desired = desired.filter(|_| observed.server.spec.drains_before_rollout())?;
    rollout_of(live, desired).map(End::rollout)
}

/// Whether a pod runs, or is to. Without its StatefulSet, a pod runs until a new one is created, with or without replicas.
fn runs(observed: &Observed) -> bool {
    match &observed.stateful_set {
        Read::Found(set) => rollout::replicas(set) > 0,
        Read::Missing => pods::serving(&observed.pods).is_some(),
        Read::Unreadable(_) => false,
    }
}

/// How the deletion of a server ends it. `None` if its policy keeps the volumes.
#[must_use]
pub fn deletion(observed: &Observed) -> Option<End> {
    let server = &observed.server;
    let deletes = server.spec.retention() == Retention::Delete;
    (deletes && server.metadata.deletion_timestamp.is_some()).then_some(End::DELETION)
}

/// The hash of the desired StatefulSet, if its pod template may differ from the live one. A field that left the template does not differ
/// from anything, but the hash does.
fn rollout_of(live: &StatefulSet, desired: &StatefulSet) -> Option<String> {
    let desired = serde_json::to_value(desired).ok()?;
    let hash = compare::applied_hash(&desired).ok()?;
    let annotations = live.metadata.annotations.as_ref();
    let applied = annotations.and_then(|annotations| annotations.get(APPLIED_HASH_ANNOTATION));
    let template = |set: &Value| set["spec"]["template"].clone();
    let is_applied = applied.is_some_and(|applied| *applied == hash);
    let live = serde_json::to_value(live).ok()?;
    (!is_applied || !compare::holds(&template(&live), &template(&desired))).then_some(hash)
}

#[cfg(test)]
mod tests;
