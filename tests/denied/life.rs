//! A sequence of steps in which the operator needs each of its rights.

use std::net::SocketAddr;

use dittofs_operator::api::{DittoServer, ServiceMonitor};
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::{Api, ResourceExt};
use local_control_plane::percona::PerconaSimulator;
use local_control_plane::rights::{Account, Right};
use serde_json::{Value, json};

use crate::support::process::{Process, free_address, scrape_securely};
use crate::support::{Kind, World, account, fixtures, wait};

const WORKING: &str = "example.org/dittofs:1";
/// The simulated kubelets run a container of this image and never make it ready.
const BROKEN: &str = "example.org/dittofs:unready";

/// One operator with one server in their own namespace.
pub struct Life {
    pub world: World,
    pub operator: Process,
    account: Account,
    metrics: SocketAddr,
    _simulator: PerconaSimulator,
}

impl Life {
    /// Starts an operator with the chart's rules, except one right.
    pub async fn without(right: Option<&Right>) -> Self {
        let world = World::without_operator("denied").await;
        let account = account::denied(&world, right).await;
        let metrics = free_address();
        let arguments = [
            "--leader-elect",
            "--leader-elect-retry-period=500ms",
            "--log-format=text",
            &format!("--metrics-bind-address={metrics}"),
        ];
        let operator = Process::start_as(&world, &account, &arguments).await;
        let simulator = world.percona().await;
        Self {
            world,
            operator,
            account,
            metrics,
            _simulator: simulator,
        }
    }

    /// The conditions of the server, a line each.
    pub async fn status(&self) -> String {
        let server = there::<DittoServer>(&self.world, "files").await;
        let status = server.and_then(|server| server.status).unwrap_or_default();
        let lines = status.conditions.iter().map(|condition| {
            let message = condition.message.replace('\n', " ");
            format!("{}: {message}\n", condition.type_)
        });
        lines.collect()
    }

    /// Uses the operator's own account. That it may not read the metrics is known only once both reviews are answered.
    async fn scrape(&self) {
        let token = account::token(&self.world.client, &self.account).await;
        scrape_securely(self.metrics, Some(&token)).await;
    }
}

/// What a user does, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Creates a server with everything.
    Create,
    /// Reads the metrics.
    Scrape,
    /// Asks for another interval between scrapes.
    Interval,
    /// Asks for larger volumes and other Services, turns the metrics off.
    Change,
    /// Asks for a new signing key.
    Rotate,
    /// Removes the owner references of the server's children.
    Disown,
    /// Asks for an image that does not run.
    Break,
    /// Asks for the previous image, and for no PodDisruptionBudget.
    Correct,
    /// Deletes the server.
    Delete,
}

impl Step {
    pub const ALL: [Self; 9] = [
        Self::Create,
        Self::Scrape,
        Self::Interval,
        Self::Change,
        Self::Rotate,
        Self::Disown,
        Self::Break,
        Self::Correct,
        Self::Delete,
    ];

    /// Does it.
    pub async fn act(self, life: &Life) {
        let world = &life.world;
        match self {
            Self::Create => drop(world.create(&server()).await),
            Self::Scrape => life.scrape().await,
            Self::Interval => {
                note::<ServiceMonitor>(world, "files-metrics").await;
                let metrics = json!({"serviceMonitor": {"interval": "45s"}});
                change(world, json!({"spec": {"metrics": metrics}})).await;
            }
            Self::Change => {
                note::<Service>(world, "files-api").await;
                let spec = json!({
                    "storage": {"metadataSize": "2Gi"},
                    "service": {"annotations": {"example.com/a": "b"}},
                    "metrics": {"enabled": false},
                    "percona": {"storageSize": "20Gi"},
                });
                change(world, json!({"spec": spec})).await;
            }
            Self::Rotate => {
                let annotations = json!({"dittofs.dittofs.com/rotate-secrets": "monday"});
                change(world, json!({"metadata": {"annotations": annotations}})).await;
            }
            Self::Disown => {
                disown::<ConfigMap>(world, "files-config").await;
                disown::<NetworkPolicy>(world, "files-baseline").await;
                disown::<PodDisruptionBudget>(world, "files").await;
            }
            Self::Break => change(world, json!({"spec": {"image": BROKEN}})).await,
            Self::Correct => {
                let spec = json!({"image": WORKING, "podDisruptionBudget": {"enabled": false}});
                change(world, json!({"spec": spec})).await;
            }
            Self::Delete => world.delete::<DittoServer>("files").await,
        }
    }

