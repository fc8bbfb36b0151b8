//! What NFS clients may do with a share, and the netgroups with the clients that may mount it.

use std::collections::BTreeSet;

use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Fault, Log, gone};
use crate::api::{ShareNfsSpec, ShareSpec, ShareStatus};
use crate::domain::content::CONFLICT;
use crate::domain::content::shares::{
    CLIENTS, export_update, is_read_at_start, limits_clients, member_kind, netgroup, of_new_share,
};
use crate::server::administrator::Server;
use crate::server::client::Error;
use crate::server::url::{segment, share_path};

const NETGROUPS: &str = "adapters/nfs/netgroups";

#[derive(Default, Deserialize)]
#[serde(default)]
struct Netgroup {
    members: Vec<Member>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Member {
    id: String,
    value: String,
}

/// Makes the netgroup with the clients of a share, if the spec limits them. That comes before the share is made, or refers to it: an
/// empty netgroup would shut all clients out, and a share without one is open to all. The same holds for what the server does not use of
/// a new share before its next start. Returns what is wrong with some of the clients: the netgroup has the others.
pub(super) async fn prepare(
    server: &Server<'_>,
    share: &ShareSpec,
    is_new: bool,
    state: &mut ShareStatus,
    log: &mut Log,
) -> Result<Option<Fault>, Fault> {
    let declared = share.nfs.as_ref().filter(|_| is_new);
    if declared.is_some_and(|nfs| is_read_at_start(&export_update(nfs, None, &of_new_share()))) {
        log.announce_later(server, state)?;
    }
    if !limits_clients(share) {
        return Ok(None);
    }
    if !is_known(state) {
        state.grants.push(CLIENTS.to_owned());
        return Err(log.announced("the list of its clients"));
    }
    fill(server, &netgroup(&share.name), share.nfs.as_ref(), log).await
}

/// Writes what differs, after [`prepare`].
pub(super) async fn apply(
    server: &Server<'_>,
    share: &ShareSpec,
    state: &mut ShareStatus,
    log: &mut Log,
) -> Result<(), Fault> {
    if share.nfs.is_none() && !is_known(state) {
        return Ok(());
    }
    let nfs = share.nfs.clone().unwrap_or_default();
    let address = format!("{}/adapters/nfs/config", share_path(&share.name));
    let live = server.call(Method::GET, &address, None).await?;
    let (own, is_limited) = (netgroup(&share.name), limits_clients(share));
    let other = live["netgroup"]
        .as_str()
        .filter(|other| !other.is_empty() && *other != own);
    if let Some(other) = other.filter(|_| is_limited) {
        let message = format!(
            "the server has the share with netgroup {other}, which a person made: remove it there (dfsctl share nfs-config set), or remove spec.shares[].nfs.allowedClients"
        );
        return Err(Fault::new(CONFLICT, message));
    }
    let leaves = is_known(state) && !is_limited && other.is_none();
    let wanted = is_limited.then_some(own.as_str()).or(leaves.then_some(""));
    let body = export_update(&nfs, wanted, &live);
    if is_read_at_start(&body) {
        log.announce_later(server, state)?;
    }
    if !body.is_empty() {
        let fields: Vec<String> = body.keys().cloned().collect();
        server
            .call(Method::PATCH, &address, Some(&Value::Object(body)))
            .await?;
        log.written.push(format!(
            "the NFS export of share {} ({})",
            share.name,
            fields.join(", ")
        ));
    }
    if is_known(state) && !is_limited {
        let group = format!("{NETGROUPS}/{}", segment(&own));
        gone(server.call(Method::DELETE, &group, None).await)?;
        state.grants.retain(|grant| grant != CLIENTS);
    }
    Ok(())
}

/// Makes the netgroup, with exactly these members. Those that left the spec go first: a client that the server does not accept must not
/// keep them. Returns why it lacks some of the clients; an error if it has none.
async fn fill(
    server: &Server<'_>,
    name: &str,
    nfs: Option<&ShareNfsSpec>,
    log: &mut Log,
) -> Result<Option<Fault>, Fault> {
    let wanted = nfs.map(|nfs| nfs.allowed_clients.as_slice()).unwrap_or_default();
    let address = format!("{NETGROUPS}/{}", segment(name));
    let live: Netgroup = match server.read(Method::GET, &address, None).await {
        Ok(live) => live,
        Err(error) if error.status() == Some(StatusCode::NOT_FOUND) => {
            let body = json!({"name": name});
            server.call(Method::POST, NETGROUPS, Some(&body)).await?;
            Netgroup::default()
        }
        Err(error) => return Err(error.into()),
    };
    let (kept, extra): (Vec<&Member>, Vec<&Member>) = live
        .members
        .iter()
        .partition(|member| wanted.contains(&member.value));
    for member in extra {
        let path = format!("{address}/members/{}", segment(&member.id));
        gone(server.call(Method::DELETE, &path, None).await)?;
        log.written
            .push(format!("client {} in netgroup {name}", member.value));
    }
    let present: BTreeSet<&str> = kept.iter().map(|member| member.value.as_str()).collect();
    let (mut members, mut refused) = (present.len(), None);
    for client in wanted.iter().filter(|client| !present.contains(client.as_str())) {
        let body = json!({"type": member_kind(client), "value": client});
        let path = format!("{address}/members");
        match server.call(Method::POST, &path, Some(&body)).await {
            Ok(_) => {
                members += 1;
                log.written.push(format!("client {client} in netgroup {name}"));
            }
            // The clients after it must not be shut out because of it.
            Err(error) => refused = refused.or(Some(not_added(error, client))),
        }
    }
    match refused {
        Some(refused) if members == 0 => Err(refused),
        refused => Ok(refused),
    }
}

fn not_added(error: Error, client: &str) -> Fault {
    Fault::explained(error, |text| {
        format!(
            "the server does not accept client {client} of spec.shares[].nfs.allowedClients: {text}. Correct it"
        )
    })
}

fn is_known(state: &ShareStatus) -> bool {
    state.grants.iter().any(|grant| grant == CLIENTS)
}
