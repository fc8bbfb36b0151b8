//! Makes what the spec declares inside a server: groups, users, remote stores and shares, in this order, because each needs the ones
//! before it. What cannot be made is in the outcome, and holds up nothing that does not need it. A server that does not answer says
//! nothing about what it has: then what is known stays.

mod exports;
mod grants;
pub(super) mod shares;
mod stores;
mod users;

use std::time::Duration;

use http::{Method, StatusCode};
use serde::de::DeserializeOwned;

use super::administrator::Server;
use super::client::Error;
use crate::domain::adapters::FailureKind;
use crate::domain::content::later::{self, UsedLater};
use crate::domain::content::state::{State, find};
use crate::domain::content::status::ContentStatus;
use crate::domain::content::{Content, REFUSED, WAITING};

/// Deadline of a call during which the server looks at one or more things. It gives up looking after five seconds itself.
const LOOKS: Duration = Duration::from_secs(8);

/// What happened.
#[derive(Default)]
pub(super) struct Log {
    /// What was written.
    pub(super) written: Vec<String>,
    /// Whether something is made once the status names it.
    has_announced: bool,
    /// Whether the server did not answer a call.
    is_unanswered: bool,
}

/// Compares and writes everything.
pub(super) async fn apply(server: &Server<'_>, content: &Content) -> (ContentStatus, Vec<String>) {
    let mut log = Log::default();
    let groups = users::groups(server, content, &mut log).await;
    let (users, live_users) = users::users(server, content, &mut log).await;
    let live_shares = shares::live(server, content).await;
    let listed = live_shares.as_deref().ok();
    let (remote_stores, live_stores) = stores::remote(server, content, listed, &mut log).await;
    let known = shares::Known {
        users: &live_users,
        declared_users: &content.users,
        stores: &live_stores,
        store_states: &remote_stores,
    };
    let shares = shares::apply(server, content, &known, live_shares, &mut log).await;
    let status = ContentStatus {
        groups,
        users,
        remote_stores,
        shares,
        has_announced: log.has_announced,
        is_unanswered: log.is_unanswered,
    };
    (status, log.written)
}

/// A list of the API. `null` is an empty one.
async fn list<T: DeserializeOwned>(server: &Server<'_>, path: &str) -> Result<Vec<T>, Error> {
    let listed: Option<Vec<T>> = server.read(Method::GET, path, None).await?;
    Ok(listed.unwrap_or_default())
}

/// As [`list`], where the server looks at each thing whether it answers.
async fn list_with_health<T: DeserializeOwned>(server: &Server<'_>, path: &str) -> Result<Vec<T>, Error> {
    let listed: Option<Vec<T>> = server.read_within(LOOKS, Method::GET, path, None).await?;
    Ok(listed.unwrap_or_default())
}

/// Why something is not as declared.
#[derive(Clone)]
struct Fault {
    reason: &'static str,
    message: String,
    /// Whether the server did not answer, so that nothing is known of what it has.
    is_unanswered: bool,
    /// Whether what the server has stays usable meanwhile: only a change waits.
    is_harmless: bool,
}

impl Fault {
    fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            is_unanswered: false,
            is_harmless: false,
        }
    }

    /// An error that the server reports, with another text if the server does not accept what it got (400).
    fn explained(error: Error, explain: impl FnOnce(&str) -> String) -> Self {
        let is_refused = error.status() == Some(StatusCode::BAD_REQUEST);
        let mut fault = Self::from(error);
        if is_refused {
            fault.message = explain(&fault.message);
        }
        fault
    }
}

impl Log {
    /// The state names now what the operator is about to make. It follows once the status says so: if the operator dies in between, the
    /// next one knows that it is to be removed when it leaves the spec.
    fn announced(&mut self, what: &str) -> Fault {
        self.has_announced = true;
        Fault::new(WAITING, format!("the operator is about to make {what}"))
    }

    /// As [`Self::announced`], for what the running process does not use. Nothing to do if the status says so already.
    fn announce_later<S: UsedLater>(&mut self, server: &Server<'_>, state: &mut S) -> Result<(), Fault> {
        if later::announce(state, server.target().started) {
            return Ok(());
        }
        Err(Fault {
            is_harmless: true,
            ..self.announced("a change that the server uses after its next start")
        })
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let is_unanswered = is_unanswered(&error);
        let reason = if is_unanswered { WAITING } else { REFUSED };
        Self {
            is_unanswered,
            is_harmless: is_unanswered,
            ..Self::new(reason, error.to_string())
        }
    }
}

