//! `Ready`: all of the other four conditions are as they should be.

use super::{Judgement, Truth, reasons};

/// The other four conditions, judged.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) config: Judgement,
    pub(super) available: Judgement,
    /// `None` while Percona is disabled.
    pub(super) database: Option<Judgement>,
    pub(super) progressing: Judgement,
}

/// One prerequisite: the status that it must have, and its token in the message if it has another one, or is unknown.
struct Prerequisite<'a> {
    judgement: &'a Judgement,
    wanted: Truth,
    unmet: &'static str,
    unknown: &'static str,
}

impl<'a> Prerequisite<'a> {
    fn new(judgement: &'a Judgement, wanted: Truth, unmet: &'static str, unknown: &'static str) -> Self {
        Self {
            judgement,
            wanted,
            unmet,
            unknown,
        }
    }

    /// A rollout that exceeded its deadline no longer progresses, but is not complete either.
    fn is_met(&self) -> bool {
        self.judgement.truth == self.wanted && self.judgement.reason != reasons::PROGRESS_DEADLINE_EXCEEDED
    }

    fn is_unknown(&self) -> bool {
        self.judgement.truth == Truth::Unknown
    }

    fn token(&self) -> &'static str {
        if self.is_unknown() {
            self.unknown
        } else {
            self.unmet
        }
    }
}

pub(super) fn judge(judged: &Judged, wanted_replicas: i32) -> Judgement {
    let unmet: Vec<Prerequisite<'_>> = prerequisites(judged)
        .into_iter()
        .filter(|prerequisite| !prerequisite.is_met())
        .collect();
    let Some(cause) = cause(judged, &unmet) else {
        let mut message = if wanted_replicas == 0 {
            "DittoServer is stopped as its spec asks (replicas=0)".to_owned()
        } else {
            "DittoServer is fully operational".to_owned()
        };
        if is_paused(judged) {
            message.push_str("; it is paused");
        }
        return Judgement::yes(reasons::ALL_CONDITIONS_MET, message);
    };
    let tokens: Vec<&str> = unmet.iter().map(Prerequisite::token).collect();
    let message = format!("Not ready: [{}]: {}", tokens.join(" "), cause.message);
    if unmet.iter().all(Prerequisite::is_unknown) {
        Judgement::unknown(reasons::CONDITIONS_UNKNOWN, message)
    } else {
        Judgement::no(reasons::CONDITIONS_NOT_MET, message)
    }
}

/// The prerequisites, in the order of the message (contract, section 4).
fn prerequisites(judged: &Judged) -> Vec<Prerequisite<'_>> {
    let mut prerequisites = vec![
        Prerequisite::new(&judged.config, Truth::True, "ConfigNotReady", "ConfigUnknown"),
        Prerequisite::new(
            &judged.available,
            Truth::True,
            "NotAvailable",
            "AvailabilityUnknown",
        ),
        Prerequisite::new(
            &judged.progressing,
            Truth::False,
            "StillProgressing",
            "ProgressUnknown",
        ),
    ];
    let database = judged.database.as_ref();
    prerequisites.extend(
        database
            .map(|database| Prerequisite::new(database, Truth::True, "DatabaseNotReady", "DatabaseUnknown")),
    );
    prerequisites
}

fn is_paused(judged: &Judged) -> bool {
    judged.progressing.reason == reasons::PAUSED
}

/// The unmet condition that explains most: what the pod needs comes before the pod, and what happens to the pod comes before the
/// fact that it does not serve. A known failure comes before an unknown state.
fn cause<'a>(judged: &'a Judged, unmet: &[Prerequisite<'_>]) -> Option<&'a Judgement> {
    // The pause is the reason for everything that differs meanwhile.
    if is_paused(judged) && !unmet.is_empty() {
        return Some(&judged.progressing);
    }
    let by_priority = [
        Some(&judged.config),
        judged.database.as_ref(),
        Some(&judged.progressing),
        Some(&judged.available),
    ];
    let is_unmet = |judgement: &&Judgement| {
        unmet
            .iter()
            .any(|prerequisite| std::ptr::eq(prerequisite.judgement, *judgement))
    };
    let causes: Vec<&Judgement> = by_priority.into_iter().flatten().filter(is_unmet).collect();
    let known = causes.iter().find(|judgement| judgement.truth != Truth::Unknown);
    known.or(causes.first()).copied()
}
