//! The StatefulSet.

pub(super) mod claim_templates;
pub(super) mod pod_check;
pub(super) mod recreate;
pub(super) mod saved;

use std::sync::Arc;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use serde_json::{Value, json};

use super::child::{self, stamped};
use super::error::Error;
use super::live::{Child, Live, Written};
use super::managed_fields::Reach;
use super::predict;
use super::prerequisites::Prerequisites;
use super::writer::{Preview, Write, Writer};
use super::{Applied, Outcome, compare, pod, record};
use crate::api::names;
use crate::cluster::cache::Lookup;
use crate::domain::desired::Workload;
use crate::domain::observed::Read;
use crate::domain::volumes;
use crate::reconcile::context::Context;

impl Child for StatefulSet {
    const KIND: &'static str = "StatefulSet";

    fn lookup(context: &Context, namespace: &str, name: &str) -> Lookup<Self> {
        context.caches.stateful_sets.get(namespace, name)
    }

    fn remember(self, context: &Context) {
        context.caches.stateful_sets.wrote(self);
    }
}

/// Whether the API server accepts the StatefulSet and its pod.
pub(super) enum Acceptance {
    /// It was not asked.
    NotAsked,
    /// A dry run succeeded.
    Accepted,
    /// A dry run failed.
    Refused(Error),
}

/// Writes the StatefulSet, unless the API server refuses it or its pod.
pub(super) async fn apply(
    writer: &Writer<'_>,
    applied: &mut Applied,
    workload: &Workload,
    prerequisites: Prerequisites,
    acceptance: Acceptance,
) {
    let name = names::stateful_set(&writer.server.name_any());
    // Before anything is applied: an apply removes fields of others that are still ours after a create.
    if !saved::finish(writer, applied).await {
        return;
    }
    let written = match workload {
        Workload::Await => return,
        workload if !prerequisites.allow(workload) => Ok(Written::without(Outcome::Skipped)),
        workload => match saved::waiting(applied) {
            Some(waiting) => Ok(Written::without(waiting)),
            None => write(writer, applied, &name, workload, acceptance).await,
        },
    };
    let written = written.unwrap_or_else(Written::from);
    let is_written = matches!(workload, Workload::Run { .. })
        && written.outcome.is_done()
        && !matches!(written.outcome, Outcome::Recreating(_));
    let is_refused = matches!(written.outcome, Outcome::Failed(_));
    let before = applied.stateful_set.clone();
    applied.stateful_set = record(applied, name.clone(), written, before);
    let is_held = matches!(workload, Workload::Hold { replicas } if *replicas > 0);
    if is_refused && !is_held && writer.server.spec.desired_replicas() == 0 {
        stop(writer, applied, &name).await;
    }
    if is_written {
        saved::forget(writer, applied).await;
        pod::replace_stuck(writer, applied).await;
    }
}

async fn write(
    writer: &Writer<'_>,
    applied: &Applied,
    name: &str,
    workload: &Workload,
    acceptance: Acceptance,
) -> Result<Written<StatefulSet>, Error> {
    match (workload, acceptance) {
        (Workload::Run { .. }, Acceptance::Refused(refused)) => Err(refused),
        (Workload::Run { stateful_set, .. }, acceptance) => {
            let is_accepted = matches!(acceptance, Acceptance::Accepted);
            run(writer, applied, name, stateful_set, is_accepted).await
        }
        (Workload::Hold { replicas }, _) => scale(writer, applied, name, *replicas).await,
        (Workload::Await, _) => Ok(Written::without(Outcome::Unchanged)),
    }
}

async fn run(
    writer: &Writer<'_>,
    applied: &Applied,
    name: &str,
    desired: &StatefulSet,
    is_accepted: bool,
) -> Result<Written<StatefulSet>, Error> {
    if let Some(saved) = saved::standing_in(applied)? {
        return saved::create(writer, name, &saved, &stamped(desired)?).await;
    }
    let Some(live) = applied.stateful_set.found() else {
        return Ok(writer.child(name, desired).await);
    };
    if !claim_templates::templates_differ(live, desired)? {
        return update(writer, name, live, desired, is_accepted).await;
    }
    if is_recreated_for(live, writer, desired) {
        return with_live_templates(writer, name, live, desired, is_accepted).await;
    }
    let config_map = applied.config_map.found().ok_or(Error::Raced)?;
    replace(writer, name, config_map, desired).await
}

