//! Whether an operator is running. If none is, the conditions of a server may be out of date.

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt};

use super::text::age;
use crate::cluster::leader;

/// Seconds after the end of a lease before it is reported. A restart, or a clock that differs a little, takes less.
const TOLERANCE_SECONDS: i64 = 60;

/// A warning if no operator has renewed its lease for some time. `None` if the leases cannot be read, or if there is none, because
/// an operator without leader election has no lease.
pub(super) async fn warning(client: &Client, now: Timestamp) -> Option<String> {
    let api: Api<Lease> = Api::all(client.clone());
    let params = ListParams::default().fields(&format!("metadata.name={}", leader::LEASE));
    let leases = api.list(&params).await.ok()?.items;
    expired(&leases, now)
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
