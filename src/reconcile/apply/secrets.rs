//! The managed Secrets: those that are created, and changes of those that exist (a new signing key, an owner reference that is
//! removed, a copied predecessor that is deleted).
//!
//! Each change is one guarded call. A new key and the note of the request that it answers are written together. So if the
//! operator is killed, both are written or neither, and no request is answered twice.

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::ObjectMeta;
use serde_json::{Value, json};

use super::error::Error;
use super::live::Child;
use super::writer::{Preview, Write, Writer};
use super::{Applied, Outcome, Step};
use crate::api::names;
use crate::cluster::cache::{Lookup, WatchState};
use crate::cluster::client::params::delete_unchanged;
use crate::domain::applied::{FailureClass, WriteFailure};
use crate::domain::desired::{SecretAction, SecretChange};
use crate::reconcile::context::Context;

impl Child for Secret {
    const KIND: &'static str = "Secret";
    const IS_CONFIDENTIAL: bool = true;

    /// Only the metadata of Secrets is watched.
    fn lookup(_: &Context, _: &str, _: &str) -> Lookup<Self> {
        Lookup::Unknown(WatchState::Starting)
    }

    fn remember(self, context: &Context) {
        context.secrets.wrote(&self);
    }
}

/// Creates and changes the Secrets.
pub(super) async fn apply(
    writer: &Writer<'_>,
    applied: &mut Applied,
    missing: &[Secret],
    changes: &[SecretChange],
    not_generated: &[String],
) {
    for secret in missing {
        let outcome = create(writer, secret).await.unwrap_or_else(Outcome::from);
        push(applied, secret.name_any(), outcome);
    }
    for change in changes {
        if change.is_impossible() {
            push(applied, change.name.clone(), immutable(change));
            continue;
        }
        let outcome = write(writer, change).await.unwrap_or_else(Outcome::from);
        push(applied, change.name.clone(), outcome);
    }
    for name in not_generated {
        push(applied, name.clone(), Outcome::NotGenerated);
    }
}

/// A Secret is never deleted to give it another value: data may depend on the present one.
fn immutable(change: &SecretChange) -> Outcome {
    let name = &change.name;
    let rotate = names::ROTATE_SECRETS_ANNOTATION;
    Outcome::Failed(WriteFailure {
        verb: None,
        text: format!(
            "Secret {name} is immutable, so it cannot get the new value, and the operator never deletes it. To get a new value, save the Secret and delete it: kubectl delete secret {name}. To keep the value, remove the annotation {rotate} from the DittoServer"
        ),
        class: FailureClass::Invalid,
    })
}

fn push(applied: &mut Applied, name: String, outcome: Outcome) {
    applied.steps.push(Step {
        kind: Secret::KIND,
        name,
        outcome,
    });
}

/// One that exists by now is never overwritten: the next reconcile reads it.
async fn create(writer: &Writer<'_>, secret: &Secret) -> Result<Outcome, Error> {
    let desired = serde_json::to_value(secret)?;
    let write = Write::Create { desired: &desired };
    writer.send::<Secret>(&secret.name_any(), write).await?;
    Ok(Outcome::Created)
}

async fn write(writer: &Writer<'_>, change: &SecretChange) -> Result<Outcome, Error> {
    let (write, outcome) = match &change.action {
        SecretAction::Delete => return delete(writer, change).await,
        SecretAction::Patch {
            rotated_for: Some(_), ..
        } => (patch(change), Outcome::Rotated),
        SecretAction::Patch { .. } => (patch(change), Outcome::Updated),
    };
    writer.send::<Secret>(&change.name, write).await?;
    Ok(outcome)
}

fn patch(change: &SecretChange) -> Write<'static, Secret> {
    Write::Patch {
        verb: "update",
        body: body(change),
        preview: Preview::Words(preview(change)),
    }
}

fn preview(change: &SecretChange) -> String {
    match &change.action {
        SecretAction::Patch { data, .. } if !data.is_empty() => {
            let keys: Vec<&str> = data.keys().map(String::as_str).collect();
            format!("would get new values of: {}", keys.join(", "))
        }
        _ => "would get other labels or owners; its values are kept".into(),
    }
}

/// The merge patch. UID and version are its preconditions.
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

async fn delete(writer: &Writer<'_>, change: &SecretChange) -> Result<Outcome, Error> {
    let params = delete_unchanged(&ObjectMeta {
        uid: change.uid.clone(),
        resource_version: change.resource_version.clone(),
        ..ObjectMeta::default()
    });
    match writer
        .send::<Secret>(&change.name, Write::Delete { params: &params })
        .await
    {
        Ok(_) => Ok(Outcome::Deleted),
        Err(error) if error.code() == Some(404) => Ok(Outcome::Unchanged),
        Err(error) => Err(error),
    }
}
