//! Makes what the spec declares inside a server: groups, users, remote stores and shares, in this order, because each needs the ones
//! before it. What cannot be made is in the outcome, and holds up nothing that does not need it.

mod exports;
mod grants;
mod shares;
mod stores;
mod users;

use http::Method;
use serde::de::DeserializeOwned;

use super::administrator::Server;
use super::client::Error;
use crate::domain::content::status::{ContentStatus, State};
use crate::domain::content::{Content, REFUSED, WAITING};

/// What was written although the spec has not changed.
pub(super) type Written = Vec<String>;

/// Compares and writes everything.
pub(super) async fn apply(server: &Server<'_>, content: &Content) -> (ContentStatus, Written) {
    let mut written = Written::new();
    let groups = users::groups(server, content, &mut written).await;
    let (users, live_users) = users::users(server, content, &mut written).await;
    let (remote_stores, live_stores) = stores::remote(server, content, &mut written).await;
    let known = shares::Known {
        users: &live_users,
        stores: &live_stores,
        store_states: &remote_stores,
    };
    let shares = shares::apply(server, content, &known, &mut written).await;
    let status = ContentStatus {
        groups,
        users,
        remote_stores,
        shares,
    };
    (status, written)
}

/// A list of the API. `null` is an empty one.
async fn list<T: DeserializeOwned>(server: &Server<'_>, path: &str) -> Result<Vec<T>, Error> {
    let listed: Option<Vec<T>> = server.read(Method::GET, path, None).await?;
    Ok(listed.unwrap_or_default())
}

/// The state of something that could not be made or compared.
fn failed<S: State>(state: &mut S, error: &Error) {
    let reason = match error {
        Error::Refused { .. } => REFUSED,
        _ => WAITING,
    };
    state.set(false, true, Some(reason), Some(error.to_string()));
}

/// Why something is not as declared.
struct Fault {
    reason: &'static str,
    message: String,
}

impl Fault {
    fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let reason = match error {
            Error::Refused { .. } => REFUSED,
            _ => WAITING,
        };
        Self::new(reason, error.to_string())
    }
}

fn conclude<S: State>(state: &mut S, outcome: Result<(), Fault>) -> bool {
    match outcome {
        Ok(()) => {
            state.set(true, true, None, None);
            true
        }
        Err(fault) => {
            state.set(false, true, Some(fault.reason), Some(fault.message));
            false
        }
    }
}
