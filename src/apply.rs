//! Step 4, apply: writes the children, and says what became of each.
//!
//! The order is that of need. Secrets come first: the pod's hash speaks of their values. Then the configuration, the
//! growth of claims and what the pod is reached by, then the database, and the StatefulSet last, because a pod starts the moment it exists. A child
//! that fails does not stop the others, except that no pod is written before its Secrets and its configuration, and that a
//! running pod keeps its configuration while its StatefulSet is refused.

mod claims;
pub mod compare;
mod configuration;
mod groundwork;
pub mod managed_fields;
pub mod preview;
mod release;
mod secrets;
mod storage;
mod stuck_pod;
mod write;

use std::fmt;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service};
use kube::ResourceExt;

use self::groundwork::Groundwork;
pub use self::write::Error;
pub(crate) use self::write::is_namespace_terminating;
use self::write::{Writer, Written};
use crate::api::names;
use crate::api::percona::PerconaPGCluster;
use crate::context::Context;
use crate::desired::{DatabaseChange, Desired, SecretChange, Workload};
use crate::growth::{self, Growth};
use crate::observe::{Observed, Read};
use crate::ownership::{Owner, owner};

/// What became of one child.
#[derive(Debug)]
pub enum Outcome {
    /// The cluster held it already.
    Unchanged,
    /// It was created.
    Created,
    /// It was changed: the spec moved on, or somebody had edited it.
    Updated,
    /// The user asked for a new key, and it has one.
    Rotated,
    /// It no longer goes with the server: the policy does not delete it any more.
    Released,
    /// It was deleted: the spec no longer wants it.
    Deleted,
    /// An object of this name belongs to somebody else. It was not touched. The text says whose it is.
    Foreign(String),
    /// A previous one is still being deleted; its end triggers the next try.
    Terminating,
    /// The namespace is being deleted, so it could not be made. There is nothing to try again.
    NamespaceTerminating,
    /// A pod that stood in the way of a rollout was deleted, so that its StatefulSet makes a new one. The text says why.
    Replaced(String),
    /// The server is being deleted, so it was not made. There is nothing to try again.
    ServerGone,
    /// It is not as desired, and is not written, because the user has paused the server.
    Withheld,
    /// A Secret that is missing and is not generated: data that is there may know another value.
    NotGenerated,
    /// An earlier child that it needs failed, so it was not written.
    Skipped,
    /// The API server refused, or did not answer in time.
    Failed(Error),
}

impl Outcome {
    /// Whether nothing is to be tried again: the child is now as desired, or is not to be.
    #[must_use]
    pub fn is_done(&self) -> bool {
        match self {
            Self::Unchanged
            | Self::Created
            | Self::Updated
            | Self::Deleted
            | Self::Rotated
            | Self::Released
            | Self::Replaced(_)
            | Self::NamespaceTerminating
            | Self::ServerGone
            | Self::NotGenerated
            | Self::Withheld => true,
            Self::Foreign(_) | Self::Terminating | Self::Skipped | Self::Failed(_) => false,
        }
    }

    /// Its name: a label in the metrics.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Unchanged => "unchanged",
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Rotated => "rotated",
            Self::Released => "released",
            Self::Deleted => "deleted",
            Self::Foreign(_) => "foreign",
            Self::Terminating => "terminating",
            Self::NamespaceTerminating => "namespace_terminating",
            Self::ServerGone => "server_gone",
            Self::Replaced(_) => "replaced",
            Self::Withheld => "withheld",
            Self::NotGenerated => "not_generated",
            Self::Skipped => "skipped",
            Self::Failed(_) => "failed",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unchanged => formatter.write_str("unchanged"),
            Self::Created => formatter.write_str("created"),
            Self::Updated => formatter.write_str("updated"),
            Self::Rotated => formatter.write_str("rotated"),
            Self::Released => formatter.write_str("no longer goes with the server"),
            Self::Deleted => formatter.write_str("deleted"),
            Self::Foreign(whom) => write!(formatter, "belongs to {whom}"),
            Self::Terminating => formatter.write_str("the previous one is still being deleted"),
            Self::NamespaceTerminating => formatter.write_str("the namespace is being deleted"),
            Self::ServerGone => formatter.write_str("the server is being deleted"),
            Self::Replaced(why) => formatter.write_str(why),
            Self::Withheld => formatter.write_str("not written while the server is paused"),
            Self::NotGenerated => formatter.write_str("not generated beside data that may know another"),
            Self::Skipped => formatter.write_str("waits for an earlier child"),
            Self::Failed(error) => error.fmt(formatter),
        }
    }
}

