//! What would become of each child, from the outcomes and the writes of a dry run. Pure.

use kube::ResourceExt;

use crate::api::names;
use crate::domain::applied::{Applied, Outcome, Step, WriteFailure};
use crate::domain::desired::{Desired, Workload};
use crate::domain::observed::Observed;
use crate::reconcile::apply::dry_run::{self, Planned};

/// One child, and what would become of it.
#[derive(Debug)]
pub(super) struct Preview {
    /// Kind, as in `kubectl get <kind>`.
    pub(super) kind: &'static str,
    /// Name, in the server's namespace.
    pub(super) name: String,
    /// What would become of it.
    pub(super) change: Change,
}

/// What would become of a child.
#[derive(Debug)]
pub(super) enum Change {
    /// Nothing.
    None,
    /// It would be written.
    Write(dry_run::Change),
    /// It would be left as it is, for this reason.
    Held(String),
    /// It would not be written, although it is not as desired: it belongs to another owner, for example.
    Refused(Outcome),
    /// The API server refuses it, or does not answer.
    Failed(WriteFailure),
}

impl Change {
    pub(super) fn is_write(&self) -> bool {
        matches!(self, Self::Write(_))
    }

    pub(super) fn is_delete(&self) -> bool {
        matches!(self, Self::Write(dry_run::Change::Delete))
    }
}

/// The previews of all children, in the order of the apply.
pub(super) fn previews(
    observed: &Observed,
    desired: &Desired,
    applied: &Applied,
    planned: Vec<Planned>,
) -> Vec<Preview> {
    let server = observed.server.name_any();
    let mut planned = planned;
    let steps = applied.steps.iter();
    let mut previews: Vec<Preview> = steps
        .map(|step| Preview {
            kind: step.kind,
            name: step.name.clone(),
            change: change(step, desired, applied, &mut planned),
        })
        .collect();
    if !previews.iter().any(|preview| preview.kind == "ConfigMap") {
        let after_secrets = previews
            .iter()
            .take_while(|preview| preview.kind == "Secret")
            .count();
        let why = if desired.config_map.is_none() {
            "stays as it is: the pod that reads it is held"
        } else {
            "stays as it is: the StatefulSet of the pod that reads it is refused"
        };
        previews.insert(after_secrets, held("ConfigMap", names::config_map(&server), why));
    }
    if matches!(desired.workload, Workload::Await) {
        let why = if desired.uploads.holds {
            UPLOADS_FIRST
        } else {
            NOT_CREATED
        };
        previews.push(held("StatefulSet", names::stateful_set(&server), why));
    }
    previews
}

const NOT_CREATED: &str = "is not created yet: its pod could not start";
const UPLOADS_FIRST: &str = "is not created yet: the pod uploads before it is stopped";

fn held(kind: &'static str, name: String, why: &str) -> Preview {
    Preview {
        kind,
        name,
        change: Change::Held(why.into()),
    }
}

fn change(step: &Step, desired: &Desired, applied: &Applied, planned: &mut Vec<Planned>) -> Change {
    match &step.outcome {
        Outcome::Failed(failure) => Change::Failed(failure.clone()),
        Outcome::NotGenerated => {
            Change::Held("would not be generated: existing data may use a different value".into())
        }
        Outcome::Unchanged if step.kind == "StatefulSet" && is_held(desired) => {
            let exists = applied.stateful_set.found().is_some();
            Change::Held(
                match exists {
                    true if desired.uploads.holds => {
                        "its pod is left as it is until the server has uploaded what only its volumes have"
                    }
                    true => "its pod is left as it is",
                    false => NOT_CREATED,
                }
                .into(),
            )
        }
        Outcome::Unchanged => Change::None,
        Outcome::Created
        | Outcome::Updated
        | Outcome::Rotated
        | Outcome::Released
        | Outcome::Deleted
        | Outcome::Replaced(_) => take(step, planned).map_or(Change::None, Change::Write),
        Outcome::Foreign(_)
        | Outcome::Terminating
        | Outcome::Recreating(_)
        | Outcome::NamespaceTerminating
        | Outcome::ServerGone
        | Outcome::Withheld
        | Outcome::Overridden(_)
        | Outcome::Contested { .. }
        | Outcome::Skipped => Change::Refused(step.outcome.clone()),
    }
}

fn is_held(desired: &Desired) -> bool {
    matches!(desired.workload, Workload::Hold { .. })
}

/// The write of a step. A child that is written twice has two steps.
fn take(step: &Step, planned: &mut Vec<Planned>) -> Option<dry_run::Change> {
    let is_of_step = |write: &Planned| write.kind == step.kind && write.name == step.name;
    let position = planned.iter().position(is_of_step)?;
    Some(planned.remove(position).change)
}
