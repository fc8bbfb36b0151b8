//! What the status announces before the operator does it on the server: if the operator dies in between, the next one knows.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::later::UsedLater;
use crate::api::DittoServerStatus;

/// Whether the status names more than before of what the operator makes: then the server must be asked again.
#[must_use]
pub fn has_announced(before: &DittoServerStatus, after: &DittoServerStatus) -> bool {
    !given(after).is_subset(&given(before)) || !unused(after).is_subset(&unused(before))
}

/// What the operator gives: to a user the membership of a group, and of a share the permissions.
fn given(status: &DittoServerStatus) -> BTreeSet<(&'static str, &str, &str)> {
    let users = status.users.iter().map(|user| ("user", &user.name, &user.groups));
    let shares = status
        .shares
        .iter()
        .map(|share| ("share", &share.name, &share.grants));
    users
        .chain(shares)
        .flat_map(|(kind, name, given)| given.iter().map(move |to| (kind, name.as_str(), to.as_str())))
        .collect()
}

/// What the running process does not use of the last change, with its start.
fn unused(status: &DittoServerStatus) -> BTreeSet<(&'static str, &str, Timestamp)> {
    let added = status.shares.iter().filter_map(|share| {
        let started = share.store_added_to.as_ref()?;
        Some(("store of share", share.name.as_str(), started.0))
    });
    let shares = unused_of(&status.shares);
    shares
        .chain(unused_of(&status.remote_stores))
        .chain(added)
        .collect()
}

fn unused_of<S: UsedLater>(states: &[S]) -> impl Iterator<Item = (&'static str, &str, Timestamp)> {
    states.iter().filter_map(|state| {
        let (view, started) = (state.view(), state.unused_since()?);
        Some((view.kind, view.name, started.0))
    })
}
