//! What the cluster holds for one DittoServer. Data only; `reconcile/observe.rs` reads it.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod};

use crate::api::DittoServer;
use crate::api::percona::PerconaPGCluster;
use crate::domain::secrets::{SecretData, SecretUse};

/// The outcome of reading one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read<T> {
    /// It is there.
    Found(T),
    /// It is not there.
    Missing,
    /// The API server did not say. The text is its error, without object contents.
    Unreadable(String),
}

impl<T> Read<T> {
    /// The thing, if it was found.
    pub fn found(&self) -> Option<&T> {
        match self {
            Self::Found(thing) => Some(thing),
            Self::Missing | Self::Unreadable(_) => None,
        }
    }
}

/// Whether the API server would accept a larger size for a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExpansionAnswer {
    /// It would accept it.
    Allowed,
    /// The StorageClass of this name does not let its volumes grow.
    Fixed(String),
    /// It refuses, in these words.
    Refused(String),
    /// The API server did not answer. Then the expansion is tried.
    Unread,
}

/// Everything that the pure steps know of the cluster.
#[derive(Clone, Debug)]
pub struct Observed {
    /// When this was observed, by the operator's clock.
    pub at: Timestamp,
    /// The server itself.
    pub server: Arc<DittoServer>,
    /// Its ConfigMap.
    pub config_map: Read<Arc<ConfigMap>>,
    /// Its StatefulSet.
    pub stateful_set: Read<Arc<StatefulSet>>,
    /// Its pods: one, or none while it is stopped.
    pub pods: Read<Vec<Arc<Pod>>>,
    /// Its volume claims, also those that a predecessor of the same name left.
    pub claims: Read<Vec<Arc<PersistentVolumeClaim>>>,
    /// What the API server says to the growth of those claims that are smaller than the spec, by name.
    pub expansion_answers: BTreeMap<String, ExpansionAnswer>,
    /// The Secrets that its pod uses, by name.
    pub secrets: BTreeMap<String, Read<SecretData>>,
    /// Its database cluster.
    pub database: Database,
    /// Candidates for managed Secrets that are to be created.
    pub fresh: FreshSecrets,
}

/// The PerconaPGCluster of a server, if it has one.
#[derive(Clone, Debug)]
pub struct Database {
    /// Whether the API server serves the kind.
    pub kind: KindState,
    /// The cluster. `Missing` where the kind is not installed.
    pub cluster: Read<Arc<PerconaPGCluster>>,
}

/// Whether an optional kind is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KindState {
    /// Its CRD is installed.
    Served,
    /// Its CRD is not installed.
    NotServed,
    /// The API server did not say.
    Unknown(String),
}

/// Values drawn from the operating system's generator before the pure steps run. They are used only where the Secret
/// that would hold them does not exist.
#[derive(Clone, Default)]
pub struct FreshSecrets {
    /// 32 random bytes in URL-safe base64: 43 characters.
    pub jwt_key: String,
    /// 18 random bytes in URL-safe base64: 24 characters.
    pub admin_password: String,
}

impl std::fmt::Debug for FreshSecrets {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("FreshSecrets(..)")
    }
}

impl Observed {
    /// The value that a use refers to, if it can be read and is not empty.
    #[must_use]
    pub fn value(&self, used: &SecretUse) -> Option<&[u8]> {
        self.secrets.get(&used.secret)?.found()?.value(&used.key)
    }
}
