//! Reads the Secrets that servers refer to, and no others.
//!
//! The *metadata* of all Secrets is watched, so that a new, changed or deleted Secret is noticed immediately. The data is read only
//! if a server refers to the Secret, and read again only if its resourceVersion has changed, or after the watch was interrupted.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::core::v1::Secret;
use kube::core::{PartialObjectMeta, PartialObjectMetaExt};
use kube::{Api, Client, ResourceExt};

use crate::cluster::cache::{Cache, Lookup};
use crate::domain::observed::Read;
use crate::domain::secrets::SecretData;

type Key = (String, String);

/// Reads Secrets and caches their data.
#[derive(Clone)]
pub struct SecretReader {
    client: Client,
    metadata: Cache<PartialObjectMeta<Secret>>,
    read: Arc<Mutex<HashMap<Key, CachedSecret>>>,
}

struct CachedSecret {
    resource_version: Option<String>,
    /// The epoch of the metadata cache. After a new list, the same resourceVersion may be of another history.
    epoch: u64,
    data: SecretData,
}

impl SecretReader {
    /// Reads through `client`, and checks `metadata` first.
    #[must_use]
    pub fn new(client: Client, metadata: Cache<PartialObjectMeta<Secret>>) -> Self {
        Self {
            client,
            metadata,
            read: Arc::default(),
        }
    }

    /// The cache of metadata.
    #[must_use]
    pub fn metadata(&self) -> &Cache<PartialObjectMeta<Secret>> {
        &self.metadata
    }

    /// Reads one Secret. Calls the API server only if the Secret has changed since the last read.
    pub async fn read(&self, namespace: &str, name: &str) -> Read<SecretData> {
        let key = (namespace.to_owned(), name.to_owned());
        match self.metadata.get(namespace, name) {
            Lookup::Missing => {
                self.versions().remove(&key);
                Read::Missing
            }
            Lookup::Found(metadata) => {
                match self.remembered(&key, metadata.metadata.resource_version.as_deref()) {
                    Some(data) => Read::Found(data),
                    None => self.fetch(key).await,
                }
            }
            Lookup::Unknown(_) => self.fetch(key).await,
        }
    }

    /// Caches a Secret that this process has just written.
    pub fn wrote(&self, secret: &Secret) {
        let key = (secret.namespace().unwrap_or_default(), secret.name_any());
        self.remember(key, secret);
        self.metadata
            .wrote(secret.metadata.clone().into_response_partial());
    }

    /// Drops the data of a namespace's Secrets, except of those for which `is_used` is true. Called when a server is gone: without a
    /// reader, nothing else would drop the data.
    pub fn retain(&self, namespace: &str, is_used: impl Fn(&str) -> bool) {
        self.versions()
            .retain(|(held, name), _| held != namespace || is_used(name));
    }

    async fn fetch(&self, key: Key) -> Read<SecretData> {
        match Api::<Secret>::namespaced(self.client.clone(), &key.0)
            .get_opt(&key.1)
            .await
        {
            Ok(Some(secret)) => Read::Found(self.remember(key, &secret)),
            Ok(None) => Read::Missing,
            // The message of an API error could quote the object; its reason cannot.
            Err(kube::Error::Api(status)) => {
                Read::Unreadable(format!("{} (HTTP {})", status.reason, status.code))
            }
            Err(_) => Read::Unreadable("the API server did not answer".into()),
        }
    }

    fn remember(&self, key: Key, secret: &Secret) -> SecretData {
        let data = SecretData::of(secret);
        let resource_version = secret.metadata.resource_version.clone();
        self.versions().insert(
            key,
            CachedSecret {
                resource_version,
                epoch: self.metadata.epoch(),
                data: data.clone(),
            },
        );
        data
    }

    fn remembered(&self, key: &Key, resource_version: Option<&str>) -> Option<SecretData> {
        let versions = self.versions();
        let version = versions.get(key)?;
        let is_current =
            version.resource_version.as_deref() == resource_version && version.epoch == self.metadata.epoch();
        is_current.then(|| version.data.clone())
    }

    fn versions(&self) -> MutexGuard<'_, HashMap<Key, CachedSecret>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http::{Request, Response};
    use kube::api::ObjectMeta;
    use kube::client::Body;
    use kube::runtime::reflector;

    use super::*;

    /// A reader that never calls the API server.
    fn reader() -> SecretReader {
        let refuse =
            tower::service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Body::empty())) });
        SecretReader::new(
            Client::new(refuse, "default"),
            Cache::new(reflector::store().0, &[None]),
        )
    }

    fn secret(namespace: &str, name: &str) -> Secret {
        Secret {
            metadata: ObjectMeta {
                namespace: Some(namespace.into()),
                name: Some(name.into()),
                ..ObjectMeta::default()
            },
            ..Secret::default()
        }
    }

    #[tokio::test]
    async fn the_data_of_a_secret_is_dropped_with_the_last_server_that_uses_it() {
        let reader = reader();
        for (namespace, name) in [("a", "used"), ("a", "unused"), ("b", "unused")] {
            reader.wrote(&secret(namespace, name));
        }
        reader.retain("a", |name| name == "used");
        let mut held: Vec<Key> = reader.versions().keys().cloned().collect();
        held.sort();
        let key = |namespace: &str, name: &str| (namespace.to_owned(), name.to_owned());
        assert_eq!(held, [key("a", "used"), key("b", "unused")]);
    }
}
