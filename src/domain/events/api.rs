//! Whether the operator reaches the API of the server.

use kube::runtime::events::{Event, EventType};

use super::{event, normal};
use crate::api::{AdapterRestartStatus, ApiStatus, CertificateState, DittoServerStatus};
use crate::domain::adapters::NOT_RUNNING;
use crate::domain::certificates;
use crate::domain::observed::Observed;
use crate::domain::server_settings::restarts::command;

/// The operator cannot call the API of the server. The reason is that of the Go operator's condition.
pub const API_UNREACHABLE: &str = "APIUnreachable";
/// The operator can call the API of the server again.
pub const API_REACHABLE: &str = "APIReachable";

/// A snapshot policy could not be applied. The reason is that of the Go operator.
pub const SNAPSHOT_POLICY_FAILED: &str = "SnapshotPolicyFailed";

/// One event for each snapshot policy that cannot be applied, and was not reported with this message before.
pub(super) fn snapshot_policies(before: &DittoServerStatus, after: &DittoServerStatus) -> Vec<Event> {
    let policies = after.snapshot_policies.iter();
    let news = policies.filter(|policy| !before.snapshot_policies.contains(policy));
    news.filter_map(|policy| {
        // One without a message is about to be written.
        let why = policy.message.as_deref().filter(|_| !policy.applied)?;
        let note = format!(
            "The snapshot policy of share {} is not applied: {why}",
            policy.share
        );
        Some(event(EventType::Warning, SNAPSHOT_POLICY_FAILED, "Poll", note))
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

/// A setting was written that an adapter uses only after its next start. One event for each write.
pub const ADAPTER_RESTART_REQUIRED: &str = "AdapterRestartRequired";
/// An adapter was restarted, as the user requested. One event for each request.
pub const ADAPTER_RESTARTED: &str = "AdapterRestarted";
/// An adapter was not restarted, although the user requested it. One event for each cause.
pub const ADAPTER_NOT_RESTARTED: &str = "AdapterNotRestarted";

/// The events of adapters that were restarted or have to be.
pub(super) fn restarts(
    observed: &Observed,
    before: &DittoServerStatus,
    after: &DittoServerStatus,
) -> Vec<Event> {
    let news = after.adapter_restarts.iter().filter_map(|state| {
        let mut known = before.adapter_restarts.iter();
        let known = known.find(|known| known.adapter == state.adapter);
        (known != Some(state)).then(|| restart(observed, known, state))?
    });
    news.collect()
}

fn restart(
    observed: &Observed,
    known: Option<&AdapterRestartStatus>,
    state: &AdapterRestartStatus,
) -> Option<Event> {
    let adapter = state.adapter.to_uppercase();
    let message = state.message.as_deref().unwrap_or_default();
    let is_handled = state.last_request.is_some()
        && known.and_then(|known| known.last_request.as_ref()) != state.last_request.as_ref();
    if state.required {
        let command = command(&observed.server, &state.adapter)?;
        let note = format!(
            "{adapter}: {message}. To restart the adapter, which disconnects its clients for a moment: {command}. A restart of the pod does it too"
        );
        return Some(normal(ADAPTER_RESTART_REQUIRED, "Poll", note));
    }
    if is_handled && message.is_empty() {
        let note = format!("The adapter {adapter} was restarted, as requested. Its clients connect again");
        return Some(normal(ADAPTER_RESTARTED, "Restart", note));
    }
    (!message.is_empty()).then(|| {
        let note = format!("The adapter {adapter} was not restarted, although it was requested: {message}");
        event(EventType::Warning, ADAPTER_NOT_RESTARTED, "Restart", note)
    })
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