/// A refused token says as little about what the server has as no answer: its key may be being rotated.
fn is_unanswered(error: &Error) -> bool {
    let is_busy = matches!(
        error.status(),
        Some(StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT)
    );
    let is_refusal = matches!(error, Error::Refused { .. }) && error.failure().kind != FailureKind::Token;
    is_busy || !is_refusal
}

/// What is known of something that is declared: what the status says, or nothing yet.
fn known<S: State>(states: &[S], name: &str) -> S {
    find(states, name).cloned().unwrap_or_else(|| S::new(name))
}

/// The states of everything that is declared, when the server did not list what it has. What left the spec stays as it is known.
fn unlisted<S: State>(
    known_states: &[S],
    declared: impl Iterator<Item = String>,
    error: Error,
    log: &mut Log,
) -> Vec<S> {
    let fault = Fault::from(error);
    let mut states: Vec<S> = known_states.to_vec();
    for name in declared {
        if find(&states, &name).is_none() {
            states.push(S::new(&name));
        }
    }
    for state in states.iter_mut().filter(|state| state.view().declared) {
        conclude(state, Err(fault.clone()), log);
    }
    states
}

/// Notes what became of something. Returns whether it is as declared.
fn conclude<S: State>(state: &mut S, outcome: Result<(), Fault>, log: &mut Log) -> bool {
    match outcome {
        Ok(()) => {
            state.set(true, true, None, None);
            true
        }
        Err(fault) => {
            log.is_unanswered |= fault.is_unanswered;
            // Clients use what the server has, whether its API answers or not.
            if !(fault.is_harmless && state.view().ready) {
                state.set(false, true, Some(fault.reason), Some(fault.message));
            }
            false
        }
    }
}

/// Adds the states of what left the spec and is still on the server. `states` are those of what is declared; `live` has the name of each thing
/// on the server, and whether it can be used.
fn left_behind<'a, S: State>(
    known_states: &[S],
    live: impl Iterator<Item = (&'a str, bool)>,
    states: &mut Vec<S>,
) {
    let left = live.filter_map(|(name, is_ready)| {
        let mut state = find(known_states, name)
            .filter(|_| find(states, name).is_none())?
            .clone();
        state.set(is_ready, false, None, None);
        Some(state)
    });
    let left: Vec<S> = left.collect();
    states.extend(left);
}

/// What is gone needs no more.
fn gone<T>(result: Result<T, Error>) -> Result<(), Error> {
    match result {
        Err(error) if error.status() != Some(StatusCode::NOT_FOUND) => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::ShareStatus;

    fn refused(status: StatusCode) -> Error {
        Error::Refused {
            url: "http://files".into(),
            status,
            detail: String::new(),
        }
    }

    fn ready() -> ShareStatus {
        ShareStatus {
            ready: true,
            applied: Some("digest".into()),
            grants: vec!["user/alice".into()],
            ..ShareStatus::new("export")
        }
    }

    #[test]
    fn a_share_stays_ready_while_the_server_does_not_answer_and_is_asked_again() {
        let unanswered = [
            Error::Timeout("http://files".into(), 10),
            Error::NotCalled("http://files did not answer".into()),
            refused(StatusCode::UNAUTHORIZED),
            refused(StatusCode::SERVICE_UNAVAILABLE),
            refused(StatusCode::GATEWAY_TIMEOUT),
        ];
        for error in unanswered {
            let (mut log, text) = (Log::default(), error.to_string());
            let names = ["export".to_owned(), "new".to_owned()].into_iter();
            let states = unlisted(&[ready()], names, error, &mut log);
            assert_eq!(states[0], ready(), "{text}");
            assert_eq!(states[1].reason.as_deref(), Some(WAITING), "{text}");
            assert!(log.is_unanswered, "{text}");
        }
    }

    #[test]
    fn a_share_that_the_server_refuses_is_not_ready() {
        for status in [
            StatusCode::BAD_REQUEST,
            StatusCode::CONFLICT,
            StatusCode::INTERNAL_SERVER_ERROR,
        ] {
            let (mut log, mut state) = (Log::default(), ready());
            assert!(!conclude(&mut state, Err(refused(status).into()), &mut log));
            assert!(!state.ready && !log.is_unanswered, "{status}");
            assert_eq!(state.reason.as_deref(), Some(REFUSED), "{status}");
            assert_eq!(
                state.grants,
                ready().grants,
                "what the operator made is known further on"
            );
        }
    }
}
