//! Step 2, validate: may the children be built, and may the pod start?
//!
//! The schema and its CEL rules refuse invalid objects at admission (`api`). This step checks what admission cannot know: the
//! contents of Secrets, the state of the database, and objects that were stored before today's rules.
//!
//! | file | judges |
//! |---|---|
//! | `validate/stored.rs` | fields that admission refuses today |
//! | `validate/resources.rs` | requests above limits |
//! | `validate/pod_template.rs` | additions to the pod |
//! | `validate/secret_uses.rs` | presence of Secrets and keys |
//! | `validate/values.rs` | values that would crash the server |
//! | `validate/database.rs` | the PostgreSQL cluster |
//! | `validate/volumes.rs` | claims that are being deleted, and what an earlier server left |

mod database;
mod pod_template;
mod resources;
mod secret_uses;
mod stored;
mod values;
mod volumes;

pub use self::database::recheck_in;
pub(crate) use self::database::{cluster_problem, prevents_start};
use crate::domain::data_home;
use crate::domain::observed::{Observed, Read};
use crate::domain::secrets::SecretUse;

/// Something that prevents a server from running as its spec says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// A constant of `api::reasons`.
    pub reason: &'static str,
    /// What is wrong, with the field or the Secret and its key, and what to do. Never a Secret's value.
    pub message: String,
    /// The condition that reports it.
    pub concern: Concern,
    /// How it can end.
    pub severity: Severity,
}

/// Which condition reports a violation.
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
    /// Something does not exist yet and may appear without manual action: a Secret, a database.
    Waiting,
    /// It could not be read. The condition is `Unknown`.
    Unknown,
    /// It needs manual action.
    Terminal,
}

/// What validation found.
#[derive(Clone, Debug)]
pub struct Verdict<'a> {
    /// What the next step builds from. `None` where no child can be built at all.
    pub valid: Option<Valid<'a>>,
    /// Everything that is wrong except `cluster`, the most informative first.
    pub violations: Vec<Violation>,
    /// What is wrong with the database cluster as it was observed. The apply may change that.
    pub cluster: Option<Violation>,
}

impl Verdict<'_> {
    /// Everything that was wrong when the cluster was observed, the most informative first.
    #[must_use]
    pub fn all(&self) -> Vec<Violation> {
        self.with_cluster(self.cluster.clone())
    }

    /// The violations with another judgement of the database cluster. It is the first of its severity: without a cluster, the
    /// rest of the database cannot exist.
    #[must_use]
    pub fn with_cluster(&self, cluster: Option<Violation>) -> Vec<Violation> {
        let mut violations: Vec<_> = cluster.into_iter().chain(self.violations.clone()).collect();
        most_informative_first(&mut violations);
        violations
    }
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
    /// Everything that the pod needs exists.
    Open,
    /// Something is missing or would crash the server. A running pod is not changed, and no pod is started.
    Closed,
}

/// A violation, and whether it prevents that the pod template is written.
#[derive(Debug)]
struct Finding {
    violation: Violation,
    blocks_pod: bool,
}

impl Finding {
    fn blocking(violation: Violation) -> Self {
        Self {
            violation,
            blocks_pod: true,
        }
    }
}

/// Judges an observation.
///
/// The violations are sorted by how informative they are: first what needs manual action, because waiting does not help; then what
/// is known to be missing; last what could not be read, because a known failure says more than an unknown one. Within one severity
/// the order is fixed: the volumes, the spec, the database, the Secrets as the pod lists them.
#[must_use]
#[tracing::instrument(level = "debug", skip_all)]
pub fn validate(observed: &Observed) -> Verdict<'_> {
    if let Some(violation) = stored::unusable_name(&observed.server) {
        return Verdict {
            valid: None,
            violations: vec![violation],
            cluster: None,
        };
    }
    let uses = data_home::uses(observed);
    let mut findings = volumes::findings(observed);
    findings.extend(stored::findings(observed));
    findings.extend(resources::finding(observed));
    findings.extend(pod_template::findings(observed));
    findings.extend(database::findings(observed));
    findings.extend(secret_uses::findings(observed, &uses));
    // Whether a server exists decides whether Secrets may be generated. While that is unknown, nothing is started.
    let unknown_server = matches!(observed.stateful_set, Read::Unreadable(_));
    let cluster = database::cluster(observed);
    let closed = unknown_server || findings.iter().chain(&cluster).any(|finding| finding.blocks_pod);
    let pod = if closed { PodGate::Closed } else { PodGate::Open };
    let mut violations: Vec<_> = findings.into_iter().map(|finding| finding.violation).collect();
    most_informative_first(&mut violations);
    Verdict {
        valid: Some(Valid { observed, uses, pod }),
        violations,
        cluster: cluster.map(|finding| finding.violation),
    }
}

/// Sorts by severity, as [`validate`] says. Stable.
fn most_informative_first(violations: &mut [Violation]) {
    violations.sort_by_key(|violation| match violation.severity {
        Severity::Terminal => 0,
        Severity::Waiting => 1,
        Severity::Unknown => 2,
    });
}

/// The message about an object that has the name of a child and belongs to `whom`.
pub(crate) fn conflict_message(kind: &str, name: &str, whom: &str) -> String {
    format!(
        "{kind} {name} exists and belongs to {whom}. The operator does not change it: delete it, or choose another name for the DittoServer"
    )
}

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod tests;
