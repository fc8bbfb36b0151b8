//! `Stalled`: it does not go on without a person. Only there while it is True, as kstatus has it: without it Flux, and whatever
//! else goes by kstatus, would wait for a server that will never be Ready.

use super::{Inputs, Judgement, Truth, reasons};

/// True for a server that is not Ready and needs a person, or has run out of time.
pub(super) fn judge(inputs: &Inputs<'_>, ready: &Judgement, progressing: &Judgement) -> Option<Judgement> {
    if inputs.is_deleting() || ready.truth == Truth::True {
        return None;
    }
    if progressing.reason == reasons::PROGRESS_DEADLINE_EXCEEDED {
        return Some(Judgement::yes(progressing.reason, progressing.message.clone()));
    }
    inputs
        .needs_a_person()
        .then(|| Judgement::yes(ready.reason, ready.message.clone()))
}
