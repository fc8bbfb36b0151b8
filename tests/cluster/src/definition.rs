//! Installs a `CustomResourceDefinition`, and waits until the API server serves its kind.
//!
//! `Established` alone is not enough: the API server's handlers learn of a definition from a watch of their own, and until
//! then answer 404 to calls about its kind.

use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ApiResource, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::runtime::wait::{await_condition, conditions};
use kube::{Client, ResourceExt};

use crate::probe::INTERVAL;

/// How long the API server may take to serve a new kind.
const LIMIT: Duration = Duration::from_secs(60);

/// Why a definition is not in use.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server refused it, or could not be asked about it.
    #[error("the API server: {0}")]
    Api(#[source] Box<kube::Error>),
    /// It could not be watched.
    #[error("cannot watch the definition: {0}")]
    Watch(#[source] Box<kube::runtime::wait::Error>),
    /// The API server took too long.
    #[error("the API server does not serve {name} within {LIMIT:?}")]
    Late {
        /// The definition.
        name: String,
    },
}

impl From<kube::Error> for Error {
    fn from(error: kube::Error) -> Self {
        Self::Api(Box::new(error))
    }
}

/// Installs or changes a definition, and waits as [`served`] does.
///
/// # Errors
/// When the API server refuses it, or does not serve it within 60 seconds.
pub async fn install(client: &Client, definition: &CustomResourceDefinition) -> Result<(), Error> {
    let definitions = Api::<CustomResourceDefinition>::all(client.clone());
    let params = PatchParams::apply("local-control-plane").force();
    let name = definition.name_any();
    definitions
        .patch(&name, &params, &Patch::Apply(definition))
        .await?;
    served(client, &name).await
}

/// Waits until a definition is established, and calls about each of its served versions are answered.
///
/// # Errors
/// When that takes longer than 60 seconds, or the API server cannot be asked.
pub async fn served(client: &Client, name: &str) -> Result<(), Error> {
    let late = || Error::Late {
        name: name.to_owned(),
    };
    tokio::time::timeout(LIMIT, until_served(client, name))
        .await
        .map_err(|_| late())?
}

async fn until_served(client: &Client, name: &str) -> Result<(), Error> {
    let definitions = Api::<CustomResourceDefinition>::all(client.clone());
    let established = await_condition(definitions, name, conditions::is_crd_established())
        .await
        .map_err(|error| Error::Watch(Box::new(error)))?;
    let Some(definition) = established else {
        return Ok(());
    };
    for version in definition.spec.versions.iter().filter(|version| version.served) {
        let names = &definition.spec.names;
        let gvk = GroupVersionKind::gvk(&definition.spec.group, &version.name, &names.kind);
        let resource = ApiResource::from_gvk_with_plural(&gvk, &names.plural);
        until_listed(&Api::all_with(client.clone(), &resource)).await?;
    }
    Ok(())
}

async fn until_listed(objects: &Api<DynamicObject>) -> Result<(), Error> {
    // Without a limit: a list with one is answered from the store, also while watches are not served yet (429).
    let all = ListParams::default();
    loop {
        match objects.list_metadata(&all).await {
            Ok(_) => return Ok(()),
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 429) => {
                tokio::time::sleep(INTERVAL).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use http::{Request, Response};
    use kube::client::Body;
    use tower::service_fn;

    use super::*;

    /// The real API server does so only now and then, on a busy machine.
    #[tokio::test]
    async fn the_wait_for_a_kind_includes_handlers_that_serve_it_later() {
        let asked = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&asked);
        let api_server = service_fn(move |_: Request<Body>| {
            let answer = if count.fetch_add(1, Ordering::Relaxed) < 2 {
                Response::builder()
                    .status(404)
                    .body(Body::from(b"404 page not found\n".to_vec()))
            } else {
                let list = r#"{"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": {}, "items": []}"#;
                Response::builder().body(Body::from(list.as_bytes().to_vec()))
            };
            std::future::ready(answer)
        });
        let gvk = GroupVersionKind::gvk("g", "v1", "Kind");
        let client = Client::new(api_server, "default");
        let objects = Api::all_with(client, &ApiResource::from_gvk(&gvk));
        until_listed(&objects).await.unwrap();
        assert_eq!(asked.load(Ordering::Relaxed), 3);
    }
}
