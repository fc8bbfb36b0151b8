//! Whether the operator reaches the API of the server.

use kube::runtime::events::{Event, EventType};

use super::{event, normal};
use crate::api::{ApiStatus, CertificateState, DittoServerStatus};
use crate::domain::adapters::NOT_RUNNING;
use crate::domain::certificates;
use crate::domain::observed::Observed;

/// The operator cannot call the API of the server. The reason is that of the Go operator's condition.
pub const API_UNREACHABLE: &str = "APIUnreachable";
/// The operator can call the API of the server again.
pub const API_REACHABLE: &str = "APIReachable";

/// A snapshot policy could not be applied. The reason is that of the Go operator.
pub const SNAPSHOT_POLICY_FAILED: &str = "SnapshotPolicyFailed";

/// One event for each snapshot policy that cannot be applied, and was not reported with this message before.
pub(super) fn snapshot_policies(before: &DittoServerStatus, after: &DittoServerStatus) -> Vec<Event> {
    let failed = after.snapshot_policies.iter().filter(|policy| !policy.applied);
    let news = failed.filter(|policy| !before.snapshot_policies.contains(policy));
    news.map(|policy| {
        let note = format!(
            "The snapshot policy of share {} is not applied: {}",
            policy.share,
            policy.message.as_deref().unwrap_or_default()
        );
        event(EventType::Warning, SNAPSHOT_POLICY_FAILED, "Poll", note)
    })
    .collect()
}

/// A certificate of the API expires within 14 days. One event for each certificate.
pub const CERTIFICATE_EXPIRING: &str = "CertificateExpiring";
/// A certificate of the API has expired. One event for each certificate.
pub const CERTIFICATE_EXPIRED: &str = "CertificateExpired";

/// One event for each certificate that has come into its last 14 days, or has expired.
pub(super) fn certificates(
    observed: &Observed,
    before: &DittoServerStatus,
    after: &DittoServerStatus,
) -> Vec<Event> {
    let certificates = after.certificates.iter();
    let news = certificates.filter(|certificate| !before.certificates.contains(certificate));
    news.filter_map(|certificate| {
        let reason = match certificate.state {
            CertificateState::Valid => return None,
            CertificateState::Expiring => CERTIFICATE_EXPIRING,
            CertificateState::Expired => CERTIFICATE_EXPIRED,
        };
        let note = certificates::advice(observed, certificate)?;
        Some(event(EventType::Warning, reason, "Validate", note))
    })
    .collect()
}

/// The event of a change. A server that stops or starts has other events.
pub(super) fn change(before: &DittoServerStatus, after: &DittoServerStatus) -> Option<Event> {
    let failure = |api: Option<&ApiStatus>| {
        let message = api.filter(|api| !api.reachable)?.message.clone()?;
        (message != NOT_RUNNING).then_some(message)
    };
    let (was, is) = (failure(before.api.as_ref()), failure(after.api.as_ref()));
    let is_reachable = after.api.as_ref().is_some_and(|api| api.reachable);
    match (was, is) {
        (None, Some(failure)) => {
            let note = format!(
                "The operator cannot call the API of the server: {failure}. Clients keep access to their files. Until it answers, changes of adapters, snapshot policies and directories are not applied"
            );
            Some(event(EventType::Warning, API_UNREACHABLE, "Poll", note))
        }
        (Some(_), None) if is_reachable => {
            let note = "The operator can call the API of the server again".to_owned();
            Some(normal(API_REACHABLE, "Poll", note))
        }
        _ => None,
    }
}
