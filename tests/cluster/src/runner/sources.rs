//! Reads the Secrets and ConfigMaps of a pod.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Secret};
use kube::{Api, Client};

/// The content of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Text of a ConfigMap, in which paths are rewritten.
    Text(String),
    /// Anything else.
    Bytes(Vec<u8>),
}

pub(super) type Keys = BTreeMap<String, Content>;

/// Why a container cannot be started yet. The message is what the kubelet would say.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("{kind} {name:?} not found")]
    NoObject { kind: &'static str, name: String },
    #[error("couldn't find key {key} in {kind} {namespace}/{name}")]
    NoKey {
        kind: &'static str,
        namespace: String,
        name: String,
        key: String,
    },
    #[error("{0} is not supported by the pod runner")]
    Unsupported(String),
    #[error("the API server: {0}")]
    Api(#[source] Box<kube::Error>),
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

impl From<kube::Error> for Trouble {
    fn from(error: kube::Error) -> Self {
        Self::Api(Box::new(error))
    }
}

/// Which kind of object is read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Secret,
    ConfigMap,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::ConfigMap => "configmap",
        }
    }
}

/// The objects of one namespace.
#[derive(Clone)]
pub(super) struct Sources {
    client: Client,
    namespace: String,
}

impl Sources {
    pub(super) fn new(client: Client, namespace: String) -> Self {
        Self { client, namespace }
    }

    /// All keys of an object; none if it is optional and absent.
    pub(super) async fn keys(&self, kind: Kind, name: &str, optional: bool) -> Result<Keys, Trouble> {
        let found = match kind {
            Kind::Secret => self.api::<Secret>().get_opt(name).await?.map(secret_keys),
            Kind::ConfigMap => self.api::<ConfigMap>().get_opt(name).await?.map(config_keys),
        };
        match found {
            Some(keys) => Ok(keys),
            None if optional => Ok(Keys::new()),
            None => Err(Trouble::NoObject {
                kind: kind.name(),
                name: name.to_owned(),
            }),
        }
    }

    /// One key of an object; `None` if it is optional and absent.
    pub(super) async fn key(
        &self,
        kind: Kind,
        name: &str,
        key: &str,
        optional: bool,
    ) -> Result<Option<Content>, Trouble> {
        let found = self.keys(kind, name, optional).await?.remove(key);
        if found.is_none() && !optional {
            return Err(self.no_key(kind, name, key));
        }
        Ok(found)
    }

    pub(super) fn no_key(&self, kind: Kind, name: &str, key: &str) -> Trouble {
        Trouble::NoKey {
            kind: kind.name(),
            namespace: self.namespace.clone(),
            name: name.to_owned(),
            key: key.to_owned(),
        }
    }

    /// A claim.
    pub(super) async fn claim(&self, name: &str) -> Result<PersistentVolumeClaim, Trouble> {
        let claims = self.api::<PersistentVolumeClaim>();
        claims.get_opt(name).await?.ok_or_else(|| Trouble::NoObject {
            kind: "persistentvolumeclaim",
            name: name.to_owned(),
        })
    }

    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }
}

fn secret_keys(secret: Secret) -> Keys {
    let data = secret.data.unwrap_or_default().into_iter();
    data.map(|(key, value)| (key, Content::Bytes(value.0))).collect()
}

fn config_keys(config: ConfigMap) -> Keys {
    let text = config.data.unwrap_or_default().into_iter();
    let binary = config.binary_data.unwrap_or_default().into_iter();
    text.map(|(key, value)| (key, Content::Text(value)))
        .chain(binary.map(|(key, value)| (key, Content::Bytes(value.0))))
        .collect()
}
