//! One server that lives through a sequence of steps.

use std::collections::BTreeMap;

use dittofs_operator::api::names::ROTATED_FOR_ANNOTATION;
use dittofs_operator::api::percona::PerconaPGCluster;
use dittofs_operator::api::{DittoServer, Phase};
use dittofs_operator::domain::settings::Settings;
use dittofs_operator::domain::workload::pods;
use dittofs_operator::plugin::render;
use dittofs_operator::reconcile::apply::compare;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{Api, DynamicObject, ListParams};
use kube::core::{ApiResource, GroupVersionKind, TypeMeta};
use kube::runtime::wait::await_condition;
use kube::{Resource, ResourceExt};
use local_control_plane::percona::PerconaSimulator;
use serde_json::{Value, json};

use super::step::{Goal, Step};
use crate::support::audit::AuditLog;
use crate::support::restarts::Restarts;
use crate::support::{World, wait};

const NAME: &str = "files";
const POD: &str = "files-0";

/// Objects that hold data, by kind and name: they must keep their UID.
type Kept = BTreeMap<String, Option<String>>;

pub struct Life {
    world: World,
    simulator: PerconaSimulator,
    goal: Goal,
    kept: Kept,
    /// Restarts since the last re-creation, and their number before.
    restarts: (Restarts, usize),
    seed: u64,
}

impl Life {
    pub async fn begin(seed: u64) -> Self {
        let world = World::new("model").await;
        let simulator = world.percona().await;
        let mut life = Self {
            restarts: (Restarts::of(&world), 0),
            world,
            simulator,
            goal: Goal::first(seed),
            kept: Kept::new(),
            seed,
        };
        life.create().await;
        life.settle().await;
        life.kept = life.holders().await;
        life
    }

    async fn create(&self) {
        let object = json!({
            "apiVersion": "dittofs.dittofs.com/v1alpha1",
            "kind": "DittoServer",
            "metadata": {"name": NAME, "annotations": self.goal.annotations},
            "spec": self.goal.spec,
        });
        let server: DittoServer = serde_json::from_value(without_nulls(object)).expect("a DittoServer");
        self.world.create(&server).await;
    }

    /// Does one step, as a user does it.
    pub async fn take(&mut self, step: Step) {
        self.goal.after(step);
        match step {
            Step::Recreate => self.recreate().await,
            Step::LoseChild(n) => self.lose_child(n).await,
            _ => {
                let patch =
                    json!({"metadata": {"annotations": self.goal.annotations}, "spec": self.goal.spec});
                self.world.merge::<DittoServer>(NAME, patch).await;
            }
        }
    }

    /// Its pod is deleted with the server. That is not a restart, and Kubernetes may create and collect another pod meanwhile.
    async fn recreate(&mut self) {
        self.restarts.1 += self.restarts.0.count();
        let server: DittoServer = self.world.get(NAME).await;
        let pod = self.world.api::<Pod>().get_opt(POD).await.expect("a read");
        self.world.delete::<DittoServer>(NAME).await;
        wait::until_gone(self.world.api::<DittoServer>(), NAME, server.uid()).await;
        let pod = pod.and_then(|pod| pod.uid());
        wait::until_gone(self.world.api::<Pod>(), POD, pod).await;
        self.create().await;
    }

    /// Starts to count restarts again once a re-created server is stable.
    pub fn settled(&mut self, step: Step) {
        if step == Step::Recreate {
            self.restarts.0 = Restarts::of(&self.world);
        }
    }

    /// A paused operator does not re-create a child, so none is deleted.
    async fn lose_child(&self, n: u8) {
        if self.goal.is_paused() {
            return;
        }
        match n {
            0 => self.world.delete::<ConfigMap>("files-config").await,
            1 => self.world.delete::<Service>("files-api").await,
            2 => self.world.delete::<NetworkPolicy>("files-baseline").await,
            _ => self.world.delete::<Service>("files-headless").await,
        }
    }

