//! Reads the Secrets that servers refer to, and no others.
//!
//! The *metadata* of all Secrets is watched, so that a new, changed or deleted Secret is noticed immediately. The data is read only
//! if a server refers to the Secret, and read again only if its resourceVersion has changed, or after the watch was interrupted.
//! Reconciles that need the same Secret at the same time share one read.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::core::v1::Secret;
use kube::core::{PartialObjectMeta, PartialObjectMetaExt};
use kube::{Api, Client, ResourceExt};
use tokio::sync::OnceCell;

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
    /// The names of the Secrets that each server uses.
    of_servers: HashMap<Key, BTreeSet<String>>,
    /// The reads that are under way.
    reads: HashMap<Key, SharedRead>,
}

/// The version of a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Version {
    resource_version: Option<String>,
    /// The epoch of the metadata cache. After a new list, the same resourceVersion may be of another history.
    epoch: u64,
}

struct CachedSecret {
    version: Version,
    data: SecretData,
}

/// A read for all servers that need the Secret now.
struct SharedRead {
    /// The version that the watch had delivered before the read began: what is read is not older.
    delivered: Version,
    answer: Arc<OnceCell<Read<SecretData>>>,
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
        self.note_uses(&key(&namespace, &server.name_any()), &names);
        let mut read = BTreeMap::new();
        for name in names {
            let data = self.read(&namespace, &name).await;
            read.insert(name, data);
        }
        read
    }

    /// Notes which Secrets a server uses, and drops the data of those that it no longer uses and no other server does.
    fn note_uses(&self, server: &Key, names: &BTreeSet<String>) {
        let mut held = self.held();
        if held.of_servers.get(server) == Some(names) {
            return;
        }
        let before = held.of_servers.insert(server.clone(), names.clone());
        for name in before.unwrap_or_default().difference(names) {
            let mut servers = held.of_servers.iter();
            let is_used = servers.any(|(other, names)| other.0 == server.0 && names.contains(name));
            if !is_used {
                held.secrets.remove(&key(&server.0, name));
            }
        }
    }

    async fn read(&self, namespace: &str, name: &str) -> Read<SecretData> {
        let key = key(namespace, name);
        match self.metadata.get(namespace, name) {
            Lookup::Missing => {
                self.held().secrets.remove(&key);
                Read::Missing
            }
            Lookup::Found(metadata) => {
                let delivered = self.version(metadata.metadata.resource_version.clone());
                match self.remembered(&key, &delivered) {
                    Some(data) => Read::Found(data),
                    None => self.fetch_once(key, delivered).await,
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

    /// Reads the Secret, or waits for another read of it that began after this version was delivered.
    async fn fetch_once(&self, key: Key, delivered: Version) -> Read<SecretData> {
        let answer = self.shared_read(&key, delivered);
        let read = answer.get_or_init(|| self.fetch(key.clone())).await.clone();
        let mut held = self.held();
        let is_this = |read: &SharedRead| Arc::ptr_eq(&read.answer, &answer);
        if held.reads.get(&key).is_some_and(is_this) {
            held.reads.remove(&key);
        }
        read
    }

    fn shared_read(&self, key: &Key, delivered: Version) -> Arc<OnceCell<Read<SecretData>>> {
        let mut held = self.held();
        if let Some(read) = held.reads.get(key).filter(|read| read.delivered == delivered) {
            return Arc::clone(&read.answer);
        }
        let answer = Arc::default();
        let read = SharedRead {
            delivered,
            answer: Arc::clone(&answer),
        };
        held.reads.insert(key.clone(), read);
        answer
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
        let cached = CachedSecret {
            version: self.version(secret.metadata.resource_version.clone()),
            data: data.clone(),
        };
        self.held().secrets.insert(key, cached);
        data
    }

    fn remembered(&self, key: &Key, version: &Version) -> Option<SecretData> {
        let held = self.held();
        let cached = held.secrets.get(key).filter(|cached| cached.version == *version);
        cached.map(|cached| cached.data.clone())
    }

    fn version(&self, resource_version: Option<String>) -> Version {
        Version {
            resource_version,
            epoch: self.metadata.epoch(),
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
