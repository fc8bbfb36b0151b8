//! The Leases of other operators: whether their holders may still be active.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client};
use tokio::sync::Mutex;

use super::record::ObservedLease;
use super::timing::Timing;
use crate::domain::shard::LeaseName;

/// Reads Leases of other operators, each for all servers at the same time.
pub struct OtherLeases {
    client: Client,
    /// For Leases whose duration is invalid.
    timing: Timing,
    read: Mutex<HashMap<LeaseName, Reading>>,
}

struct Reading {
    lease: ObservedLease,
    /// When the read was sent.
    sent: Instant,
}

impl OtherLeases {
    /// Reads through `client`.
    #[must_use]
    pub fn new(client: Client, timing: Timing) -> Self {
        Self {
            client,
            timing,
            read: Mutex::default(),
        }
    }

    /// For how long the holder of a Lease may still be active if it does not renew it: zero if the Lease is free. As in the
    /// election itself, the time counts from when this process saw the Lease change. Reads the Lease unless it was read after
    /// `not_before`.
    ///
    /// # Errors
    /// When the Lease cannot be read. Then its holder may be active.
    pub async fn active_for(&self, lease: &LeaseName, not_before: Instant) -> kube::Result<Duration> {
        // The lock is held during the read: those who wait for it use its answer.
        let mut read = self.read.lock().await;
        if let Some(known) = read.get(lease).filter(|known| known.sent >= not_before) {
            return Ok(known.lease.wait(Instant::now()));
        }
        let sent = Instant::now();
        let api: Api<Lease> = Api::namespaced(self.client.clone(), &lease.namespace);
        let current = api.get_opt(&lease.name).await?;
        let now = Instant::now();
        let before = read.remove(lease).map(|known| known.lease);
        let observed = ObservedLease::next(before, current.as_ref(), &self.timing, now);
        let left = observed.wait(now);
        let reading = Reading {
            lease: observed,
            sent,
        };
        read.insert(lease.clone(), reading);
        Ok(left)
    }
}
