//! The `DittoServer` API, version `dittofs.dittofs.com/v1alpha1`, and the subset of `PerconaPGCluster` in use.
//!
//! `crds/dittoservers.yaml` is generated from these Rust types. The fields, their JSON names and their defaults are those of the
//! Go operator, so that its manifests work unchanged.
//!
//! | module | content |
//! |---|---|
//! | [`spec`], [`storage`], [`database`], [`identity`], [`network`], [`observability`], [`snapshots`] | the spec |
//! | [`status`] | the status |
//! | [`defaults`], [`effective`] | every default, and the effective value of each field |
//! | [`annotations`] | annotations that turn something on |
//! | [`names`] | names of children, label and annotation keys |
//! | [`percona`] | the part of `PerconaPGCluster` that the operator writes and reads |
//! | [`duration`] | durations in Go's notation |
//! | `schema`, `rules` | schemas of Kubernetes types, validation rules |
//! | [`mod@crd`] | the `CustomResourceDefinition` |
//! | [`admission`] | evaluates the validation rules without a cluster |

pub mod admission;
pub mod annotations;
pub mod crd;
pub mod database;
pub mod defaults;
pub mod duration;
pub mod effective;
pub mod identity;
pub mod names;
pub mod network;
pub mod observability;
pub mod percona;
pub mod quantity;
pub mod reasons;
mod reference;
pub(crate) mod rules;
pub(crate) mod schema;
pub mod snapshots;
pub mod spec;
pub mod status;
pub mod storage;

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
pub use network::{AdapterDiscoverySpec, AdapterServicesSpec, ControlPlaneSpec, ServiceSpec, ServiceType};
pub use observability::{LogFormat, LogLevel, LoggingSpec, MetricsSpec, ServiceMonitorSpec};
pub use percona::{PerconaPGCluster, PerconaPGClusterSpec, PerconaPGClusterStatus};
pub use reference::reference;
pub use snapshots::SnapshotPolicySpec;
pub use spec::{DittoServer, DittoServerSpec};
pub use status::{DittoServerStatus, Phase};
pub use storage::{Retention, StorageSpec};
