//! What the cluster holds for one DittoServer. Data only; `reconcile/observe.rs` reads it.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;

use crate::api::DittoServer;
use crate::api::percona::PerconaPGCluster;
use crate::domain::adapters::ServerReport;
use crate::domain::secrets::{SecretData, SecretUse};

/// The result of reading one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read<T> {
    /// It exists.
    Found(T),
    /// It does not exist.
    Missing,
    /// It could not be read. The text is the error, without contents of objects.
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
    /// It would.
    Allowed,
    /// The StorageClass of this name does not allow expansion.
    Fixed(String),
    /// It would refuse, with this message.
    Refused(String),
    /// The API server did not answer. Then the operator tries the expansion.
    Unread,
}

/// What the server said when it was asked to upload everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UploadsReport {
    /// When it was asked first. `None`: it is not asked.
    pub asked_at: Option<Timestamp>,
    /// Whether everything is uploaded.
    pub is_drained: bool,
    /// Why the last request failed.
    pub failure: Option<String>,
    /// Whether the next request would fail, too: this version of the server has no such call, or the running pod does not accept the
    /// operator's key.
    pub is_refused: bool,
}

/// Everything that the pure steps know about the cluster.
#[derive(Clone, Debug)]
pub struct Observed {
    /// When this was observed, by the operator's clock.
    pub at: Timestamp,
    /// The server itself.
    pub server: Arc<DittoServer>,
    /// Its ConfigMap.
    pub config_map: Read<Arc<ConfigMap>>,
    /// Its Services.
    pub services: Read<Vec<Arc<Service>>>,
    /// Its StatefulSet.
    pub stateful_set: Read<Arc<StatefulSet>>,
    /// Its pods: one, or none while it is stopped.
    pub pods: Read<Vec<Arc<Pod>>>,
    /// Its volume claims, also those that a predecessor of the same name left.
    pub claims: Read<Vec<Arc<PersistentVolumeClaim>>>,
    /// Whether the API server would expand the claims that are smaller than the spec, by name.
    pub expansion_answers: BTreeMap<String, ExpansionAnswer>,
    /// The Secrets that its pod uses, by name.
    pub secrets: BTreeMap<String, Read<SecretData>>,
    /// Its NetworkPolicies of adapters.
    pub adapter_policies: Vec<Arc<NetworkPolicy>>,
    /// What its API says.
    pub report: Arc<ServerReport>,
    /// What it said when it was asked to upload everything.
    pub uploads: UploadsReport,
    /// Its database cluster.
    pub database: Database,
    /// Whether the API server serves ServiceMonitors.
    pub service_monitors: KindState,
    /// Values for managed Secrets that may have to be created.
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

/// Whether the API server serves an optional kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KindState {
    /// Its CRD is installed.
    Served,
    /// Its CRD is not installed.
    NotServed,
    /// It is unknown; the text says why.
    Unknown(String),
}

/// Random values from the operating system, drawn before the pure steps run. They are used only if the Secret for them does not
/// exist.
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
    /// A server of which nothing exists, in a cluster that serves the optional kinds. No Secret has been read.
    #[must_use]
    pub fn of_new(server: DittoServer, fresh: FreshSecrets) -> Self {
        Self {
            at: Timestamp::UNIX_EPOCH,
            config_map: Read::Missing,
            services: Read::Found(Vec::new()),
            pods: Read::Found(Vec::new()),
            adapter_policies: Vec::new(),
            report: Arc::default(),
            uploads: UploadsReport::default(),
            claims: Read::Found(Vec::new()),
            expansion_answers: BTreeMap::new(),
            stateful_set: Read::Missing,
            secrets: BTreeMap::new(),
            database: Database {
                kind: KindState::Served,
                cluster: Read::Missing,
            },
            service_monitors: KindState::Served,
            fresh,
            server: Arc::new(server),
        }
    }

    /// The value that a use refers to, if it can be read and is not empty.
    #[must_use]
    pub fn value(&self, used: &SecretUse) -> Option<&[u8]> {
        self.secrets.get(&used.secret)?.found()?.value(&used.key)
    }
}
