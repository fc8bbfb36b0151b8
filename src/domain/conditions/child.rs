//! A child after the apply, and the children whose names other objects use.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Resource, ResourceExt};

use crate::api::percona::PerconaPGCluster;
use crate::api::{DittoServer, names, reasons};
use crate::domain::applied::{Outcome, Step};
use crate::domain::observed::Read;
use crate::domain::ownership::{Owner, owner};
use crate::domain::validate::{Concern, Violation, conflict_message};

/// A child after the apply.
#[derive(Clone, Debug, PartialEq)]
pub enum Child<K> {
    /// It exists and is ours.
    Ours(Arc<K>),
    /// It does not exist. One that belonged to a deleted server of the same name counts as absent.
    Absent,
    /// An object of another owner uses its name. The text names the owner.
    Foreign(String),
    /// The API server did not answer. The text is its error.
    Unreadable(String),
}

impl<K: Resource> Child<K> {
    pub(super) fn of(read: &Read<Arc<K>>, server: &DittoServer) -> Self {
        match read {
            Read::Missing => Self::Absent,
            Read::Unreadable(error) => Self::Unreadable(error.clone()),
            Read::Found(object) => match owner(object.meta(), server) {
                Owner::Us | Owner::Orphan => Self::Ours(Arc::clone(object)),
                Owner::Predecessor => Self::Absent,
                Owner::Other(whom) => Self::Foreign(whom),
            },
        }
    }

    /// The child, if it exists and is ours.
    #[must_use]
    pub fn ours(&self) -> Option<&K> {
        match self {
            Self::Ours(object) => Some(object),
            Self::Absent | Self::Foreign(_) | Self::Unreadable(_) => None,
        }
    }

    fn foreign_owner(&self) -> Option<&str> {
        match self {
            Self::Foreign(whom) => Some(whom),
            Self::Ours(_) | Self::Absent | Self::Unreadable(_) => None,
        }
    }
}

/// A child whose name an object of another owner uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Conflict {
    pub(super) kind: &'static str,
    /// Which object, whose it is, and what to do.
    pub(super) message: String,
}

/// All conflicts. The validation of a database cluster comes first, because it says how to adopt the cluster; then what the
/// apply met; then the children that it did not have to write.
pub(super) fn conflicts(
    server: &DittoServer,
    violations: &[Violation],
    steps: &[Step],
    config_map: &Child<ConfigMap>,
    stateful_set: &Child<StatefulSet>,
) -> Vec<Conflict> {
    let is_cluster = |violation: &&Violation| {
        violation.reason == reasons::RESOURCE_CONFLICT && violation.concern == Concern::Database
    };
    let cluster = violations.iter().filter(is_cluster).map(|violation| Conflict {
        kind: PerconaPGCluster::KIND,
        message: violation.message.clone(),
    });
    let conflict = |kind, name: &str, whom: &str| Conflict {
        kind,
        message: conflict_message(kind, name, whom),
    };
    let refused = steps.iter().filter_map(|step| match &step.outcome {
        Outcome::Foreign(whom) => Some(conflict(step.kind, &step.name, whom)),
        _ => None,
    });
    let name = server.name_any();
    let config_map = config_map
        .foreign_owner()
        .map(|whom| conflict("ConfigMap", &names::config_map(&name), whom));
    let stateful_set = stateful_set
        .foreign_owner()
        .map(|whom| conflict("StatefulSet", &names::stateful_set(&name), whom));
    cluster
        .chain(refused)
        .chain(config_map)
        .chain(stateful_set)
        .collect()
}
