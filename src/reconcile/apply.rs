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

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Secret, Service};
use kube::ResourceExt;

use self::groundwork::Groundwork;
use self::write::Error;
use self::write::{Writer, Written};
use crate::api::names;
use crate::api::percona::PerconaPGCluster;
use crate::domain::applied::{Applied, Outcome, Step};
use crate::domain::desired::{DatabaseChange, Desired, SecretChange, Workload};
use crate::domain::observed::{Observed, Read};
use crate::domain::ownership::{Owner, owner};
use crate::domain::volumes::{self, Expansion};
use crate::reconcile::context::Context;

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
        expansions,
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
    for growth in expansions {
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
    let written = match network_policy {
        Some(policy) => Some(writer.child(policies, &name, policy).await),
        None => writer.remove(policies, &name).await,
    };
    if let Some(written) = written {
        record(&mut applied, "NetworkPolicy", name, written, Read::Missing);
    }
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
        record(applied, "Service", name, written, Read::Missing);
    }
    let name = names::metrics_service(&writer.server.name_any());
    let written = match metrics {
        Some(service) => Some(writer.child(cache, &name, service).await),
        None => writer.remove(cache, &name).await,
    };
    if let Some(written) = written {
        record(applied, "Service", name, written, Read::Missing);
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
    applied.database = record(applied, PerconaPGCluster::KIND, name, written, before);
}

async fn grow(writer: &Writer<'_>, applied: &mut Applied, growth: Expansion) {
    if let Expansion::Request { claim, size } = growth {
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
    if let Some(pod) = volumes::pod_without_volume(observed, stateful_set).filter(|_| is_ours) {
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
            (Some(refused), _) => Written::without(refused.into()),
            (None, Some(live)) if matches!(storage::templates_differ(live, &stateful_set), Ok(true)) => {
                writer.replace(&name, *stateful_set).await
            }
            (None, _) => writer.child(cache, &name, *stateful_set).await,
        },
        Workload::Hold { replicas } => writer.scale(cache, &name, before.found(), replicas).await,
    };
    let is_written = runs && written.outcome.is_done();
    let is_refused = matches!(written.outcome, Outcome::Failed(_));
    applied.stateful_set = record(applied, "StatefulSet", name, written, before);
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

/// Records a step. Returns the object that now exists, or `before` where nothing was learned.
fn record<K>(
    applied: &mut Applied,
    kind: &'static str,
    name: String,
    written: Written<K>,
    before: Read<Arc<K>>,
) -> Read<Arc<K>> {
    let outcome = written.outcome;
    applied.steps.push(Step { kind, name, outcome });
    written.object.map_or(before, Read::Found)
}
