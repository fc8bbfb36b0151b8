//! The database cluster.

use kube::ResourceExt;
use kube::api::ObjectMeta;
use serde_json::json;

use std::sync::Arc;

use super::error::Error;
use super::live::{Child, Written};
use super::prerequisites::Prerequisites;
use super::writer::{Preview, Write, Writer};
use super::{Applied, Outcome, record};
use crate::api::percona::PerconaPGCluster;
use crate::api::{DittoServer, names};
use crate::cluster::cache::Lookup;
use crate::domain::cleanup::plan::kept_cluster_metadata;
use crate::domain::desired::DatabaseChange;
use crate::domain::ownership;
use crate::reconcile::context::Context;

impl Child for PerconaPGCluster {
    const KIND: &'static str = PerconaPGCluster::KIND;
    const IS_WATCHED_WHOLE: bool = true;

    fn lookup(context: &Context, namespace: &str, name: &str) -> Lookup<Self> {
        context.caches.databases.get(namespace, name)
    }

    fn remember(self, context: &Context) {
        context.caches.databases.wrote(self);
    }

    fn may_adopt(metadata: &ObjectMeta, server: &DittoServer) -> bool {
        ownership::may_adopt(metadata, server)
    }
}

/// Writes the database cluster.
pub(super) async fn apply(
    writer: &Writer<'_>,
    applied: &mut Applied,
    database: &DatabaseChange,
    prerequisites: Prerequisites,
) {
    let name = names::percona_cluster(&writer.server.name_any());
    let before = applied.database.clone();
    let written = match database {
        DatabaseChange::Leave => return,
        DatabaseChange::Release(cluster) => {
            let released = release(writer, &name, cluster).await;
            released.unwrap_or_else(Written::from)
        }
        DatabaseChange::Apply(_) if !prerequisites.allow_database(before.found().is_some()) => {
            Written::without(Outcome::Skipped)
        }
        DatabaseChange::Apply(cluster) => writer.child(&name, cluster.as_ref()).await,
    };
    applied.database = record(applied, name, written, before);
}

/// Keeps the cluster of a server that has switched it off, whatever becomes of the server.
///
/// A deletion does the same (`finalize/clean.rs`). It is done before one, because a foreground deletion immediately deletes every
/// object that names the server as its owner, before a finalizer of ours can prevent it.
async fn release(
    writer: &Writer<'_>,
    name: &str,
    cluster: &Arc<PerconaPGCluster>,
) -> Result<Written<PerconaPGCluster>, Error> {
    let mut metadata = kept_cluster_metadata(&cluster.metadata, writer.server);
    metadata["uid"] = json!(cluster.metadata.uid);
    metadata["resourceVersion"] = json!(cluster.metadata.resource_version);
    let write = Write::Patch {
        verb: "patch",
        body: json!({"metadata": metadata}),
        preview: Preview::Words("would be kept with its data when the server is deleted".into()),
    };
    match writer.send::<PerconaPGCluster>(name, write).await {
        Ok(object) => Ok(Written {
            outcome: Outcome::Released,
            object,
        }),
        Err(error) if error.code() == Some(404) => Ok(Written::without(Outcome::Unchanged)),
        Err(error) if error.code() == Some(409) => Err(Error::Raced),
        Err(error) => Err(error),
    }
}
