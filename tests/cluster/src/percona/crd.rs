//! The `CustomResourceDefinition`: reading, installing, removing.

use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams};
use kube::runtime::wait::{await_condition, conditions};
use kube::{Client, ResourceExt};

use super::Error;
use crate::definition;

const MANIFEST: &str = include_str!("../../manifests/perconapgclusters.yaml");
const NAME: &str = "perconapgclusters.pgv2.percona.com";
/// How long the API server may take to forget the kind.
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
/// When the API server refuses it or does not serve it within 60 seconds.
pub async fn install_crd(client: &Client) -> Result<(), Error> {
    Ok(definition::install(client, &crd()?).await?)
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
    let gone = await_condition(api, NAME, conditions::is_deleted(&uid));
    match tokio::time::timeout(TIMEOUT, gone).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(Error::NotRemoved(NAME)),
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
