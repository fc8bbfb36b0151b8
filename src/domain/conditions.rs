//! Step 5, conditions: the state of a server, for people and programs.
//!
//! Five conditions come from the contract. Each is an ordered chain of checks over one plain [`Inputs`]. `Stalled` follows from
//! them. No check relies on an earlier one having passed. The first check that fails gives reason and message. A check that could
//! not be decided (`Unknown`) has lower priority than a later one that could, because a known failure says more.
//!
//! | condition | True when | file |
//! |---|---|---|
//! | `Ready` | `ConfigReady` and `Available` are True, `Progressing` is False, and `DatabaseReady` is True while Percona is enabled | `ready.rs` |
//! | `Available` | a pod is ready, or no pod is wanted | `available.rs` |
//! | `ConfigReady` | the ConfigMap is what was rendered, and the Secrets that the pod uses have valid values | `config_ready.rs` |
//! | `DatabaseReady` | the PostgreSQL cluster serves; absent while Percona is disabled | `database_ready.rs` |
//! | `Progressing` | the cluster does not yet have what the spec asks for, or the rollout is not complete | `progressing.rs` |
//! | `Stalled` | it needs manual action; absent otherwise | `stalled.rs` |
//!
//! `pod_cause.rs` finds out why a pod does not serve, and `deadline.rs` whether a rollout takes too long.
//!
//! If an object of another owner has the name of a child, `ConfigReady` reports it for the ConfigMap, `DatabaseReady` for the
//! PerconaPGCluster, `Available` for the StatefulSet, and `Progressing` for every kind. `Progressing` stays True: the work is not
//! complete, and continues once the object is deleted. So `Ready` is False in each case.

mod available;
mod child;
mod config_ready;
mod database_ready;
mod deadline;
mod drift;
mod inputs;
pub(crate) mod pod_cause;
mod progressing;
mod ready;
mod stalled;
mod volumes;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use strum::IntoStaticStr;

pub use self::child::Child;
pub use self::deadline::time_left;
pub use self::inputs::{Inputs, failed};
pub use self::pod_cause::PodCause;
use crate::api::reasons;

/// The server does all that is asked of it.
pub const READY: &str = "Ready";
/// The server serves clients, or is stopped.
pub const AVAILABLE: &str = "Available";
/// Configuration and Secrets are valid.
pub const CONFIG_READY: &str = "ConfigReady";
/// The PostgreSQL cluster serves.
pub const DATABASE_READY: &str = "DatabaseReady";
/// The cluster does not have what the spec asks for yet.
pub const PROGRESSING: &str = "Progressing";

/// It needs manual action. The condition exists only while it is True: name and rule come from kstatus.
pub const STALLED: &str = "Stalled";

/// Every condition of this operator.
pub const OURS: [&str; 6] = [
    READY,
    AVAILABLE,
    CONFIG_READY,
    DATABASE_READY,
    PROGRESSING,
    STALLED,
];

/// Maximum length of a message, in bytes. The API allows 32 KiB, but people must be able to read a status.
const MESSAGE_MAX: usize = 1000;

/// `status` of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
enum Truth {
    True,
    False,
    Unknown,
}

impl Truth {
    fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Status, reason and message of a condition, without the times.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Judgement {
    truth: Truth,
    reason: &'static str,
    message: String,
}

impl Judgement {
    /// The same, with more to say.
    fn with_sentences(mut self, sentences: &[String]) -> Self {
        for sentence in sentences {
            self.message.push_str(". ");
            self.message.push_str(sentence);
        }
        self
    }

    fn yes(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            truth: Truth::True,
            reason,
            message: message.into(),
        }
    }

    fn no(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            truth: Truth::False,
            reason,
            message: message.into(),
        }
    }

    fn unknown(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            truth: Truth::Unknown,
            reason,
            message: message.into(),
        }
    }
}

