//! The mark on the claim `controlplane`: does its server keep its control-plane data in PostgreSQL?
//!
//! The volume outlives server and StatefulSet, so only a mark on it tells a later server of the same name whether the file
//! on it is the data, or is of no account (`migration.rs`). It follows the live StatefulSet.

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt;
use kube::api::Patch;
use serde_json::{Value, json};

use super::write::Writer;
use super::{Applied, Error, Outcome, Step};
use crate::api::names;
use crate::cache::Lookedup;
use crate::context::patch_params;
use crate::migration;
use crate::ownership::{Owner, owner};
use crate::pod_template;

/// Sets or removes the mark, if the claim is there and has the wrong one.
pub(super) async fn mark(writer: &Writer<'_>, applied: &mut Applied) {
    let Some(live) = applied.stateful_set.found() else {
        return;
    };
    if !matches!(owner(&live.metadata, writer.server), Owner::Us | Owner::Orphan) {
        return;
    }
    let in_postgres = pod_template::uses_postgres(live);
    let name = names::claim(names::CONTROL_PLANE_VOLUME, &writer.server.name_any());
    let Lookedup::Found(claim) = writer.context.caches.claims.get(writer.namespace(), &name) else {
        return;
    };
    if migration::is_marked(&claim) == in_postgres || claim.metadata.deletion_timestamp.is_some() {
        return;
    }
    let outcome = if writer.is_paused {
        Outcome::Withheld
    } else {
        patch(writer, &claim, in_postgres).await
    };
    applied.steps.push(Step {
        kind: "PersistentVolumeClaim",
        name,
        outcome,
    });
}

async fn patch(writer: &Writer<'_>, claim: &PersistentVolumeClaim, in_postgres: bool) -> Outcome {
    let value = if in_postgres {
        json!(names::POSTGRES)
    } else {
        Value::Null
    };
    let body = json!({"metadata": {
        "uid": claim.metadata.uid,
        "annotations": {names::CONTROL_PLANE_DATABASE_ANNOTATION: value},
    }});
    let api = writer.api::<PersistentVolumeClaim>();
    let params = patch_params();
    match api.patch(&claim.name_any(), &params, &Patch::Merge(&body)).await {
        Ok(marked) => {
            writer.context.caches.claims.wrote(marked);
            Outcome::Updated
        }
        Err(error) => Outcome::Failed(Error::call("mark")(error)),
    }
}
