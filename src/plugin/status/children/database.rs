//! The PerconaPGCluster.

use kube::ResourceExt;

use super::{missing, unreadable};
use crate::api::{DatabaseBackend, PerconaPGCluster, names};
use crate::domain::observed::{KindState, Observed, Read};
use crate::plugin::status::view::{ChildHealth, ChildView};

pub(super) fn database(observed: &Observed) -> Option<ChildView> {
    let server = &observed.server;
    let is_wanted = matches!(server.spec.database_backend(), DatabaseBackend::Percona(_));
    let (kind, name) = (PerconaPGCluster::KIND, names::percona_cluster(&server.name_any()));
    Some(match &observed.database.cluster {
        Read::Found(cluster) => {
            let state = cluster.state().unwrap_or("not reported yet").to_owned();
            let is_deleting = cluster.metadata.deletion_timestamp.is_some();
            let health = if cluster.is_ready() && !is_deleting {
                ChildHealth::Good
            } else {
                ChildHealth::Waiting
            };
            let mut summary = format!("state {state}");
            if is_deleting {
                summary.push_str(", being deleted");
            }
            if cluster.is_to_pause() {
                summary.push_str(", asked to pause");
            }
            if !is_wanted {
                summary.push_str(", not used by the server");
            }
            let host = cluster.status.as_ref().and_then(|status| status.host.clone());
            ChildView::new(kind, name, health, summary)
                .fact("state", Some(state))
                .fact("host", host)
        }
        Read::Missing | Read::Unreadable(_) if !is_wanted => return None,
        Read::Missing if observed.database.kind == KindState::NotServed => ChildView::new(
            kind,
            name,
            ChildHealth::Bad,
            "Percona's operator is not installed",
        ),
        Read::Missing => missing(kind, &name),
        Read::Unreadable(error) => unreadable(kind, &name, error),
    })
}
