//! What the status says of users, groups, remote stores and shares.

use std::collections::BTreeMap;

use super::shares::path;
use super::state::{STOPPED, State};
use super::{NOT_DECLARED, WAITING, digest};
use crate::api::{
    DittoServer, DittoServerSpec, DittoServerStatus, GroupStatus, RemoteStoreStatus, ShareStatus, UserStatus,
};

/// The states of everything, as the server was found or as the status says it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContentStatus {
    /// Groups.
    pub groups: Vec<GroupStatus>,
    /// Users.
    pub users: Vec<UserStatus>,
    /// Remote stores.
    pub remote_stores: Vec<RemoteStoreStatus>,
    /// Shares.
    pub shares: Vec<ShareStatus>,
    /// Whether something is made once the status names it.
    pub has_announced: bool,
    /// Whether the server did not answer a call. Then what is known stays, and it is asked again.
    pub is_unanswered: bool,
}

impl ContentStatus {
    /// Whether everything that is declared is ready.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        fn all<S: State>(states: &[S]) -> bool {
            states
                .iter()
                .all(|state| !state.view().declared || state.view().ready)
        }
        !self.is_unanswered
            && !self.has_announced
            && all(&self.groups)
            && all(&self.users)
            && all(&self.remote_stores)
            && all(&self.shares)
    }

    /// How many shares clients can mount, of those that are declared. `None` if none is declared.
    #[must_use]
    pub fn ready_shares(&self) -> Option<String> {
        let declared = self.shares.iter().filter(|share| share.declared);
        let (all, ready) = (
            declared.clone().count(),
            declared.filter(|share| share.ready).count(),
        );
        (all > 0).then(|| format!("{ready}/{all}"))
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn of_status(status: &DittoServerStatus) -> Self {
        Self {
            groups: status.groups.clone(),
            users: status.users.clone(),
            remote_stores: status.remote_stores.clone(),
            shares: status.shares.clone(),
            ..Self::default()
        }
    }
}

/// The states for the status. `found` is what the server said last; `None` if it was not asked yet: then what is known stays. A server
/// that is to stop serves until its pod ends: `has_ended` says whether none serves.
#[must_use]
pub fn states(server: &DittoServer, found: Option<&ContentStatus>, has_ended: bool) -> ContentStatus {
    let spec = &server.spec;
    let known = server
        .status
        .as_ref()
        .map(ContentStatus::of_status)
        .unwrap_or_default();
    let found = found.unwrap_or(&known);
    let is_stopped = spec.desired_replicas() == 0 && has_ended;
    let mut states = ContentStatus {
        groups: merged(
            spec.groups.iter().map(|group| &group.name),
            &found.groups,
            &known.groups,
        ),
        users: merged(
            spec.users.iter().map(|user| &user.name),
            &found.users,
            &known.users,
        ),
        remote_stores: merged(
            spec.remote_stores.iter().map(|store| &store.name),
            &found.remote_stores,
            &known.remote_stores,
        ),
        shares: merged(
            spec.shares.iter().map(|share| &share.name),
            &found.shares,
            &known.shares,
        ),
        ..ContentStatus::default()
    };
    for share in &mut states.shares {
        share.path = path(&share.name);
    }
    if is_stopped {
        let declared = states.shares.iter_mut().filter(|share| share.declared);
        declared
            .for_each(|share| share.set(false, true, Some(STOPPED), Some("the server is stopped".into())));
    }
    states
}

fn merged<'a, S: State>(declared: impl Iterator<Item = &'a String>, found: &[S], known: &[S]) -> Vec<S> {
    // A server may have a thousand shares, and this happens in each reconcile.
    let (mut left, known) = (by_name(found), by_name(known));
    let mut states: Vec<S> = declared
        .map(|name| {
            let found = left.remove(name.as_str());
            let state = found.or_else(|| known.get(name.as_str()).copied()).cloned();
            state.map_or_else(|| waiting(S::new(name)), declared_again)
        })
        .collect();
    let left = found.iter().filter(|state| left.contains_key(state.view().name));
    states.extend(left.cloned().map(left_behind));
    states
}

fn by_name<S: State>(states: &[S]) -> BTreeMap<&str, &S> {
    states.iter().map(|state| (state.view().name, state)).collect()
}

fn waiting<S: State>(mut state: S) -> S {
    let message = "the server has not been asked yet".to_owned();
    state.set(false, true, Some(WAITING), Some(message));
    state
}

/// What was not in the spec a moment ago may be there again.
fn declared_again<S: State>(state: S) -> S {
    if state.view().declared && state.view().reason != Some(STOPPED) {
        return state;
    }
    waiting(state)
}

fn left_behind<S: State>(mut state: S) -> S {
    let message = format!("it {}", state.farewell());
    let ready = state.view().ready;
    state.set(ready, false, Some(NOT_DECLARED), Some(message));
    state
}

/// What is not yet as the spec declares it; `None` if everything is.
#[must_use]
pub fn pending(spec: &DittoServerSpec, states: &ContentStatus) -> Option<String> {
    let mut behind = Vec::new();
    collect(
        &states.remote_stores,
        &digests(&spec.remote_stores, |store| &store.name),
        &mut behind,
    );
    collect(
        &states.groups,
        &digests(&spec.groups, |group| &group.name),
        &mut behind,
    );
    collect(
        &states.users,
        &digests(&spec.users, |user| &user.name),
        &mut behind,
    );
    collect(
        &states.shares,
        &digests(&spec.shares, |share| &share.name),
        &mut behind,
    );
    let first = behind.first()?.clone();
    let more = behind.len() - 1;
    Some(if more == 0 {
        first
    } else {
        format!("{first}; and {more} more")
    })
}

fn digests<T: serde::Serialize>(parts: &[T], name: impl Fn(&T) -> &String) -> BTreeMap<&str, String> {
    let mut digests = BTreeMap::new();
    for part in parts {
        digests.insert(name(part).as_str(), digest(part));
    }
    digests
}

fn collect<S: State>(states: &[S], digests: &BTreeMap<&str, String>, behind: &mut Vec<String>) {
    for view in states.iter().map(State::view).filter(|view| view.declared) {
        let is_current = digests.get(view.name).map(String::as_str) == view.applied;
        if view.ready && is_current {
            continue;
        }
        let why = view
            .message
            .filter(|_| !view.ready)
            .unwrap_or("the server does not have the last change of the spec yet");
        behind.push(format!("{} {}: {why}", view.kind, view.name));
    }
}
