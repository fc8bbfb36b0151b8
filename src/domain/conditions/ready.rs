//! `Ready`: the conjunction of the other four.

use super::{Judgement, Truth, reasons};

/// The other four conditions, judged.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) config: Judgement,
    pub(super) available: Judgement,
    /// `None` while Percona is off.
    pub(super) database: Option<Judgement>,
    pub(super) progressing: Judgement,
}

/// One conjunct: what it must be, and what it is called when it is not, or when it is not known.
struct Conjunct<'a> {
    judgement: &'a Judgement,
    wanted: Truth,
    unmet: &'static str,
    unknown: &'static str,
}

impl<'a> Conjunct<'a> {
    fn new(judgement: &'a Judgement, wanted: Truth, unmet: &'static str, unknown: &'static str) -> Self {
        Self {
            judgement,
            wanted,
            unmet,
            unknown,
        }
    }

    /// A rollout that ran out of time moves no more, and is not done either.
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
    let open: Vec<Conjunct<'_>> = conjuncts(judged)
        .into_iter()
        .filter(|conjunct| !conjunct.is_met())
        .collect();
    let Some(cause) = cause(judged, &open) else {
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
    let tokens: Vec<&str> = open.iter().map(Conjunct::token).collect();
    let message = format!("Not ready: [{}]: {}", tokens.join(" "), cause.message);
    if open.iter().all(Conjunct::is_unknown) {
        Judgement::unknown(reasons::CONDITIONS_UNKNOWN, message)
    } else {
        Judgement::no(reasons::CONDITIONS_NOT_MET, message)
    }
}

/// In the order in which the message lists them (contract, section 4).
fn conjuncts(judged: &Judged) -> Vec<Conjunct<'_>> {
    let mut conjuncts = vec![
        Conjunct::new(&judged.config, Truth::True, "ConfigNotReady", "ConfigUnknown"),
        Conjunct::new(
            &judged.available,
            Truth::True,
            "NotAvailable",
            "AvailabilityUnknown",
        ),
        Conjunct::new(
            &judged.progressing,
            Truth::False,
            "StillProgressing",
            "ProgressUnknown",
        ),
    ];
    let database = judged.database.as_ref();
    conjuncts.extend(
        database.map(|database| Conjunct::new(database, Truth::True, "DatabaseNotReady", "DatabaseUnknown")),
    );
    conjuncts
}

fn is_paused(judged: &Judged) -> bool {
    judged.progressing.reason == reasons::PAUSED
}

/// The open condition that says most of why: what a pod needs comes before the pod, and what is being done about it
/// before that it does not serve. What is known comes before what is not.
fn cause<'a>(judged: &'a Judged, open: &[Conjunct<'_>]) -> Option<&'a Judgement> {
    // What differs while the server is paused differs because it is.
    if is_paused(judged) && !open.is_empty() {
        return Some(&judged.progressing);
    }
    let by_telling = [
        Some(&judged.config),
        judged.database.as_ref(),
        Some(&judged.progressing),
        Some(&judged.available),
    ];
    let is_open = |judgement: &&Judgement| {
        open.iter()
            .any(|conjunct| std::ptr::eq(conjunct.judgement, *judgement))
    };
    let causes: Vec<&Judgement> = by_telling.into_iter().flatten().filter(is_open).collect();
    let known = causes.iter().find(|judgement| judgement.truth != Truth::Unknown);
    known.or(causes.first()).copied()
}