    pub async fn stop_operator(&mut self) {
        self.world.stop_operator().await;
    }

    pub async fn start_operator(&mut self) {
        self.world.start_operator().await;
    }

    /// Waits until the operator and Kubernetes have nothing left to do. An annotation does not change the generation, so
    /// `observedGeneration` alone does not show that.
    pub async fn settle(&self) {
        let (paused, stopped) = (self.goal.is_paused(), self.goal.is_stopped());
        self.world
            .server_until(NAME, &format!("settled, seed {}", self.seed), |server| {
                let Some(status) = &server.status else {
                    return false;
                };
                let is_current = status.observed_generation == server.metadata.generation;
                let wanted = if stopped { Phase::Stopped } else { Phase::Running };
                let ready = wait::condition(server, "Ready").is_some_and(|ready| ready.status == "True");
                let is_told = wait::condition(server, "Progressing")
                    .is_some_and(|progressing| (progressing.reason == "Paused") == paused);
                is_current
                    && is_told
                    && (paused || (ready && status.phase == Some(wanted) && wait::is_known(server)))
            })
            .await;
        if !paused {
            self.children_are_there().await;
            self.pod_is_there().await;
        }
    }

    /// The pod is the final one: no pod is about to be created or deleted.
    async fn pod_is_there(&self) {
        let wanted = i32::from(!self.goal.is_stopped());
        let set = wait::until(self.world.api::<StatefulSet>(), NAME, "rolled out", |set| {
            let status = set.status.clone().unwrap_or_default();
            status.observed_generation == set.metadata.generation
                && set.annotations().get(ROTATED_FOR_ANNOTATION) == self.goal.rotation().as_ref()
                && status.current_revision == status.update_revision
                && status.replicas == wanted
                && status.ready_replicas.unwrap_or_default() == wanted
        })
        .await;
        let pods = self.world.api::<Pod>();
        let is_settled = |pod: Option<&Pod>| match pod {
            Some(pod) => wanted == 1 && pods::is_of(pod, &set) && pod.metadata.deletion_timestamp.is_none(),
            None => wanted == 0,
        };
        let settled = tokio::time::timeout(wait::LONGEST, await_condition(pods, POD, is_settled)).await;
        settled.expect("the pod comes or goes in time").expect("a watch");
    }

    /// A deleted child is re-created after the status is stable.
    async fn children_are_there(&self) {
        wait::until(self.world.api::<ConfigMap>(), "files-config", "there", |_| true).await;
        wait::until(self.world.api::<Service>(), "files-api", "there", |_| true).await;
        wait::until(self.world.api::<Service>(), "files-headless", "there", |_| true).await;
        wait::until(
            self.world.api::<NetworkPolicy>(),
            "files-baseline",
            "there",
            |_| true,
        )
        .await;
        let growth = self.goal.spec["storage"]["metadataSize"].clone();
        wait::until(
            self.world.api::<StatefulSet>(),
            NAME,
            "of the wanted size",
            |set| {
                let value = serde_json::to_value(set).unwrap_or_default();
                value["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"] == growth
            },
        )
        .await;
    }

    async fn holders(&self) -> Kept {
        let params = ListParams::default();
        let mut kept = Kept::new();
        let claims = self
            .world
            .api::<PersistentVolumeClaim>()
            .list(&params)
            .await
            .expect("a list");
        kept.extend(
            claims
                .iter()
                .map(|claim| (format!("claim {}", claim.name_any()), claim.uid())),
        );
        let secrets = self.world.api::<Secret>().list(&params).await.expect("a list");
        kept.extend(
            secrets
                .iter()
                .map(|secret| (format!("Secret {}", secret.name_any()), secret.uid())),
        );
        let databases = self
            .world
            .api::<PerconaPGCluster>()
            .list(&params)
            .await
            .expect("a list");
        kept.extend(
            databases
                .iter()
                .map(|cluster| (format!("database {}", cluster.name_any()), cluster.uid())),
        );
        kept
    }

