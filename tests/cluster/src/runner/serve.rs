//! Watches pods and gives each of the runner's pods a task.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::stream::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::IMAGES;
use super::pod::Life;
use super::shared::Shared;
use crate::soon::Soon;

/// Runs pods until it is dropped, except those of namespaces that are abandoned.
pub(super) async fn serve(client: Client, shared: Arc<Shared>, mut abandoned: UnboundedReceiver<String>) {
    let pods = Api::<Pod>::all(client.clone());
    let mut events = watcher(pods, watcher::Config::default()).backoff(Soon).boxed();
    let mut lives = Lives {
        client,
        shared,
        seen: BTreeMap::new(),
        listed: Vec::new(),
        abandoned: BTreeSet::new(),
        tasks: JoinSet::new(),
    };
    loop {
        tokio::select! {
            event = events.next() => match event {
                // The watcher reports an error and tries again by itself.
                Some(event) => event.into_iter().for_each(|event| lives.take(event)),
                None => return,
            },
            Some(namespace) = abandoned.recv() => lives.abandon(namespace),
        }
        while lives.tasks.try_join_next().is_some() {}
    }
}

struct Lives {
    client: Client,
    shared: Arc<Shared>,
    /// By UID.
    seen: BTreeMap<String, watch::Sender<Option<Arc<Pod>>>>,
    /// The UIDs of a list that is being read.
    listed: Vec<String>,
    abandoned: BTreeSet<String>,
    tasks: JoinSet<()>,
}

impl Lives {
    fn take(&mut self, event: watcher::Event<Pod>) {
        match event {
            watcher::Event::Init => self.listed.clear(),
            watcher::Event::InitApply(pod) => {
                self.listed.extend(pod.uid());
                self.see(pod);
            }
            watcher::Event::Apply(pod) => self.see(pod),
            watcher::Event::Delete(pod) => self.lose(&pod.uid().unwrap_or_default()),
            watcher::Event::InitDone => {
                let gone = self.seen.keys().filter(|uid| !self.listed.contains(uid));
                for uid in gone.cloned().collect::<Vec<_>>() {
                    self.lose(&uid);
                }
            }
        }
    }

    fn see(&mut self, pod: Pod) {
        let uid = pod.uid().unwrap_or_default();
        let pod = Arc::new(pod);
        if let Some(seen) = self.seen.get(&uid) {
            seen.send_replace(Some(pod));
        } else if is_ours(&pod) && !self.is_abandoned(&pod) {
            let (sender, seen) = watch::channel(Some(Arc::clone(&pod)));
            let life = Life::new(Arc::clone(&self.shared), self.client.clone(), pod, seen);
            self.tasks.spawn(life.run());
            self.seen.insert(uid, sender);
        }
    }

    fn abandon(&mut self, namespace: String) {
        self.seen.retain(|_, seen| {
            let pod = seen.borrow().clone();
            let is_left = pod.is_some_and(|pod| pod.namespace().as_ref() == Some(&namespace));
            if is_left {
                seen.send_replace(None);
            }
            !is_left
        });
        self.abandoned.insert(namespace);
    }

    fn is_abandoned(&self, pod: &Pod) -> bool {
        self.abandoned.contains(&pod.namespace().unwrap_or_default())
    }

    fn lose(&mut self, uid: &str) {
        if let Some(seen) = self.seen.remove(uid) {
            seen.send_replace(None);
        }
    }
}

/// A pod with an image of the runner that has a node.
fn is_ours(pod: &Pod) -> bool {
    let Some(spec) = &pod.spec else { return false };
    let images = spec
        .containers
        .iter()
        .filter_map(|container| container.image.as_deref());
    spec.node_name.is_some() && images.into_iter().any(|image| image.starts_with(IMAGES))
}
