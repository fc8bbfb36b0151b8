//! The `DittoServer` API, version `dittofs.dittofs.com/v1alpha1`, and the subsets of `PerconaPGCluster` and `ServiceMonitor`
//! in use.
//!
//! `crds/dittoservers.yaml` is generated from these Rust types. The fields, their JSON names and their defaults are those of the
//! Go operator, so that its manifests work unchanged.
//!
//! | module | content |
//! |---|---|
//! | [`spec`], [`storage`], [`database`], [`identity`], [`network`], [`observability`], [`snapshots`], [`users`], [`shares`], [`uploads`], [`adapters`], [`pod_template`] | the spec |
//! | [`status`] | the status |
//! | [`defaults`], [`effective`] | every default, and the effective value of each field |
//! | [`annotations`] | annotations that turn something on |
//! | [`names`] | names of children, label and annotation keys |
//! | [`percona`] | the part of `PerconaPGCluster` that the operator writes and reads |
//! | [`service_monitor`] | the part of `ServiceMonitor` that the operator writes |
//! | [`duration`] | durations in Go's notation |
//! | `schema`, `rules` | schemas of Kubernetes types, validation rules |
//! | [`mod@crd`] | the `CustomResourceDefinition` |
//! | [`admission`] | evaluates the validation rules without a cluster |

pub mod adapters;
pub mod admission;
pub mod annotations;
pub mod crd;
pub mod database;
pub mod defaults;
pub mod duration;
pub mod effective;
pub mod identity;
pub mod inert;
pub mod names;
pub mod network;
pub mod observability;
pub mod percona;
pub mod pod_template;
pub mod quantity;
pub mod reasons;
mod reference;
pub(crate) mod rules;
pub(crate) mod schema;
pub mod service_monitor;
pub mod shares;
pub mod snapshots;
pub mod spec;
pub mod status;
pub mod storage;
pub mod uploads;
pub mod users;

pub use adapters::{AdaptersSpec, NfsAdapterSpec, SmbAdapterSpec, SmbSigning, SmbVersion};
pub use admission::{Admission, SchemaViolation};
pub use annotations::Switch;
pub use crd::{crd, crd_yaml};
pub use database::{
    DatabaseBackend, DatabaseSpec, DatabaseType, Hibernate, PerconaBackupSpec, PerconaImages, PerconaSpec,
    SqliteSpec,
};
pub use identity::{
    AdminSpec, IdentitySpec, IdentityType, Idmap, JwtSpec, KerberosSpec, LdapSpec, MachineAccountSpec,
};
pub use network::{
    AdapterDiscoverySpec, AdapterServiceSpec, AdapterServicesSpec, ControlPlaneSpec, Exposure, IpFamily,
    IpFamilyPolicy, ServerNetworkPolicySpec, ServiceSpec, ServiceType, TrafficPolicy,
};
pub use observability::{LogFormat, LogLevel, LoggingSpec, MetricsSpec, ServiceMonitorSpec};
pub use percona::{PerconaPGCluster, PerconaPGClusterSpec, PerconaPGClusterStatus};
pub use pod_template::{PodDisruptionBudgetSpec, PodTemplate};
pub use reference::reference;
pub use service_monitor::ServiceMonitor;
pub use shares::{
    Compression, KerberosLevel, RemoteStoreSpec, S3Spec, ShareNfsSpec, SharePermissionsSpec,
    ShareSnapshotsSpec, ShareSpec, ShareTrashSpec, Squash,
};
pub use snapshots::SnapshotPolicySpec;
pub use spec::{DittoServer, DittoServerSpec};
pub use status::{
    AdapterRestartStatus, ApiStatus, CertificateState, CertificateStatus, DittoServerStatus, DrainBefore,
    DrainState, Endpoint, GroupStatus, IdentityProviderStatus, Phase, RemoteStoreStatus, SettingsCorrection,
    SettingsStatus, ShareStatus, SnapshotPolicyStatus, UploadsStatus, UserStatus,
};
pub use storage::{Retention, StorageSpec};
pub use uploads::UploadsSpec;
pub use users::{GroupSpec, PermissionLevel, Permissions, UserSpec};