/// Brings a StatefulSet to its desired state, if the API server accepts the pod that this makes.
///
/// The pod is one without the fields that the apply takes over (`managed_fields.rs`).
async fn update(
    writer: &Writer<'_>,
    name: &str,
    cached: &Arc<StatefulSet>,
    desired: &StatefulSet,
    is_accepted: bool,
) -> Result<Written<StatefulSet>, Error> {
    let (cached, fields) = (Live::cached(cached)?, stamped(desired)?);
    if writer.is_current(&cached, &fields) {
        return Ok(writer.current(name, cached));
    }
    let is_written = writer.check(&cached).is_ok() && writer.advised(name, &cached, &fields).is_none();
    if is_accepted || !is_written {
        return Ok(writer.child(name, desired).await);
    }
    let live = writer.read::<StatefulSet>(name).await?.ok_or(Error::Raced)?;
    let merged = predict::after_apply(writer, &live, &fields, Reach::Copies);
    match pod_check::check(writer, &live, &merged).await {
        Err(refused) if refused.is_invalid() => {
            if live.taken_over(writer.server, &fields, Reach::Everyone).is_none() {
                return Err(refused);
            }
            let merged = predict::after_apply(writer, &live, &fields, Reach::Everyone);
            pod_check::check(writer, &live, &merged).await?;
        }
        checked => checked?,
    }
    writer.update(name, live, &fields).await
}

/// Whether a StatefulSet was re-created for these claim templates already. If it does not have them, the API server changes them at
/// each create, and to create it again does not help. An annotation shows it, so this holds after a restart of the operator.
fn is_recreated_for(live: &StatefulSet, writer: &Writer<'_>, desired: &StatefulSet) -> bool {
    let sizes = live.annotations().get(names::RECREATED_FOR_ANNOTATION);
    sizes.is_some_and(|sizes| *sizes == volumes::template_sizes(writer.server, desired))
}

fn templates(stateful_set: &StatefulSet) -> Result<Value, Error> {
    let spec = stateful_set.spec.as_ref();
    let templates = serde_json::to_value(spec.and_then(|spec| spec.volume_claim_templates.as_ref()))?;
    Ok(json!({"spec": {"volumeClaimTemplates": templates}}))
}

/// Applies everything but the claim templates.
async fn with_live_templates(
    writer: &Writer<'_>,
    name: &str,
    live: &Arc<StatefulSet>,
    desired: &StatefulSet,
    is_accepted: bool,
) -> Result<Written<StatefulSet>, Error> {
    let differences = compare::differences(&templates(live)?, &templates(desired)?);
    let mut kept = desired.clone();
    if let (Some(kept), Some(live)) = (&mut kept.spec, &live.spec) {
        kept.volume_claim_templates
            .clone_from(&live.volume_claim_templates);
    }
    let written = update(writer, name, live, &kept, is_accepted).await?;
    Ok(match written.outcome {
        Outcome::Unchanged => Written {
            outcome: child::overridden_at_create(&differences, name),
            ..written
        },
        _ => written,
    })
}

/// Begins to re-create a StatefulSet with other claim templates.
pub(super) async fn replace(
    writer: &Writer<'_>,
    name: &str,
    config_map: &ConfigMap,
    desired: &StatefulSet,
) -> Result<Written<StatefulSet>, Error> {
    let desired = &stamped(desired)?;
    let object = writer
        .send::<StatefulSet>(name, Write::Recreate { config_map, desired })
        .await?;
    let outcome = match &object {
        // A dry run.
        Some(after) if after.metadata.deletion_timestamp.is_none() => Outcome::Updated,
        deleted => saved::recreating(name, deleted.as_deref()),
    };
    Ok(Written { outcome, object })
}

/// Stops a server whose StatefulSet is refused: a refusal must not keep its pod running.
async fn stop(writer: &Writer<'_>, applied: &mut Applied, name: &str) {
    let stopped = scale(writer, applied, name, 0).await;
    if let Some(stopped) = stopped.ok().and_then(|stopped| stopped.object) {
        applied.stateful_set = Read::Found(stopped);
    }
}

/// Sets the number of replicas and nothing else: the pod template must stay.
async fn scale(
    writer: &Writer<'_>,
    applied: &Applied,
    name: &str,
    replicas: i32,
) -> Result<Written<StatefulSet>, Error> {
    if let Some(mut saved) = saved::standing_in(applied)? {
        saved.fields["spec"]["replicas"] = json!(replicas);
        return saved::create(writer, name, &saved, &saved.fields).await;
    }
    let Some(live) = applied.stateful_set.found() else {
        return Ok(Written::without(Outcome::Unchanged));
    };
    let live = Live::cached(live)?;
    writer.check(&live)?;
    if live.object.spec.as_ref().and_then(|spec| spec.replicas) == Some(replicas) {
        return Ok(Written::of(Outcome::Unchanged, live.object));
    }
    let write = Write::Patch {
        verb: "scale",
        body: json!({"metadata": {"uid": live.meta().uid}, "spec": {"replicas": replicas}}),
        preview: Preview::Object(&live),
    };
    let object = writer.send(name, write).await?;
    Ok(Written {
        outcome: Outcome::Updated,
        object,
    })
}
