//! The write by which the database stays of a server that has switched it off.
//!
//! It is that of a deletion. It comes before one, because a foreground deletion takes at once whatever names the server as
//! owner, before a finalizer of ours can say otherwise.

use super::Outcome;
use super::write::{Error, Writer, Written};
use crate::api::percona::PerconaPGCluster;
use crate::reconcile::finalize;

impl Writer<'_> {
    /// Lets a database cluster stay, whatever becomes of the server.
    pub(super) async fn release(&self, cluster: &PerconaPGCluster) -> Written<PerconaPGCluster> {
        if self.is_paused {
            return Written::without(Outcome::Withheld);
        }
        match finalize::release_database(&self.context.client, self.server, &cluster.metadata).await {
            Ok(Some(metadata)) => {
                let released = PerconaPGCluster {
                    metadata,
                    ..cluster.clone()
                };
                self.context.caches.databases.wrote(released.clone());
                Written::of(Outcome::Released, released)
            }
            Ok(None) => Written::without(Outcome::Unchanged),
            Err(kube::Error::Api(status)) if status.code == 409 => Written::without(Error::Raced.into()),
            Err(error) => Written::without(Error::call("patch")(error).into()),
        }
    }
}
