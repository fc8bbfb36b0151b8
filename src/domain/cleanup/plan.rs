//! What is to be cleaned up, and when it is enough. Pure.

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

/// How long a deleted server stays for the end of what was asked to go, and for what the API server refuses to delete.
pub const LONGEST: Duration = Duration::from_secs(60);
/// How long it stays for an API server that does not answer.
pub const LONGEST_UNANSWERED: Duration = Duration::from_secs(600);
/// Longest pause between two looks meanwhile. The end of a database cluster is watched and needs none.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// What a deletion does outside owner references.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Claims to delete, by name.
    pub claims: Vec<String>,
    /// Managed Secrets to delete, by name.
    pub secrets: Vec<String>,
    /// Managed Secrets that stay, by name. One that the Go operator made has the server as owner, and would go with it.
    pub kept_secrets: Vec<String>,
    /// Whether those must say themselves that they stay: the signs that tell it go in the same cleanup.
    pub secrets_say_so: bool,
    /// Whether the database is to go. Otherwise nothing of this server may hold on to it.
    pub delete_database: bool,
}

/// What there is of a server's database, whatever the spec says by now. What cannot be read is taken to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remains {
    /// Nothing.
    Nothing,
    /// The Secret of its user, which outlives a cluster that was deleted by hand. So do its volumes, and nobody deletes those.
    User,
    /// The cluster.
    Cluster,
    /// A cluster that this operator did not create. It is never deleted.
    Adopted,
}

impl Plan {
    /// Nothing is deleted. So it is for a spec that cannot be read.
    #[must_use]
    pub fn keep_all(server: &DittoServer) -> Self {
        Self {
            claims: Vec::new(),
            secrets: Vec::new(),
            kept_secrets: secrets::kept(server).into(),
            secrets_say_so: false,
            delete_database: false,
        }
    }

    /// The plan for a server. `in_own_postgres` says whether its data is in a PostgreSQL that the user runs, whatever the spec
    /// asks for by now.
    ///
    /// A managed Secret goes with the last data that knows its value, so it stays beside a database that stays.
    #[must_use]
    pub fn of(server: &DittoServer, database: Remains, in_own_postgres: bool) -> Self {
        let (spec, name) = (&server.spec, server.name_any());
        let delete_database = deletes_database(spec) && database != Remains::Adopted;
        if spec.retention() == Retention::Retain {
            return Self {
                delete_database,
                ..Self::keep_all(server)
            };
        }
        let database_stays = in_own_postgres
            || spec.postgres_secret_ref().is_some()
            || match database {
                Remains::Nothing => false,
                Remains::User | Remains::Adopted => true,
                Remains::Cluster => !delete_database,
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
            secrets_say_so: in_own_postgres && spec.postgres_secret_ref().is_none(),
            delete_database,
        }
    }
}

fn deletes_database(spec: &DittoServerSpec) -> bool {
    spec.percona().is_some_and(|percona| percona.delete_with_server)
}

/// Whether a live server needs the finalizer.
///
/// It does while its policy deletes anything, and while something that is to stay would still follow it: the database,
/// after a change of policy; the Secrets that the Go operator made. And while its pod has lost the StatefulSet, for nothing
/// else would take that along.
#[must_use]
pub fn needs_finalizer(observed: &Observed) -> bool {
    let server = &observed.server;
    let has_it = || server.finalizers().iter().any(|name| name == names::FINALIZER);
    if server.spec.retention() == Retention::Delete || deletes_database(&server.spec) {
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

/// Whether a pod would outlive the server. While volumes grow, the StatefulSet is missing within one reconcile only.
fn leaves_pod(observed: &Observed, as_it_is: bool) -> bool {
    let name = observed.server.name_any();
    let is_left =
        |pod: &Arc<Pod>| pod.metadata.deletion_timestamp.is_none() && is_lost_pod(pod.as_ref(), &name);
    matches!(observed.stateful_set, Read::Missing)
        && binds(&observed.pods, |pods| pods.iter().any(is_left), as_it_is)
}

/// Whether an object is the server's pod, and no StatefulSet has it any more.
#[must_use]
pub fn is_lost_pod<K: Resource>(pod: &K, server: &str) -> bool {
    pod.name_any() == names::pod(server) && is_labelled_for(pod, server) && pod.owner_references().is_empty()
}

/// Whether what was read is bound to the server. What cannot be read may be: then nothing changes.
fn binds<T>(read: &Read<T>, is_bound: impl FnOnce(&T) -> bool, as_it_is: bool) -> bool {
    match read {
        Read::Found(object) => is_bound(object),
        Read::Missing => false,
        Read::Unreadable(_) => as_it_is,
    }
}

/// Whether a Secret was kept in an earlier pass of the cleanup of this server.
#[must_use]
pub fn says_that_it_stays<K: Resource>(secret: &K, server: &DittoServer) -> bool {
    let kept_for = secret.annotations().get(names::KEPT_FOR_ANNOTATION);
    kept_for.is_some() && kept_for == server.uid().as_ref()
}

/// Metadata of a cluster that is to stay: without the server as owner, and without the finalizers that would take its data
/// along. One that the server controlled, whoever made it, is labelled as ours: so a server of that name takes it up again.
#[must_use]
pub fn metadata_of_kept(cluster: &ObjectMeta, server: &DittoServer) -> Value {
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

/// Metadata of a cluster that is to go with everything that belongs to it: its finalizers. `None` if it has them.
#[must_use]
pub fn finalizers_for_removal(cluster: &ObjectMeta) -> Option<Vec<String>> {
    let there = cluster.finalizers.as_deref().unwrap_or_default();
    let mut finalizers = there.to_vec();
    for ours in percona::REMOVAL_FINALIZERS {
        if !finalizers.iter().any(|finalizer| finalizer == ours) {
            finalizers.push(ours.to_owned());
        }
    }
    (finalizers.len() > there.len()).then_some(finalizers)
}

/// What became of one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was asked to go, in this pass.
    Asked,
    /// It is going.
    Going,
    /// It no longer follows the server; changed in this pass.
    Released,
    /// The API server refuses. The text is its answer.
    Refused(String),
    /// The API server did not answer, or not well.
    Unanswered(String),
}

/// One thing that was looked at. What is not there, or belongs to somebody else, is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Kind, as in `kubectl get <kind>`.
    pub kind: &'static str,
    /// Name, in the server's namespace.
    pub name: String,
    /// What became of it.
    pub fate: Fate,
    /// Whether the server stays until this is done, whatever it takes: data would be lost otherwise.
    pub is_vital: bool,
}

/// What one pass of a cleanup did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cleanup {
    /// Everything that was looked at.
    pub tasks: Vec<Task>,
}