/// One child and what became of it.
#[derive(Debug)]
pub struct Step {
    /// Kind, as in `kubectl get <kind>`.
    pub kind: &'static str,
    /// Name, in the server's namespace.
    pub name: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// The children after this step, as the API server returned them.
#[derive(Debug)]
pub struct Applied {
    /// Every child that was looked at, in the order of work.
    pub steps: Vec<Step>,
    /// The ConfigMap.
    pub config_map: Read<Arc<ConfigMap>>,
    /// The StatefulSet.
    pub stateful_set: Read<Arc<StatefulSet>>,
    /// The database cluster.
    pub database: Read<Arc<PerconaPGCluster>>,
}

impl Applied {
    /// Nothing was applied: the observation stands.
    #[must_use]
    pub fn nothing(observed: &Observed) -> Self {
        Self {
            steps: Vec::new(),
            config_map: observed.config_map.clone(),
            stateful_set: observed.stateful_set.clone(),
            database: observed.database.cluster.clone(),
        }
    }

    /// Whether every child is as desired. If not, it has to be tried again.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.steps.iter().all(|step| step.outcome.is_done())
    }

    /// What kept the first child that is not as desired from it: a label in the metrics. `None` if all are.
    #[must_use]
    pub fn failure(&self) -> Option<&'static str> {
        let mut outcomes = self.steps.iter().map(|step| &step.outcome);
        outcomes
            .find(|outcome| !outcome.is_done())
            .map(|outcome| match outcome {
                Outcome::Failed(error) => error.variant(),
                other => other.name(),
            })
    }

    /// The children that are not as desired, for a log line.
    #[must_use]
    pub fn summary(&self) -> String {
        let undone = self.steps.iter().filter(|step| !step.outcome.is_done());
        let lines: Vec<String> = undone
            .map(|step| format!("{} {}: {}", step.kind, step.name, step.outcome))
            .collect();
        lines.join("; ")
    }

    /// Records a step. Returns the object that now stands, or `before` where nothing was learnt.
    fn record<K>(
        &mut self,
        kind: &'static str,
        name: String,
        written: Written<K>,
        before: Read<Arc<K>>,
    ) -> Read<Arc<K>> {
        self.steps.push(Step {
            kind,
            name,
            outcome: written.outcome,
        });
        written.object.map_or(before, Read::Found)
    }
}

/// Writes all children of one server.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn apply(context: &Context, observed: &Observed, desired: Desired) -> Applied {
    let Desired {
        secrets,
        secret_changes,
        not_generated,
        config_map,
        headless_service,
        api_service,
        metrics_service,
        network_policy,
        database,
        growths,
        workload,
    } = desired;
    let writer = Writer::new(context, &observed.server);
    let mut applied = Applied::nothing(observed);
    apply_secrets(&writer, &mut applied, secrets, secret_changes).await;
    for name in not_generated {
        applied.steps.push(secret_step(name, Outcome::NotGenerated));
    }
    let refused = match config_map {
        Some(config_map) => {
            let written = configuration::apply(&writer, &mut applied, config_map, &workload);
            written.await.err()
        }
        None => None,
    };
    let groundwork = Groundwork::of(applied.is_complete());
    // Neither waits for the other: a pod may start on a small volume, and a volume grows under any pod.
    for growth in growths {
        grow(&writer, &mut applied, growth).await;
    }
    apply_services(
        &writer,
        &mut applied,
        [headless_service, api_service],
        metrics_service,
    )
    .await;
    let name = names::baseline_network_policy(&observed.server.name_any());
    let policies = &context.caches.network_policies;
    let written = writer.child(policies, &name, network_policy).await;
    applied.record("NetworkPolicy", name, written, Read::Missing);
    apply_database(&writer, &mut applied, database, groundwork).await;
    let may_restart = refused.is_none() && groundwork.allows_restart(&workload);
    Box::pin(apply_workload(
        &writer,
        &mut applied,
        workload,
        groundwork,
        refused,
    ))
    .await;
    if may_restart {
        restart_without_volume(&writer, &mut applied, observed).await;
    }
    claims::label(&writer, &mut applied, observed).await;
    applied
}

async fn apply_secrets(
    writer: &Writer<'_>,
    applied: &mut Applied,
    create: Vec<Secret>,
    change: Vec<SecretChange>,
) {
    for secret in create {
        let name = secret.metadata.name.clone().unwrap_or_default();
        let outcome = writer.create_secret(secret).await;
        applied.steps.push(secret_step(name, outcome));
    }
    for change in change {
        let outcome = writer.change_secret(&change).await;
        applied.steps.push(secret_step(change.name, outcome));
    }
}

