//! Changes of Secrets that exist: a new signing key, an owner reference that goes, a copied predecessor that goes.
//!
//! Each is one guarded call. A new key and the note of the request that it answers are written together, so a kill leaves
//! both or neither, and no request is answered twice.

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{ObjectMeta, Patch};
use serde_json::{Value, json};

use super::write::Writer;
use super::{Error, Outcome};
use crate::api::names;
use crate::cluster::client::params::{delete_unchanged, patch_params};
use crate::domain::desired::{SecretAction, SecretChange};

impl Writer<'_> {
    /// Makes one change.
    pub(super) async fn change_secret(&self, change: &SecretChange) -> Outcome {
        if self.is_paused {
            return Outcome::Withheld;
        }
        let api = self.api::<Secret>();
        match &change.action {
            SecretAction::Patch { rotated_for, .. } => {
                let is_rotation = rotated_for.is_some();
                self.patch_secret(&api, change, is_rotation).await
            }
            SecretAction::Delete => delete(&api, change).await,
        }
    }

    async fn patch_secret(&self, api: &Api<Secret>, change: &SecretChange, is_rotation: bool) -> Outcome {
        let params = patch_params();
        match api
            .patch(&change.name, &params, &Patch::Merge(body(change)))
            .await
        {
            Ok(patched) => {
                self.context.secrets.wrote(&patched);
                if is_rotation {
                    Outcome::Rotated
                } else {
                    Outcome::Updated
                }
            }
            Err(error) => failed("update", error),
        }
    }
}

/// The merge patch. UID and version are the guard.
fn body(change: &SecretChange) -> Value {
    let SecretAction::Patch {
        owner_references,
        labels,
        data,
        rotated_for,
    } = &change.action
    else {
        return Value::Null;
    };
    let mut body = json!({"metadata": {
        "uid": change.uid,
        "resourceVersion": change.resource_version,
        "labels": labels,
    }});
    if let Some(references) = owner_references {
        body["metadata"]["ownerReferences"] = json!(references);
    }
    if let Some(request) = rotated_for {
        body["metadata"]["annotations"] = json!({names::ROTATED_FOR_ANNOTATION: request});
    }
    if !data.is_empty() {
        body["data"] = json!(data);
    }
    body
}

async fn delete(api: &Api<Secret>, change: &SecretChange) -> Outcome {
    let seen = ObjectMeta {
        uid: change.uid.clone(),
        resource_version: change.resource_version.clone(),
        ..ObjectMeta::default()
    };
    match api.delete(&change.name, &delete_unchanged(&seen)).await {
        Ok(_) => Outcome::Deleted,
        Err(kube::Error::Api(status)) if status.code == 404 => Outcome::Unchanged,
        Err(error) => failed("delete", error),
    }
}

/// The API server's text is left out, since it may quote the object.
fn failed(verb: &'static str, error: kube::Error) -> Outcome {
    let (reason, code) = match error {
        kube::Error::Api(status) => (status.reason, status.code),
        _ => ("no answer".into(), 0),
    };
    Error::Secret { verb, reason, code }.into()
}
