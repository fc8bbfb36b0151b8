//! What `Progressing` says about the volumes.
//!
//! An expansion comes last in the chain of checks. An expansion that needs manual action leaves the condition False: the server
//! runs as before, and the spec cannot even be set back, because sizes never shrink (docs/adr/0006).

use super::{Inputs, Judgement, reasons};
use crate::domain::volumes::Expansion;

/// A volume is being expanded.
pub(super) fn expanding(inputs: &Inputs<'_>) -> Option<Judgement> {
    let messages: Vec<String> = inputs.expansions.iter().filter_map(in_progress).collect();
    (!messages.is_empty()).then(|| Judgement::yes(reasons::VOLUME_GROWING, messages.join("; ")))
}

fn in_progress(expansion: &Expansion) -> Option<String> {
    match expansion {
        Expansion::Request { claim, size } => {
            let name = claim.metadata.name.as_deref().unwrap_or_default();
            Some(format!(
                "PersistentVolumeClaim {name} is being expanded to {size}"
            ))
        }
        Expansion::InProgress(message) => Some(message.clone()),
        Expansion::Blocked(_) => None,
    }
}

/// No expansion is in progress, and a volume is not as the spec asks. The first one gives the reason; the message lists all.
pub(super) fn blocked(inputs: &Inputs<'_>) -> Option<Judgement> {
    let problems = || {
        inputs.expansions.iter().filter_map(|expansion| match expansion {
            Expansion::Blocked(problem) => Some(problem),
            Expansion::Request { .. } | Expansion::InProgress(_) => None,
        })
    };
    let first = problems().next()?;
    let messages: Vec<&str> = problems().map(|problem| problem.message.as_str()).collect();
    Some(Judgement::no(first.reason, messages.join("; ")))
}
