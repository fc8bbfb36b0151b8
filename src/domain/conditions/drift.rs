//! Children that do not become, or do not stay, as they were written. Part of `Progressing`.

use super::{Inputs, Judgement, reasons};
use crate::domain::applied::{Outcome, Step};

/// Another program changes a field after each correction.
pub(super) fn contested(inputs: &Inputs<'_>) -> Option<Judgement> {
    let message = list(inputs, |outcome| matches!(outcome, Outcome::Contested { .. }))?;
    Some(Judgement::yes(reasons::FIELD_CONFLICT, message))
}

/// The API server changes a field in every write. Nothing is in progress: the child stays like this.
pub(super) fn overridden(inputs: &Inputs<'_>) -> Option<Judgement> {
    let message = list(inputs, |outcome| matches!(outcome, Outcome::Overridden(_)))?;
    Some(Judgement::no(reasons::FIELD_OVERRIDDEN, message))
}

/// The children with such an outcome.
fn list(inputs: &Inputs<'_>, is: fn(&Outcome) -> bool) -> Option<String> {
    let of_step = |step: &Step| format!("{} {}: {}", step.kind, step.name, step.outcome);
    let steps = inputs.steps.iter().filter(|step| is(&step.outcome));
    let listed: Vec<String> = steps.map(of_step).collect();
    (!listed.is_empty()).then(|| listed.join(". "))
}
