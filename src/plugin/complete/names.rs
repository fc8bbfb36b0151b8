//! Names from the cluster or the kubeconfig.

use std::path::PathBuf;
use std::time::Duration;

use clap::Arg;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, ListParams};
use kube::config::Kubeconfig;
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;

use super::typed::Typed;
use crate::api::DittoServer;
use crate::plugin::args::ClusterArgs;
use crate::plugin::cluster::Cluster;

/// Maximum time to wait for a list of names.
const TIMEOUT: Duration = Duration::from_secs(2);

/// What to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// DittoServers of the namespace.
    Servers,
    /// Namespaces.
    Namespaces,
    /// Contexts of the kubeconfig.
    Contexts,
}

impl Names {
    /// The kind of name that the value of an argument is.
    pub(super) fn of(arg: &Arg) -> Option<Self> {
        match arg.get_id().as_str() {
            "name" => Some(Self::Servers),
            "namespace" | "operator_namespace" => Some(Self::Namespaces),
            "context" => Some(Self::Contexts),
            _ => None,
        }
    }
}

/// The names. Empty if they cannot be read in time.
pub(super) fn names(what: Names, typed: &Typed<'_>) -> Vec<String> {
    let value = |id: &str| typed.value(id).map(str::to_owned);
    let target = ClusterArgs {
        namespace: value("namespace"),
        context: value("context"),
        kubeconfig: value("kubeconfig").map(PathBuf::from),
    };
    if what == Names::Contexts {
        return contexts(&target).unwrap_or_default();
    }
    let Ok(runtime) = tokio::runtime::Builder::new_multi_thread().enable_all().build() else {
        return Vec::new();
    };
    // A separate task, which is not joined: a credential plugin of the kubeconfig may block its thread.
    let task = runtime.spawn(listed(what, target));
    let names = runtime.block_on(async { tokio::time::timeout(TIMEOUT, task).await });
    runtime.shutdown_background();
    names.ok().and_then(Result::ok).flatten().unwrap_or_default()
}

fn contexts(target: &ClusterArgs) -> Option<Vec<String>> {
    let config = match &target.kubeconfig {
        Some(file) => Kubeconfig::read_from(file),
        None => Kubeconfig::read(),
    };
    let contexts = config.ok()?.contexts.into_iter();
    Some(contexts.map(|context| context.name).collect())
}

async fn listed(what: Names, target: ClusterArgs) -> Option<Vec<String>> {
    let cluster = Cluster::find(&target).await.ok()?;
    let client = cluster.client.clone();
    match what {
        Names::Servers => in_api(Api::<DittoServer>::namespaced(client, &cluster.namespace)).await,
        Names::Namespaces => in_api(Api::<Namespace>::all(client)).await,
        Names::Contexts => None,
    }
}

/// Reads only the metadata. It is sufficient, and always parses.
async fn in_api<K>(api: Api<K>) -> Option<Vec<String>>
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug,
{
    let listed = api.list_metadata(&ListParams::default()).await.ok()?;
    Some(listed.items.iter().map(ResourceExt::name_any).collect())
}
