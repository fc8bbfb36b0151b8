//! Whether a start or a rollout takes too long. The time is an argument.
//!
//! All times are read from the cluster, so a restart of the operator does not reset the deadline. A rollout begins when
//! `Progressing` becomes True, or later: when what it waited for existed (`ConfigReady` or `DatabaseReady` became True), when its
//! StatefulSet was created or changed, when its pod was created or lost its readiness, or when the old pod was deleted. After the deadline, `Progressing`
//! is False with the reason `ProgressDeadlineExceeded`, as in a Deployment, until the rollout completes or something new begins:
//! another spec, another pod.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{CONFIG_READY, DATABASE_READY, Inputs, Judgement, PROGRESSING, Truth, reasons};

/// Reasons of `Progressing` with a deadline. With the others, it is not the rollout that takes long.
const TIMED: [&str; 3] = [
    reasons::STATEFUL_SET_UPDATING,
    reasons::ROLLOUT_IN_PROGRESS,
    reasons::SCALING_REPLICAS,
];

/// Reasons of `Progressing` that come before those of the pod, and may last while it does not start.
const HIDING: [&str; 4] = [
    reasons::APPLY_FAILED,
    reasons::RESOURCE_CONFLICT,
    reasons::RESOURCE_TERMINATING,
    reasons::VOLUME_GROWING,
];

/// The times from which the deadline is computed.
pub(super) struct Clock<'a> {
    /// `ConfigReady` and `DatabaseReady` as they are now, with their times.
    pub(super) needs: &'a [Condition],
    /// `Progressing` as it was.
    pub(super) previous: Option<&'a Condition>,
    pub(super) generation: i64,
    pub(super) now: Timestamp,
}

/// `Progressing`, unless the deadline of a rollout has passed.
///
/// A pod that does not start is reported although another child cannot be written (`ApplyFailed`, for example), or a volume is being
/// expanded: those reasons come first, and would hide it for ever.
pub(super) fn judge(progressing: Judgement, inputs: &Inputs<'_>, clock: &Clock<'_>) -> Judgement {
    if progressing.truth != Truth::True || inputs.waits_for_user() || !clock.is_over(inputs) {
        return progressing;
    }
    let (message, other) = if is_timed(progressing.truth.as_str(), progressing.reason) {
        (progressing.message, String::new())
    } else {
        let hides_pod = HIDING.contains(&progressing.reason) && inputs.has_faulty_pod();
        match super::progressing::of_workload(inputs).filter(|_| hides_pod) {
            Some(workload) => (workload.message, format!("; {}", progressing.message)),
            None => return progressing,
        }
    };
    let seconds = inputs.server.spec.progress_deadline_seconds();
    let cause = inputs.pod_cause.as_ref().filter(|cause| !cause.is_fault);
    // The message already contains a fault.
    let cause = cause
        .map(|cause| format!("; {}", cause.message))
        .unwrap_or_default();
    let message = format!("Not finished within {seconds} s: {message}{cause}{other}");
    Judgement::no(reasons::PROGRESS_DEADLINE_EXCEEDED, message)
}

/// The time until the deadline of the current rollout. Then the server must be reconciled again. `None` without a rollout.
#[must_use]
pub fn time_left(inputs: &Inputs<'_>, conditions: &[Condition], now: Timestamp) -> Option<Duration> {
    let progressing = conditions
        .iter()
        .find(|condition| condition.type_ == PROGRESSING)?;
    let reason = progressing.reason.as_str();
    let may_exceed = TIMED.contains(&reason) || (HIDING.contains(&reason) && inputs.has_faulty_pod());
    if progressing.status != Truth::True.as_str() || !may_exceed || inputs.waits_for_user() {
        return None;
    }
    let since = progressing.last_transition_time.0;
    let start = latest_event(inputs, conditions).map_or(since, |event| event.max(since));
    let left = deadline(inputs, start)?.duration_since(now);
    // Times are whole seconds. A reconcile a moment too early would be pointless.
    Some(Duration::try_from(left).unwrap_or_default() + Duration::from_millis(50))
}

impl Clock<'_> {
    fn is_over(&self, inputs: &Inputs<'_>) -> bool {
        let Some(previous) = self.previous else {
            return false;
        };
        let event = latest_event(inputs, self.needs);
        let since = previous.last_transition_time.0;
        if previous.status == Truth::True.as_str() {
            let start = event.map_or(since, |event| event.max(since));
            return deadline(inputs, start).is_some_and(|deadline| self.now >= deadline);
        }
        // The deadline had passed before. That stays so unless something began since.
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

/// The latest event from which the time of a rollout counts.
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

/// When the StatefulSet was created, or when any field manager last changed its spec.
fn written(stateful_set: &StatefulSet) -> Option<Timestamp> {
    let metadata = &stateful_set.metadata;
    let entries = metadata.managed_fields.iter().flatten();
    let changed = entries
        .filter(|entry| entry.subresource.is_none())
        .filter_map(|entry| entry.time.as_ref());
    let times = metadata.creation_timestamp.iter().chain(changed);
    times.map(|time| time.0).max()
}
