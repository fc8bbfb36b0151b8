//! What a full control plane holds from the start: nodes, `StorageClasses`, and a policy about kwok.

use std::collections::BTreeMap;
use std::fmt::Debug;

use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::api::core::v1::{Node, ServiceAccount};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::{Api, PostParams};
use kube::{Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::component::Component;
use crate::error::Error;
use crate::options::Options;
use crate::probe::{Deadline, INTERVAL};

const STORAGE_CLASSES: &str = include_str!("../manifests/storage-classes.yaml");

const POLICY: &str = include_str!("../manifests/pod-deletion-policy.yaml");
const BINDING: &str = include_str!("../manifests/pod-deletion-binding.yaml");

/// Creates `StorageClasses`, the policy and nodes.
pub(crate) async fn create(client: &Client, options: &Options) -> Result<(), Error> {
    let classes: Vec<StorageClass> =
        serde_yaml::from_multiple(STORAGE_CLASSES).map_err(|error| invalid("StorageClasses", &error))?;
    let api = Api::<StorageClass>::all(client.clone());
    for class in &classes {
        api.create(&PostParams::default(), class)
            .await
            .map_err(|error| refused("StorageClasses", error))?;
    }
    one::<ValidatingAdmissionPolicy>(client, "the policy about kwok", POLICY).await?;
    one::<ValidatingAdmissionPolicyBinding>(client, "the policy about kwok", BINDING).await?;
    let api = Api::<Node>::all(client.clone());
    for index in 0..options.nodes {
        let node = node(index).map_err(|error| invalid("nodes", &error))?;
        api.create(&PostParams::default(), &node)
            .await
            .map_err(|error| refused("nodes", error))?;
    }
    Ok(())
}

/// Creates what a manifest says.
async fn one<K>(client: &Client, what: &'static str, manifest: &str) -> Result<(), Error>
where
    K: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned,
{
    let object: K = serde_yaml::from_str(manifest).map_err(|error| invalid(what, &error))?;
    Api::all(client.clone())
        .create(&PostParams::default(), &object)
        .await
        .map_err(|error| refused(what, error))?;
    Ok(())
}

/// Waits until pods can run: every node is Ready and open to pods, and pods of `default` have an account.
pub(crate) async fn ready(client: &Client, options: &Options) -> Result<(), Error> {
    let deadline = Deadline::after(options.ready_timeout);
    loop {
        let missing = match missing(client).await {
            Ok(None) => return Ok(()),
            Ok(Some(missing)) => missing,
            Err(error) => error.to_string(),
        };
        if deadline.passed() {
            return Err(Error::NotReady {
                component: Component::Kwok,
                waited: deadline.elapsed(),
                last: missing,
                log: String::new(),
            });
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

async fn missing(client: &Client) -> Result<Option<String>, kube::Error> {
    let nodes = Api::<Node>::all(client.clone())
        .list(&kube::api::ListParams::default())
        .await?;
    if let Some(node) = nodes.iter().find(|node| !is_open(node)) {
        return Ok(Some(format!("node {} is not Ready", node.name_any())));
    }
    let accounts = Api::<ServiceAccount>::namespaced(client.clone(), "default");
    let account = accounts.get_opt("default").await?;
    Ok(account
        .is_none()
        .then(|| "namespace default has no service account".to_owned()))
}

fn is_open(node: &Node) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    let ready = conditions.is_some_and(|conditions| {
        conditions
            .iter()
            .any(|c| c.type_ == "Ready" && c.status == "True")
    });
    let tainted = node
        .spec
        .as_ref()
        .and_then(|spec| spec.taints.as_ref())
        .is_some_and(|taints| !taints.is_empty());
    ready && !tainted
}

fn node(index: usize) -> Result<Node, serde_json::Error> {
    let name = format!("node-{index}");
    let labels = BTreeMap::from([
        ("kubernetes.io/hostname", name.clone()),
        ("kubernetes.io/os", "linux".to_owned()),
        ("kubernetes.io/arch", "amd64".to_owned()),
        ("topology.kubernetes.io/zone", format!("zone-{index}")),
        ("type", "kwok".to_owned()),
    ]);
    serde_json::from_value(json!({
        "metadata": {"name": name, "labels": labels, "annotations": {"kwok.x-k8s.io/node": "fake"}},
    }))
}

fn refused(what: &'static str, source: kube::Error) -> Error {
    Error::Setup {
        what,
        source: Box::new(source),
    }
}

fn invalid(what: &'static str, error: &dyn std::error::Error) -> Error {
    refused(what, kube::Error::Service(error.to_string().into()))
}
