//! Step 2, validate: may the children be built, and may the pod start? Pure.
//!
//! The schema and its CEL rules refuse nonsense at admission (`api`). This step says what admission cannot know: what is
//! in the Secrets, what the database does, and what an object stored before today's rules holds.
//!
//! | file | judges |
//! |---|---|
//! | `validate/stored.rs` | fields that admission refuses today |
//! | `validate/secret_uses.rs` | presence of Secrets and keys |
//! | `validate/values.rs` | values that would crash the server |
//! | `validate/database.rs` | the PostgreSQL cluster |
//! | `validate/claims.rs` | whether it is known what volumes an earlier server left |

mod claims;
mod database;
mod secret_uses;
mod stored;
mod values;

pub(crate) use self::database::{holds_start, problem as database_problem};
use crate::domain::data_home;
use crate::domain::observed::{Observed, Read};
use crate::domain::secrets::SecretUse;

/// Something that keeps a server from running as its spec says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// A constant of `conditions::reasons`.
    pub reason: &'static str,
    /// What is wrong, with the field or the Secret and its key, and what to do. Never a Secret's value.
    pub message: String,
    /// The condition that tells it.
    pub concern: Concern,
    /// Who can end it.
    pub severity: Severity,
}

/// Which condition tells a violation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concern {
    /// `ConfigReady`.
    Config,
    /// `DatabaseReady`.
    Database,
}

/// How a violation can end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Something is not there yet and may come by itself: a Secret, a database.
    Waiting,
    /// It could not be read; the condition is `Unknown`.
    Unknown,
    /// Only a person can end it.
    Terminal,
}

/// What validation found.
#[derive(Clone, Debug)]
pub struct Verdict<'a> {
    /// What the next step builds from. `None` where no child can be built at all.
    pub valid: Option<Valid<'a>>,
    /// Everything that is wrong, the most telling first.
    pub violations: Vec<Violation>,
}

/// An observation from which the children can be built.
#[derive(Clone, Debug)]
pub struct Valid<'a> {
    /// The observation.
    pub observed: &'a Observed,
    /// What the pod uses of Secrets.
    pub uses: Vec<SecretUse>,
    /// Whether the pod template may be written.
    pub pod: PodGate,
}

/// Whether the pod template may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PodGate {
    /// All that the pod needs is there.
    Open,
    /// Something is missing or would crash the server. A running pod is left as it is; none is started.
    Closed,
}

/// A violation, and whether it keeps the pod template from being written.
#[derive(Debug)]
struct Finding {
    violation: Violation,
    holds_pod: bool,
}

impl Finding {
    fn holding(violation: Violation) -> Self {
        Self {
            violation,
            holds_pod: true,
        }
    }
}

/// Judges an observation.
///
/// The violations come in the order of what they tell a person: first what only a person can end, because waiting is
/// vain until then; then what is known to be missing; last what could not be read, since a known failure says more than
/// an unknown one. Within one severity they keep a fixed order: the spec, the Secrets as the pod lists them, the database.
#[must_use]
#[tracing::instrument(level = "debug", skip_all)]
pub fn validate(observed: &Observed) -> Verdict<'_> {
    if let Some(violation) = stored::unusable_name(&observed.server) {
        return Verdict {
            valid: None,
            violations: vec![violation],
        };
    }
    let uses = data_home::uses(observed);
    let mut findings = stored::findings(observed);
    findings.extend(database::findings(observed));
    findings.extend(secret_uses::findings(observed, &uses));
    findings.extend(claims::findings(observed));
    // Whether a server exists decides whether Secrets may be generated: unread, nothing is started.
    let unknown_server = matches!(observed.stateful_set, Read::Unreadable(_));
    let closed = unknown_server || findings.iter().any(|finding| finding.holds_pod);
    let pod = if closed { PodGate::Closed } else { PodGate::Open };
    let mut violations: Vec<_> = findings.into_iter().map(|finding| finding.violation).collect();
    most_telling_first(&mut violations);
    Verdict {
        valid: Some(Valid { observed, uses, pod }),
        violations,
    }
}

/// Sorts by severity, as [`validate`] says. Stable.
pub(crate) fn most_telling_first(violations: &mut [Violation]) {
    violations.sort_by_key(|violation| match violation.severity {
        Severity::Terminal => 0,
        Severity::Waiting => 1,
        Severity::Unknown => 2,
    });
}

/// What to say of an object that has a child's name and belongs to `whom`.
pub(crate) fn conflict_message(kind: &str, name: &str, whom: &str) -> String {
    format!(
        "{kind} {name} exists and belongs to {whom}; it is not taken over: delete it, or choose another name for the DittoServer"
    )
}

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod tests;
