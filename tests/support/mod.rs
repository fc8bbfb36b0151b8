//! A namespace with an operator in it, on a shared control plane.
//!
//! The control plane starts with the first test and ends with the process. Each test has a namespace and an operator of
//! its own that watches this namespace only, so tests run side by side. Waiting is always on a condition of an object.

pub mod account;
pub mod audit;
pub mod chart;
pub mod fixtures;
pub mod merge;
mod operator;
pub mod process;
pub mod real;
pub mod record;
pub mod recorder;
pub mod restarts;
pub mod s3;
pub mod sequences;
pub mod server_double;
pub mod wait;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use dittofs_operator::api;
use dittofs_operator::api::DittoServer;
use dittofs_operator::cluster::cache::Cached;
use dittofs_operator::command::telemetry;
use dittofs_operator::command::telemetry::LogLineFormat;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Event, Namespace, Pod};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use local_control_plane::percona::{self, PerconaSimulator, SimulatorOptions};
use local_control_plane::{ControlPlane, Options, definition};
use serde::Serialize;
use tokio::sync::OnceCell;

use self::audit::AuditLog;
pub use self::operator::Operator;
use self::process::POLL;
use self::recorder::recorded;

/// A namespaced kind that tests can read and write.
pub trait Kind: Cached + Serialize {}

impl<K: Cached + Serialize> Kind for K {}

/// The full control plane that most tests share, with the CRDs of DittoServer, PerconaPGCluster and ServiceMonitor.
pub async fn control_plane() -> Arc<ControlPlane> {
    static SHARED: OnceCell<Arc<ControlPlane>> = OnceCell::const_new();
    let start = || async {
        let control_plane = ControlPlane::start(recorded(Options::full()))
            .await
            .expect("the control plane starts");
        let client = control_plane.client().expect("a client");
        install_crd(&client, api::crd()).await;
        percona::install_crd(&client).await.expect("the CRD is installed");
        install_crd(&client, fixtures::service_monitor_crd()).await;
        Arc::new(control_plane)
    };
    Arc::clone(SHARED.get_or_init(start).await)
}

/// A control plane for one test that breaks it: the API server only, with no CRD installed.
pub async fn own_control_plane() -> Arc<ControlPlane> {
    Arc::new(
        ControlPlane::start(recorded(Options::default()))
            .await
            .expect("the control plane starts"),
    )
}

/// Installs a CRD and waits until it is served.
pub async fn install_crd(client: &Client, crd: CustomResourceDefinition) {
    definition::install(client, &crd)
        .await
        .expect("the API server serves the CRD");
}

/// One test's namespace and operator.
pub struct World {
    /// The namespace.
    pub namespace: String,
    /// An administrator's client.
    pub client: Client,
    control_plane: Arc<ControlPlane>,
    audit_log: AuditLog,
    /// Where its operator reaches the APIs of servers.
    server_url_template: String,
    operator: Option<Operator>,
}

impl World {
    /// A namespace without operator. `name` is part of the namespace's name.
    pub async fn without_operator(name: &str) -> Self {
        Self::on(control_plane().await, name).await
    }

