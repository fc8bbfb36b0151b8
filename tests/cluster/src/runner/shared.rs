//! What the runner's thread and its handle both know.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use super::RunnerOptions;
use super::api::ServerApi;
use super::logs;
use super::rewrite::Rewrite;
use super::volumes::Home;

/// Namespace and name of a pod.
type Key = (String, String);

/// A pod that has processes.
#[derive(Debug)]
struct Known {
    uid: Option<String>,
    rewrite: Rewrite,
    pids: BTreeMap<String, i32>,
    api: Option<ServerApi>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub options: RunnerOptions,
    pub home: Home,
    /// The cleaner of the control plane waits for the processes that are named in this directory.
    pub pids: PathBuf,
    pub logs: PathBuf,
    known: Mutex<BTreeMap<Key, Known>>,
}

impl Shared {
    pub(super) fn new(options: RunnerOptions, home: Home, pids: PathBuf, logs: PathBuf) -> Self {
        Self {
            options,
            home,
            pids,
            logs,
            known: Mutex::default(),
        }
    }

    /// An address for each name of a pod in this control plane, in 127.64.0.0/10. Two of the four million are hardly ever the
    /// same; of two pods that share one, the second cannot bind its ports.
    pub(super) fn address(&self, namespace: &str, name: &str) -> Ipv4Addr {
        let mut hasher = DefaultHasher::new();
        (&self.home.directory, namespace, name).hash(&mut hasher);
        let [high, middle, low, ..] = hasher.finish().to_be_bytes();
        Ipv4Addr::new(127, 64 + high % 64, middle, 1 + low % 254)
    }

    pub(super) fn log(&self, pod: &Pod, container: &str, restarts: i32) -> PathBuf {
        self.logs.join(logs::name(pod, container, restarts))
    }

    pub(super) fn set_rewrite(&self, pod: &Pod, rewrite: &Rewrite) {
        let known = Known {
            uid: pod.uid(),
            rewrite: rewrite.clone(),
            pids: BTreeMap::new(),
            api: None,
        };
        self.known().insert(key(pod), known);
    }

    pub(super) fn set_pid(&self, pod: &Pod, container: &str, pid: Option<i32>) {
        self.change(pod, |known| {
            match pid {
                Some(pid) => known.pids.insert(container.to_owned(), pid),
                None => known.pids.remove(container),
            };
        });
    }

    pub(super) fn set_api(&self, pod: &Pod, api: &ServerApi) {
        self.change(pod, |known| known.api = Some(api.clone()));
    }

    /// Not if another pod of the name runs already.
    fn change(&self, pod: &Pod, change: impl FnOnce(&mut Known)) {
        if let Some(known) = self
            .known()
            .get_mut(&key(pod))
            .filter(|known| known.uid == pod.uid())
        {
            change(known);
        }
    }

    pub(super) fn forget(&self, pod: &Pod) {
        self.known().retain(|_, known| known.uid != pod.uid());
    }

    pub(super) fn path(&self, namespace: &str, pod: &str, path: &str) -> Option<PathBuf> {
        let key = (namespace.to_owned(), pod.to_owned());
        self.known().get(&key)?.rewrite.path(path)
    }

    /// A text about a pod, with the paths of this machine.
    pub(super) fn rewritten(&self, namespace: &str, pod: &str, text: &str) -> String {
        let key = (namespace.to_owned(), pod.to_owned());
        let known = self.known();
        known
            .get(&key)
            .map_or_else(|| text.to_owned(), |known| known.rewrite.text(text))
    }

    pub(super) fn api(&self, namespace: &str, pod: &str) -> Option<ServerApi> {
        let key = (namespace.to_owned(), pod.to_owned());
        self.known().get(&key)?.api.clone()
    }

    pub(super) fn pid(&self, namespace: &str, pod: &str, container: &str) -> Option<i32> {
        let key = (namespace.to_owned(), pod.to_owned());
        self.known().get(&key)?.pids.get(container).copied()
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<Key, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What stands in the pod's status for its address: 10.x.y.z for 127.x.y.z, because the API server accepts no loopback address
/// in the endpoints of a Service.
pub(super) fn pod_ip(address: Ipv4Addr) -> String {
    let [_, rest @ ..] = address.octets();
    let [high, middle, low] = rest;
    Ipv4Addr::new(10, high, middle, low).to_string()
}

fn key(pod: &Pod) -> Key {
    (pod.namespace().unwrap_or_default(), pod.name_any())
}
