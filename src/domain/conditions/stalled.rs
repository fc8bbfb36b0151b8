//! `Stalled`: it needs manual action. The condition exists only while it is True, as in kstatus. Without it, Flux and other users
//! of kstatus would wait for a server that will never be Ready.

use super::{Inputs, Judgement, Truth, reasons};

/// True for a server that is not Ready and needs manual action, or has exceeded its deadline.
pub(super) fn judge(inputs: &Inputs<'_>, ready: &Judgement, progressing: &Judgement) -> Option<Judgement> {
    if inputs.is_deleting() || ready.truth == Truth::True {
        return None;
    }
    if progressing.reason == reasons::PROGRESS_DEADLINE_EXCEEDED {
        return Some(Judgement::yes(progressing.reason, progressing.message.clone()));
    }
    inputs
        .needs_manual_action()
        .then(|| Judgement::yes(ready.reason, ready.message.clone()))
}
