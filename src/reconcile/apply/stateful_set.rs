//! The StatefulSet.

pub(super) mod recreate;

use std::sync::Arc;

use k8s_openapi::api::apps::v1::StatefulSet;
use kube::ResourceExt;
use serde_json::json;

use super::child::{Child, Live, Written, stamped};
use super::error::Error;
use super::prerequisites::Prerequisites;
use super::writer::{Preview, Write, Writer};
use super::{Applied, Outcome, pod, record};
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

/// Writes the StatefulSet. `refused` is why the API server does not accept it, if it was asked already.
pub(super) async fn apply(
    writer: &Writer<'_>,
    applied: &mut Applied,
    workload: &Workload,
    prerequisites: Prerequisites,
    refused: Option<Error>,
) {
    let name = names::stateful_set(&writer.server.name_any());
    let before = applied.stateful_set.clone();
    let written = match workload {
        Workload::Await => return,
        workload if !prerequisites.allow(workload) => Written::without(Outcome::Skipped),
        Workload::Run { stateful_set, .. } => match (refused, before.found()) {
            (Some(refused), _) => refused.into(),
            (None, live) => run(writer, &name, live, stateful_set).await,
        },
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

async fn run(
    writer: &Writer<'_>,
    name: &str,
    live: Option<&Arc<StatefulSet>>,
    desired: &StatefulSet,
) -> Written<StatefulSet> {
    let has_other_templates =
        live.is_some_and(|live| matches!(recreate::templates_differ(live, desired), Ok(true)));
    if has_other_templates {
        replace(writer, name, desired).await.unwrap_or_else(Written::from)
    } else {
        writer.child(name, desired).await
    }
}

/// Gives a StatefulSet other claim templates.
pub(super) async fn replace(
    writer: &Writer<'_>,
    name: &str,
    desired: &StatefulSet,
) -> Result<Written<StatefulSet>, Error> {
    let desired = stamped(desired)?;
    let object = writer.send(name, Write::Recreate { desired: &desired }).await?;
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
