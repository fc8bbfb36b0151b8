//! Permissions of users and groups in a share.

use http::{Method, StatusCode};
use serde_json::json;

use super::{Fault, Log, gone, list};
use crate::api::{ShareSpec, ShareStatus};
use crate::domain::content::REFUSED;
use crate::domain::content::shares::{CLIENTS, GrantChange, LiveGrant, grant_changes, grants};
use crate::server::administrator::Server;
use crate::server::client::Error;
use crate::server::url::{segment, share_path};

/// Gives the declared permissions, and takes back those that the operator gave and that left the spec. Asks the server only if there are
/// any.
pub(super) async fn apply(
    server: &Server<'_>,
    share: &ShareSpec,
    is_new: bool,
    state: &mut ShareStatus,
    log: &mut Log,
) -> Result<(), Fault> {
    let wanted = grants(share);
    if wanted.is_empty() && state.grants.iter().all(|grant| grant == CLIENTS) {
        return Ok(());
    }
    let base = format!("{}/permissions", share_path(&share.name));
    let live: Vec<LiveGrant> = if is_new {
        Vec::new()
    } else {
        list(server, &base).await?
    };
    let mut outcome = Ok(());
    let mut announced = Vec::new();
    // Each is tried, whatever becomes of the others: a name that the server does not know must not keep a permission that is taken back.
    for change in grant_changes(share, &state.grants.clone(), &live) {
        let step = match change {
            GrantChange::Announce(grant) => {
                announced.push(grant);
                Ok(())
            }
            GrantChange::Set(grant, level) => {
                let body = json!({"level": level});
                let set = server
                    .call(Method::PUT, &address(&base, &grant), Some(&body))
                    .await;
                set.map(|_| {
                    log.written
                        .push(format!("the permission of {grant} in share {}", share.name));
                })
                .map_err(|error| explained(error, &grant))
            }
            GrantChange::Remove(grant) => {
                let removed = server.call(Method::DELETE, &address(&base, &grant), None).await;
                gone(removed)
                    .map(|()| state.grants.retain(|known| *known != grant))
                    .map_err(Fault::from)
            }
        };
        outcome = outcome.and(step);
    }
    if announced.is_empty() {
        return outcome;
    }
    state.grants.extend(announced);
    let waits = log.announced("its permissions");
    outcome.and(Err(waits))
}

fn address(base: &str, grant: &str) -> String {
    match grant.split_once('/') {
        Some((kind, name)) => format!("{base}/{kind}s/{}", segment(name)),
        None => base.to_owned(),
    }
}

fn explained(error: Error, grant: &str) -> Fault {
    if error.status() != Some(StatusCode::NOT_FOUND) {
        return error.into();
    }
    let (kind, name) = grant.split_once('/').unwrap_or(("user", grant));
    let message = format!(
        "the server has no {kind} {name}, to whom spec.shares[].permissions.{kind}s gives a permission: declare it in spec.{kind}s, or correct the name"
    );
    Fault::new(REFUSED, message)
}
