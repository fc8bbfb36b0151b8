//! The `CustomResourceDefinition`: reading, installing, removing.

use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use kube::runtime::wait::{Condition, await_condition, conditions};
use kube::{Client, ResourceExt};

use super::Error;

const MANIFEST: &str = include_str!("../../manifests/perconapgclusters.yaml");
const NAME: &str = "perconapgclusters.pgv2.percona.com";
/// How long the API server may take to serve, or to forget, the kind.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The definition of `perconapgclusters.pgv2.percona.com`, as far as it is used here.
///
/// # Errors
/// [`Error::Crd`] if the embedded manifest is not a definition; a test keeps that from happening.
pub fn crd() -> Result<CustomResourceDefinition, Error> {
    serde_yaml::from_str(MANIFEST).map_err(|error| Error::Crd(error.to_string()))
}

/// Installs the definition and waits until the API server serves the kind.
///
/// # Errors
/// When the API server refuses it or does not serve it within 30 seconds.
pub async fn install_crd(client: &Client) -> Result<(), Error> {
    let api = Api::<CustomResourceDefinition>::all(client.clone());
    let params = PatchParams::apply("local-control-plane").force();
    let definition = crd()?;
    api.patch(&definition.name_any(), &params, &Patch::Apply(&definition))
        .await?;
    until(api, conditions::is_crd_established()).await
}

/// Removes the definition with all its objects, and waits until it is gone.
///
/// # Errors
/// When the API server refuses, or the objects are not gone within 30 seconds.
pub async fn remove_crd(client: &Client) -> Result<(), Error> {
    let api = Api::<CustomResourceDefinition>::all(client.clone());
    let Some(found) = api.get_opt(NAME).await? else {
        return Ok(());
    };
    api.delete(NAME, &DeleteParams::default()).await?;
    let uid = found.uid().unwrap_or_default();
    until(api, conditions::is_deleted(&uid)).await
}

async fn until(
    api: Api<CustomResourceDefinition>,
    condition: impl Condition<CustomResourceDefinition>,
) -> Result<(), Error> {
    match tokio::time::timeout(TIMEOUT, await_condition(api, NAME, condition)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(Error::NotEstablished(Box::new(error))),
        Err(_) => Err(Error::Crd(format!(
            "the API server did not settle {NAME} within {TIMEOUT:?}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use kube::ResourceExt;

    use super::{NAME, crd};

    #[test]
    fn the_embedded_definition_is_of_the_kind_that_is_removed() {
        assert_eq!(crd().unwrap().name_any(), NAME);
    }
}
