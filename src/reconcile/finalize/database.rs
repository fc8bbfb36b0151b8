//! The writes of a deletion to a database cluster: its metadata.

use kube::api::{ObjectMeta, Patch};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::api::DittoServer;
use crate::api::percona::PerconaPGCluster;
use crate::cluster::client::params::patch_params;
use crate::domain::cleanup::plan;

/// Keeps a cluster with its data when its server is deleted. The write fails if the cluster has changed since it was read.
/// `None` if it is gone.
pub(super) async fn release(
    client: &Client,
    server: &DittoServer,
    cluster: &ObjectMeta,
) -> kube::Result<Option<ObjectMeta>> {
    write(client, cluster, plan::kept_cluster_metadata(cluster, server)).await
}

/// Changes a cluster's metadata, if it is still as it was read. Returns the new metadata; `None` if it is gone.
pub(super) async fn write(
    client: &Client,
    cluster: &ObjectMeta,
    mut metadata: Value,
) -> kube::Result<Option<ObjectMeta>> {
    metadata["uid"] = json!(cluster.uid);
    metadata["resourceVersion"] = json!(cluster.resource_version);
    let patch = Patch::Merge(json!({"metadata": metadata}));
    let namespace = cluster.namespace.as_deref().unwrap_or_default();
    let name = cluster.name.as_deref().unwrap_or_default();
    let api = Api::<PerconaPGCluster>::namespaced(client.clone(), namespace);
    match api.patch_metadata(name, &patch_params(), &patch).await {
        Ok(written) => Ok(Some(written.metadata)),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        Err(error) => Err(error),
    }
}