    /// Whether the operator has completed the step.
    pub async fn is_done(self, world: &World) -> bool {
        let Some(server) = there::<DittoServer>(world, "files").await else {
            return self == Self::Delete;
        };
        match self {
            Self::Create | Self::Correct => is_ready(&server),
            Self::Scrape => true,
            Self::Interval => {
                let monitor = there::<ServiceMonitor>(world, "files-metrics").await;
                monitor.is_some_and(|monitor| json!(monitor)["spec"]["endpoints"][0]["interval"] == "45s")
            }
            Self::Change => {
                let claim = there::<PersistentVolumeClaim>(world, "metadata-files-0").await;
                let has_metrics = there::<Service>(world, "files-metrics").await.is_some();
                is_ready(&server) && !has_metrics && claim.is_some_and(|claim| asks_for(&claim, "2Gi"))
            }
            Self::Rotate => {
                let secret = there::<Secret>(world, "files-jwt-secret").await;
                let is_rotated =
                    secret.is_some_and(|secret| secret.annotations().contains_key("dittofs.io/rotated-for"));
                is_rotated && is_ready(&server)
            }
            Self::Disown => {
                is_owned::<ConfigMap>(world, "files-config").await
                    && is_owned::<NetworkPolicy>(world, "files-baseline").await
                    && is_owned::<PodDisruptionBudget>(world, "files").await
            }
            Self::Break => {
                let pod = there::<Pod>(world, "files-0").await;
                let is_new = pod.is_some_and(|pod| json!(pod)["spec"]["containers"][0]["image"] == BROKEN);
                is_new
                    && wait::condition(&server, "Available")
                        .is_some_and(|available| available.message.contains("pod files-0: container"))
            }
            Self::Delete => false,
        }
    }
}

fn server() -> DittoServer {
    fixtures::server(
        "files",
        json!({
            "image": WORKING,
            "metrics": {"enabled": true, "serviceMonitor": {"enabled": true}},
            "percona": {"enabled": true, "deleteWithServer": true},
            "podDisruptionBudget": {"enabled": true},
            "storage": {"metadataSize": "1Gi", "storageClassName": "standard", "retention": "Delete"},
        }),
    )
}

/// Annotates a child. The operator reads it before the next edit: an edit of a child that only the operator has written needs no read.
async fn note<K: Kind>(world: &World, name: &str) {
    let annotations = json!({"example.com/note": "seen"});
    let noted = json!({"metadata": {"annotations": annotations}});
    world.merge::<K>(name, noted).await;
}

async fn change(world: &World, patch: Value) {
    world.merge::<DittoServer>("files", patch).await;
}

async fn disown<K: Kind>(world: &World, name: &str) {
    world
        .merge::<K>(name, json!({"metadata": {"ownerReferences": null}}))
        .await;
}

async fn there<K: Kind>(world: &World, name: &str) -> Option<K> {
    let api: Api<K> = world.api();
    api.get_opt(name).await.expect("a read")
}

async fn is_owned<K: Kind>(world: &World, name: &str) -> bool {
    let object = there::<K>(world, name).await;
    object.is_some_and(|object| !object.owner_references().is_empty())
}

fn is_ready(server: &DittoServer) -> bool {
    wait::condition(server, "Ready").is_some_and(|ready| {
        ready.status == "True" && ready.observed_generation == server.metadata.generation
    })
}

fn asks_for(claim: &PersistentVolumeClaim, size: &str) -> bool {
    let claim = json!(claim);
    claim["spec"]["resources"]["requests"]["storage"] == size
}
