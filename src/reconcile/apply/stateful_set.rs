//! The StatefulSet.

pub(super) mod pod_check;
pub(super) mod recreate;

use std::sync::Arc;
use std::time::Instant;

use k8s_openapi::api::apps::v1::StatefulSet;
use kube::ResourceExt;
use serde_json::{Value, json};

use super::child::{self, stamped};
use super::drift::{self, Advice};
use super::dry_run::overlaid;
use super::error::Error;
use super::live::{Child, Live, Written};
use super::prerequisites::Prerequisites;
use super::writer::{Preview, Write, Writer};
use super::{Applied, Outcome, compare, pod, record};
use crate::api::names;
use crate::cluster::cache::Lookup;
use crate::domain::desired::Workload;
use crate::domain::observed::Read;
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
    /// Nothing was asked.
    Unasked,
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
    let before = applied.stateful_set.clone();
    let written = match workload {
        Workload::Await => return,
        workload if !prerequisites.allow(workload) => Written::without(Outcome::Skipped),
        Workload::Run { stateful_set, .. } => {
            let accepted = accepted(writer, &name, before.found(), stateful_set, acceptance).await;
            match accepted {
                Ok(()) => run(writer, &name, before.found(), stateful_set).await,
                Err(refused) => refused.into(),
            }
        }
        Workload::Hold { replicas } => scale(writer, &name, before.found(), *replicas).await,
    };
    let is_written = matches!(workload, Workload::Run { .. }) && written.outcome.is_done();
    let is_refused = matches!(written.outcome, Outcome::Failed(_));
    applied.stateful_set = record(applied, name, written, before);
    if is_refused && writer.server.spec.desired_replicas() == 0 {
        stop(writer, applied).await;
    }
    if is_written {
        pod::replace_stuck(writer, applied).await;
    }
}

/// Asks about the pod before a rollout, if that was not done with the configuration.
async fn accepted(
    writer: &Writer<'_>,
    name: &str,
    live: Option<&Arc<StatefulSet>>,
    desired: &StatefulSet,
    acceptance: Acceptance,
) -> Result<(), Error> {
    let live = match (acceptance, live) {
        (Acceptance::Refused(refused), _) => return Err(refused),
        (Acceptance::Accepted, _) | (Acceptance::Unasked, None) => return Ok(()),
        (Acceptance::Unasked, Some(live)) => Live::cached(live)?,
    };
    let desired = stamped(desired)?;
    let is_written = writer.check(&live).is_ok()
        && !writer.is_current(&live, &desired)
        && writer.advised(name, &live, &desired).is_none();
    if !is_written {
        return Ok(());
    }
    match pod_check::check(writer, &live, &overlaid(&live.fields, &desired)).await {
        Err(refused) if refused.is_invalid() => writer.ask_after_takeover(name, &desired, refused).await,
        checked => checked,
    }
}

async fn run(
    writer: &Writer<'_>,
    name: &str,
    live: Option<&Arc<StatefulSet>>,
    desired: &StatefulSet,
) -> Written<StatefulSet> {
    let has_other_templates =
        live.filter(|live| matches!(recreate::templates_differ(live, desired), Ok(true)));
    let Some(live) = has_other_templates else {
        return writer.child(name, desired).await;
    };
    match overridden_templates(writer, name, live, desired) {
        Ok(Some(outcome)) => with_live_templates(writer, name, live, desired, outcome).await,
        Ok(None) => replace(writer, name, desired).await.unwrap_or_else(Written::from),
        Err(error) => error.into(),
    }
}

/// The key under which the claim templates are remembered: they are compared apart from the rest.
fn templates_key(writer: &Writer<'_>, name: &str) -> drift::Key {
    ("claim templates", writer.namespace().to_owned(), name.to_owned())
}

fn templates(stateful_set: &StatefulSet) -> Result<Value, Error> {
    let spec = stateful_set.spec.as_ref();
    let templates = serde_json::to_value(spec.and_then(|spec| spec.volume_claim_templates.as_ref()))?;
    Ok(json!({"spec": {"volumeClaimTemplates": templates}}))
}

/// The outcome for claim templates that the API server changes at each create: to create the StatefulSet again does not help.
fn overridden_templates(
    writer: &Writer<'_>,
    name: &str,
    live: &StatefulSet,
    desired: &StatefulSet,
) -> Result<Option<Outcome>, Error> {
    let (live, desired) = (templates(live)?, templates(desired)?);
    let differences = compare::differences(&live, &desired);
    let key = templates_key(writer, name);
    let advice = writer
        .context
        .drifts
        .advice(&key, None, &desired.to_string(), &differences, Instant::now());
    Ok((advice == Advice::Overridden).then(|| child::overridden(&differences)))
}

/// Applies everything but the claim templates.
async fn with_live_templates(
    writer: &Writer<'_>,
    name: &str,
    live: &StatefulSet,
    desired: &StatefulSet,
    overridden: Outcome,
) -> Written<StatefulSet> {
    let mut desired = desired.clone();
    if let (Some(desired), Some(live)) = (&mut desired.spec, &live.spec) {
        desired
            .volume_claim_templates
            .clone_from(&live.volume_claim_templates);
    }
    let written = writer.child(name, &desired).await;
    match written.outcome {
        Outcome::Unchanged => Written {
            outcome: overridden,
            ..written
        },
        _ => written,
    }
}

/// Gives a StatefulSet other claim templates.
pub(super) async fn replace(
    writer: &Writer<'_>,
    name: &str,
    desired: &StatefulSet,
) -> Result<Written<StatefulSet>, Error> {
    let body = stamped(desired)?;
    let object = writer.send(name, Write::Recreate { desired: &body }).await?;
    if let Some(created) = &object {
        let (live, desired) = (templates(created)?, templates(desired)?);
        let write = drift::Write {
            key: templates_key(writer, name),
            uid: None,
            asked: &desired.to_string(),
            before: Vec::new(),
            had_hash: false,
            after: compare::differences(&live, &desired),
        };
        writer.context.drifts.wrote(write, Instant::now());
    }
    Ok(Written {
        outcome: Outcome::Updated,
        object,
    })
}

/// Stops a server whose StatefulSet is refused: a refusal must not keep its pod running.
async fn stop(writer: &Writer<'_>, applied: &mut Applied) {
    let name = names::stateful_set(&writer.server.name_any());
    let live = applied.stateful_set.found().cloned();
    let stopped = scale(writer, &name, live.as_ref(), 0).await;
    if let Some(stopped) = stopped.object {
        applied.stateful_set = Read::Found(stopped);
    }
}

/// Sets the number of replicas and nothing else: the pod template must stay.
async fn scale(
    writer: &Writer<'_>,
    name: &str,
    live: Option<&Arc<StatefulSet>>,
    replicas: i32,
) -> Written<StatefulSet> {
    let Some(live) = live else {
        return Written::without(Outcome::Unchanged);
    };
    let scaled = try_scale(writer, name, live, replicas).await;
    scaled.unwrap_or_else(Written::from)
}

async fn try_scale(
    writer: &Writer<'_>,
    name: &str,
    live: &Arc<StatefulSet>,
    replicas: i32,
) -> Result<Written<StatefulSet>, Error> {
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
