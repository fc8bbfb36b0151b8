//! Services of type LoadBalancer that have no address.
//!
//! The cluster's provider of load balancers gives the address. Where there is none, or where it refuses, a Service waits for ever, and
//! only its own events say so.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt;

use super::observed::Observed;
use super::ownership::{Owner, owner};

/// Time that a load balancer may need to get an address.
const PATIENCE: SignedDuration = SignedDuration::from_secs(120);

/// A sentence about each Service that has waited for an address for too long.
#[must_use]
pub fn overdue(observed: &Observed) -> Vec<String> {
    let late = waiting(observed).filter(|service| left(service, observed.at).is_none());
    late.map(|service| {
        let name = service.name_any();
        format!(
            "Service {name} of type LoadBalancer has had no address for two minutes. Check that the cluster has a provider of load balancers; kubectl describe service {name} shows its events"
        )
    })
    .collect()
}

/// Time until the next Service has waited for too long. No watch reports that.
#[must_use]
pub fn recheck_in(observed: &Observed) -> Option<Duration> {
    let left = waiting(observed).filter_map(|service| left(service, observed.at));
    left.min()
}

/// The address of a load balancer, if it has one.
#[must_use]
pub fn address(service: &Service) -> Option<String> {
    let ingress = service
        .status
        .as_ref()?
        .load_balancer
        .as_ref()?
        .ingress
        .as_ref()?;
    let first = ingress.first()?;
    first.ip.clone().or_else(|| first.hostname.clone())
}

/// The load balancers of the server that have no address.
fn waiting(observed: &Observed) -> impl Iterator<Item = &Arc<Service>> {
    let server = &observed.server;
    let is_kept = server.metadata.deletion_timestamp.is_none();
    let services = observed.services.found().into_iter().flatten();
    services.filter(move |service| {
        let type_ = service.spec.as_ref().and_then(|spec| spec.type_.as_deref());
        is_kept
            && type_ == Some("LoadBalancer")
            && matches!(owner(&service.metadata, server), Owner::Us | Owner::Orphan)
            && address(service).is_none()
    })
}

/// How much longer it may wait: from the last change of the Service, which may have changed its type.
fn left(service: &Service, now: Timestamp) -> Option<Duration> {
    let entries = service.metadata.managed_fields.iter().flatten();
    let changes = entries.filter_map(|entry| entry.time.as_ref());
    let last = changes
        .chain(&service.metadata.creation_timestamp)
        .map(|time| time.0)
        .max()?;
    let left = PATIENCE - now.duration_since(last);
    Duration::try_from(left).ok().filter(|left| !left.is_zero())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::observed::Read;
    use crate::domain::testing;

    /// The server with a Service that was created at the second 0, observed at this second.
    fn observed(at: i64, service: &Value) -> Observed {
        let mut observed = testing::nothing("");
        let mut stored = json!({
            "metadata": {"name": "files-api", "creationTimestamp": "1970-01-01T00:00:00Z", "ownerReferences": [testing::controller(&observed.server)]},
            "spec": {"type": "LoadBalancer"},
        });
        testing::merge(&mut stored, service);
        observed.at = Timestamp::from_second(at).unwrap();
        observed.services = Read::Found(vec![Arc::new(serde_json::from_value(stored).unwrap())]);
        observed
    }

    fn address_of(ingress: &Value) -> Value {
        json!({"status": {"loadBalancer": {"ingress": ingress}}})
    }

    #[test]
    fn a_load_balancer_is_overdue_after_two_minutes_without_an_address() {
        for (at, service, is_overdue, recheck) in [
            (0, json!({}), false, Some(120)),
            (119, json!({}), false, Some(1)),
            (120, json!({}), true, None),
            (9000, address_of(&json!([])), true, None),
            (9000, address_of(&json!([{"ip": "192.0.2.1"}])), false, None),
            (
                9000,
                address_of(&json!([{"hostname": "lb.example.org"}])),
                false,
                None,
            ),
            (9000, json!({"spec": {"type": "NodePort"}}), false, None),
            (30, json!({"spec": {"type": "ClusterIP"}}), false, None),
        ] {
            let observed = observed(at, &service);
            assert_eq!(!overdue(&observed).is_empty(), is_overdue, "{at} {service}");
            assert_eq!(
                recheck_in(&observed).map(|left| left.as_secs()),
                recheck,
                "{at} {service}"
            );
        }
    }

    #[test]
    fn the_time_counts_from_the_last_change_of_the_service() {
        let changed = json!({"metadata": {"managedFields": [{"manager": "dittofs-operator", "time": "1970-01-01T01:00:00Z"}]}});
        assert!(overdue(&observed(3700, &changed)).is_empty());
        assert_eq!(overdue(&observed(3720, &changed)).len(), 1);
    }

    #[test]
    fn services_of_others_and_of_a_server_that_is_deleted_do_not_count() {
        let theirs = json!({"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "b", "controller": true}]}});
        assert!(overdue(&observed(9000, &theirs)).is_empty());
        let mut deleted = observed(9000, &json!({}));
        let server = Arc::make_mut(&mut deleted.server);
        server.metadata.deletion_timestamp = server
            .metadata
            .creation_timestamp
            .clone()
            .or_else(|| serde_json::from_value(json!("1970-01-01T00:00:00Z")).ok());
        assert!(overdue(&deleted).is_empty());
        assert_eq!(recheck_in(&deleted), None);
    }
}
