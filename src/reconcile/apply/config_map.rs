//! The configuration, and whether its pod can follow it.
//!
//! A new pod must find its configuration, so the ConfigMap is written before the StatefulSet. But if the StatefulSet were then
//! refused, the running pod would read the new configuration with the old environment when its container restarts. So if both
//! change, the API server is asked first whether it accepts the StatefulSet (ADR 0005).

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use serde_json::Value;

use super::child::stamped;
use super::error::Error;
use super::live::{Child, Live, Written};
use super::stateful_set::{Acceptance, saved};
use super::writer::{Write, Writer};
use super::{Applied, Outcome, record};
use crate::api::names;
use crate::cluster::cache::Lookup;
use crate::domain::desired::Workload;
use crate::reconcile::context::Context;

impl Child for ConfigMap {
    const KIND: &'static str = "ConfigMap";

    fn is_immutable(&self) -> bool {
        self.immutable == Some(true)
    }

    fn lookup(context: &Context, namespace: &str, name: &str) -> Lookup<Self> {
        context.caches.config_maps.get(namespace, name)
    }

    fn remember(self, context: &Context) {
        context.caches.config_maps.wrote(self);
    }
}

/// Writes the ConfigMap. Returns whether the API server was asked about the StatefulSet that uses it.
///
/// # Errors
///
/// If the StatefulSet that uses it is refused. Then the ConfigMap stays as it is.
pub(super) async fn apply(
    writer: &Writer<'_>,
    applied: &mut Applied,
    config_map: &ConfigMap,
    workload: &Workload,
) -> Result<Acceptance, Error> {
    let name = names::config_map(&writer.server.name_any());
    // The pod keeps its configuration until there is a StatefulSet to ask about.
    if saved::waiting(applied).is_some() {
        return Ok(Acceptance::NotAsked);
    }
    let mut acceptance = Acceptance::NotAsked;
    let written = match follower(writer, applied, config_map, workload)? {
        // The StatefulSet does not change before the Secrets are as desired.
        Some(_) if !applied.is_complete() => Written::without(Outcome::Skipped),
        Some(follower) => {
            ask(writer, &follower).await?;
            acceptance = Acceptance::Accepted;
            writer.child(&name, config_map).await
        }
        None => writer.child(&name, config_map).await,
    };
    let before = applied.config_map.clone();
    applied.config_map = record(applied, name, written, before);
    Ok(acceptance)
}

/// A StatefulSet of ours that is to change with the configuration.
struct Follower {
    live: Live<StatefulSet>,
    desired: Value,
}

/// The StatefulSet that is to follow a configuration that changes, if there is one.
fn follower(
    writer: &Writer<'_>,
    applied: &Applied,
    desired: &ConfigMap,
    workload: &Workload,
) -> Result<Option<Follower>, Error> {
    let (Some(before), Some(live), Workload::Run { stateful_set, .. }) =
        (applied.config_map.found(), applied.stateful_set.found(), workload)
    else {
        return Ok(None);
    };
    if before.data == desired.data {
        return Ok(None);
    }
    let before = Live::cached(before)?;
    let live = saved::standing_in(applied)?.map_or_else(|| Live::cached(live), Ok)?;
    if writer.check(&before).is_err() || writer.check(&live).is_err() {
        return Ok(None);
    }
    let desired = stamped(stateful_set.as_ref())?;
    Ok((!writer.is_current(&live, &desired)).then_some(Follower { live, desired }))
}

/// Asks whether the API server accepts the StatefulSet. Nothing is asked while the server is paused: then nothing is written.
async fn ask(writer: &Writer<'_>, follower: &Follower) -> Result<(), Error> {
    let Follower { live, desired } = follower;
    let name = live.object.name_any();
    match writer
        .send::<StatefulSet>(&name, Write::Ask { live, desired })
        .await
    {
        Err(Error::Stopped(Outcome::Withheld)) => Ok(()),
        asked => asked.map(drop),
    }
}