/// What comes after a pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// The server may go.
    LetGo,
    /// The server may go; this is left.
    LetGoUnfinished(String),
    /// Another pass after this time.
    Again(Duration),
}

impl Task {
    /// Claims and Secrets that were asked to go do so by themselves: a claim once its pod has gone, which is only after
    /// the server. A database cluster has a finalizer of its own, so its end is waited for.
    fn is_done(&self) -> bool {
        match self.fate {
            Fate::Released => true,
            Fate::Asked | Fate::Going => self.kind != PerconaPGCluster::KIND,
            Fate::Refused(_) | Fate::Unanswered(_) => false,
        }
    }

    /// Whether the server stays because of it, and there is more to it than time.
    pub(crate) fn is_failed_and_vital(&self) -> bool {
        self.is_vital && matches!(self.fate, Fate::Refused(_) | Fate::Unanswered(_))
    }

    fn longest(&self) -> Duration {
        match self.fate {
            Fate::Unanswered(_) => LONGEST_UNANSWERED,
            _ => LONGEST,
        }
    }

    fn told(&self) -> String {
        let Self { kind, name, fate, .. } = self;
        match fate {
            Fate::Asked | Fate::Going => format!("{kind} {name} (is being deleted)"),
            Fate::Released => format!("{kind} {name} (stays)"),
            Fate::Refused(text) | Fate::Unanswered(text) => format!("{kind} {name} ({text})"),
        }
    }
}

impl Cleanup {
    /// What comes next, `age` after the deletion.
    #[must_use]
    pub fn next(&self, age: Duration) -> Next {
        let open: Vec<&Task> = self.tasks.iter().filter(|task| !task.is_done()).collect();
        let waits = |task: &&&Task| task.is_vital || age < task.longest();
        if open.is_empty() {
            return Next::LetGo;
        }
        let Some(patience) = open.iter().filter(waits).map(|task| task.longest()).max() else {
            return Next::LetGoUnfinished(list(open));
        };
        let left = patience.saturating_sub(age);
        Next::Again(if left.is_zero() {
            LOOK_AGAIN
        } else {
            left.min(LOOK_AGAIN)
        })
    }

    /// What is still to be done, for the status. `None` if nothing is.
    #[must_use]
    pub fn left(&self) -> Option<String> {
        let open: Vec<&Task> = self.tasks.iter().filter(|task| !task.is_done()).collect();
        (!open.is_empty()).then(|| list(open))
    }

    /// The names of what had this fate in this pass, of one kind or of all but it.
    pub(super) fn named(&self, kind: &str, fate: &Fate) -> Vec<String> {
        let tasks = self.tasks.iter();
        tasks
            .filter(|task| task.kind == kind && task.fate == *fate)
            .map(|task| format!("{} {}", task.kind, task.name))
            .collect()
    }
}

fn list(tasks: Vec<&Task>) -> String {
    let told: Vec<String> = tasks.into_iter().map(Task::told).collect();
    told.join(", ")
}

/// Whether a claim or a pod is of this server: the StatefulSet's controller gives both the selector's labels.
#[must_use]
pub fn is_labelled_for<K: Resource>(object: &K, server: &str) -> bool {
    let labels = object.labels();
    names::selector_labels(server)
        .iter()
        .all(|(key, value)| labels.get(key) == Some(value))
}

#[cfg(test)]
mod tests;
