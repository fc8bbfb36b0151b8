//! Volumes that were replaced.

use kube::ResourceExt;
use kube::runtime::events::{Event, EventType};

use super::{event, find};
use crate::api::{DittoServerStatus, names, reasons};
use crate::domain::conditions::CONFIG_READY;
use crate::domain::observed::Observed;
use crate::domain::volumes;

/// A claim was deleted with its data, and a new, empty volume replaces it. One event for each claim.
pub const VOLUME_REPLACED: &str = "VolumeReplaced";

/// Claims that were being deleted and are gone now.
pub(super) fn replaced(observed: &Observed, before: &DittoServerStatus) -> Vec<Event> {
    let condition =
        find(before, CONFIG_READY).filter(|condition| condition.reason == reasons::VOLUME_CLAIM_TERMINATING);
    let (Some(condition), Some(_)) = (condition, observed.claims.found()) else {
        return Vec::new();
    };
    if observed.server.metadata.deletion_timestamp.is_some() {
        return Vec::new();
    }
    let terminating = volumes::terminating_claims(observed);
    let is_replaced = |name: &String| {
        let is_terminating = terminating.iter().any(|claim| claim.name_any() == *name);
        condition.message.contains(name.as_str()) && !is_terminating
    };
    let replaced = names::claims(&observed.server.name_any())
        .into_iter()
        .filter(is_replaced);
    replaced
        .map(|name| {
            let note = format!(
                "PersistentVolumeClaim {name} was deleted. The volume of the new claim is empty. The old data exists only if the reclaim policy of its PersistentVolume is Retain"
            );
            event(EventType::Warning, VOLUME_REPLACED, "Watch", note)
        })
        .collect()
}
