//! Shared control planes, namespaces, conditions to wait for.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, ApiResource, DynamicObject, PostParams};
use kube::runtime::wait::{Condition, await_condition};
use kube::{Client, ResourceExt};
use local_control_plane::percona::{PerconaPGCluster, PerconaSimulator, SimulatorOptions};
use local_control_plane::{ControlPlane, Options};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

/// Long, because the machine may be busy. The wait ends as soon as the condition holds.
pub const PATIENCE: Duration = Duration::from_secs(60);

static API: OnceCell<ControlPlane> = OnceCell::const_new();
static FULL: OnceCell<ControlPlane> = OnceCell::const_new();

/// An API server that the tests share and leave running.
pub async fn api() -> &'static ControlPlane {
    API.get_or_init(async || ControlPlane::start(Options::default()).await.unwrap())
        .await
}

/// A control plane with all components that the tests share and leave running.
pub async fn full() -> &'static ControlPlane {
    FULL.get_or_init(async || ControlPlane::start(Options::full()).await.unwrap())
        .await
}

/// A namespace of the test's own.
pub async fn namespace(client: &Client, prefix: &str) -> String {
    let namespace: Namespace =
        serde_json::from_value(json!({"metadata": {"generateName": format!("{prefix}-")}})).unwrap();
    let created = Api::all(client.clone())
        .create(&PostParams::default(), &namespace)
        .await
        .unwrap();
    created.name_any()
}

/// Waits until an object is as wanted, and gives it.
pub async fn until<K>(api: &Api<K>, name: &str, condition: impl Condition<K>) -> K
where
    K: Clone + Debug + DeserializeOwned + kube::Resource + Send + 'static,
{
    let wait = await_condition(api.clone(), name, condition);
    let Ok(found) = tokio::time::timeout(PATIENCE, wait).await else {
        panic!("{name} is not as wanted: {:#?}", api.get_opt(name).await)
    };
    found.unwrap().unwrap()
}

/// Asks until there is an answer.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, ask: impl Fn() -> F) -> T {
    let ask = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, ask)
        .await
        .unwrap_or_else(|_| panic!("never: {what}"))
}

/// A test with a simulator that serves only its own namespace.
pub struct Percona {
    pub client: Client,
    pub namespace: String,
    pub clusters: Api<PerconaPGCluster>,
    pub simulator: PerconaSimulator,
}

impl Percona {
    pub async fn start() -> Self {
        let client = api().await.client().unwrap();
        let namespace = namespace(&client, "percona").await;
        let simulator = simulator(&namespace).await;
        let clusters = Api::namespaced(client.clone(), &namespace);
        Self {
            client,
            namespace,
            clusters,
            simulator,
        }
    }

    pub async fn create(&self, name: &str, spec: &Value) -> PerconaPGCluster {
        self.create_annotated(name, spec, &[]).await
    }

    pub async fn create_annotated(
        &self,
        name: &str,
        spec: &Value,
        annotations: &[(&str, &str)],
    ) -> PerconaPGCluster {
        let annotations: BTreeMap<_, _> = annotations.iter().copied().collect();
        let cluster = json!({
            "apiVersion": "pgv2.percona.com/v2",
            "kind": "PerconaPGCluster",
            "metadata": {"name": name, "annotations": annotations},
            "spec": spec,
        });
        // Untyped: the simulator's type knows only what the simulator reads.
        let cluster: DynamicObject = serde_json::from_value(cluster).unwrap();
        let resource = ApiResource::erase::<PerconaPGCluster>(&());
        let api = Api::<DynamicObject>::namespaced_with(self.client.clone(), &self.namespace, &resource);
        let created = api.create(&PostParams::default(), &cluster).await.unwrap();
        created.try_parse().unwrap()
    }

    pub async fn until_state(&self, name: &str, state: &'static str) -> PerconaPGCluster {
        until(&self.clusters, name, move |cluster: Option<&PerconaPGCluster>| {
            cluster.is_some_and(|cluster| state_of(cluster) == state)
        })
        .await
    }
}

/// A simulator for one namespace.
pub async fn simulator(namespace: &str) -> PerconaSimulator {
    let options = SimulatorOptions {
        namespaces: Some(vec![namespace.to_owned()]),
        ..SimulatorOptions::default()
    };
    PerconaSimulator::start(api().await.client_config(), options)
        .await
        .unwrap()
}

pub fn state_of(cluster: &PerconaPGCluster) -> &str {
    cluster.status.as_ref().map_or("", |status| status.state.as_str())
}

/// A specification that the real operator accepts.
pub fn good_spec() -> Value {
    json!({
        "image": "docker.io/percona/percona-distribution-postgresql:17.7-2",
        "postgresVersion": 17,
        "instances": [{
            "name": "instance1",
            "dataVolumeClaimSpec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
            },
        }],
        "users": [{"name": "dittofs", "databases": ["dittofs"]}],
        "proxy": {"pgBouncer": {"image": "docker.io/percona/percona-pgbouncer:1.25.0-1", "replicas": 1}},
        "backups": {
            "enabled": false,
            "pgbackrest": {"image": "docker.io/percona/percona-pgbackrest:2.57.0-1"},
        },
    })
}
