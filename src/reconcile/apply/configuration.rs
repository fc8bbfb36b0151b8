//! The configuration, and whether the pod that it is for can follow.
//!
//! A new pod must find its configuration, so the ConfigMap is written before the StatefulSet. Were that refused then, the running
//! pod would find it too, at the next restart of its container: the new configuration with the old environment. So where both
//! change, the API server is asked first whether it takes the StatefulSet (ADR 0005).

use std::sync::Arc;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use serde_json::Value;

use super::storage::merged;
use super::write::{Error, Writer, Written, stamped};
use super::{Applied, Outcome, record};
use crate::api::names;
use crate::domain::desired::Workload;
use crate::domain::observed::Read;

/// Writes the ConfigMap.
///
/// # Errors
///
/// If the StatefulSet that goes with it is refused. Then it is left as it is.
pub(super) async fn apply(
    writer: &Writer<'_>,
    applied: &mut Applied,
    config_map: ConfigMap,
    workload: &Workload,
) -> Result<(), Error> {
    let before = applied.config_map.clone();
    let follower = follower(writer, &before, &applied.stateful_set, &config_map, workload)?;
    let name = names::config_map(&writer.server.name_any());
    let written = match follower {
        // It does not follow before the Secrets are as desired.
        Some(_) if !applied.is_complete() => Written::without(Outcome::Skipped),
        follower => {
            if let Some(follower) = follower.filter(|_| !writer.is_paused) {
                writer.ask(&follower).await?;
            }
            writer
                .child(&writer.context.caches.config_maps, &name, config_map)
                .await
        }
    };
    applied.config_map = record(applied, "ConfigMap", name, written, before);
    Ok(())
}

/// A StatefulSet of ours that is to change with the configuration.
pub(super) struct Follower {
    live: Arc<StatefulSet>,
    desired: Value,
}

/// The StatefulSet that is to follow a configuration that changes, if there is one.
pub(super) fn follower(
    writer: &Writer<'_>,
    config_map: &Read<Arc<ConfigMap>>,
    stateful_set: &Read<Arc<StatefulSet>>,
    desired: &ConfigMap,
    workload: &Workload,
) -> Result<Option<Follower>, Error> {
    let (Some(before), Some(live), Workload::Run { stateful_set, .. }) =
        (config_map.found(), stateful_set.found(), workload)
    else {
        return Ok(None);
    };
    let is_refused = writer
        .refusal(before.as_ref())
        .or_else(|| writer.refusal(live.as_ref()))
        .is_some();
    if is_refused || before.data == desired.data {
        return Ok(None);
    }
    let desired = stamped(StatefulSet::clone(stateful_set))?;
    let live = Arc::clone(live);
    Ok((!writer.is_current(live.as_ref(), &desired)?).then_some(Follower { live, desired }))
}

impl Writer<'_> {
    /// Asks whether the API server takes a StatefulSet.
    ///
    /// What the apply takes over first (`managed_fields.rs`) may be what is refused, beside what is desired. No dry run can take
    /// it over, so then that is done, and asked again.
    async fn ask(&self, Follower { live, desired }: &Follower) -> Result<(), Error> {
        let (api, name) = (self.api::<StatefulSet>(), live.name_any());
        let Err(refused) = merged(&api, &name, live, desired).await else {
            return Ok(());
        };
        let live = api.get(&name).await.map_err(Error::call("read"))?;
        if self.refusal(&live).is_some() || !self.take_over_fields(&api, &live).await? {
            return Err(refused);
        }
        merged(&api, &name, &live, desired).await.map(drop)
    }
}
