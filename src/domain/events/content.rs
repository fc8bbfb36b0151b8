//! Users, groups, remote stores and shares: those that the operator cannot make, and those that left the spec.

use kube::ResourceExt;
use kube::runtime::events::{Event, EventType};

use super::{event, normal};
use crate::api::{DittoServer, DittoServerStatus, names};
use crate::domain::content::later::UsedLater;
use crate::domain::content::state::{State, find};

/// A share of the spec cannot be made, or is not loaded. One event for each cause.
pub const SHARE_FAILED: &str = "ShareFailed";
/// A user, a group or a remote store of the spec cannot be made. One event for each cause.
pub const SHARE_NEEDS_FAILED: &str = "ShareDependencyFailed";
/// Clients can mount a share of the spec.
pub const SHARE_READY: &str = "ShareReady";
/// A share, a user, a group or a remote store left the spec, and stays on the server.
pub const NOT_DECLARED: &str = "NoLongerDeclared";

/// A setting of a share or a remote store was written that the server uses only after its next start. One event for each of them and each
/// process of the server.
pub const SERVER_RESTART_REQUIRED: &str = "ServerRestartRequired";

/// The events.
pub(super) fn changes(
    server: &DittoServer,
    before: &DittoServerStatus,
    after: &DittoServerStatus,
) -> Vec<Event> {
    let mut events = failures(SHARE_NEEDS_FAILED, &before.groups, &after.groups);
    events.extend(failures(SHARE_NEEDS_FAILED, &before.users, &after.users));
    events.extend(failures(
        SHARE_NEEDS_FAILED,
        &before.remote_stores,
        &after.remote_stores,
    ));
    events.extend(failures(SHARE_FAILED, &before.shares, &after.shares));
    events.extend(left(&before.groups, &after.groups));
    events.extend(left(&before.users, &after.users));
    events.extend(left(&before.remote_stores, &after.remote_stores));
    events.extend(left(&before.shares, &after.shares));
    events.extend(ready(before, after));
    events.extend(unused(server, &before.remote_stores, &after.remote_stores));
    events.extend(unused(server, &before.shares, &after.shares));
    events
}

fn unused<S: UsedLater>(server: &DittoServer, before: &[S], after: &[S]) -> Vec<Event> {
    let is_told = |state: &S| state.view().message == Some(S::UNUSED);
    let news = after.iter().filter(|state| {
        let known = find(before, state.view().name).filter(|known| is_told(known));
        is_told(state) && known.and_then(UsedLater::unused_since) != state.unused_since()
    });
    let pod = names::pod(&server.name_any());
    news.map(|state| {
        let view = state.view();
        let note = format!(
            "The {} {}: {}. To restart the server, which disconnects its clients for a moment: kubectl delete pod {pod}",
            view.kind,
            view.name,
            S::UNUSED
        );
        normal(SERVER_RESTART_REQUIRED, "Poll", note)
    })
    .collect()
}

fn failures<S: State>(reason: &str, before: &[S], after: &[S]) -> Vec<Event> {
    let failed = after.iter().filter(|state| {
        let view = state.view();
        view.declared && !view.ready && !view.is_waiting()
    });
    let news = failed.filter(|state| {
        let view = state.view();
        find(before, view.name).is_none_or(|known| known.view().ready || known.view().message != view.message)
    });
    news.filter_map(|state| {
        let view = state.view();
        let note = format!(
            "The {} {} is not as declared: {}",
            view.kind, view.name, view.message?
        );
        Some(event(EventType::Warning, reason, "Poll", note))
    })
    .collect()
}

fn left<S: State>(before: &[S], after: &[S]) -> Vec<Event> {
    let left = after.iter().filter(|state| {
        let was_declared = find(before, state.view().name).is_some_and(|known| known.view().declared);
        was_declared && !state.view().declared
    });
    left.map(|state| {
        let view = state.view();
        let note = format!("The {} {} {}", view.kind, view.name, state.farewell());
        normal(NOT_DECLARED, "Poll", note)
    })
    .collect()
}

/// One event for all shares that became ready.
fn ready(before: &DittoServerStatus, after: &DittoServerStatus) -> Option<Event> {
    const NAMED: usize = 10;
    let ready = after.shares.iter().filter(|share| {
        let was_ready = find(&before.shares, &share.name).is_some_and(|known| known.ready);
        share.declared && share.ready && !was_ready
    });
    let names: Vec<&str> = ready.map(|share| share.name.as_str()).collect();
    let first = names.first()?;
    let note = match names.len() {
        1 => format!("Clients can mount share {first}"),
        count if count <= NAMED => format!("Clients can mount shares {}", names.join(", ")),
        count => format!("Clients can mount {count} more shares, {first} among them"),
    };
    Some(normal(SHARE_READY, "Poll", note))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;
    use crate::api::ShareStatus;
    use crate::domain::testing;

    fn status(second: i64, message: Option<&str>) -> DittoServerStatus {
        let share = ShareStatus {
            ready: true,
            message: message.map(str::to_owned),
            server_started: Timestamp::from_second(second).ok().map(Time),
            ..ShareStatus::new("export")
        };
        DittoServerStatus {
            shares: vec![share],
            ..DittoServerStatus::default()
        }
    }

    #[test]
    fn a_change_that_needs_a_restart_has_one_event_for_each_process_once_it_is_written() {
        let server = testing::server("");
        let told = Some(ShareStatus::UNUSED);
        let count = |before: &DittoServerStatus, after: &DittoServerStatus| {
            let events = changes(&server, before, after).into_iter();
            let restarts = events.filter(|event| event.reason == SERVER_RESTART_REQUIRED);
            restarts
                .inspect(|event| {
                    let note = event.note.as_deref().unwrap_or_default();
                    assert!(note.contains("kubectl delete pod files-0"), "{note}");
                })
                .count()
        };
        assert_eq!(count(&status(1, None), &status(1, None)), 0, "only announced");
        assert_eq!(count(&status(1, None), &status(1, told)), 1);
        assert_eq!(count(&status(1, told), &status(1, told)), 0);
        assert_eq!(count(&status(1, told), &status(2, told)), 1);
    }
}
