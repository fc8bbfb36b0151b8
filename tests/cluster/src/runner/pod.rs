//! The life of one pod.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::{Api, Client, ResourceExt};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::container::{Process, RETRY, Statuses};
use super::rewrite::Rewrite;
use super::shared::{self, Shared};
use super::sources::{Sources, Trouble};
use super::status;
use super::volumes::Volumes;

/// How often files of ConfigMaps and Secrets are brought up to date. The kubelet takes up to a minute.
const REFRESH: Duration = Duration::from_secs(10);

/// The pod as it was seen last; `None` once it is gone.
pub(super) type Seen = watch::Receiver<Option<Arc<Pod>>>;

/// One pod that runs here.
pub(super) struct Life {
    shared: Arc<Shared>,
    client: Client,
    /// As it was seen first.
    pod: Arc<Pod>,
    seen: Seen,
    address: Ipv4Addr,
    sources: Sources,
    statuses: watch::Sender<Statuses>,
    stop: watch::Sender<Option<Duration>>,
}

impl Life {
    pub(super) fn new(shared: Arc<Shared>, client: Client, pod: Arc<Pod>, seen: Seen) -> Self {
        let namespace = pod.namespace().unwrap_or_default();
        let statuses =
            containers(&pod).map(|container| (container.name.clone(), first_status(container, &pod)));
        Self {
            address: shared.address(&namespace, &pod.name_any()),
            sources: Sources::new(client.clone(), namespace),
            statuses: watch::Sender::new(statuses.collect()),
            stop: watch::Sender::new(None),
            shared,
            client,
            pod,
            seen,
        }
    }

    /// Runs the pod until its object is gone.
    pub(super) async fn run(mut self) {
        self.follow(self.work()).await;
        if self.seen.borrow().is_some() {
            // A pod that has run to its end stays until somebody deletes it.
            let _ = self.seen.wait_for(|pod| is_deleted(pod.as_deref())).await;
            self.delete().await;
        }
        self.shared.forget(&self.pod);
        let _ = std::fs::remove_dir_all(self.shared.home.pod(&self.pod));
    }

    /// Volumes, then containers until all have ended. It borrows nothing, so that the pod can be followed at the same time.
    fn work(&self) -> impl Future<Output = ()> + use<> {
        let work = Work {
            shared: Arc::clone(&self.shared),
            pod: Arc::clone(&self.pod),
            address: self.address,
            sources: self.sources.clone(),
            statuses: self.statuses.clone(),
            stop: self.stop.subscribe(),
        };
        work.run()
    }

    /// Writes each change of the status and passes the wish to end on, until the work is done.
    async fn follow(&mut self, work: impl Future<Output = ()>) {
        tokio::pin!(work);
        let mut changes = self.statuses.subscribe();
        let mut is_written = false;
        self.heed();
        loop {
            tokio::select! {
                () = &mut work => break,
                _ = changes.changed() => is_written = self.write().await,
                _ = self.seen.changed() => self.heed(),
                () = tokio::time::sleep(RETRY), if !is_written => is_written = self.write().await,
            }
        }
        self.write().await;
    }

    /// Tells the containers when the pod is to end.
    fn heed(&self) {
        let grace = match self.seen.borrow().as_deref() {
            None => Some(Duration::ZERO),
            Some(pod) if pod.metadata.deletion_timestamp.is_some() => {
                let seconds = pod.metadata.deletion_grace_period_seconds.unwrap_or_default();
                Some(Duration::from_secs(u64::try_from(seconds).unwrap_or_default()))
            }
            Some(_) => None,
        };
        self.stop.send_if_modified(|stop| {
            let changes = grace.is_some() && *stop != grace;
            if changes {
                *stop = grace;
            }
            changes
        });
    }

    /// Whether there is nothing more to write.
    async fn write(&self) -> bool {
        let Some(pod) = self.seen.borrow().clone() else {
            return true;
        };
        let containers: Vec<_> = self.statuses.borrow().values().cloned().collect();
        let status = status::of(
            &pod,
            containers,
            &shared::pod_ip(self.address),
            &Time(Timestamp::now()),
        );
        let patch = Patch::Strategic(json!({"metadata": {"uid": pod.uid()}, "status": status}));
        let params = PatchParams::default();
        match self.pods().patch_status(&pod.name_any(), &params, &patch).await {
            Ok(_) => true,
            Err(kube::Error::Api(status)) => matches!(status.code, 404 | 409),
            Err(_) => false,
        }
    }

