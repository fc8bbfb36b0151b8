//! What NFS clients may do with a share, and the netgroups with the clients that may mount it.

use std::collections::BTreeSet;

use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Fault, Log, gone};
use crate::api::{ShareNfsSpec, ShareSpec, ShareStatus};
use crate::domain::content::WAITING;
use crate::domain::content::shares::{CLIENTS, export_update, limits_clients, member_kind, netgroup, path};
use crate::server::administrator::Server;
use crate::server::settings::encoded;

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

/// The exports of one server.
pub(super) struct Exports<'a> {
    server: &'a Server<'a>,
}

impl<'a> Exports<'a> {
    pub(super) fn new(server: &'a Server<'a>) -> Self {
        Self { server }
    }

    /// Writes what differs. The clients are in the netgroup before the share refers to it: an empty one would shut all clients out.
    pub(super) async fn apply(
        &self,
        share: &ShareSpec,
        state: &mut ShareStatus,
        log: &mut Log,
    ) -> Result<(), Fault> {
        let is_known = state.grants.iter().any(|grant| grant == CLIENTS);
        if share.nfs.is_none() && !is_known {
            return Ok(());
        }
        let nfs = share.nfs.clone().unwrap_or_default();
        let address = format!("shares/{}/adapters/nfs/config", encoded(&path(&share.name)));
        let live = self.server.call(Method::GET, &address, None).await?;
        let own = netgroup(&share.name);
        let is_limited = limits_clients(share);
        if is_limited && !is_known {
            return Err(Fault::new(WAITING, "the operator is about to limit its clients"));
        }
        if is_limited {
            self.fill(&own, &nfs, log).await?;
        }
        let is_own = live["netgroup"] == own.as_str();
        // A netgroup that a person set is not the operator's, unless the spec has clients.
        let wanted = is_limited.then_some(own.as_str()).or(is_own.then_some(""));
        let body = export_update(&nfs, wanted, &live);
        if !body.is_empty() {
            let fields: Vec<String> = body.keys().cloned().collect();
            self.server
                .call(Method::PATCH, &address, Some(&Value::Object(body)))
                .await?;
            log.written.push(format!(
                "the NFS export of share {} ({})",
                share.name,
                fields.join(", ")
            ));
        }
        if is_known && !is_limited {
            let group = format!("{NETGROUPS}/{}", encoded(&own));
            gone(self.server.call(Method::DELETE, &group, None).await)?;
            state.grants.retain(|grant| grant != CLIENTS);
        }
        Ok(())
    }

    /// Makes the netgroup, with exactly these members.
    async fn fill(&self, name: &str, nfs: &ShareNfsSpec, log: &mut Log) -> Result<(), Fault> {
        let address = format!("{NETGROUPS}/{}", encoded(name));
        let live: Netgroup = match self.server.read(Method::GET, &address, None).await {
            Ok(live) => live,
            Err(error) if error.status() == Some(StatusCode::NOT_FOUND) => {
                let body = json!({"name": name});
                self.server.call(Method::POST, NETGROUPS, Some(&body)).await?;
                Netgroup::default()
            }
            Err(error) => return Err(error.into()),
        };
        let present: BTreeSet<&str> = live.members.iter().map(|member| member.value.as_str()).collect();
        let missing = nfs
            .allowed_clients
            .iter()
            .filter(|client| !present.contains(client.as_str()));
        for client in missing {
            let body = json!({"type": member_kind(client), "value": client});
            let members = format!("{address}/members");
            self.server.call(Method::POST, &members, Some(&body)).await?;
            log.written.push(format!("client {client} in netgroup {name}"));
        }
        let extra = live
            .members
            .iter()
            .filter(|member| !nfs.allowed_clients.contains(&member.value));
        for member in extra {
            let member = format!("{address}/members/{}", encoded(&member.id));
            gone(self.server.call(Method::DELETE, &member, None).await)?;
        }
        Ok(())
    }
}
