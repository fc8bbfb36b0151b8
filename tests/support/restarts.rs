//! Counts the pods of the server `files`, by their UIDs.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, watcher};

use super::World;

/// Watches the pods of a world from now on. Every pod that comes is another restart.
pub struct Restarts {
    seen: Arc<Mutex<BTreeSet<String>>>,
    world_pods: kube::Api<Pod>,
    task: tokio::task::JoinHandle<()>,
}

impl Restarts {
    /// Starts to count. The present pod, if there is one, does not count.
    pub async fn of(world: &World) -> Self {
        let api = world.api::<Pod>();
        let present = api.get("files-0").await.ok().and_then(|pod| pod.uid());
        let seen: Arc<Mutex<BTreeSet<String>>> = Arc::new(Mutex::new(present.into_iter().collect()));
        let sink = Arc::clone(&seen);
        let mut pods = watcher(api.clone(), watcher::Config::default())
            .default_backoff()
            .applied_objects()
            .boxed();
        let task = tokio::spawn(async move {
            while let Some(pod) = pods.next().await {
                if let Some(uid) = pod.ok().and_then(|pod| pod.uid()) {
                    sink.lock().unwrap_or_else(PoisonError::into_inner).insert(uid);
                }
            }
        });
        Self {
            seen,
            world_pods: api,
            task,
        }
    }

    /// How many pods have come since the start. The present one is read, so that none is missed at the end.
    pub async fn count(&self) -> usize {
        let present = self
            .world_pods
            .get("files-0")
            .await
            .ok()
            .and_then(|pod| pod.uid());
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.extend(present);
        seen.len() - 1
    }
}

impl Drop for Restarts {
    fn drop(&mut self) {
        self.task.abort();
    }
}
