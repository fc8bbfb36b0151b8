//! Users, groups, remote stores and shares: those that the operator cannot make, and those that left the spec.

use kube::runtime::events::{Event, EventType};

use super::{event, normal};
use crate::api::DittoServerStatus;
use crate::domain::content::status::{State, find};

/// A share of the spec cannot be made, or is not loaded. One event for each cause.
pub const SHARE_FAILED: &str = "ShareFailed";
/// A user, a group or a remote store of the spec cannot be made. One event for each cause.
pub const SHARE_NEEDS_FAILED: &str = "ShareDependencyFailed";
/// Clients can mount a share of the spec.
pub const SHARE_READY: &str = "ShareReady";
/// A share, a user, a group or a remote store left the spec, and stays on the server.
pub const NOT_DECLARED: &str = "NoLongerDeclared";

/// The events.
pub(super) fn changes(before: &DittoServerStatus, after: &DittoServerStatus) -> Vec<Event> {
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
    events
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
