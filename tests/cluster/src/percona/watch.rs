//! The watches that wake the simulator.

use futures::stream::{self, BoxStream, SelectAll, StreamExt};
use k8s_openapi::api::core::v1::Secret;
use kube::core::PartialObjectMeta;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};

use super::cluster::PerconaPGCluster;
use super::secrets::CLUSTER_LABEL;
use crate::soon::Soon;

/// Namespace and name of a cluster.
pub(super) type Key = (String, String);

/// What a watch reports.
pub(super) enum Seen {
    Cluster(Box<PerconaPGCluster>),
    ClusterGone(Key),
    /// A Secret of this cluster was deleted.
    SecretGone(Key),
}

/// Watches clusters and their Secrets, in all namespaces or in those that are named.
pub(super) fn everything(
    client: &Client,
    namespaces: Option<&[String]>,
) -> SelectAll<BoxStream<'static, Seen>> {
    let Some(namespaces) = namespaces else {
        return stream::select_all([
            clusters(Api::all(client.clone())),
            secrets(Api::all(client.clone())),
        ]);
    };
    stream::select_all(namespaces.iter().flat_map(|namespace| {
        [
            clusters(Api::namespaced(client.clone(), namespace)),
            secrets(Api::namespaced(client.clone(), namespace)),
        ]
    }))
}

fn clusters(api: Api<PerconaPGCluster>) -> BoxStream<'static, Seen> {
    watcher(api, watcher::Config::default())
        .backoff(Soon)
        .filter_map(async |event| match event.ok()? {
            watcher::Event::Apply(cluster) | watcher::Event::InitApply(cluster) => {
                Some(Seen::Cluster(Box::new(cluster)))
            }
            watcher::Event::Delete(cluster) => Some(Seen::ClusterGone(key(&cluster))),
            watcher::Event::Init | watcher::Event::InitDone => None,
        })
        .boxed()
}

fn secrets(api: Api<PartialObjectMeta<Secret>>) -> BoxStream<'static, Seen> {
    watcher(api, watcher::Config::default().labels(CLUSTER_LABEL))
        .backoff(Soon)
        .filter_map(async |event| match event.ok()? {
            watcher::Event::Delete(secret) => {
                let cluster = secret.labels().get(CLUSTER_LABEL)?.clone();
                Some(Seen::SecretGone((secret.namespace()?, cluster)))
            }
            _ => None,
        })
        .boxed()
}

/// Namespace and name of an object.
pub(super) fn key(object: &impl ResourceExt) -> Key {
    (object.namespace().unwrap_or_default(), object.name_any())
}
