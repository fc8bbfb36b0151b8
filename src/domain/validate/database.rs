//! The PostgreSQL cluster that Percona's operator runs: may a pod start on it?
//!
//! A pod is started only once the cluster is ready. A pod that already uses the cluster is not changed in an outage: the server
//! reconnects, and a restart would only prolong the outage.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;

use kube::ResourceExt;

use super::{Concern, Finding, Severity, Violation, conflict_message};
use crate::api::defaults::PERCONA_POSTGRES_VERSION;
use crate::api::percona::PerconaPGCluster;
use crate::api::{DittoServer, PerconaSpec, names, reasons};
use crate::domain::data_home::{self, Place};
use crate::domain::observed::{KindState, Observed, Read};
use crate::domain::ownership::{Owner, controller, may_adopt, owner};
use crate::domain::secrets::{self, CA_KEY};
use crate::domain::workload::pod_template;

/// Age after which a cluster has a state, unless Percona's operator does not look at it.
const NO_STATE_AFTER: SignedDuration = SignedDuration::from_secs(120);
/// What to check then.
const NO_STATE_HINT: &str = ". The Percona Operator for PostgreSQL has reported no state for 2 minutes: check that it runs, and that it watches this namespace (its variable WATCH_NAMESPACE)";

/// Judges the cluster. While the server stays on SQLite, the cluster does not matter to its pod.
pub(super) fn cluster(observed: &Observed) -> Option<Finding> {
    if data_home::is_pending(observed) {
        return None;
    }
    let violation = observed_problem(observed)?;
    Some(Finding {
        violation,
        blocks_pod: !is_used_by_pod(observed) || is_stopped(observed),
    })
}

/// Judges what else the pod needs for the database, other than the Secret of its user.
pub(super) fn findings(observed: &Observed) -> impl Iterator<Item = Finding> {
    let is_pending = data_home::is_pending(observed);
    let blocking = [
        unconfirmed_move(observed),
        lost_certificate(observed),
        lost_own_certificate(observed),
    ];
    let violations = blocking.into_iter().flatten().filter(move |_| !is_pending);
    violations.map(Finding::blocking)
}

/// Whether a stopped server must stay stopped for now: its database does not serve yet. A hibernating database starts first.
pub(crate) fn prevents_start(observed: &Observed) -> bool {
    !data_home::is_pending(observed)
        && !data_home::leaves_own_postgres(observed)
        && is_stopped(observed)
        && observed_problem(observed).is_some()
}

/// What is wrong with the cluster as it was observed.
pub(super) fn observed_problem(observed: &Observed) -> Option<Violation> {
    cluster_problem(observed, &observed.database.cluster)
}

/// Whether the server has no pod on purpose.
fn is_stopped(observed: &Observed) -> bool {
    let spec = observed
        .stateful_set
        .found()
        .and_then(|stateful_set| stateful_set.spec.as_ref());
    spec.is_some_and(|spec| spec.replicas == Some(0))
}

/// What is wrong with the cluster itself, if Percona is enabled: the first check that fails.
pub(crate) fn cluster_problem(
    observed: &Observed,
    cluster: &Read<Arc<PerconaPGCluster>>,
) -> Option<Violation> {
    let (server, kind) = (&observed.server, &observed.database.kind);
    let percona = server.spec.percona()?;
    let name = names::percona_cluster(&server.name_any());
    if let Read::Found(cluster) = cluster {
        return foreign(server, cluster, &name)
            .or_else(|| image_required(percona, cluster, &name))
            .or_else(|| not_ready(observed, cluster));
    }
    let (reason, severity, message) = match (kind, cluster) {
        (KindState::NotServed, _) => (
            reasons::PERCONA_NOT_INSTALLED,
            Severity::Waiting,
            "the API server does not serve PerconaPGCluster (CRD perconapgclusters.pgv2.percona.com): install the Percona Operator for PostgreSQL, 2.8.2 or later. This operator notices it".into(),
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
        let adopt = format!(
            "; or, to use it, set spec.percona.adoptExisting and annotate it: kubectl annotate perconapgcluster {name} {}={}",
            names::ADOPT_ANNOTATION,
            server.name_any()
        );
        message.push_str(&adopt);
    }
    Some(terminal(reasons::RESOURCE_CONFLICT, message))
}

/// The default image contains one major version of PostgreSQL, which fails on the data of another.
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
        "PerconaPGCluster {name} has PostgreSQL {version} and no image, and the default image contains PostgreSQL {PERCONA_POSTGRES_VERSION}: set spec.percona.images.postgres to an image of PostgreSQL {version}"
    );
    Some(terminal(reasons::POSTGRES_IMAGE_REQUIRED, message))
}