    /// Removes the object, as the kubelet does once the processes have ended.
    async fn delete(&self) {
        let params = DeleteParams {
            grace_period_seconds: Some(0),
            preconditions: Some(Preconditions {
                uid: self.pod.uid(),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        while self.seen.borrow().is_some() {
            match self.pods().delete(&self.pod.name_any(), &params).await {
                Ok(_) => return,
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => return,
                Err(_) => tokio::time::sleep(RETRY).await,
            }
        }
    }

    fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.pod.namespace().unwrap_or_default())
    }
}

fn is_deleted(pod: Option<&Pod>) -> bool {
    pod.is_none_or(|pod| pod.metadata.deletion_timestamp.is_some())
}

/// The part that runs the containers.
struct Work {
    shared: Arc<Shared>,
    pod: Arc<Pod>,
    address: Ipv4Addr,
    sources: Sources,
    statuses: watch::Sender<Statuses>,
    stop: watch::Receiver<Option<Duration>>,
}

impl Work {
    async fn run(mut self) {
        let Some((directories, rewrite)) = self.prepared().await else {
            return;
        };
        self.shared.set_rewrite(&self.pod, &rewrite);
        let mut processes = JoinSet::new();
        for container in containers(&self.pod) {
            processes.spawn(self.process(container, &rewrite).run());
        }
        let mut refresh = tokio::time::interval(REFRESH);
        loop {
            tokio::select! {
                ended = processes.join_next() => if ended.is_none() { return },
                // A Secret that cannot be read now keeps its files.
                _ = refresh.tick() => drop(self.volumes().fill(&directories, &rewrite).await),
            }
        }
    }

    fn process(&self, container: &Container, rewrite: &Rewrite) -> Process {
        let known = self
            .statuses
            .borrow()
            .get(&container.name)
            .map(|status| status.restart_count);
        Process {
            shared: Arc::clone(&self.shared),
            pod: Arc::clone(&self.pod),
            container: container.clone(),
            rewrite: rewrite.clone(),
            address: self.address,
            sources: self.sources.clone(),
            statuses: self.statuses.clone(),
            stop: self.stop.clone(),
            restarts: known.unwrap_or_default(),
        }
    }

    /// Waits until the volumes can be made; `None` if the pod is to end first.
    async fn prepared(&mut self) -> Option<(BTreeMap<String, PathBuf>, Rewrite)> {
        loop {
            match self.prepare().await {
                Ok(prepared) => return Some(prepared),
                Err(trouble) => self.wait_for(&trouble),
            }
            if tokio::time::timeout(RETRY, self.stop.wait_for(Option::is_some))
                .await
                .is_ok()
            {
                return None;
            }
        }
    }

    async fn prepare(&self) -> Result<(BTreeMap<String, PathBuf>, Rewrite), Trouble> {
        let spec = self.pod.spec.as_ref();
        if spec.is_some_and(|spec| spec.init_containers.iter().flatten().next().is_some()) {
            return Err(Trouble::Unsupported("a pod with init containers".to_owned()));
        }
        let own = self.shared.home.pod(&self.pod);
        std::fs::create_dir_all(own.join("tmp"))?;
        let directories = self.volumes().directories().await?;
        let mounts = containers(&self.pod).flat_map(|container| container.volume_mounts.iter().flatten());
        let paths = mounts.filter_map(|mount| {
            let directory = directories.get(&mount.name)?;
            let below = mount.sub_path.as_deref().unwrap_or_default();
            Some((mount.mount_path.clone(), directory.join(below)))
        });
        let paths = paths.chain([("/tmp".to_owned(), own.join("tmp"))]);
        let rewrite = Rewrite::new(paths, self.address);
        self.volumes().fill(&directories, &rewrite).await?;
        Ok((directories, rewrite))
    }

    fn volumes(&self) -> Volumes<'_> {
        Volumes {
            pod: &self.pod,
            address: self.address,
            home: &self.shared.home,
            sources: &self.sources,
        }
    }

    fn wait_for(&self, trouble: &Trouble) {
        self.statuses.send_modify(|statuses| {
            for status in statuses.values_mut() {
                status.state = Some(status::waiting("ContainerCreating", Some(trouble.to_string())));
            }
        });
    }
}

fn containers(pod: &Pod) -> impl Iterator<Item = &Container> {
    pod.spec.iter().flat_map(|spec| &spec.containers)
}

/// A container that has not run yet, or whose process another runner has started: that one has ended with it.
fn first_status(container: &Container, pod: &Pod) -> ContainerStatus {
    let known = pod
        .status
        .iter()
        .flat_map(|status| status.container_statuses.iter().flatten());
    let known = known.into_iter().find(|status| status.name == container.name);
    let ran = known.filter(|status| status.container_id.is_some());
    ContainerStatus {
        name: container.name.clone(),
        image: container.image.clone().unwrap_or_default(),
        image_id: container.image.clone().unwrap_or_default(),
        restart_count: ran.map_or(0, |status| status.restart_count + 1),
        last_state: ran.and_then(|status| status.last_state.clone()),
        state: Some(status::waiting("ContainerCreating", None)),
        started: Some(false),
        ..ContainerStatus::default()
    }
}
