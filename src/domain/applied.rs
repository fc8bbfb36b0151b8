//! The outcome of the apply for each child. Data only; `reconcile/apply` writes the children.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::ConfigMap;
use strum::IntoStaticStr;

use super::observed::{Observed, Read};
use crate::api::percona::PerconaPGCluster;

/// The watch reports that a StatefulSet is gone that is re-created. This is the time until it is looked at anyway.
const RECREATED_WITHIN: Duration = Duration::from_secs(5);

/// Why a call about a child failed, as far as the next step matters. Its label is used in the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum FailureClass {
    /// The API server refuses what is in the object (HTTP 400 or 422). Retrying without a change does not help.
    Invalid,
    /// A quota or an admission policy refuses the object.
    Denied,
    /// The object changed, appeared or disappeared after it was read. The next reconcile reads it again.
    Raced,
    /// A Secret could not be written.
    Secret,
    /// The object could not be converted to JSON.
    Encode,
    /// Any other failed call: no answer, a missing permission, a server error.
    Call,
}

impl FailureClass {
    /// The label in the metrics.
    #[must_use]
    pub fn label(self) -> &'static str {
        self.into()
    }
}

/// A write that failed. Plain data, so that two outcomes can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteFailure {
    /// What was tried: create, read, apply, delete. `None` where no call was made.
    pub verb: Option<&'static str>,
    /// What went wrong, in the API server's words where there are some. Never a value of a Secret.
    pub text: String,
    /// What kind of failure it is.
    pub class: FailureClass,
}

impl WriteFailure {
    /// Whether the failure lasts until somebody changes the spec: the API server refuses what is in the object.
    #[must_use]
    pub fn needs_manual_action(&self) -> bool {
        self.class == FailureClass::Invalid
    }
}

impl fmt::Display for WriteFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.verb {
            Some(verb) => write!(formatter, "{verb} failed: {}", self.text),
            None => formatter.write_str(&self.text),
        }
    }
}

/// What became of one child.
#[derive(Clone, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Outcome {
    /// The cluster held it already.
    Unchanged,
    /// It was created.
    Created,
    /// It was changed: the spec moved on, or somebody had edited it.
    Updated,
    /// The user requested a new key, and it was generated.
    Rotated,
    /// It is no longer deleted with the server: the policy has changed.
    Released,
    /// It was deleted: the spec no longer wants it.
    Deleted,
    /// An object of this name belongs to another owner. It was not touched. The text names the owner.
    Foreign(String),
    /// A former object is still being deleted; its end triggers the next reconcile.
    Terminating,
    /// It was deleted without its pod, and is created again once it is gone. The text says what that waits for.
    Recreating(String),
    /// The namespace is being deleted, so it could not be created. Retrying does not help.
    NamespaceTerminating,
    /// A pod was deleted, so that its StatefulSet creates a new one. The text says why.
    Replaced(String),
    /// The server is being deleted, so it was not created. Retrying does not help.
    ServerGone,
    /// The API server changes these fields in every write, because of an admission policy or webhook. It is not written again
    /// until something changes. The text names the fields.
    Overridden(String),
    /// Another program sets these fields again and again. They are corrected, with pauses that grow.
    Contested {
        /// Names the fields and the other field managers.
        message: String,
        /// Time until the next correction.
        retry_in: Duration,
    },
    /// It is not as desired, and is not written, because the user has paused the server.
    Withheld,
    /// A Secret is missing and is not generated: existing data may use a different value.
    NotGenerated,
    /// An earlier child that it needs failed, so it was not written.
    Skipped,
    /// The API server refused, or did not answer in time.
    Failed(WriteFailure),
}

