//! What the states of users, groups, remote stores and shares have in common.

use super::WAITING;
use crate::api::{GroupStatus, RemoteStoreStatus, ShareStatus, UserStatus};

/// Reason of what a stopped server does not offer.
pub const STOPPED: &str = "Stopped";

/// What every state has.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// `share`, `user`, …
    pub kind: &'static str,
    /// Its name.
    pub name: &'a str,
    /// Whether it is as declared, or can be used.
    pub ready: bool,
    /// Whether it is in the spec.
    pub declared: bool,
    /// Why it is not ready, in one word.
    pub reason: Option<&'a str>,
    /// Why it is not ready.
    pub message: Option<&'a str>,
    /// Digest of the part of the spec that the server has.
    pub applied: Option<&'a str>,
}

impl View<'_> {
    /// Whether nothing is wrong with it: the server has not been asked, or is stopped.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        [Some(WAITING), Some(STOPPED)].contains(&self.reason)
    }
}

/// The state of one thing on the server.
pub trait State: Clone {
    /// What every state has.
    fn view(&self) -> View<'_>;
    /// The state of something of which nothing is known.
    fn new(name: &str) -> Self;
    /// Changes what every state has.
    fn set(&mut self, ready: bool, declared: bool, reason: Option<&str>, message: Option<String>);
    /// What to say of it when it left the spec: that it stays, and how to delete it.
    fn farewell(&self) -> String;
}

/// The state of this name.
pub fn find<'a, S: State>(states: &'a [S], name: &str) -> Option<&'a S> {
    states.iter().find(|state| state.view().name == name)
}

macro_rules! state {
    ($state:ty, $kind:literal, $removal:literal) => {
        impl State for $state {
            fn view(&self) -> View<'_> {
                View {
                    kind: $kind,
                    name: &self.name,
                    ready: self.ready,
                    declared: self.declared,
                    reason: self.reason.as_deref(),
                    message: self.message.as_deref(),
                    applied: self.applied.as_deref(),
                }
            }

            fn new(name: &str) -> Self {
                Self {
                    name: name.to_owned(),
                    declared: true,
                    ..Self::default()
                }
            }

            fn set(&mut self, ready: bool, declared: bool, reason: Option<&str>, message: Option<String>) {
                self.ready = ready;
                self.declared = declared;
                self.reason = reason.map(str::to_owned);
                self.message = message;
            }

            fn farewell(&self) -> String {
                let removal = format!($removal, self.name);
                format!("is no longer in the spec, and stays on the server. To delete it: {removal}")
            }
        }
    };
}

state!(GroupStatus, "group", "dfsctl group remove {}");
state!(UserStatus, "user", "dfsctl user remove {}");
state!(
    RemoteStoreStatus,
    "remote store",
    "dfsctl store block remote remove {}"
);
state!(ShareStatus, "share", "dfsctl share remove /{}");
