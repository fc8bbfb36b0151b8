//! Uploads before the server ends.

use kube::runtime::events::{Event, EventType};

use super::{event, normal};
use crate::api::{DittoServerStatus, DrainBefore, DrainState, UploadsStatus};
use crate::domain::observed::Observed;
use crate::domain::uploads::REMEDY;

/// The server is asked to upload everything before it ends. One event for each end.
pub const DRAINING_UPLOADS: &str = "DrainingUploads";
/// Everything is uploaded, and the server ends.
pub const UPLOADS_DRAINED: &str = "UploadsDrained";
/// The server ends, or is not deleted yet, although not everything is uploaded.
pub const UPLOADS_NOT_DRAINED: &str = "UploadsNotDrained";

/// The event of a change.
pub(super) fn change(
    observed: &Observed,
    before: &DittoServerStatus,
    after: &DittoServerStatus,
) -> Option<Event> {
    let now = after.uploads.as_ref()?;
    let known = before.uploads.as_ref();
    let is_same = known.is_some_and(|known| known.state == now.state && known.before == now.before);
    let seconds = observed.server.spec.drain_timeout()?.as_secs();
    (!is_same).then(|| describe(now, seconds))
}

fn describe(now: &UploadsStatus, seconds: u64) -> Event {
    let end = match now.before {
        DrainBefore::Stop => "it stops",
        DrainBefore::Rollout => "its pod is replaced",
        DrainBefore::Deletion => "its volumes are deleted",
    };
    let failure = now.message.as_deref().unwrap_or_default();
    match now.state {
        DrainState::Draining => normal(
            DRAINING_UPLOADS,
            "Upload",
            format!(
                "The server uploads what is not in its remote stores yet before {end}, for at most {seconds} s"
            ),
        ),
        DrainState::Drained => normal(
            UPLOADS_DRAINED,
            "Upload",
            format!("The server has uploaded everything before {end}"),
        ),
        DrainState::NotDrained => {
            let rest = match now.before {
                DrainBefore::Stop | DrainBefore::Rollout => {
                    "The rest stays on the volumes, and is uploaded when the server runs again"
                }
                DrainBefore::Deletion => REMEDY,
            };
            let note = format!("Not everything was uploaded before {end}: {failure}. {rest}");
            event(EventType::Warning, UPLOADS_NOT_DRAINED, "Upload", note)
        }
    }
}
