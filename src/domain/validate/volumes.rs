//! The volume claims that an earlier server of this name may have left: what must not be guessed.

use super::{Concern, Finding, Severity, Violation};
use crate::api::reasons;
use crate::domain::data_home;
use crate::domain::observed::{Observed, Read};
use crate::domain::secrets::{generation, uses};

/// Nothing is started while it is unknown whether an earlier server left data: that data knows its own password, not a new one,
/// and an empty database would hide its users.
pub(super) fn findings(observed: &Observed) -> Option<Finding> {
    let Read::Unreadable(error) = &observed.claims else {
        return None;
    };
    if !matches!(observed.stateful_set, Read::Missing) {
        return None;
    }
    let lacks_secret = generation::missing(observed, &uses(&observed.server))
        .next()
        .is_some();
    if !lacks_secret && !data_home::needs_confirmation(observed) {
        return None;
    }
    let message = format!(
        "The PersistentVolumeClaims cannot be read, so it is unknown whether an earlier server of this name left data: {error}"
    );
    Some(Finding::blocking(Violation {
        reason: reasons::VOLUME_CLAIMS_UNREADABLE,
        message,
        concern: Concern::Config,
        severity: Severity::Unknown,
    }))
}