    /// Every volume claim, Secret and database that ever existed is still the same object.
    pub async fn assert_nothing_lost(&mut self, step: Step) {
        let now = self.holders().await;
        for (name, uid) in &self.kept {
            assert_eq!(
                now.get(name),
                Some(uid),
                "seed {}: {name} after {step:?}",
                self.seed
            );
        }
        self.kept = now;
    }

    /// The children are those of a new server with the final spec.
    pub async fn assert_as_fresh(&self) {
        let server: DittoServer = self.world.get(NAME).await;
        let mut manifest = serde_json::to_value(&server).expect("JSON");
        manifest["metadata"] = json!({"name": NAME});
        manifest["status"] = Value::Null;
        let text = serde_json::to_string(&without_nulls(manifest)).expect("JSON is YAML");
        let rendered = render::manifests(&text, &Settings::default()).expect("the stored server renders");
        for child in serde_yaml::from_multiple::<Value>(&rendered).expect("YAML") {
            self.assert_holds(child).await;
        }
        let metrics = self
            .world
            .api::<Service>()
            .get_opt("files-metrics")
            .await
            .expect("a read")
            .is_some();
        assert_eq!(
            metrics,
            self.goal.spec["metrics"]["enabled"] == true,
            "seed {}: the metrics Service",
            self.seed
        );
        self.simulator.check().expect("the database operator lives");
    }

    async fn assert_holds(&self, mut rendered: Value) {
        let types: TypeMeta = serde_json::from_value(rendered.clone()).expect("apiVersion and kind");
        let resource = ApiResource::from_gvk(&GroupVersionKind::try_from(types).expect("a kind"));
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.world.client.clone(), &self.world.namespace, &resource);
        let name = rendered["metadata"]["name"].as_str().expect("a name").to_owned();
        rendered["metadata"]["namespace"] = json!(self.world.namespace);
        // The hash covers generated values, which no manifest has. Whether the database is paused depends on the cluster.
        if let Some(template) = rendered.pointer_mut("/spec/template/metadata/annotations") {
            template
                .as_object_mut()
                .expect("annotations")
                .remove("dittofs.io/config-hash");
        }
        let live = match api.get_opt(&name).await.expect("a read") {
            Some(live) => live,
            // A server that never ran has no Services of adapters.
            None if resource.kind == "Service" && name.contains("-adapter-") && self.goal.is_stopped() => {
                return;
            }
            None => panic!("seed {}: {} {name} does not exist", self.seed, resource.kind),
        };
        let live = serde_json::to_value(&live).expect("JSON");
        assert!(
            compare::holds(&live, &rendered),
            "seed {}: {} {name}: fresh {rendered:#}\nlive {live:#}",
            self.seed,
            resource.kind
        );
    }

    /// Ends the sequence. Returns how often the operator created and deleted each object, how often the pod was restarted
    /// by anybody (a pod that is not ready when its revision changes is deleted by the operator, any other by Kubernetes), and the
    /// audit log for details.
    pub async fn end(mut self) -> (BTreeMap<String, usize>, AuditLog) {
        self.world.stop_operator().await;
        let mut calls = self.world.audit().writes();
        calls.retain(|call| matches!(call.verb.as_str(), "create" | "delete") && call.code < 300);
        let named = calls
            .iter()
            .map(|call| format!("{} {} {}", call.verb, call.resource, call.name));
        let mut counts = BTreeMap::new();
        for call in named {
            *counts.entry(call).or_insert(0) += 1;
        }
        let kind = DittoServer::kind(&());
        counts.retain(|call, _| !call.contains(kind.as_ref()) && !call.starts_with("delete pods"));
        counts.insert(
            "restart of the pod".to_owned(),
            self.restarts.0.count() + self.restarts.1,
        );
        (counts, self.world.audit().clone())
    }
}

/// `null` removes a field in a merge patch. In a manifest it would be a value.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => map
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key, without_nulls(value)))
            .collect(),
        other => other,
    }
}
