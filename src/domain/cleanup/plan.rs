//! What a cleanup deletes and keeps, and when it ends. Pure.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::ObjectMeta;
use kube::{Resource, ResourceExt};
use serde_json::{Value, json};

use crate::api::percona::{self, PerconaPGCluster};
use crate::api::{DittoServer, DittoServerSpec, Retention, names};
use crate::domain::observed::{Observed, Read};
use crate::domain::ownership::{Owner, is_bound, owner};
use crate::domain::secrets::{self, SecretData};
use crate::domain::volumes;

/// How long a deleted server waits for objects that are being deleted, or that the API server refuses to delete.
pub const TIMEOUT: Duration = Duration::from_secs(60);
/// How long it waits for an API server that does not answer.
pub const TIMEOUT_UNANSWERED: Duration = Duration::from_secs(600);
/// Longest pause between two tries. The end of a database cluster is watched and needs none.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// Pause while it waits for something whose end is reported.
const RETRY_WAITING: Duration = Duration::from_secs(60);

/// What a deletion does outside owner references.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Claims to delete, by name.
    pub claims: Vec<String>,
    /// Managed Secrets to delete, by name.
    pub secrets: Vec<String>,
    /// Managed Secrets to keep, by name. One that the Go operator made has the server as owner, and would be deleted with it.
    pub kept_secrets: Vec<String>,
    /// Whether these need an annotation that says that they are kept: the objects that show it are deleted by the same cleanup.
    pub annotate_kept_secrets: bool,
    /// Whether to delete the database. Otherwise it must not keep a reference to this server.
    pub delete_database: bool,
}

/// What exists of a server's database, whatever the spec says by now. What cannot be read counts as existing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabaseState {
    /// Nothing.
    Gone,
    /// The Secret of its user. It outlives a cluster that was deleted manually, and so do the volumes.
    UserSecret,
    /// The cluster.
    Cluster,
    /// A cluster that this operator did not create. It is never deleted.
    Adopted,
}

impl Plan {
    /// Nothing is deleted. Used for a spec that cannot be read.
    #[must_use]
    pub fn keep_all(server: &DittoServer) -> Self {
        Self {
            claims: Vec::new(),
            secrets: Vec::new(),
            kept_secrets: secrets::kept(server).into(),
            annotate_kept_secrets: false,
            delete_database: false,
        }
    }

    /// The plan for a server. `in_own_postgres` says whether its data is in a PostgreSQL that the user runs, whatever the
    /// spec asks for by now.
    ///
    /// A managed Secret is deleted with the last data that uses its value. So it is kept if a database is kept.
    #[must_use]
    pub fn of(server: &DittoServer, database: DatabaseState, in_own_postgres: bool) -> Self {
        let (spec, name) = (&server.spec, server.name_any());
        let delete_database = deletes_database(spec) && database != DatabaseState::Adopted;
        if spec.retention() == Retention::Retain {
            return Self {
                delete_database,
                ..Self::keep_all(server)
            };
        }
        let database_stays = in_own_postgres
            || spec.postgres_secret_ref().is_some()
            || match database {
                DatabaseState::Gone => false,
                DatabaseState::UserSecret | DatabaseState::Adopted => true,
                DatabaseState::Cluster => !delete_database,
            };
        let managed = Vec::from(secrets::kept(server));
        let (kept_secrets, secrets) = if database_stays {
            (managed, Vec::new())
        } else {
            (Vec::new(), managed)
        };
        Self {
            claims: names::claims(&name).into(),
            secrets,
            kept_secrets,
            annotate_kept_secrets: in_own_postgres && spec.postgres_secret_ref().is_none(),
            delete_database,
        }
    }
}

/// Whether the policy of a spec deletes data with the server.
#[must_use]
pub fn deletes_data(spec: &DittoServerSpec) -> bool {
    spec.retention() == Retention::Delete || deletes_database(spec)
}

fn deletes_database(spec: &DittoServerSpec) -> bool {
    spec.percona().is_some_and(|percona| percona.delete_with_server)
}

