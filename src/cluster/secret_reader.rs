//! Reads the Secrets that servers refer to, and no others.
//!
//! The *metadata* of all Secrets is watched, so that a new, changed or deleted Secret is noticed immediately. The data is read only
//! if a server refers to the Secret, and read again only if its resourceVersion has changed, or after the watch was interrupted.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::core::v1::Secret;
use kube::core::{PartialObjectMeta, PartialObjectMetaExt};
use kube::{Api, Client, ResourceExt};

use crate::api::DittoServer;
use crate::cluster::cache::{Cache, Lookup};
use crate::domain::observed::Read;
use crate::domain::secrets::{self, SecretData};

/// A namespace and a name.
type Key = (String, String);

fn key(namespace: &str, name: &str) -> Key {
    (namespace.to_owned(), name.to_owned())
}

/// Reads Secrets and caches their data.
#[derive(Clone)]
pub struct SecretReader {
    client: Client,
    metadata: Cache<PartialObjectMeta<Secret>>,
    held: Arc<Mutex<Held>>,
}

#[derive(Default)]
struct Held {
    secrets: HashMap<Key, CachedSecret>,
    /// The names of the Secrets that each server uses or used.
    of_servers: HashMap<Key, BTreeSet<String>>,
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
            held: Arc::default(),
        }
    }

    /// The cache of metadata.
    #[must_use]
    pub fn metadata(&self) -> &Cache<PartialObjectMeta<Secret>> {
        &self.metadata
    }

    /// Reads the Secrets that matter to a server. Calls the API server only for those that have changed since the last read.
    pub async fn of_server(&self, server: &DittoServer) -> BTreeMap<String, Read<SecretData>> {
        let namespace = server.namespace().unwrap_or_default();
        let names: BTreeSet<String> = secrets::names(server).collect();
        self.note_uses(key(&namespace, &server.name_any()), &names);
        let mut read = BTreeMap::new();
        for name in names {
            let data = self.read(&namespace, &name).await;
            read.insert(name, data);
        }
        read
    }

    fn note_uses(&self, server: Key, names: &BTreeSet<String>) {
        let mut held = self.held();
        let of_server = held.of_servers.entry(server).or_default();
        of_server.extend(names.iter().cloned());
    }

    async fn read(&self, namespace: &str, name: &str) -> Read<SecretData> {
        let key = key(namespace, name);
        match self.metadata.get(namespace, name) {
            Lookup::Missing => {
                self.held().secrets.remove(&key);
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
        let key = key(&secret.namespace().unwrap_or_default(), &secret.name_any());
        self.remember(key, secret);
        self.metadata
            .wrote(secret.metadata.clone().into_response_partial());
    }

    /// Drops the data of the Secrets that a server used, except of those for which `is_used` is true. Called when the server is
    /// gone: without a reader, nothing else would drop the data.
    pub fn forget(&self, namespace: &str, server: &str, is_used: impl Fn(&str) -> bool) {
        let mut held = self.held();
        let names = held.of_servers.remove(&key(namespace, server));
        for name in names.into_iter().flatten().filter(|name| !is_used(name)) {
            held.secrets.remove(&key(namespace, &name));
        }
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
        self.held().secrets.insert(
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
        let held = self.held();
        let version = held.secrets.get(key)?;
        let is_current =
            version.resource_version.as_deref() == resource_version && version.epoch == self.metadata.epoch();
        is_current.then(|| version.data.clone())
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http::{Request, Response};
    use kube::api::ObjectMeta;
    use kube::client::Body;

    use super::*;
    use crate::cluster::cache::WatchState;

    /// A reader that never calls the API server.
    fn reader() -> SecretReader {
        let refuse =
            tower::service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Body::empty())) });
        SecretReader::new(
            Client::new(refuse, "default"),
            Cache::new(&[None], |_| Vec::new()),
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
        let mut server = DittoServer::new("files", crate::api::DittoServerSpec::default());
        server.metadata.namespace = Some("a".into());
        reader.metadata.set_watch_state(None, WatchState::Synced);
        let names: Vec<String> = reader.of_server(&server).await.into_keys().collect();
        for namespace in ["a", "b"] {
            for name in &names {
                reader.wrote(&secret(namespace, name));
            }
        }
        reader.wrote(&secret("a", "of-another-server"));
        reader.forget("a", "files", |name| name == names[0]);
        let mut held: Vec<Key> = reader.held().secrets.keys().cloned().collect();
        held.sort();
        let mut expected = vec![key("a", &names[0]), key("a", "of-another-server")];
        expected.extend(names.iter().map(|name| key("b", name)));
        expected.sort();
        assert!(names.len() > 1, "{names:?}");
        assert_eq!(held, expected);
        assert!(reader.held().of_servers.is_empty());
    }
}
