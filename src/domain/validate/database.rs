//! The PostgreSQL cluster that Percona's operator runs: may a pod start on it?
//!
//! A pod is started only once the cluster is ready. One that uses the cluster already is left alone in an outage: its
//! server reconnects by itself, and a restart would only add to the outage.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::StatefulSet;
use kube::ResourceExt;

use super::{Concern, Finding, Severity, Violation, conflict_message};
use crate::api::defaults::PERCONA_POSTGRES_VERSION;
use crate::api::percona::PerconaPGCluster;
use crate::api::{DittoServer, PerconaSpec, names, reasons};
use crate::domain::data_home;
use crate::domain::observed::{KindState, Observed, Read};
use crate::domain::ownership::{Owner, controller, may_adopt, owner};
use crate::domain::secrets::CA_KEY;
use crate::domain::workload::pod_template;

/// Judges the cluster and what the pod needs of it beside its user's Secret.
///
/// While the server stays on SQLite, nothing of the cluster matters to its pod.
pub(super) fn findings(observed: &Observed) -> Vec<Finding> {
    if data_home::is_pending(observed) {
        return Vec::new();
    }
    let database = &observed.database;
    let cluster = problem(&observed.server, &database.kind, &database.cluster).map(|violation| Finding {
        violation,
        holds_pod: !is_used_by_pod(observed) || is_stopped(observed),
    });
    let holding = [unconfirmed_move(observed), lost_certificate(observed)];
    cluster
        .into_iter()
        .chain(holding.into_iter().flatten().map(Finding::holding))
        .collect()
}

/// Whether a server that is stopped must stay so for now: its database does not serve yet. A hibernating one starts first.
pub(crate) fn holds_start(observed: &Observed) -> bool {
    let database = &observed.database;
    !data_home::is_pending(observed)
        && !data_home::leaves_own_postgres(observed)
        && is_stopped(observed)
        && problem(&observed.server, &database.kind, &database.cluster).is_some()
}

/// Whether the cluster runs no pod of the server, on purpose.
fn is_stopped(observed: &Observed) -> bool {
    let spec = observed
        .stateful_set
        .found()
        .and_then(|stateful_set| stateful_set.spec.as_ref());
    spec.is_some_and(|spec| spec.replicas == Some(0))
}

/// What is wrong with the cluster itself, if Percona is on. The first failing check tells.
pub(crate) fn problem(
    server: &DittoServer,
    kind: &KindState,
    cluster: &Read<Arc<PerconaPGCluster>>,
) -> Option<Violation> {
    let percona = server.spec.percona()?;
    let name = names::percona_cluster(&server.name_any());
    if let Read::Found(cluster) = cluster {
        return foreign(server, cluster, &name)
            .or_else(|| image_required(percona, cluster, &name))
            .or_else(|| not_ready(server, cluster));
    }
    let (reason, severity, message) = match (kind, cluster) {
        (KindState::NotServed, _) => (
            reasons::PERCONA_NOT_INSTALLED,
            Severity::Waiting,
            "the API server does not serve PerconaPGCluster (CRD perconapgclusters.pgv2.percona.com): install the Percona Operator for PostgreSQL, 2.8.2 or later; it is noticed by itself".into(),
        ),
        (KindState::Unknown(error), _) | (KindState::Served, Read::Unreadable(error)) => {
            (reasons::DATABASE_UNREADABLE, Severity::Unknown, format!("PerconaPGCluster {name} cannot be read: {error}"))
        }
        (KindState::Served, _) => {
            (reasons::PERCONA_NOT_FOUND, Severity::Waiting, format!("PerconaPGCluster not found: {name}"))
        }
    };
    Some(Violation {
        reason,
        message,
        concern: Concern::Database,
        severity,
    })
}

fn foreign(server: &DittoServer, cluster: &PerconaPGCluster, name: &str) -> Option<Violation> {
    let Owner::Other(whom) = owner(&cluster.metadata, server) else {
        return None;
    };
    if may_adopt(&cluster.metadata, server) {
        return None;
    }
    let mut message = conflict_message(PerconaPGCluster::KIND, name, &whom);
    if controller(&cluster.metadata).is_none() {
        message.push_str("; or set spec.percona.adoptExisting to use it");
    }
    Some(terminal(reasons::RESOURCE_CONFLICT, message))
}

