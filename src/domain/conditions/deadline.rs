//! When a start or a rollout has taken too long. Pure: the time is an argument.
//!
//! The clock is read from the cluster, so that a restart of the operator does not set it back. A rollout begins when
//! `Progressing` turns True, or later: when what it waited for was there (`ConfigReady` or `DatabaseReady` turned True),
//! or when its StatefulSet was made or changed, or its pod was made, or the old pod was told to go. Once the deadline has passed, `Progressing`
//! is False with the reason `ProgressDeadlineExceeded`, as in a Deployment, until the rollout finishes or something begins
//! anew: another spec, another pod.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{CONFIG_READY, DATABASE_READY, Inputs, Judgement, PROGRESSING, Truth, reasons};

/// Reasons of `Progressing` under which the clock runs. Under the others, it is not the rollout that takes long.
const TIMED: [&str; 3] = [
    reasons::STATEFUL_SET_UPDATING,
    reasons::ROLLOUT_IN_PROGRESS,
    reasons::SCALING_REPLICAS,
];

/// What a clock is read from, beside `Progressing` itself.
pub(super) struct Clock<'a> {
    /// `ConfigReady` and `DatabaseReady` as they are now, dated.
    pub(super) needs: &'a [Condition],
    /// `Progressing` as it was.
    pub(super) previous: Option<&'a Condition>,
    pub(super) generation: i64,
    pub(super) now: Timestamp,
}

/// `Progressing`, unless it says that a rollout is on its way whose time is over.
pub(super) fn judge(progressing: Judgement, inputs: &Inputs<'_>, clock: &Clock<'_>) -> Judgement {
    let is_running = is_timed(progressing.truth.as_str(), progressing.reason) && !inputs.is_held();
    if !is_running || !clock.is_over(inputs) {
        return progressing;
    }
    let seconds = inputs.server.spec.progress_deadline_seconds();
    let cause = inputs.pod_cause.as_ref().filter(|cause| !cause.is_fault);
    // A fault is in the message already.
    let cause = cause
        .map(|cause| format!("; {}", cause.message))
        .unwrap_or_default();
    let message = format!("Not finished within {seconds} s: {}{cause}", progressing.message);
    Judgement::no(reasons::PROGRESS_DEADLINE_EXCEEDED, message)
}

/// How long until the deadline of a rollout that is on its way passes; then the server is to be looked at again. `None`
/// while none is.
#[must_use]
pub fn time_left(inputs: &Inputs<'_>, conditions: &[Condition], now: Timestamp) -> Option<Duration> {
    let progressing = conditions
        .iter()
        .find(|condition| condition.type_ == PROGRESSING)?;
    if !is_timed(&progressing.status, &progressing.reason) || inputs.is_held() {
        return None;
    }
    let since = progressing.last_transition_time.0;
    let start = latest_event(inputs, conditions).map_or(since, |event| event.max(since));
    let left = deadline(inputs, start)?.duration_since(now);
    // Times are whole seconds; a moment too early would be in vain.
    Some(Duration::try_from(left).unwrap_or_default() + Duration::from_millis(50))
}

impl Clock<'_> {
    fn is_over(&self, inputs: &Inputs<'_>) -> bool {
        let Some(previous) = self.previous else {
            return false;
        };
        let event = latest_event(inputs, self.needs);
        let since = previous.last_transition_time.0;
        if is_timed(&previous.status, &previous.reason) {
            let start = event.map_or(since, |event| event.max(since));
            return deadline(inputs, start).is_some_and(|deadline| self.now >= deadline);
        }
        // It was over already: it stays so unless something began since.
        previous.reason == reasons::PROGRESS_DEADLINE_EXCEEDED
            && previous.observed_generation == Some(self.generation)
            && event.is_none_or(|event| event < since)
    }
}

fn is_timed(status: &str, reason: &str) -> bool {
    status == Truth::True.as_str() && TIMED.contains(&reason)
}

fn deadline(inputs: &Inputs<'_>, start: Timestamp) -> Option<Timestamp> {
    let seconds = inputs.server.spec.progress_deadline_seconds();
    start
        .checked_add(SignedDuration::from_secs(i64::from(seconds)))
        .ok()
}

/// When something last happened from which a rollout can be counted.
fn latest_event(inputs: &Inputs<'_>, conditions: &[Condition]) -> Option<Timestamp> {
    let is_met = |condition: &&Condition| {
        [CONFIG_READY, DATABASE_READY].contains(&condition.type_.as_str()) && condition.status == "True"
    };
    let met = conditions
        .iter()
        .filter(is_met)
        .map(|condition| condition.last_transition_time.0);
    let stateful_set = inputs.stateful_set.ours().and_then(written);
    met.chain(stateful_set).chain(inputs.pod_since).max()
}

/// When the StatefulSet was made, or its spec was last changed, by whomever.
fn written(stateful_set: &StatefulSet) -> Option<Timestamp> {
    let metadata = &stateful_set.metadata;
    let entries = metadata.managed_fields.iter().flatten();
    let changed = entries
        .filter(|entry| entry.subresource.is_none())
        .filter_map(|entry| entry.time.as_ref());
    let times = metadata.creation_timestamp.iter().chain(changed);
    times.map(|time| time.0).max()
}
