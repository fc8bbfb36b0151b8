//! What `Progressing` says of the volumes.
//!
//! Growth is last in its chain, and a growth that cannot go on leaves it False: the server runs as before, and the spec
//! may not even be set back, because sizes never shrink (docs/adr/0006).

use super::{Inputs, Judgement, reasons};
use crate::domain::volumes::Growth;

/// Some volume is on its way to its size.
pub(super) fn growing(inputs: &Inputs<'_>) -> Option<Judgement> {
    let messages: Vec<String> = inputs.growths.iter().filter_map(moving).collect();
    (!messages.is_empty()).then(|| Judgement::yes(reasons::VOLUME_GROWING, messages.join("; ")))
}

fn moving(growth: &Growth) -> Option<String> {
    match growth {
        Growth::Ask { claim, size } => {
            let name = claim.metadata.name.as_deref().unwrap_or_default();
            Some(format!("PersistentVolumeClaim {name} is asked to grow to {size}"))
        }
        Growth::UnderWay(message) => Some(message.clone()),
        Growth::Stuck(_) => None,
    }
}

/// Nothing moves, and some volume is not what the spec asks for. The first one gives the reason; all are told.
pub(super) fn stuck(inputs: &Inputs<'_>) -> Option<Judgement> {
    let troubles = || {
        inputs.growths.iter().filter_map(|growth| match growth {
            Growth::Stuck(trouble) => Some(trouble),
            Growth::Ask { .. } | Growth::UnderWay(_) => None,
        })
    };
    let first = troubles().next()?;
    let messages: Vec<&str> = troubles().map(|trouble| trouble.message.as_str()).collect();
    Some(Judgement::no(first.reason, messages.join("; ")))
}
