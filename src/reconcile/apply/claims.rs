//! What is written on volume claims beside their size: the labels of their server, and on the claim `controlplane` a mark that
//! says where its server keeps its control-plane data.
//!
//! A StatefulSet takes its claims by name, so one that was restored from a backup may lack the labels that its controller gives
//! to those that it makes. With them it is watched, and counts for growth, retention and reports like any other.
//!
//! The volume outlives server and StatefulSet, so only a mark on it tells a later server of the same name whether the file on it
//! is the data, or is of no account (`migration.rs`). It follows the live StatefulSet.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt;
use kube::api::Patch;
use serde_json::{Value, json};

use super::write::Writer;
use super::{Applied, Error, Outcome, Step};
use crate::api::names;
use crate::cluster::cache::Lookup;
use crate::cluster::client::params::patch_params;
use crate::domain::observed::Observed;
use crate::domain::ownership::{Owner, owner};
use crate::domain::{data_home, volumes};

/// Labels and marks the claims that a StatefulSet of ours has, where they are not labelled and marked as they should be.
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
        let Some(metadata) = missing(writer, &live, &claim, volume) else {
            continue;
        };
        let outcome = if writer.is_paused {
            Outcome::Withheld
        } else {
            patch(writer, &claim, metadata).await
        };
        applied.steps.push(Step {
            kind: "PersistentVolumeClaim",
            name,
            outcome,
        });
    }
}

/// The claim as it is now: as this pass has written it, or as it was observed.
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

/// What its metadata lacks, or has too much; `None` if nothing.
fn missing(
    writer: &Writer<'_>,
    live: &StatefulSet,
    claim: &PersistentVolumeClaim,
    volume: &str,
) -> Option<Value> {
    let mut metadata = json!({});
    let labels: BTreeMap<String, String> = names::selector_labels(&writer.server.name_any());
    let has = |key: &String| claim.labels().get(key);
    // One that says that it is somebody else's is left as it is.
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

async fn patch(writer: &Writer<'_>, claim: &PersistentVolumeClaim, mut metadata: Value) -> Outcome {
    metadata["uid"] = json!(claim.metadata.uid);
    let body = json!({"metadata": metadata});
    let api = writer.api::<PersistentVolumeClaim>();
    let params = patch_params();
    match api.patch(&claim.name_any(), &params, &Patch::Merge(&body)).await {
        Ok(marked) => {
            writer.context.caches.claims.wrote(marked);
            Outcome::Updated
        }
        Err(error) => Error::call("mark")(error).into(),
    }
}