fn secret_step(name: String, outcome: Outcome) -> Step {
    Step {
        kind: "Secret",
        name,
        outcome,
    }
}

/// The metrics Service is removed where it is not wanted.
async fn apply_services(
    writer: &Writer<'_>,
    applied: &mut Applied,
    always: [Service; 2],
    metrics: Option<Service>,
) {
    let cache = &writer.context.caches.services;
    for service in always {
        let name = service.metadata.name.clone().unwrap_or_default();
        let written = writer.child(cache, &name, service).await;
        applied.record("Service", name, written, Read::Missing);
    }
    let name = names::metrics_service(&writer.server.name_any());
    let written = match metrics {
        Some(service) => Some(writer.child(cache, &name, service).await),
        None => writer.remove(cache, &name).await,
    };
    if let Some(written) = written {
        applied.record("Service", name, written, Read::Missing);
    }
}

async fn apply_database(
    writer: &Writer<'_>,
    applied: &mut Applied,
    database: DatabaseChange,
    groundwork: Groundwork,
) {
    let name = names::percona_cluster(&writer.server.name_any());
    let before = applied.database.clone();
    let written = match database {
        DatabaseChange::Leave => return,
        DatabaseChange::Release(cluster) => writer.release(&cluster).await,
        DatabaseChange::Apply(_) if !groundwork.allows_database(before.found().is_some()) => {
            Written::without(Outcome::Skipped)
        }
        DatabaseChange::Apply(cluster) => {
            let cache = &writer.context.caches.databases;
            writer.child(cache, &name, *cluster).await
        }
    };
    applied.database = applied.record(PerconaPGCluster::KIND, name, written, before);
}

async fn grow(writer: &Writer<'_>, applied: &mut Applied, growth: Growth) {
    if let Growth::Ask { claim, size } = growth {
        let outcome = writer.grow(&claim, &size).await;
        applied.steps.push(Step {
            kind: "PersistentVolumeClaim",
            name: claim.name_any(),
            outcome,
        });
    }
}

/// A volume that is added to a running server needs another pod.
async fn restart_without_volume(writer: &Writer<'_>, applied: &mut Applied, observed: &Observed) {
    let Some(stateful_set) = applied.stateful_set.found() else {
        return;
    };
    let is_ours = owner(&stateful_set.metadata, writer.server) == Owner::Us;
    if let Some(pod) = growth::pod_without_volume(observed, stateful_set).filter(|_| is_ours) {
        let outcome = writer.restart(pod).await;
        applied.steps.push(Step {
            kind: "Pod",
            name: pod.name_any(),
            outcome,
        });
    }
}

/// `refused` is why the API server does not take it, where it was asked already.
async fn apply_workload(
    writer: &Writer<'_>,
    applied: &mut Applied,
    workload: Workload,
    groundwork: Groundwork,
    refused: Option<Error>,
) {
    let (cache, name) = (
        &writer.context.caches.stateful_sets,
        names::stateful_set(&writer.server.name_any()),
    );
    let before = applied.stateful_set.clone();
    let runs = matches!(workload, Workload::Run { .. });
    let written = match workload {
        Workload::Await => return,
        workload if !groundwork.allows(&workload) => Written::without(Outcome::Skipped),
        Workload::Run {
            stateful_set,
            config_hash: _,
        } => match (refused, before.found()) {
            (Some(refused), _) => Written::without(Outcome::Failed(refused)),
            (None, Some(live)) if matches!(storage::templates_differ(live, &stateful_set), Ok(true)) => {
                writer.replace(&name, *stateful_set).await
            }
            (None, _) => writer.child(cache, &name, *stateful_set).await,
        },
        Workload::Hold { replicas } => writer.scale(cache, &name, before.found(), replicas).await,
    };
    let is_written = runs && written.outcome.is_done();
    let is_refused = matches!(written.outcome, Outcome::Failed(_));
    applied.stateful_set = applied.record("StatefulSet", name, written, before);
    if is_refused && writer.server.spec.desired_replicas() == 0 {
        stop(writer, applied).await;
    }
    if is_written {
        applied
            .steps
            .extend(stuck_pod::replace(writer, &applied.stateful_set).await);
    }
}

/// Stops a server whose StatefulSet is refused: that must not keep its pod running.
async fn stop(writer: &Writer<'_>, applied: &mut Applied) {
    let (cache, name) = (
        &writer.context.caches.stateful_sets,
        names::stateful_set(&writer.server.name_any()),
    );
    let live = applied.stateful_set.found().cloned();
    let stopped = writer.scale(cache, &name, live.as_ref(), 0).await;
    if let Some(stopped) = stopped.object {
        applied.stateful_set = Read::Found(stopped);
    }
}
