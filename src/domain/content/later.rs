//! What the server uses after its next start only: it reads the settings of a remote store, and whether a share requires Kerberos, when
//! it starts and when it loads a share.
//!
//! A start disconnects clients, so the operator makes none for it. The status says that one is needed, before the setting is written: an
//! operator that dies in between leaves it to the next one.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::state::State;
use crate::api::{RemoteStoreStatus, ShareStatus};

/// A state that can say that the running process does not use the last change.
pub trait UsedLater: State {
    /// What the status says meanwhile.
    const UNUSED: &'static str;
    /// Start of the process that does not use the last change.
    fn unused_since(&self) -> Option<&Time>;
    /// Changes it.
    fn set_unused_since(&mut self, started: Option<Time>);
}

macro_rules! used_later {
    ($state:ty, $unused:literal) => {
        impl UsedLater for $state {
            const UNUSED: &'static str = $unused;

            fn unused_since(&self) -> Option<&Time> {
                self.server_started.as_ref()
            }

            fn set_unused_since(&mut self, started: Option<Time>) {
                self.server_started = started;
            }
        }
    };
}

used_later!(
    RemoteStoreStatus,
    "its new settings are written, and the shares over it use them after the next start of the server: delete the pod at a convenient time. Do not revoke the former keys before"
);
used_later!(
    ShareStatus,
    "spec.shares[].nfs.requireKerberos or minKerberosLevel is written, and the server uses it after its next start: delete the pod at a convenient time"
);

/// Notes that the process that started at `started` does not use what is about to be written. Returns whether it may be written: the
/// state says so already, or the process is not known.
pub fn announce<S: UsedLater>(state: &mut S, started: Option<Timestamp>) -> bool {
    let started = started.map(Time);
    let is_noted = started.is_none() || state.unused_since() == started.as_ref();
    if !is_noted {
        state.set_unused_since(started);
    }
    is_noted
}

/// Says of something that is as declared what the process that started at `started` does not use of it. Another process uses everything.
pub fn settle<S: UsedLater>(state: &mut S, started: Option<Timestamp>) {
    let is_of_another = started.is_some() && state.unused_since() != started.map(Time).as_ref();
    if is_of_another {
        state.set_unused_since(None);
    }
    let view = state.view();
    let (ready, declared) = (view.ready, view.declared);
    if ready && declared && view.message.is_none() && state.unused_since().is_some() {
        state.set(ready, declared, None, Some(S::UNUSED.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(second: i64) -> Option<Timestamp> {
        Timestamp::from_second(second).ok()
    }

    fn ready() -> ShareStatus {
        ShareStatus {
            ready: true,
            ..ShareStatus::new("export")
        }
    }

    #[test]
    fn a_change_is_announced_before_it_is_written_and_told_until_another_process_runs() {
        let mut share = ready();
        assert!(!announce(&mut share, process(1)), "the status must say it first");
        assert!(announce(&mut share, process(1)));
        settle(&mut share, process(1));
        assert_eq!(share.message.as_deref(), Some(ShareStatus::UNUSED));
        share.message = None;
        settle(&mut share, process(2));
        assert_eq!(share, ready());
    }

    #[test]
    fn nothing_is_told_of_a_process_that_is_not_known_and_nothing_hides_another_message() {
        let mut share = ready();
        assert!(announce(&mut share, None));
        settle(&mut share, None);
        assert_eq!(share, ready());
        announce(&mut share, process(1));
        share.set(false, true, Some("Refused"), Some("400".into()));
        settle(&mut share, process(1));
        assert_eq!(share.message.as_deref(), Some("400"));
        settle(&mut share, None);
        assert!(share.server_started.is_some(), "the process may be the same");
    }
}