fn not_ready(observed: &Observed, cluster: &PerconaPGCluster) -> Option<Violation> {
    let server = &observed.server;
    // Garbage collection will remove what belonged to a deleted server of the same name.
    let is_terminating = cluster.metadata.deletion_timestamp.is_some()
        || owner(&cluster.metadata, server) == Owner::Predecessor;
    // A cluster that must stop may still report that it is ready.
    let pauses = cluster.is_to_pause();
    if !is_terminating
        && (if pauses {
            server.spec.hibernates()
        } else {
            cluster.is_ready()
        })
    {
        return None;
    }
    let state = if is_terminating {
        "being deleted"
    } else {
        cluster.state().unwrap_or("not reported yet")
    };
    let mut message = format!("PostgreSQL cluster state: {state}");
    if hint_in(observed, cluster).is_some_and(|left| left.is_zero()) {
        message.push_str(NO_STATE_HINT);
    }
    Some(Violation {
        reason: reasons::PERCONA_NOT_READY,
        message,
        concern: Concern::Database,
        severity: Severity::Waiting,
    })
}

/// The time until the message about a cluster without a state has a hint. `None` for a cluster with a state.
fn hint_in(observed: &Observed, cluster: &PerconaPGCluster) -> Option<Duration> {
    let created = cluster.metadata.creation_timestamp.as_ref()?.0;
    let age = observed.at.duration_since(created);
    let left = Duration::try_from(NO_STATE_AFTER - age).unwrap_or_default();
    cluster.state().is_none().then_some(left)
}

/// After which time the database must be judged again, although nothing in the cluster may change until then.
#[must_use]
pub fn recheck_in(observed: &Observed) -> Option<Duration> {
    let cluster = observed.database.cluster.found()?;
    let left = hint_in(observed, cluster).filter(|_| observed.server.spec.percona_enabled())?;
    // Times are whole seconds.
    (!left.is_zero()).then_some(left + Duration::from_secs(1))
}

/// A server whose data is in another PostgreSQL is not moved to an empty one without confirmation.
fn unconfirmed_move(observed: &Observed) -> Option<Violation> {
    let message = || {
        format!(
            "The control-plane data (users, share definitions) is in the PostgreSQL that spec.database.postgresSecretRef named, and spec.percona asks for another database, PerconaPGCluster {}. The StatefulSet is not updated. {} (docs/migrate.md); or set spec.database.postgresSecretRef again and spec.percona.enabled to false",
            names::percona_cluster(&observed.server.name_any()),
            data_home::remedy(&observed.server),
        )
    };
    data_home::leaves_own_postgres(observed).then(|| terminal(reasons::DATABASE_MOVE_UNCONFIRMED, message()))
}

/// A server that verifies the certificate of its database must not stop verifying because the CA was deleted.
fn lost_certificate(observed: &Observed) -> Option<Violation> {
    observed.server.spec.percona()?;
    let stateful_set = observed.stateful_set.found()?;
    let secret = names::percona_cert_secret(&observed.server.name_any());
    let is_lost = match observed.secrets.get(&secret) {
        Some(Read::Found(data)) => data.value(CA_KEY).is_none(),
        Some(Read::Missing) | None => true,
        Some(Read::Unreadable(_)) => false,
    };
    if !is_lost || !data_home::runs_on_percona(observed) || !pod_template::verifies_database(stateful_set) {
        return None;
    }
    let message = format!(
        "Secret {secret} with the key {CA_KEY} is missing. The running server verifies its database with it, so the StatefulSet is not updated until it exists: restore the Secret. The Percona Operator for PostgreSQL restores it if it runs"
    );
    let (concern, severity) = (Concern::Database, Severity::Waiting);
    Some(Violation {
        reason: reasons::DATABASE_CERTIFICATE_MISSING,
        message,
        concern,
        severity,
    })
}

/// The same for the user's own PostgreSQL: its Secret has lost the CA, and still asks for verification.
fn lost_own_certificate(observed: &Observed) -> Option<Violation> {
    let secret = &observed.server.spec.postgres_secret_ref()?.name;
    let live = observed.stateful_set.found()?;
    let is_same = Place::of_pod(&observed.server, live) == Place::OwnPostgres(Some(secret));
    let data = observed.secrets.get(secret)?.found()?;
    let is_lost = secrets::asks_to_verify(data) && data.value(CA_KEY).is_none();
    if !is_same || !is_lost || !pod_template::has_database_ca(live) {
        return None;
    }
    let message = format!(
        "Secret {secret} no longer has the key {CA_KEY}. The running server verifies its database with it, so the StatefulSet is not updated until it exists: restore the key"
    );
    Some(Violation {
        reason: reasons::DATABASE_CERTIFICATE_MISSING,
        message,
        concern: Concern::Config,
        severity: Severity::Waiting,
    })
}

/// Whether the state of the database does not matter to the pod: its template names the database already, or does not need it.
pub(super) fn is_used_by_pod(observed: &Observed) -> bool {
    data_home::is_pending(observed) || data_home::runs_on_percona(observed)
}

fn terminal(reason: &'static str, message: String) -> Violation {
    Violation {
        reason,
        message,
        concern: Concern::Database,
        severity: Severity::Terminal,
    }
}
