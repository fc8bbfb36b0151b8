//! Permissions of users and groups in a share.

use http::{Method, StatusCode};
use serde_json::json;

use super::{Fault, Log, gone, list};
use crate::api::{ShareSpec, ShareStatus};
use crate::domain::content::REFUSED;
use crate::domain::content::shares::{CLIENTS, GrantChange, LiveGrant, grant_changes, grants, path};
use crate::server::administrator::Server;
use crate::server::client::Error;
use crate::server::url::encoded;

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
    let base = format!("shares/{}/permissions", encoded(&path(&share.name)));
    let live: Vec<LiveGrant> = if is_new {
        Vec::new()
    } else {
        list(server, &base).await?
    };
    let mut announced = Vec::new();
    for change in grant_changes(share, &state.grants.clone(), &live) {
        match change {
            GrantChange::Announce(grant) => announced.push(grant),
            GrantChange::Set(grant, level) => {
                let body = json!({"level": level});
                let result = server
                    .call(Method::PUT, &address(&base, &grant), Some(&body))
                    .await;
                result.map_err(|error| explained(error, &grant))?;
                log.written
                    .push(format!("the permission of {grant} in share {}", share.name));
            }
            GrantChange::Remove(grant) => {
                gone(server.call(Method::DELETE, &address(&base, &grant), None).await)?;
                state.grants.retain(|known| *known != grant);
            }
        }
    }
    if announced.is_empty() {
        return Ok(());
    }
    state.grants.extend(announced);
    Err(log.announced("its permissions"))
}

fn address(base: &str, grant: &str) -> String {
    match grant.split_once('/') {
        Some((kind, name)) => format!("{base}/{kind}s/{}", encoded(name)),
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