/// One check of a chain: why the condition is not met, if it is not.
type Check = fn(&Inputs<'_>) -> Option<Judgement>;

/// The first check of a chain that fails, else the first that is `Unknown`.
fn first_failure(checks: &[Check], inputs: &Inputs<'_>) -> Option<Judgement> {
    let failures: Vec<Judgement> = checks.iter().filter_map(|check| check(inputs)).collect();
    let decided = failures
        .iter()
        .position(|failure| failure.truth != Truth::Unknown);
    failures.into_iter().nth(decided.unwrap_or(0))
}

/// The conditions of one server, in a fixed order.
///
/// `previous` gives the times: `lastTransitionTime` is kept while `status` stays, and is `now`, in whole seconds, when
/// it changes. `generation` is that of the server, and is set on every condition.
#[must_use]
pub fn conditions(
    inputs: &Inputs<'_>,
    previous: &[Condition],
    generation: i64,
    now: Timestamp,
) -> Vec<Condition> {
    let date = |type_, judgement| dated(type_, judgement, previous, generation, now);
    let config = config_ready::judge(inputs);
    let database = inputs.has_database().then(|| database_ready::judge(inputs));
    let mut needs = vec![date(CONFIG_READY, config.clone())];
    needs.extend(database.clone().map(|database| date(DATABASE_READY, database)));
    let clock = deadline::Clock {
        needs: &needs,
        previous: previous.iter().find(|condition| condition.type_ == PROGRESSING),
        generation,
        now,
    };
    let judged = ready::Judged {
        available: available::judge(inputs),
        progressing: deadline::judge(progressing::judge(inputs), inputs, &clock),
        config,
        database,
    };
    let ready = ready::judge(&judged, inputs.desired_replicas());
    let stalled = stalled::judge(inputs, &ready, &judged.progressing);
    let ready::Judged {
        config,
        available,
        database,
        progressing,
    } = judged;
    let all = [
        (READY, Some(ready)),
        (AVAILABLE, Some(available)),
        (CONFIG_READY, Some(config)),
        (DATABASE_READY, database),
        (PROGRESSING, Some(progressing)),
        (STALLED, stalled),
    ];
    let present = all
        .into_iter()
        .filter_map(|(type_, judgement)| Some((type_, judgement?)));
    present.map(|(type_, judgement)| date(type_, judgement)).collect()
}

/// The conditions of a stored object that does not parse as a DittoServer. Nothing else is known about it.
#[must_use]
pub fn unparsable(error: &str, previous: &[Condition], generation: i64, now: Timestamp) -> Vec<Condition> {
    let message = format!(
        "the stored DittoServer cannot be parsed, and is not reconciled until it is corrected: {error}"
    );
    let judged = ready::Judged {
        config: Judgement::no(reasons::INVALID_SPEC, message.clone()),
        available: Judgement::unknown(reasons::INVALID_SPEC, message.clone()),
        database: None,
        progressing: Judgement::no(reasons::BLOCKED, message.clone()),
    };
    let ready = ready::judge(&judged, 1);
    let all = [
        (READY, ready),
        (AVAILABLE, judged.available),
        (CONFIG_READY, judged.config),
        (PROGRESSING, judged.progressing),
        (STALLED, Judgement::yes(reasons::INVALID_SPEC, message)),
    ];
    all.into_iter()
        .map(|(type_, judgement)| dated(type_, judgement, previous, generation, now))
        .collect()
}

fn dated(
    type_: &str,
    judgement: Judgement,
    previous: &[Condition],
    generation: i64,
    now: Timestamp,
) -> Condition {
    let status = judgement.truth.as_str();
    let kept = previous
        .iter()
        .find(|condition| condition.type_ == type_ && condition.status == status);
    // The API stores whole seconds. A finer time would differ from what is read back.
    let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
    Condition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: judgement.reason.to_owned(),
        message: bounded(judgement.message, MESSAGE_MAX),
        observed_generation: Some(generation),
        last_transition_time: kept.map_or(Time(now), |condition| condition.last_transition_time.clone()),
    }
}

/// Cuts `text` to at most `max` bytes, between two characters.
pub(crate) fn bounded(mut text: String, max: usize) -> String {
    const CUT: &str = "...";
    if text.len() > max {
        let mut end = max.saturating_sub(CUT.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str(CUT);
    }
    text
}

/// The last `max` bytes of `text` at most, from a whole character on.
fn ending(text: &str, max: usize) -> String {
    const CUT: &str = "...";
    if text.len() <= max {
        return text.to_owned();
    }
    let mut start = text.len() - max.saturating_sub(CUT.len());
    while !text.is_char_boundary(start) {
        start += 1;
    }
    format!("{CUT}{}", &text[start..])
}

#[cfg(test)]
mod tests;
