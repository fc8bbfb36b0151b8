//! The connection to the API server, configured as for kubectl.

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DynamicObject, ListParams};
use kube::core::ApiResource;
use kube::{Api, Client, Config};

use super::stored::Stored;
use super::{Error, paint};
use crate::api::DittoServer;
use crate::base::causes::innermost;
use crate::cluster::client::{self, errors};
use crate::domain::settings::Settings;
use crate::plugin::args::ClusterArgs;
use crate::reconcile::look::{Look, look};

/// A cluster and a namespace.
pub(super) struct Cluster {
    config: Config,
    pub(super) client: Client,
    pub(super) namespace: String,
}

impl Cluster {
    /// From flags and environment. Makes no API call.
    pub(super) async fn find(target: &ClusterArgs) -> Result<Self, Error> {
        let unusable = |error: &dyn std::fmt::Display| Error::Config(error.to_string());
        let config = client::configuration(target.kubeconfig.as_deref(), target.context.as_deref())
            .await
            .map_err(|error| unusable(&error))?;
        let client = client::for_a_command(config.clone()).map_err(|error| unusable(&error))?;
        let namespace = target
            .namespace
            .clone()
            .unwrap_or_else(|| config.default_namespace.clone());
        Ok(Self {
            config,
            client,
            namespace,
        })
    }

    /// Reads the namespaces as the operator does. Reads all of them if none is given.
    pub(super) async fn look(&self, namespaces: &[String], settings: Settings) -> Result<Look, Error> {
        let look = look(self.config.clone(), namespaces, settings).await?;
        if !look.is_complete {
            paint::warn(
                "warning: the API server did not answer all requests in time. Objects that seem to be missing may exist",
            );
        }
        Ok(look)
    }

    /// A server by its name.
    pub(super) async fn server(&self, name: &str) -> Result<Stored, Error> {
        match servers(&self.client, Some(&self.namespace)).get(name).await {
            Ok(object) => Ok(Stored::of(object)),
            Err(kube::Error::Api(status)) if status.code == 404 && is_of_object(&status) => {
                self.check_namespace().await?;
                Err(Error::NotFound {
                    namespace: self.namespace.clone(),
                    name: name.into(),
                })
            }
            Err(error) => Err(failed("reading the DittoServer", &error)),
        }
    }

    /// All servers of a namespace, or of all of them, in the order of namespaces and names.
    pub(super) async fn servers(&self, all_namespaces: bool) -> Result<Vec<Stored>, Error> {
        let namespace = (!all_namespaces).then_some(self.namespace.as_str());
        let listed = servers(&self.client, namespace)
            .list(&ListParams::default())
            .await
            .map_err(|error| failed("listing the DittoServers", &error))?;
        if listed.items.is_empty() && !all_namespaces {
            self.check_namespace().await?;
        }
        Ok(listed.items.into_iter().map(Stored::of).collect())
    }

    /// An empty list looks the same in a namespace that does not exist. A user who may not read namespaces gets no error here.
    async fn check_namespace(&self) -> Result<(), Error> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        match namespaces.get_metadata(&self.namespace).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Err(Error::NoNamespace {
                namespace: self.namespace.clone(),
            }),
            _ => Ok(()),
        }
    }
}

/// What the API server says if RBAC, and not a quota or a webhook, refuses the expansion of a claim.
pub(super) const NO_PERMISSION_TO_PATCH: &str = "cannot patch resource";

/// DittoServers as they are stored. Some may not parse.
pub(super) fn servers(client: &Client, namespace: Option<&str>) -> Api<DynamicObject> {
    let resource = ApiResource::erase::<DittoServer>(&());
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}

/// Whether a 404 means that the object does not exist. It can also mean that its kind does not exist.
fn is_of_object(status: &kube::core::Status) -> bool {
    status
        .details
        .as_ref()
        .is_some_and(|details| !details.name.is_empty())
}

/// What went wrong with a call, and what to do.
pub(super) fn failed(what: &str, error: &kube::Error) -> Error {
    let (detail, remedy) = match error {
        kube::Error::Api(status) if status.code == 404 && !is_of_object(status) => {
            return Error::NotInstalled;
        }
        kube::Error::Api(status) => {
            let detail = without_object(errors::explain(error));
            let remedy = remedy(status.code, &detail);
            (detail, remedy)
        }
        kube::Error::Auth(error) => (
            error.to_string(),
            "The credentials in the kubeconfig are not valid: log in to the cluster again",
        ),
        other => (
            innermost(other),
            "Check with `kubectl cluster-info` that the cluster is running and is the right one. To choose another, use --context",
        ),
    };
    Error::Call {
        what: what.into(),
        detail,
        remedy,
    }
}

/// If the object has unknown fields, the API server may quote the whole object first. The problem is at the end.
fn without_object(message: String) -> String {
    match message.rsplit_once("strict decoding error: ") {
        Some((_, found)) => found.to_owned(),
        None => message,
    }
}

/// For server-side apply, the API server reports a field or a type that is not in the schema with status 500.
fn remedy(code: u16, detail: &str) -> &'static str {
    match code {
        _ if detail.contains("failed to create typed patch object") => "Correct the manifest",
        401 => "The credentials in the kubeconfig are not valid: log in to the cluster again",
        403 => "Ask an administrator of the cluster for this permission, or use another --context",
        400 | 422 => "Correct the manifest",
        409 => "It was changed concurrently: try again",
        _ => "Try again. If it fails again, check the log of the API server",
    }
}