impl Outcome {
    /// Whether nothing is to be retried: the child is as desired, or must not be written.
    #[must_use]
    pub fn is_done(&self) -> bool {
        match self {
            Self::Unchanged
            | Self::Created
            | Self::Updated
            | Self::Deleted
            | Self::Rotated
            | Self::Released
            | Self::Replaced(_)
            | Self::Recreating(_)
            | Self::NamespaceTerminating
            | Self::ServerGone
            | Self::NotGenerated
            | Self::Overridden(_)
            | Self::Contested { .. }
            | Self::Withheld => true,
            Self::Foreign(_) | Self::Terminating | Self::Skipped | Self::Failed(_) => false,
        }
    }

    /// The label in the metrics.
    #[must_use]
    pub fn label(&self) -> &'static str {
        self.into()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unchanged => formatter.write_str("unchanged"),
            Self::Created => formatter.write_str("created"),
            Self::Updated => formatter.write_str("updated"),
            Self::Rotated => formatter.write_str("rotated"),
            Self::Released => formatter.write_str("no longer deleted with the server"),
            Self::Deleted => formatter.write_str("deleted"),
            Self::Foreign(whom) => write!(formatter, "belongs to {whom}"),
            Self::Terminating => formatter.write_str("a former object is still being deleted"),
            Self::NamespaceTerminating => formatter.write_str("the namespace is being deleted"),
            Self::ServerGone => formatter.write_str("the server is being deleted"),
            Self::Replaced(text)
            | Self::Recreating(text)
            | Self::Overridden(text)
            | Self::Contested { message: text, .. } => formatter.write_str(text),
            Self::Withheld => formatter.write_str("not written while the server is paused"),
            Self::NotGenerated => {
                formatter.write_str("not generated: existing data may use a different value")
            }
            Self::Skipped => formatter.write_str("waits for an earlier child"),
            Self::Failed(error) => error.fmt(formatter),
        }
    }
}

/// One child and its outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Kind, as in `kubectl get <kind>`.
    pub kind: &'static str,
    /// Name, in the server's namespace.
    pub name: String,
    /// Its outcome.
    pub outcome: Outcome,
}

/// The children after this step, as the API server returned them.
#[derive(Debug)]
pub struct Applied {
    /// Every child that was compared or written, in this order.
    pub steps: Vec<Step>,
    /// The ConfigMap.
    pub config_map: Read<Arc<ConfigMap>>,
    /// The StatefulSet.
    pub stateful_set: Read<Arc<StatefulSet>>,
    /// The database cluster.
    pub database: Read<Arc<PerconaPGCluster>>,
}

impl Applied {
    /// Nothing was applied: the observation stands.
    #[must_use]
    pub fn nothing(observed: &Observed) -> Self {
        Self {
            steps: Vec::new(),
            config_map: observed.config_map.clone(),
            stateful_set: observed.stateful_set.clone(),
            database: observed.database.cluster.clone(),
        }
    }

    /// Whether every child is as desired. If not, it has to be tried again.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.steps.iter().all(|step| step.outcome.is_done())
    }

    /// Why the first child is not as desired: a label in the metrics. `None` if all are.
    #[must_use]
    pub fn failure(&self) -> Option<&'static str> {
        let mut outcomes = self.steps.iter().map(|step| &step.outcome);
        outcomes
            .find(|outcome| !outcome.is_done())
            .map(|outcome| match outcome {
                Outcome::Failed(failure) => failure.class.label(),
                other => other.label(),
            })
    }

    /// Time until a child is to be written again, if nothing but time is waited for.
    #[must_use]
    pub fn retry_in(&self) -> Option<Duration> {
        let waits = self.steps.iter().filter_map(|step| match step.outcome {
            Outcome::Contested { retry_in, .. } => Some(retry_in),
            Outcome::Recreating(_) => Some(RECREATED_WITHIN),
            _ => None,
        });
        waits.min()
    }

    /// The children that are not as desired, for a log line.
    #[must_use]
    pub fn summary(&self) -> String {
        let undone = self.steps.iter().filter(|step| !step.outcome.is_done());
        let lines: Vec<String> = undone
            .map(|step| format!("{} {}: {}", step.kind, step.name, step.outcome))
            .collect();
        lines.join("; ")
    }
}
