//! What a database cluster has.

use crate::api::names;
use crate::api::percona::{InstanceSet, PerconaPGClusterSpec};

/// The instance set of a cluster. In a cluster that this operator did not create it may have another name than ours.
#[must_use]
pub fn instance_set(cluster: &PerconaPGClusterSpec) -> Option<&InstanceSet> {
    let sets = &cluster.instances;
    let ours = sets
        .iter()
        .find(|set| set.name.as_deref() == Some(names::PERCONA_INSTANCE_SET));
    ours.or(sets.first())
}

/// The StorageClass with which the volumes of a cluster were created. `None` is the default class.
#[must_use]
pub fn storage_class(cluster: &PerconaPGClusterSpec) -> Option<&str> {
    let claim = instance_set(cluster)?.data_volume_claim_spec.as_ref()?;
    claim.storage_class_name.as_deref()
}
