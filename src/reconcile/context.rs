//! What every reconcile shares: the client, the caches, the settings.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::runtime::reflector::ObjectRef;
use kube::{Client, ResourceExt};

use crate::api::DittoServer;
use crate::api::percona::PerconaPGCluster;
use crate::api::service_monitor::ServiceMonitor;
use crate::base::backoff::PerObject;
use crate::base::metrics::Metrics;
use crate::base::slots::Slots;
use crate::cluster::cache::{Cache, StoredServer};
use crate::cluster::secret_reader::SecretReader;
use crate::domain::edits::asks_the_same;
use crate::domain::settings::Settings;
use crate::reconcile::apply::drift::Drifts;
use crate::reconcile::events::Publisher;
use crate::reconcile::tries::Tries;
use crate::server::drains::Drains;
use crate::server::poller::Poller;

/// First and longest pause after a failed reconcile of one server.
pub(super) const RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(60));

/// The slots in which Services are created for servers whose last reconcile failed.
///
/// The API server allocates cluster IP addresses one after the other, each with a write to etcd, and goes on with an allocation whose
/// request has timed out (Kubernetes 1.37, `pkg/registry/core/service/ipallocator/cidrallocator.go`). If more requests wait than it can
/// serve within their time limit (7 s with leader election), all of them fail, are repeated together, and fail again. Two at a time
/// succeed. One that waits for an admission webhook leaves its slot after a time, so that it does not hold up the others.
pub(super) fn repeated_service_creations() -> Slots {
    Slots::new(2, 64, Duration::from_secs(3))
}

/// The caches of every watched kind.
#[derive(Clone)]
pub struct Caches {
    /// DittoServers.
    pub servers: Cache<StoredServer>,
    /// Child StatefulSets.
    pub stateful_sets: Cache<StatefulSet>,
    /// Child ConfigMaps.
    pub config_maps: Cache<ConfigMap>,
    /// Child Services.
    pub services: Cache<Service>,
    /// Child NetworkPolicies.
    pub network_policies: Cache<NetworkPolicy>,
    /// Child PodDisruptionBudgets.
    pub pod_disruption_budgets: Cache<PodDisruptionBudget>,
    /// Pods of servers.
    pub pods: Cache<Pod>,
    /// Volume claims of servers.
    pub claims: Cache<PersistentVolumeClaim>,
    /// Database clusters. The kind is optional.
    pub databases: Cache<PerconaPGCluster>,
    /// Child ServiceMonitors. The kind is optional.
    pub service_monitors: Cache<ServiceMonitor>,
}

/// Shared by all reconciles.
pub struct Context {
    /// A client whose calls all have a deadline.
    pub client: Client,
    /// Caches of the watched kinds.
    pub caches: Caches,
    /// Reads the Secrets that servers refer to.
    pub secrets: SecretReader,
    /// Asks the servers for their adapters.
    pub servers: Poller<ObjectRef<StoredServer>>,
    /// Asks servers to upload everything before they end.
    pub drains: Drains<ObjectRef<StoredServer>>,
    /// Operator-wide settings.
    pub settings: Settings,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// Writes events, in the background.
    pub events: Publisher,
    /// Pauses between failed reconciles, for each object.
    pub backoff: PerObject<ObjectRef<StoredServer>>,
    /// Writes that did not last.
    pub drifts: Drifts,
    /// Cleanups of deleted servers.
    pub cleanups: Tries,
    /// Limits how many Services are created at the same time after a failure.
    pub repeated_service_creations: Slots,
    /// Time after which a server is reconciled again without a change, in case that a watch event was lost.
    pub resync: Duration,
}

impl Context {
    /// Remembers a server that this process has written, or tried to write, after it had read it as `read`.
    ///
    /// If it asks for the same, the watch will deliver nothing new with it. If not, somebody has edited it in between, and that edit may
    /// never be delivered by itself: a list shows the last version only.
    pub(super) fn wrote_server(&self, read: &DittoServer, written: DittoServer) {
        let servers = &self.caches.servers;
        if asks_the_same(read, &written) {
            servers.wrote_own(StoredServer(Ok(written)));
        } else {
            servers.wrote(StoredServer(Ok(written)));
        }
    }
}

/// The key of a server in queues and maps.
#[must_use]
pub fn key(server: &DittoServer) -> ObjectRef<StoredServer> {
    ObjectRef::new(&server.name_any()).within(&server.namespace().unwrap_or_default())
}
