//! Step 4, apply: writes the children, and returns the outcome of each.
//!
//! The order follows from what needs what. Secrets come first, because the pod's hash covers their values. Then the configuration,
//! the volume claims, the Services and the NetworkPolicy, then the database. The StatefulSet comes last, because a pod starts as
//! soon as it exists. A child that fails does not stop the others, with two exceptions: no pod is written before its Secrets and
//! its configuration, and a running pod keeps its configuration while its StatefulSet is refused.
//!
//! | file | what is in it |
//! |---|---|
//! | `live.rs` | what every kind of child has in common |
//! | `child.rs` | how any child is compared, created or applied; refuses objects of other owners |
//! | `writer.rs` | the verbs of a write |
//! | `send.rs` | sends a write as the mode says: write, withhold (paused), dry run |
//! | `secrets.rs` … `pod.rs` | what is peculiar to one kind |
//! | `prerequisites.rs` | what may be written if an earlier child failed; pure |
//! | `drift.rs` | writes that did not last: a policy or another program changes a field again |
//! | `managed_fields.rs` | which fields of other managers become ours; pure |
//! | `dry_run.rs`, `plan.rs` | what an apply would do, for `kubectl dittofs diff` |
//! | `predict.rs` | what an object would be after a write |
//! | `kept_metadata.rs` | what an object keeps when it is deleted and created again |
//! | `unwanted.rs` | deletes children that the spec no longer asks for |

mod adapters;
mod child;
mod claims;
mod config_map;
mod database;
pub mod drift;
pub mod dry_run;
mod error;
mod field_managers;
mod immutable;
mod kept_metadata;
mod live;
mod managed_fields;
mod network_policy;
mod plan;
mod pod;
mod pod_disruption_budget;
pub mod predict;
mod prerequisites;
mod secrets;
mod send;
mod service_monitor;
mod services;
mod stateful_set;
mod unwanted;
mod writer;

use std::sync::Arc;

use k8s_openapi::api::core::v1::ConfigMap;

use self::dry_run::Planned;
use self::live::{Child, Written};
use self::prerequisites::Prerequisites;
use self::stateful_set::Acceptance;
use self::writer::Writer;
use crate::domain::applied::{Applied, Outcome, Step};
pub use crate::domain::compare;
use crate::domain::desired::{Desired, Workload};
use crate::domain::observed::{Observed, Read};
use crate::reconcile::context::Context;

/// Writes all children of one server. Those of a paused server are only compared.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn apply(context: &Context, observed: &Observed, desired: &Desired) -> Applied {
    children(&Writer::new(context, &observed.server), observed, desired).await
}

/// As [`apply`], but by dry runs. Returns what would become of the children, and the writes by which they would.
pub async fn dry_run(context: &Context, observed: &Observed, desired: &Desired) -> (Applied, Vec<Planned>) {
    let writer = Writer::dry_run(context, &observed.server);
    let applied = children(&writer, observed, desired).await;
    (applied, writer.into_planned())
}

async fn children(writer: &Writer<'_>, observed: &Observed, desired: &Desired) -> Applied {
    let Desired {
        secrets,
        secret_changes,
        not_generated,
        config_map,
        headless_service,
        api_service,
        metrics_service,
        service_monitor,
        network_policy,
        pod_disruption_budget,
        adapters,
        database,
        expansions,
        workload,
        uploads: _,
    } = desired;
    let mut applied = Applied::nothing(observed);
    secrets::apply(writer, &mut applied, secrets, secret_changes, not_generated).await;
    let acceptance = configuration(writer, &mut applied, config_map.as_ref(), workload).await;
    let prerequisites = Prerequisites::of(applied.is_complete());
    // Neither waits for the other: a pod may start on a small volume, and a volume is expanded under any pod.
    claims::expand(writer, &mut applied, expansions).await;
    let services = [headless_service, api_service];
    services::apply(writer, &mut applied, services, metrics_service.as_ref()).await;
    service_monitor::apply(writer, &mut applied, service_monitor.as_ref()).await;
    network_policy::apply(writer, &mut applied, network_policy.as_ref()).await;
    pod_disruption_budget::apply(writer, &mut applied, pod_disruption_budget.as_ref()).await;
    adapters::apply(writer, &mut applied, adapters).await;
    database::apply(writer, &mut applied, database, prerequisites).await;
    let is_refused = matches!(acceptance, Acceptance::Refused(_));
    let may_restart = !is_refused && prerequisites.allow_restart(workload);
    Box::pin(stateful_set::apply(
        writer,
        &mut applied,
        workload,
        prerequisites,
        acceptance,
    ))
    .await;
    if may_restart {
        pod::replace_without_volume(writer, &mut applied, observed).await;
    }
    claims::label(writer, &mut applied, observed).await;
    applied
}

/// Writes the configuration, unless there is none yet. Asks first whether the StatefulSet that belongs to it is accepted.
async fn configuration(
    writer: &Writer<'_>,
    applied: &mut Applied,
    config_map: Option<&ConfigMap>,
    workload: &Workload,
) -> Acceptance {
    let Some(config_map) = config_map else {
        return Acceptance::NotAsked;
    };
    let written = config_map::apply(writer, applied, config_map, workload);
    Box::pin(written).await.unwrap_or_else(Acceptance::Refused)
}

/// Records a step. Returns the object that exists now, or `before` if nothing new is known.
fn record<K: Child>(
    applied: &mut Applied,
    name: String,
    written: Written<K>,
    before: Read<Arc<K>>,
) -> Read<Arc<K>> {
    applied.steps.push(Step {
        kind: K::KIND,
        name,
        outcome: written.outcome,
    });
    written.object.map_or(before, Read::Found)
}
