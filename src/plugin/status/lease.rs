//! Whether an operator is running. If none is, the conditions of a server may be out of date.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt};

use super::text::age;
use crate::api::DittoServer;
use crate::cluster::leader;
use crate::domain::shard::{self, LeaseName};

/// Seconds after the end of a lease before it is reported. A restart, or a clock that differs a little, takes less.
const TOLERANCE_SECONDS: i64 = 60;

/// A warning if the operator of one of the servers has not renewed its lease for some time. `None` if the leases cannot be read, or if
/// there is none, because an operator without leader election has no lease.
pub(super) async fn warning(client: &Client, servers: &[Arc<DittoServer>], now: Timestamp) -> Option<String> {
    let mut shards: BTreeSet<_> = servers
        .iter()
        .map(|server| shard::claim(&server.metadata))
        .collect();
    if shards.is_empty() {
        shards.insert(None);
    }
    for shard in shards {
        if let Some(warning) = expired(&leases(client, shard).await.unwrap_or_default(), now) {
            return Some(warning);
        }
    }
    None
}

/// The lease of a shard. Without a shard, those of all operators.
async fn leases(client: &Client, shard: Option<LeaseName>) -> kube::Result<Vec<Lease>> {
    if let Some(LeaseName { namespace, name }) = shard {
        let api: Api<Lease> = Api::namespaced(client.clone(), &namespace);
        return Ok(api.get_opt(&name).await?.into_iter().collect());
    }
    let api: Api<Lease> = Api::all(client.clone());
    let params = ListParams::default().fields(&format!("metadata.name={}", leader::LEASE));
    Ok(api.list(&params).await?.items)
}

fn expired(leases: &[Lease], now: Timestamp) -> Option<String> {
    let renewals = leases.iter().filter_map(|lease| Some((renewed(lease)?, lease)));
    let (last, lease) = renewals.max_by_key(|(time, _)| *time)?;
    let duration = lease.spec.as_ref()?.lease_duration_seconds.unwrap_or_default();
    let elapsed = now.duration_since(last).as_secs();
    (elapsed > i64::from(duration) + TOLERANCE_SECONDS).then(|| {
        format!(
            "warning: no operator has renewed the lease {} in the namespace {} for {}. The operator is probably not running, and the status may be out of date",
            lease.name_any(),
            lease.namespace().unwrap_or_default(),
            age(last, now)
        )
    })
}

fn renewed(lease: &Lease) -> Option<Timestamp> {
    lease.spec.as_ref()?.renew_time.as_ref().map(|time| time.0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lease(namespace: &str, renewed: &str) -> Lease {
        let lease = json!({
            "metadata": {"name": leader::LEASE, "namespace": namespace},
            "spec": {"leaseDurationSeconds": 15, "renewTime": renewed},
        });
        serde_json::from_value(lease).unwrap()
    }

    #[test]
    fn a_lease_is_reported_if_the_most_recent_one_is_not_renewed() {
        let now: Timestamp = "2025-01-01T00:10:00Z".parse().unwrap();
        let old = lease("old", "2025-01-01T00:00:00.000000Z");
        let fresh = lease("fresh", "2025-01-01T00:09:50.000000Z");
        assert_eq!(expired(&[], now), None);
        assert_eq!(expired(&[old.clone(), fresh], now), None);
        let restarting = lease("restarting", "2025-01-01T00:09:00.000000Z");
        assert_eq!(expired(&[restarting], now), None);
        let warning = expired(&[old], now).unwrap();
        assert!(warning.contains("in the namespace old for 10m"), "{warning}");
    }
}
