//! Asks the API server whether a claim may be expanded.
//!
//! Only while a claim is smaller than the spec. The StorageClass says whether its volumes can be expanded; it is cluster-scoped, so
//! the operator may lack the right to read it. The dry run checks quotas, limits, webhooks and permissions and changes nothing: an
//! expansion that is refused costs no write, however often the server is reconciled.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

use crate::api::DittoServer;
use crate::api::names::FIELD_MANAGER;
use crate::cluster::client::errors;
use crate::domain::observed::ExpansionAnswer;
use crate::domain::observed::Read;
use crate::domain::volumes::{self, STORAGE};

/// The answers, by name of the claim.
pub(super) async fn answers(
    client: &Client,
    server: &DittoServer,
    claims: &Read<Vec<Arc<PersistentVolumeClaim>>>,
) -> BTreeMap<String, ExpansionAnswer> {
    let mut answers = BTreeMap::new();
    for (claim, size) in volumes::questions(server, claims) {
        let class = claim
            .spec
            .as_ref()
            .and_then(|spec| spec.storage_class_name.as_deref());
        let answer = match class {
            Some(class) if is_fixed(client, class).await => ExpansionAnswer::Fixed(class.to_owned()),
            _ => ask(client, &claim, &size).await,
        };
        answers.insert(claim.name_any(), answer);
    }
    answers
}

/// Whether the class certainly does not support volume expansion.
async fn is_fixed(client: &Client, name: &str) -> bool {
    let classes = Api::<StorageClass>::all(client.clone());
    match classes.get_opt(name).await {
        Ok(class) => class.is_some_and(|class| class.allow_volume_expansion != Some(true)),
        Err(error) => {
            tracing::info!(
                error = %errors::explain(&error),
                name,
                "cannot read the StorageClass; trying a dry run instead"
            );
            false
        }
    }
}

async fn ask(client: &Client, claim: &PersistentVolumeClaim, size: &str) -> ExpansionAnswer {
    let claims =
        Api::<PersistentVolumeClaim>::namespaced(client.clone(), &claim.namespace().unwrap_or_default());
    let params = PatchParams {
        dry_run: true,
        field_manager: Some(FIELD_MANAGER.into()),
        ..PatchParams::default()
    };
    let patch = Patch::Merge(request(claim, size));
    match claims.patch(&claim.name_any(), &params, &patch).await {
        Ok(_) => ExpansionAnswer::Allowed,
        Err(kube::Error::Api(status)) if matches!(status.code, 400 | 403 | 422) => {
            ExpansionAnswer::Refused(status.message)
        }
        Err(error) => {
            tracing::debug!(%error, "cannot find out whether the claim may be expanded");
            ExpansionAnswer::Unread
        }
    }
}

/// The patch that expands a claim. It contains the UID, so that it never changes another claim of the same name.
pub(crate) fn request(claim: &PersistentVolumeClaim, size: &str) -> Value {
    json!({
        "metadata": {"uid": claim.metadata.uid},
        "spec": {"resources": {"requests": {STORAGE: size}}},
    })
}
