//! Asks the API server whether it would expand a claim.
//!
//! Only while a claim is smaller than the spec. The StorageClass says whether its volumes can be expanded; it may be unreadable,
//! because it is not in the namespace. A dry run shows what quotas, limits, webhooks and permissions allow, and changes nothing. So an
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

/// The answers, by the name of the claim.
pub(super) async fn answers(
    client: &Client,
    server: &DittoServer,
    claims: &Read<Vec<Arc<PersistentVolumeClaim>>>,
) -> BTreeMap<String, ExpansionAnswer> {
    let mut answers = BTreeMap::new();
    for (claim, size) in volumes::to_expand(server, claims) {
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

/// Whether the StorageClass is known not to allow expansion.
async fn is_fixed(client: &Client, name: &str) -> bool {
    let classes = Api::<StorageClass>::all(client.clone());
    match classes.get_opt(name).await {
        Ok(class) => class.is_some_and(|class| class.allow_volume_expansion != Some(true)),
        Err(error) => {
            tracing::info!(
                error = %errors::explain(&error),
                name,
                "the StorageClass cannot be read; using a dry run"
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
            tracing::debug!(%error, "the API server did not answer whether a claim may be expanded");
            ExpansionAnswer::Unread
        }
    }
}

/// The patch that expands a claim. It contains the UID, so that it does not change another claim of the same name.
pub(crate) fn request(claim: &PersistentVolumeClaim, size: &str) -> Value {
    json!({
        "metadata": {"uid": claim.metadata.uid},
        "spec": {"resources": {"requests": {STORAGE: size}}},
    })
}
