//! Asks the API server whether it would expand a claim.
//!
//! Only while a claim is smaller than the spec. The StorageClass says whether its volumes can be expanded; it is not in the namespace,
//! so the operator may lack the right to read it. A dry run shows what quotas, limits, webhooks and permissions allow, and changes
//! nothing. So an expansion that is refused costs no write, however often the server is reconciled.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::Patch;
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

use crate::api::DittoServer;
use crate::cluster::client::errors;
use crate::cluster::client::params::patch_dry_run;
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
        let class = match class {
            Some(name) => expansion(client, name).await,
            None => Expansion::Possible,
        };
        let answer = match class {
            Expansion::Unsupported(class) => ExpansionAnswer::Fixed(class),
            Expansion::Unread => ExpansionAnswer::Unread,
            Expansion::Possible => ask(client, &claim, &size).await,
        };
        answers.insert(claim.name_any(), answer);
    }
    answers
}

/// Whether a StorageClass supports volume expansion.
enum Expansion {
    /// The class of this name does not.
    Unsupported(String),
    /// It does, or the operator may not read it: then the dry run shows it.
    Possible,
    /// The API server did not answer.
    Unread,
}

async fn expansion(client: &Client, name: &str) -> Expansion {
    match Api::<StorageClass>::all(client.clone()).get_opt(name).await {
        Ok(Some(class)) if class.allow_volume_expansion != Some(true) => {
            Expansion::Unsupported(name.to_owned())
        }
        Ok(_) => Expansion::Possible,
        Err(error) => {
            let error_text = errors::explain(&error);
            tracing::info!(error = %error_text, name, "cannot read the StorageClass");
            match error {
                kube::Error::Api(status) if matches!(status.code, 401 | 403) => Expansion::Possible,
                _ => Expansion::Unread,
            }
        }
    }
}

async fn ask(client: &Client, claim: &PersistentVolumeClaim, size: &str) -> ExpansionAnswer {
    let claims =
        Api::<PersistentVolumeClaim>::namespaced(client.clone(), &claim.namespace().unwrap_or_default());
    let patch = Patch::Merge(request(claim, size));
    match claims.patch(&claim.name_any(), &patch_dry_run(), &patch).await {
        Ok(_) => ExpansionAnswer::Allowed,
        // Nothing has refused it. If something will, the write says so.
        Err(error) if errors::is_dry_run_unsupported(&error) => ExpansionAnswer::Allowed,
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