    /// A namespace without operator, on this control plane.
    pub async fn on(control_plane: Arc<ControlPlane>, name: &str) -> Self {
        // `RUST_LOG=dittofs_operator=debug cargo test …` shows the operator's log. A second test finds it already set up.
        // Without it, kube's messages about control planes that tests have stopped or broken are hidden.
        let quiet = || "error,kube_client=off".into();
        let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| quiet());
        let _ = telemetry::init(&filter, LogLineFormat::Text);
        let client = control_plane.client().expect("a client");
        let namespace = create_namespace(&client, name).await;
        Self {
            audit_log: AuditLog::of(&control_plane, &namespace),
            namespace,
            client,
            control_plane,
            server_url_template: server_double::template(),
            operator: None,
        }
    }

    /// A namespace with a running operator.
    pub async fn new(name: &str) -> Self {
        let mut world = Self::without_operator(name).await;
        world.start_operator().await;
        world
    }

    /// A namespace with a running operator that calls the API of the real server `files`, at the address of its pod.
    pub async fn of_real_server(name: &str) -> Self {
        let world = Self::without_operator(name).await;
        let address = real::runner().await.address(&world.namespace, "files-0");
        world.calling(format!("{{scheme}}://{address}:{{port}}")).await
    }

    /// As [`Self::of_real_server`], for servers on which the operator makes stores. The process of a server has no root directory of its
    /// own, so the paths in these calls are rewritten on their way.
    pub async fn with_stores(name: &str) -> Self {
        let world = Self::without_operator(name).await;
        world.calling(real::forwarder().await.url_template()).await
    }

    /// Starts an operator that reaches the APIs of servers by this template.
    pub async fn calling(mut self, server_url_template: String) -> Self {
        self.reach_servers(server_url_template);
        self.start_operator().await;
        self
    }

    /// The next operator reaches the APIs of servers by this template.
    pub fn reach_servers(&mut self, server_url_template: String) {
        self.server_url_template = server_url_template;
    }

    /// Starts an operator, with the chart's rules and no others, and waits until its caches have synced.
    pub async fn start_operator(&mut self) {
        let config = account::config(&self.control_plane).await;
        self.start_operator_as(config).await;
    }

    /// Starts an operator that calls the API server with this configuration.
    pub async fn start_operator_as(&mut self, config: kube::Config) {
        let template = self.server_url_template.clone();
        let (operator, is_ready) = Operator::spawn(config, vec![self.namespace.clone()], template);
        self.operator = Some(operator.synced(is_ready).await);
    }

    /// As [`Self::start_operator_as`], for an operator whose caches can never all sync.
    pub fn start_operator_unsynced(&mut self, config: kube::Config) {
        let template = self.server_url_template.clone();
        self.operator = Some(Operator::spawn(config, vec![self.namespace.clone()], template).0);
    }

    /// Stops the operator gracefully.
    pub async fn stop_operator(&mut self) {
        if let Some(operator) = self.operator.take() {
            operator.stop().await;
        }
    }

    /// Ends the operator like SIGKILL.
    pub fn kill_operator(&mut self) {
        if let Some(operator) = self.operator.take() {
            operator.kill();
        }
    }

    /// The audit log, from the creation of the namespace on.
    pub fn audit(&self) -> &AuditLog {
        &self.audit_log
    }

    /// The control plane below.
    pub fn control_plane(&self) -> &ControlPlane {
        &self.control_plane
    }

    /// A Percona simulator for this namespace.
    pub async fn percona(&self) -> PerconaSimulator {
        let options = SimulatorOptions {
            namespaces: Some(vec![self.namespace.clone()]),
            install_crd: false,
            ..SimulatorOptions::default()
        };
        PerconaSimulator::start(self.control_plane.client_config(), options)
            .await
            .expect("the simulator starts")
    }

    /// An API handle in the namespace.
    pub fn api<K: Kind>(&self) -> Api<K> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Creates an object in the namespace.
    pub async fn create<K: Kind>(&self, object: &K) -> K {
        self.api()
            .create(&PostParams::default(), object)
            .await
            .expect("the API server accepts the object")
    }

    /// Reads an object of the namespace.
    pub async fn get<K: Kind>(&self, name: &str) -> K {
        self.api().get(name).await.expect("the object exists")
    }

    /// Whether the namespace has no object of this name.
    pub async fn lacks<K: Kind>(&self, name: &str) -> bool {
        let found = self.api::<K>().get_opt(name).await.expect("an answer");
        found.is_none()
    }

    /// Merges `patch` into an object, as `kubectl patch --type=merge` does.
    pub async fn merge<K: Kind>(&self, name: &str, patch: serde_json::Value) -> K {
        self.api()
            .patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .expect("the API server accepts the patch")
    }

    /// Deletes an object of the namespace.
    pub async fn delete<K: Kind>(&self, name: &str) {
        self.api::<K>()
            .delete(name, &DeleteParams::default())
            .await
            .expect("the object can be deleted");
    }

    /// Deletes the StatefulSet of the server `files` and keeps its pod, like an operator that is killed before it re-creates
    /// the StatefulSet.
    pub async fn orphan_pod(&self) {
        self.old_pod().await;
        let api = self.api::<StatefulSet>();
        let uid = self.get::<StatefulSet>("files").await.metadata.uid;
        api.delete("files", &DeleteParams::orphan())
            .await
            .expect("deleted");
        wait::until_gone(api, "files", uid).await;
    }

    /// Waits until the pod of the server `files` is as old as the operator requires before it re-creates the StatefulSet
    /// (`volumes/stable.rs`). The garbage collector may delete a younger pod that it has not yet observed.
    pub async fn old_pod(&self) {
        const OLD: SignedDuration = SignedDuration::from_secs(10);
        let made = self.get::<Pod>("files-0").await.metadata.creation_timestamp;
        let age = Timestamp::now().duration_since(made.expect("the API server dates it").0);
        let left = Duration::try_from(OLD - age).unwrap_or_default();
        tokio::time::sleep(left).await;
    }

    /// Waits until a server's status satisfies `holds`.
    pub async fn server_until(
        &self,
        name: &str,
        what: &str,
        holds: impl Fn(&DittoServer) -> bool,
    ) -> DittoServer {
        wait::until(self.api(), name, what, holds).await
    }

    /// Waits until the operator has observed the server `files` as it is now.
    pub async fn observed(&self) {
        self.server_until("files", "observed", |server| {
            let status = server.status.as_ref();
            status.and_then(|status| status.observed_generation) == server.metadata.generation
        })
        .await;
    }

    /// Waits until the server `files` has another pod than the one of this UID.
    pub async fn pod_other_than(&self, before: Option<&str>) -> Pod {
        wait::until(self.api::<Pod>(), "files-0", "another pod", |pod| {
            pod.metadata.uid.as_deref() != before
        })
        .await
    }

    /// Waits until a pod is Ready.
    pub async fn ready_pod(&self, name: &str) -> Pod {
        wait::until(self.api::<Pod>(), name, "Ready", |pod| {
            let conditions = pod
                .status
                .iter()
                .flat_map(|status| status.conditions.iter().flatten());
            conditions
                .into_iter()
                .any(|of| of.type_ == "Ready" && of.status == "True")
        })
        .await
    }

    /// Notes of the events with this reason.
    pub async fn notes(&self, reason: &str) -> Vec<String> {
        let events = self
            .api::<Event>()
            .list(&ListParams::default())
            .await
            .expect("events");
        let of_reason = events
            .into_iter()
            .filter(|event| event.reason.as_deref() == Some(reason));
        of_reason.filter_map(|event| event.message).collect()
    }

    /// The notes of all events with this reason. Stops the operator first, which writes its last events then: it writes events in
    /// the background.
    pub async fn all_notes(&mut self, reason: &str) -> Vec<String> {
        self.stop_operator().await;
        self.notes(reason).await
    }

    /// Waits until there is an event with this reason. Returns its note.
    pub async fn event_note(&self, reason: &str) -> String {
        let deadline = Instant::now() + wait::LONGEST;
        loop {
            if let Some(note) = self.notes(reason).await.pop() {
                return note;
            }
            assert!(Instant::now() < deadline, "no event {reason}");
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits until a server is Ready for its current generation, and what its API says of its adapters is known.
    pub async fn ready(&self, name: &str) -> DittoServer {
        self.server_until(name, "Ready", |server| {
            let is_ready = wait::condition(server, "Ready").is_some_and(|ready| {
                ready.status == "True" && ready.observed_generation == server.metadata.generation
            });
            is_ready && wait::is_known(server)
        })
        .await
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            wait::dump(&self.control_plane, &self.namespace);
        }
        if let Some(operator) = &self.operator {
            operator.cancel();
        }
        real::abandon(&self.namespace);
    }
}

async fn create_namespace(client: &Client, name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let name = format!("{name}-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let namespace = Namespace {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            ..ObjectMeta::default()
        },
        ..Namespace::default()
    };
    let api: Api<Namespace> = Api::all(client.clone());
    api.create(&PostParams::default(), &namespace)
        .await
        .expect("a namespace");
    name
}
