//! Applies manifest files, as `kubectl apply --server-side` would.

use std::fs;
use std::path::{Path, PathBuf};

use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::{self, Scope};
use kube::{Client, ResourceExt};
use serde_json::Value;

use crate::definition;

/// Why a manifest could not be applied.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file is not YAML, or a document in it is not a Kubernetes object.
    #[error("{path}: {reason}", path = path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The API server refused an object.
    #[error("{path}: {object}: {source}", path = path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// Kind and name.
        object: String,
        /// What the API server said.
        source: Box<kube::Error>,
    },
    /// The kind that an object defines is not served.
    #[error(transparent)]
    Definition(#[from] definition::Error),
}

/// Applies the files in the given order, those of a directory by name. Field validation is strict, as
/// kubectl's is. A `CustomResourceDefinition` is waited for, so that its objects may follow.
/// Gives `kind/name` of every object.
///
/// # Errors
/// At the first file or object that fails; those before it are applied.
pub async fn apply_files(client: &Client, paths: &[PathBuf]) -> Result<Vec<String>, Error> {
    apply_changed(client, paths, |_| {}).await
}

/// As [`apply_files`], with a change to each object before it is applied.
///
/// # Errors
/// As of [`apply_files`].
pub(crate) async fn apply_changed(
    client: &Client,
    paths: &[PathBuf],
    mut change: impl FnMut(&mut Value),
) -> Result<Vec<String>, Error> {
    let mut applied = Vec::new();
    for path in paths {
        for file in files(path)? {
            let text = fs::read_to_string(&file).map_err(|source| Error::Read {
                path: file.clone(),
                source,
            })?;
            let documents = serde_yaml::from_multiple::<Value>(&text).map_err(|error| Error::Invalid {
                path: file.clone(),
                reason: error.to_string(),
            })?;
            for mut document in documents.into_iter().filter(|document| !document.is_null()) {
                change(&mut document);
                applied.extend(apply(client, &file, document).await?);
            }
        }
    }
    Ok(applied)
}

fn files(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let unreadable = |source| Error::Read {
        path: path.to_owned(),
        source,
    };
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = fs::read_dir(path).map_err(unreadable)?;
    let mut files = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(unreadable)?;
    files.retain(|file| {
        file.extension()
            .is_some_and(|extension| extension == "yaml" || extension == "yml")
    });
    files.sort();
    Ok(files)
}

/// Applies one object; errors name `path` as where it is from. Gives `kind/name`, or nothing for what only kustomize reads.
///
/// # Errors
/// When it is not an object, or is refused.
pub async fn apply(client: &Client, path: &Path, document: Value) -> Result<Option<String>, Error> {
    let invalid = |reason: String| Error::Invalid {
        path: path.to_owned(),
        reason,
    };
    let object: DynamicObject =
        serde_json::from_value(document).map_err(|error| invalid(error.to_string()))?;
    let types = object
        .types
        .clone()
        .ok_or_else(|| invalid("an object has no kind".to_owned()))?;
    if types.api_version.starts_with("kustomize.config.k8s.io/") {
        return Ok(None);
    }
    let gvk = GroupVersionKind::try_from(&types).map_err(|error| invalid(error.to_string()))?;
    let name = object
        .metadata
        .name
        .clone()
        .ok_or_else(|| invalid(format!("a {} has no name", types.kind)))?;
    let label = format!("{}/{name}", types.kind);
    let refused = |source: kube::Error| Error::Refused {
        path: path.to_owned(),
        object: label.clone(),
        source: Box::new(source),
    };
    let (resource, capabilities) = discovery::pinned_kind(client, &gvk).await.map_err(refused)?;
    let api: Api<DynamicObject> = match (capabilities.scope, object.namespace()) {
        (Scope::Cluster, _) => Api::all_with(client.clone(), &resource),
        (Scope::Namespaced, Some(namespace)) => Api::namespaced_with(client.clone(), &namespace, &resource),
        (Scope::Namespaced, None) => Api::default_namespaced_with(client.clone(), &resource),
    };
    let params = PatchParams::apply("local-control-plane")
        .force()
        .validation_strict();
    api.patch(&name, &params, &Patch::Apply(&object))
        .await
        .map_err(refused)?;
    if types.kind == "CustomResourceDefinition" {
        definition::served(client, &name).await?;
    }
    Ok(Some(label))
}