/// The default image holds one major version, and started on the data of another it would fail.
fn image_required(percona: &PerconaSpec, cluster: &PerconaPGCluster, name: &str) -> Option<Violation> {
    let version = cluster
        .spec
        .postgres_version
        .unwrap_or_else(|| percona.postgres_version());
    let live_image = cluster.spec.image.as_deref().filter(|image| !image.is_empty());
    if version == PERCONA_POSTGRES_VERSION || percona.postgres_image().or(live_image).is_some() {
        return None;
    }
    let message = format!(
        "PerconaPGCluster {name} has PostgreSQL {version} and no image, and the default image holds PostgreSQL {PERCONA_POSTGRES_VERSION}: set spec.percona.images.postgres to an image of PostgreSQL {version}"
    );
    Some(terminal(reasons::POSTGRES_IMAGE_REQUIRED, message))
}

fn not_ready(server: &DittoServer, cluster: &PerconaPGCluster) -> Option<Violation> {
    // Garbage collection is about to remove what belonged to a deleted server of the same name.
    let is_going = cluster.metadata.deletion_timestamp.is_some()
        || owner(&cluster.metadata, server) == Owner::Predecessor;
    // One that is asked to stop may still say that it is ready.
    let pauses = cluster.is_to_pause();
    if !is_going
        && (if pauses {
            server.spec.hibernates()
        } else {
            cluster.is_ready()
        })
    {
        return None;
    }
    let state = if is_going {
        "being deleted"
    } else {
        cluster.state().unwrap_or("not reported yet")
    };
    let message = format!("PostgreSQL cluster state: {state}");
    Some(Violation {
        reason: reasons::PERCONA_NOT_READY,
        message,
        concern: Concern::Database,
        severity: Severity::Waiting,
    })
}

/// A server whose data is in another PostgreSQL is not moved to an empty one unasked.
fn unconfirmed_move(observed: &Observed) -> Option<Violation> {
    let message = || {
        format!(
            "The control-plane data (users, share definitions) is in the PostgreSQL that spec.database.postgresSecretRef named, and spec.percona asks for another one, PerconaPGCluster {}. The pod is held. {} (docs/migrate.md); or set spec.database.postgresSecretRef again and spec.percona.enabled to false",
            names::percona_cluster(&observed.server.name_any()),
            data_home::remedy(&observed.server),
        )
    };
    data_home::leaves_own_postgres(observed).then(|| terminal(reasons::DATABASE_MOVE_UNCONFIRMED, message()))
}

/// A server that verifies its database's certificate must not go on without verification because the CA is gone.
fn lost_certificate(observed: &Observed) -> Option<Violation> {
    observed.server.spec.percona()?;
    let stateful_set = observed.stateful_set.found()?;
    let secret = names::percona_cert_secret(&observed.server.name_any());
    let is_lost = match observed.secrets.get(&secret) {
        Some(Read::Found(data)) => data.value(CA_KEY).is_none(),
        Some(Read::Missing) | None => true,
        Some(Read::Unreadable(_)) => false,
    };
    if !is_lost
        || !uses_database(stateful_set, &observed.server)
        || !pod_template::verifies_database(stateful_set)
    {
        return None;
    }
    let message = format!(
        "Secret {secret} with the key {CA_KEY} is gone, by which the running server verifies its database. The pod is held, so that it does not go on without: restore the Secret; the Percona Operator for PostgreSQL does if it runs"
    );
    let (concern, severity) = (Concern::Database, Severity::Waiting);
    Some(Violation {
        reason: reasons::DATABASE_CERTIFICATE_MISSING,
        message,
        concern,
        severity,
    })
}

/// Whether the pod may go on whatever the database does: its template points at it already, or does not need it.
pub(super) fn is_used_by_pod(observed: &Observed) -> bool {
    data_home::is_pending(observed)
        || observed
            .stateful_set
            .found()
            .is_some_and(|stateful_set| uses_database(stateful_set, &observed.server))
}

fn uses_database(stateful_set: &StatefulSet, server: &DittoServer) -> bool {
    pod_template::database_secret(stateful_set)
        == Some(names::percona_user_secret(&server.name_any()).as_str())
}

fn terminal(reason: &'static str, message: String) -> Violation {
    Violation {
        reason,
        message,
        concern: Concern::Database,
        severity: Severity::Terminal,
    }
}
