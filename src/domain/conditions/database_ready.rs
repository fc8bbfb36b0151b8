//! `DatabaseReady`: the PostgreSQL cluster serves, and its Secrets exist. Judged only while Percona is enabled.
//!
//! Also True while the server stays on its SQLite file (`MigrationPending`): the database that it uses works, and kstatus must not
//! see an unfinished server until somebody moves the data (docs/adr/0008).

use super::config_ready::of_violation;
use super::{Check, Inputs, Judgement, first_failure, reasons};
use crate::api::percona::{PerconaPGCluster, STATE_PAUSED};
use crate::domain::validate::Concern;

const KIND: &str = PerconaPGCluster::KIND;
const CHECKS: [Check; 4] = [conflict, failure, terminating, violation];

pub(super) fn judge(inputs: &Inputs<'_>) -> Judgement {
    first_failure(&CHECKS, inputs).unwrap_or_else(|| serving(inputs))
}

/// A database that is paused with its server is what the spec asks for: docs/adr/0009-hibernation.md.
fn serving(inputs: &Inputs<'_>) -> Judgement {
    if let Some(message) = &inputs.migration {
        return Judgement::yes(reasons::MIGRATION_PENDING, message);
    }
    let paused = inputs.database.as_ref().filter(|cluster| cluster.is_to_pause());
    match paused.map(|cluster| cluster.state().unwrap_or("not reported yet")) {
        None => Judgement::yes(reasons::PERCONA_READY, "PostgreSQL cluster is ready"),
        Some(STATE_PAUSED) => Judgement::yes(
            reasons::PERCONA_HIBERNATING,
            "PostgreSQL cluster is paused with its server (percona.hibernate)",
        ),
        Some(state) => Judgement::no(
            reasons::PERCONA_PAUSING,
            format!("PostgreSQL cluster is being paused with its server; its state: {state}"),
        ),
    }
}

fn conflict(inputs: &Inputs<'_>) -> Option<Judgement> {
    let message = inputs.conflict(|kind| kind == KIND)?;
    Some(Judgement::no(reasons::RESOURCE_CONFLICT, message))
}

fn failure(inputs: &Inputs<'_>) -> Option<Judgement> {
    // Without the CRD a write fails as well. Then the message must say what to install.
    let not_installed = |reason| reason == reasons::PERCONA_NOT_INSTALLED;
    if inputs
        .violation(Concern::Database)
        .is_some_and(|violation| not_installed(violation.reason))
    {
        return None;
    }
    let message = inputs.failure(|kind| kind == KIND)?;
    Some(Judgement::no(reasons::APPLY_FAILED, message))
}

fn terminating(inputs: &Inputs<'_>) -> Option<Judgement> {
    let message = inputs.terminating(|kind| kind == KIND)?;
    Some(Judgement::no(reasons::RESOURCE_TERMINATING, message))
}

fn violation(inputs: &Inputs<'_>) -> Option<Judgement> {
    inputs.violation(Concern::Database).map(of_violation)
}