/// Whether a live server needs the finalizer.
///
/// It does while its policy deletes anything, and while something that is to be kept would still be deleted with it: the
/// database, after a change of policy; the Secrets that the Go operator made. And while its pod has no StatefulSet, because then
/// garbage collection does not delete the pod.
#[must_use]
pub fn needs_finalizer(observed: &Observed) -> bool {
    let server = &observed.server;
    let has_it = || server.finalizers().iter().any(|name| name == names::FINALIZER);
    if deletes_data(&server.spec) {
        return true;
    }
    let uid = server.uid();
    let cluster = binds(
        &observed.database.cluster,
        |cluster| is_bound(&cluster.metadata, uid.as_deref()),
        has_it(),
    );
    let names = secrets::kept(server);
    let mut kept = names.iter().filter_map(|name| observed.secrets.get(name));
    let bound = |secret: &SecretData| is_bound(secret.metadata(), uid.as_deref());
    cluster || kept.any(|read| binds(read, bound, has_it())) || leaves_pod(observed, has_it())
}

/// Whether a pod would outlive the server: its StatefulSet was deleted without it, to be re-created.
fn leaves_pod(observed: &Observed, as_it_is: bool) -> bool {
    let name = observed.server.name_any();
    let is_left =
        |pod: &Arc<Pod>| pod.metadata.deletion_timestamp.is_none() && is_orphaned_pod(pod.as_ref(), &name);
    let is_gone = match &observed.stateful_set {
        Read::Missing => true,
        Read::Found(set) => volumes::is_saved(set) || set.metadata.deletion_timestamp.is_some(),
        Read::Unreadable(_) => false,
    };
    is_gone && binds(&observed.pods, |pods| pods.iter().any(is_left), as_it_is)
}

/// Whether an object is the server's pod, and no StatefulSet owns it any more.
#[must_use]
pub fn is_orphaned_pod<K: Resource>(pod: &K, server: &str) -> bool {
    pod.name_any() == names::pod(server) && is_labelled_for(pod, server) && pod.owner_references().is_empty()
}

/// Whether what was read is bound to the server. What cannot be read may be; then the present state stays.
fn binds<T>(read: &Read<T>, is_bound: impl FnOnce(&T) -> bool, as_it_is: bool) -> bool {
    match read {
        Read::Found(object) => is_bound(object),
        Read::Missing => false,
        Read::Unreadable(_) => as_it_is,
    }
}

/// Whether an earlier pass of this server's cleanup has annotated a Secret as kept.
#[must_use]
pub fn is_annotated_as_kept<K: Resource>(secret: &K, server: &DittoServer) -> bool {
    let kept_for = secret.annotations().get(names::KEPT_FOR_ANNOTATION);
    kept_for.is_some() && kept_for == server.uid().as_ref()
}

/// Metadata of a cluster that is kept: without the server as owner, and without the finalizers that would delete its data.
/// One that the server controlled, whoever made it, gets our labels, so that a server of that name uses it again.
#[must_use]
pub fn kept_cluster_metadata(cluster: &ObjectMeta, server: &DittoServer) -> Value {
    let uid = server.uid();
    let owners = cluster.owner_references.iter().flatten();
    let owners: Vec<_> = owners.filter(|owner| Some(&owner.uid) != uid.as_ref()).collect();
    let finalizers = cluster.finalizers.iter().flatten();
    let finalizers: Vec<_> = finalizers
        .filter(|finalizer| !percona::REMOVAL_FINALIZERS.contains(&finalizer.as_str()))
        .collect();
    let mut metadata = json!({"ownerReferences": owners, "finalizers": finalizers});
    if owner(cluster, server) == Owner::Us {
        metadata["labels"] = json!(names::labels(&server.name_any()));
    }
    metadata
}

/// The finalizers of a cluster that is to be deleted with everything that belongs to it. `None` if it has them already.
#[must_use]
pub fn missing_removal_finalizers(cluster: &ObjectMeta) -> Option<Vec<String>> {
    let there = cluster.finalizers.as_deref().unwrap_or_default();
    let mut finalizers = there.to_vec();
    for ours in percona::REMOVAL_FINALIZERS {
        if !finalizers.iter().any(|finalizer| finalizer == ours) {
            finalizers.push(ours.to_owned());
        }
    }
    (finalizers.len() > there.len()).then_some(finalizers)
}

/// The state of one object in a cleanup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskState {
    /// This pass has requested its deletion.
    Requested,
    /// It is being deleted.
    Terminating,
    /// It is kept, and this pass has removed its reference to the server.
    Kept,
    /// It waits for something outside Kubernetes, or for the user. The text says for what.
    Waiting(String),
    /// The API server refuses. The text is its answer.
    Refused(String),
    /// The API server did not answer, or with an error of its own.
    Unanswered(String),
}

