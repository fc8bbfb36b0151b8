//! What the API server would store of a manifest: with its defaults, its rules, and what others have set. By dry runs.
//!
//! The manifest is laid over the stored object as its author does: by server-side apply where somebody applies the spec
//! so (Argo CD, Flux, Helm), else as `kubectl apply` does, with what an earlier manifest had and this one lacks taken out.
//! As there, a field that does not exist is an error.

use std::path::PathBuf;
use std::sync::Arc;

use http::Uri;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::Request;
use kube::{Resource, ResourceExt};
use serde_json::{Value, json};

use crate::api::DittoServer;
use crate::api::names::FIELD_MANAGER;
use crate::plugin::cluster::{self, Cluster, failed};
use crate::plugin::render;
use crate::plugin::render::input::{self, Document};
use crate::plugin::{Error, stored};
use crate::reconcile::apply::predict::merge_patch;

/// Annotation in which `kubectl apply` keeps the last manifest.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Manager of a dry run that nobody has done before.
const NEW_MANAGER: &str = "kubectl-dittofs";
/// What `kubectl apply` asks for as well: a field that does not exist is refused, where the API server would drop it.
const STRICT: &str = "fieldValidation=Strict";

/// The DittoServers of the files, each as it would be stored.
pub(super) async fn servers(cluster: &Cluster, files: &[PathBuf]) -> Result<Vec<Arc<DittoServer>>, Error> {
    let kind = DittoServer::kind(&());
    let mut servers = Vec::new();
    for document in input::read(files)?
        .into_iter()
        .filter(|document| document.is(&kind))
    {
        servers.push(Arc::new(stored(cluster, document).await?));
    }
    if servers.is_empty() {
        return Err(render::Error::NoServer.into());
    }
    Ok(servers)
}

async fn stored(cluster: &Cluster, document: Document) -> Result<DittoServer, Error> {
    let (file, title) = (document.file.clone(), document.title());
    let what = format!("{file}: a dry run of {title}");
    let mut manifest = document.value;
    let Some(metadata) = manifest["metadata"].as_object_mut() else {
        let detail = format!("{title}: metadata must be an object with a name");
        return Err(render::Error::Parse { input: file, detail }.into());
    };
    let text = |field: &str| metadata.get(field).and_then(Value::as_str).map(str::to_owned);
    let name = text("name").unwrap_or_default();
    let namespace = text("namespace").unwrap_or_else(|| cluster.namespace.clone());
    metadata.insert("namespace".into(), namespace.clone().into());
    let api = cluster::servers(&cluster.client, Some(&namespace));
    let call = |error: kube::Error| failed(&what, &error);
    let written = match api.get_opt(&name).await.map_err(call)? {
        Some(live) => laid_over(&api, &live, manifest).await,
        None => created(cluster, &api, &manifest).await,
    };
    stored::parsed(&written.map_err(call)?).map_err(|error| {
        let detail = format!("{title} does not parse: {error}");
        render::Error::Parse { input: file, detail }.into()
    })
}

/// By the request itself, since kube's `create` cannot ask for strict validation.
async fn created(
    cluster: &Cluster,
    api: &Api<DynamicObject>,
    manifest: &Value,
) -> kube::Result<DynamicObject> {
    let params = PostParams {
        dry_run: true,
        field_manager: Some(NEW_MANAGER.into()),
    };
    let body = serde_json::to_vec(manifest).map_err(kube::Error::SerdeError)?;
    let mut request = Request::new(api.resource_url())
        .create(&params, body)
        .map_err(kube::Error::BuildRequest)?;
    let strict: Uri = format!("{}&{STRICT}", request.uri())
        .parse()
        .map_err(|error: http::uri::InvalidUri| kube::Error::HttpError(error.into()))?;
    *request.uri_mut() = strict;
    cluster.client.request(request).await
}

async fn laid_over(
    api: &Api<DynamicObject>,
    live: &DynamicObject,
    manifest: Value,
) -> kube::Result<DynamicObject> {
    let name = live.name_any();
    if let Some(manager) = applier(live) {
        let params = PatchParams {
            dry_run: true,
            ..PatchParams::apply(&manager).force()
        };
        return api
            .patch(&name, &params.validation_strict(), &Patch::Apply(&manifest))
            .await;
    }
    let params = PatchParams {
        dry_run: true,
        field_manager: Some(NEW_MANAGER.into()),
        ..PatchParams::default()
    };
    let patch = merge_patch::between(&last_applied(live), &annotated(manifest));
    api.patch(&name, &params.validation_strict(), &Patch::Merge(&patch))
        .await
}

/// Who applies the spec of a stored server by server-side apply.
fn applier(live: &DynamicObject) -> Option<String> {
    let entries = live.managed_fields().iter();
    let mut appliers = entries.filter(|entry| {
        let fields = entry.fields_v1.as_ref();
        entry.operation.as_deref() == Some("Apply")
            && entry.manager.as_deref() != Some(FIELD_MANAGER)
            && fields.is_some_and(|fields| fields.0.get("f:spec").is_some())
    });
    appliers.next()?.manager.clone()
}

fn last_applied(live: &DynamicObject) -> Value {
    let text = live.annotations().get(LAST_APPLIED);
    text.and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or(Value::Null)
}

/// The manifest as `kubectl apply` would write it. It always has annotations, for it gets one, in which it is kept; so those of
/// others stay if it has none of its own.
fn annotated(mut manifest: Value) -> Value {
    let annotations = &mut manifest["metadata"]["annotations"];
    if annotations.is_null() {
        *annotations = json!({});
    }
    manifest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_last_manifest_had_and_this_one_lacks_is_taken_out() {
        let old = json!({"spec": {"image": "a", "service": {"annotations": {"x": "1", "y": "2"}}, "metrics": {"enabled": true}}});
        let new = json!({"spec": {"image": "b", "service": {"annotations": {"y": "2"}}, "replicas": 0}});
        let patch = json!({"spec": {
            "image": "b",
            "service": {"annotations": {"x": null, "y": "2"}},
            "metrics": null,
            "replicas": 0,
        }});
        assert_eq!(merge_patch::between(&old, &new), patch);
    }
}
