//! What every reconcile shares: the client, the caches, the settings.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::Client;
use kube::api::{DeleteParams, ObjectMeta, PatchParams, Preconditions};
use kube::core::DeserializeGuard;
use kube::runtime::events::Recorder;
use kube::runtime::reflector::ObjectRef;

use crate::api::percona::PerconaPGCluster;
use crate::api::{DittoServer, names};
use crate::backoff::PerObject;
use crate::cache::Cache;
use crate::desired::Settings;
use crate::metrics::Metrics;
use crate::observe::SecretReader;

/// How a patch is sent that is no apply.
#[must_use]
pub fn patch_params() -> PatchParams {
    PatchParams {
        field_manager: Some(names::FIELD_MANAGER.into()),
        ..PatchParams::default()
    }
}

/// A delete of this very object, and of no other one that has its name by then.
#[must_use]
pub fn delete_exactly(metadata: &ObjectMeta) -> DeleteParams {
    DeleteParams {
        preconditions: Some(Preconditions {
            uid: metadata.uid.clone(),
            resource_version: None,
        }),
        ..DeleteParams::default()
    }
}

/// A delete of this very object, and only if it is as it was when it was looked at.
#[must_use]
pub fn delete_unchanged(metadata: &ObjectMeta) -> DeleteParams {
    DeleteParams {
        preconditions: Some(Preconditions {
            uid: metadata.uid.clone(),
            resource_version: metadata.resource_version.clone(),
        }),
        ..DeleteParams::default()
    }
}

/// A stored DittoServer. One that does not parse is told apart here, and does not stop the watch of the others.
pub type StoredServer = DeserializeGuard<DittoServer>;

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
    /// Pods of servers.
    pub pods: Cache<Pod>,
    /// Volume claims of servers.
    pub claims: Cache<PersistentVolumeClaim>,
    /// Database clusters. The kind is optional.
    pub databases: Cache<PerconaPGCluster>,
}

/// Shared by all reconciles.
pub struct Context {
    /// Client whose every call has a deadline.
    pub client: Client,
    /// Caches of the watched kinds.
    pub caches: Caches,
    /// Reads the Secrets that servers refer to.
    pub secrets: SecretReader,
    /// Operator-wide settings.
    pub settings: Settings,
    /// What is measured.
    pub metrics: Arc<Metrics>,
    /// Writes events.
    pub recorder: Recorder,
    /// Pauses between failed reconciles, for each object.
    pub backoff: PerObject<ObjectRef<StoredServer>>,
    /// Time after which a settled server is looked at again, should a watch event have been lost.
    pub resync: Duration,
}
