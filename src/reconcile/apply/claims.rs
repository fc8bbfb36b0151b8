//! The volume claims: their size, the labels of their server, and an annotation on the claim `controlplane` that says where its
//! server keeps its control-plane data.
//!
//! A StatefulSet finds its claims by name, so one that was restored from a backup may lack the labels that the StatefulSet
//! controller gives to those that it creates. With the labels it is watched, and counts for volume expansion, retention and
//! reports like any other.
//!
//! The volume outlives server and StatefulSet. So only an annotation on it tells a later server of the same name whether the file
//! on it is the data, or is not used (`data_home.rs`). It follows the live StatefulSet.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt;
use serde_json::{Value, json};

use super::live::Child;
use super::writer::{Preview, Write, Writer};
use super::{Applied, Outcome, Step};
use crate::api::names;
use crate::cluster::cache::Lookup;
use crate::domain::observed::Observed;
use crate::domain::ownership::{Owner, owner};
use crate::domain::volumes::Expansion;
use crate::domain::{data_home, volumes};
use crate::reconcile::context::Context;
use crate::reconcile::observe::claim_request;

impl Child for PersistentVolumeClaim {
    const KIND: &'static str = "PersistentVolumeClaim";

    fn lookup(context: &Context, namespace: &str, name: &str) -> Lookup<Self> {
        context.caches.claims.get(namespace, name)
    }

    fn remember(self, context: &Context) {
        context.caches.claims.wrote(self);
    }
}

/// Asks for larger claims.
pub(super) async fn expand(writer: &Writer<'_>, applied: &mut Applied, expansions: &[Expansion]) {
    for expansion in expansions {
        let Expansion::Request { claim, size } = expansion else {
            continue;
        };
        let write = Write::Patch {
            verb: "expand",
            body: claim_request(claim, size),
            preview: Preview::Words(expansion_text(claim, size)),
        };
        send(writer, applied, claim, write).await;
    }
}

fn expansion_text(claim: &PersistentVolumeClaim, size: &str) -> String {
    let asked = claim.spec.as_ref().and_then(|spec| spec.resources.as_ref());
    let asked = asked.and_then(|resources| resources.requests.as_ref()?.get(volumes::STORAGE));
    let asked = asked.map_or("?", |quantity| quantity.0.as_str());
    format!(
        "would grow from {asked} to {size}; the claim template of the StatefulSet follows, and its pod keeps running"
    )
}

/// Labels and annotates the claims of a StatefulSet of ours, where labels or annotation are missing or wrong.
pub(super) async fn label(writer: &Writer<'_>, applied: &mut Applied, observed: &Observed) {
    let Some(live) = applied.stateful_set.found().cloned() else {
        return;
    };
    if !matches!(owner(&live.metadata, writer.server), Owner::Us | Owner::Orphan) {
        return;
    }
    for (volume, _) in volumes::volumes(&writer.server.spec.storage) {
        let name = names::claim(volume, &writer.server.name_any());
        let Some(claim) = find(writer, observed, &name) else {
            continue;
        };
        let Some(mut metadata) = missing(writer, &live, &claim, volume) else {
            continue;
        };
        metadata["uid"] = json!(claim.metadata.uid);
        let write = Write::Patch {
            verb: "label",
            body: json!({"metadata": metadata}),
            preview: Preview::Words("would get the labels and annotations of its server".into()),
        };
        send(writer, applied, &claim, write).await;
    }
}

async fn send(
    writer: &Writer<'_>,
    applied: &mut Applied,
    claim: &PersistentVolumeClaim,
    write: Write<'_, PersistentVolumeClaim>,
) {
    let name = claim.name_any();
    let outcome = match writer.send(&name, write).await {
        Ok(_) => Outcome::Updated,
        Err(error) => error.into(),
    };
    applied.steps.push(Step {
        kind: PersistentVolumeClaim::KIND,
        name,
        outcome,
    });
}

/// The claim as it is now: as this reconcile has written it, or as it was observed.
fn find(writer: &Writer<'_>, observed: &Observed, name: &str) -> Option<Arc<PersistentVolumeClaim>> {
    let claim = match writer.context.caches.claims.get(writer.namespace(), name) {
        Lookup::Found(claim) => Some(claim),
        Lookup::Missing | Lookup::Unknown(_) => {
            let mut claims = observed.claims.found()?.iter();
            claims.find(|claim| claim.name_any() == name).cloned()
        }
    };
    claim.filter(|claim| claim.metadata.deletion_timestamp.is_none())
}

/// The metadata that is missing or wrong; `None` if none is.
fn missing(
    writer: &Writer<'_>,
    live: &StatefulSet,
    claim: &PersistentVolumeClaim,
    volume: &str,
) -> Option<Value> {
    let mut metadata = json!({});
    let labels: BTreeMap<String, String> = names::selector_labels(&writer.server.name_any());
    let has = |key: &String| claim.labels().get(key);
    // A claim with the labels of another server is left as it is.
    let contradicts = labels
        .iter()
        .any(|(key, value)| has(key).is_some_and(|other| other != value));
    if !contradicts && labels.keys().any(|key| has(key).is_none()) {
        metadata["labels"] = json!(labels);
    }
    let mark = data_home::annotation_for(writer.server, live, claim);
    if volume == names::CONTROL_PLANE_VOLUME && data_home::annotation_of(claim) != mark {
        metadata["annotations"] = json!({names::CONTROL_PLANE_DATABASE_ANNOTATION: mark});
    }
    (metadata != json!({})).then_some(metadata)
}