/// One object of a cleanup. An object that does not exist, or belongs to another owner, has no task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Kind, as in `kubectl get <kind>`.
    pub kind: &'static str,
    /// Name, in the server's namespace.
    pub name: String,
    /// Its state.
    pub state: TaskState,
    /// Whether the server waits until this is done, without a time limit: otherwise data would be lost.
    pub is_vital: bool,
}

/// What one pass of a cleanup did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cleanup {
    /// Every object with something to do or to report.
    pub tasks: Vec<Task>,
}

/// What follows a pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// The cleanup is complete: remove the finalizer.
    RemoveFinalizer,
    /// The time is up: remove the finalizer, although this is not done.
    GiveUp(String),
    /// Another pass after this time.
    Retry(Duration),
}

impl Task {
    /// Claims and Secrets need no waiting: a claim is deleted once its pod is gone, which is only after the server. A
    /// database cluster has a finalizer of its own, so the cleanup waits for its end.
    fn is_done(&self) -> bool {
        match self.state {
            TaskState::Kept => true,
            TaskState::Requested | TaskState::Terminating => self.kind != PerconaPGCluster::KIND,
            TaskState::Waiting(_) | TaskState::Refused(_) | TaskState::Unanswered(_) => false,
        }
    }

    /// Whether the server waits for it, and it has failed.
    pub(crate) fn is_failed_and_vital(&self) -> bool {
        self.is_vital && matches!(self.state, TaskState::Refused(_) | TaskState::Unanswered(_))
    }

    fn timeout(&self) -> Duration {
        match self.state {
            TaskState::Unanswered(_) => TIMEOUT_UNANSWERED,
            _ => TIMEOUT,
        }
    }

    fn text(&self) -> String {
        let Self {
            kind, name, state, ..
        } = self;
        match state {
            TaskState::Requested | TaskState::Terminating => format!("{kind} {name} (is being deleted)"),
            TaskState::Kept => format!("{kind} {name} (kept)"),
            TaskState::Waiting(text) | TaskState::Refused(text) | TaskState::Unanswered(text) => {
                format!("{kind} {name} ({text})")
            }
        }
    }
}

impl Cleanup {
    /// Nothing is deleted yet: the volumes of `server` wait for this.
    #[must_use]
    pub fn waiting(server: &str, reason: String) -> Self {
        Self {
            tasks: vec![Task {
                kind: "the volumes of",
                name: server.to_owned(),
                state: TaskState::Waiting(reason),
                is_vital: true,
            }],
        }
    }

    /// What follows this pass. `age` is the time since the deletion, or since the first try of this process if that is less: after
    /// an outage, or if the clocks differ, the time limit must not be over before anything was tried.
    #[must_use]
    pub fn next(&self, age: Duration) -> Next {
        let open: Vec<&Task> = self.tasks.iter().filter(|task| !task.is_done()).collect();
        let waits = |task: &&&Task| task.is_vital || age < task.timeout();
        if open.is_empty() {
            return Next::RemoveFinalizer;
        }
        if open
            .iter()
            .all(|task| matches!(task.state, TaskState::Waiting(_)))
        {
            return Next::Retry(RETRY_WAITING);
        }
        let Some(patience) = open.iter().filter(waits).map(|task| task.timeout()).max() else {
            return Next::GiveUp(list(open));
        };
        let left = patience.saturating_sub(age);
        Next::Retry(if left.is_zero() {
            RETRY_AFTER
        } else {
            left.min(RETRY_AFTER)
        })
    }

    /// What is still to be done, for the status. `None` if nothing is.
    #[must_use]
    pub fn pending(&self) -> Option<String> {
        let open: Vec<&Task> = self.tasks.iter().filter(|task| !task.is_done()).collect();
        (!open.is_empty()).then(|| list(open))
    }

    /// The objects of one kind in this state.
    pub(super) fn in_state(&self, kind: &str, state: &TaskState) -> Vec<String> {
        let tasks = self.tasks.iter();
        tasks
            .filter(|task| task.kind == kind && task.state == *state)
            .map(|task| format!("{} {}", task.kind, task.name))
            .collect()
    }
}

fn list(tasks: Vec<&Task>) -> String {
    let texts: Vec<String> = tasks.into_iter().map(Task::text).collect();
    texts.join(", ")
}

/// Whether a claim or a pod belongs to this server: the StatefulSet's controller gives both the selector's labels.
#[must_use]
pub fn is_labelled_for<K: Resource>(object: &K, server: &str) -> bool {
    let labels = object.labels();
    names::selector_labels(server)
        .iter()
        .all(|(key, value)| labels.get(key) == Some(value))
}

#[cfg(test)]
mod tests;
