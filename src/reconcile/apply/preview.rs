//! What an apply would do, without doing it: for `kubectl dittofs diff`.
//!
//! The children, the order and the refusals are those of the apply. What the API server would make of a child (defaults,
//! fields of others, webhooks) it says itself, by dry runs. Two writes of an apply are no change of a child, and so not
//! foretold: labels and the mark on volume claims, and the end of a pod that stands in the way of a rollout.

mod overlay;
mod prune;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service};
use kube::api::{Api, DynamicObject, Patch, PostParams};
use kube::core::ApiResource;
use kube::{Resource, ResourceExt};
use serde_json::{Value, json};

use super::groundwork::Groundwork;
use super::managed_fields::{self, Managers};
use super::write::{Child, Error, Writer, stamped};
use super::{Outcome, compare, configuration, storage};
use crate::api::PerconaPGCluster;
use crate::api::names::{self, FIELD_MANAGER};
use crate::cluster::client::params::dry_apply;
use crate::domain::desired::{DatabaseChange, Desired, SecretAction, SecretChange, Workload};
use crate::domain::observed::Observed;
use crate::domain::ownership::{Owner, owner};
use crate::domain::volumes::{self, Expansion};
use crate::reconcile::context::Context;

/// One child, and what would become of it.
#[derive(Debug)]
pub struct Preview {
    /// Kind, as in `kubectl get <kind>`.
    pub kind: &'static str,
    /// Name, in the server's namespace.
    pub name: String,
    /// What would become of it.
    pub change: Change,
}

/// What would become of a child. Objects are JSON; no Secret is among them.
#[derive(Debug)]
pub enum Change {
    /// Nothing.
    None,
    /// It would be created.
    Create(Value),
    /// It would be changed.
    Update {
        /// The object as it stands.
        before: Value,
        /// The object as the API server says it would be.
        after: Value,
        /// What the operator would send.
        desired: Value,
    },
    /// It would be deleted.
    Delete,
    /// It would be changed in this way. There is no text to compare, or it is not to be shown.
    Other(String),
    /// It is to be left as it is, for this reason.
    Held(String),
    /// It would not be written, although it is not as it should be: it is somebody else's, say, or waits for another.
    Refused(Outcome),
    /// The API server refuses it, or does not answer.
    Failed(Error),
}

impl Change {
    /// Whether something would be written.
    #[must_use]
    pub fn is_write(&self) -> bool {
        match self {
            Self::Create(_) | Self::Update { .. } | Self::Delete | Self::Other(_) => true,
            Self::None | Self::Held(_) | Self::Refused(_) | Self::Failed(_) => false,
        }
    }

    /// What [`Outcome::is_done`] would say of it.
    fn is_done(&self) -> bool {
        match self {
            Self::Refused(outcome) => outcome.is_done(),
            Self::Failed(_) => false,
            Self::None
            | Self::Create(_)
            | Self::Update { .. }
            | Self::Delete
            | Self::Other(_)
            | Self::Held(_) => true,
        }
    }
}

/// What an apply of all children of one server would do, in its order.
pub async fn preview(context: &Context, observed: &Observed, desired: Desired) -> Vec<Preview> {
    let Desired {
        secrets,
        secret_changes,
        not_generated,
        config_map,
        headless_service,
        api_service,
        metrics_service,
        network_policy,
        database,
        expansions,
        workload,
    } = desired;
    let server = observed.server.name_any();
    let sketch = Sketch(Writer::new(context, &observed.server));
    let mut previews = secret_previews(secrets, secret_changes, not_generated);
    let name = names::config_map(&server);
    let leads = config_map
        .as_ref()
        .is_some_and(|config_map| sketch.leads(observed, config_map, &workload));
    previews.push(match config_map {
        Some(config_map) => sketch.child("ConfigMap", name, config_map).await,
        None => of(
            "ConfigMap",
            name,
            Change::Held("stays as it is beside a pod that is held".into()),
        ),
    });
    let groundwork = Groundwork::of(previews.iter().all(|preview| preview.change.is_done()));
    previews.extend(expansions.into_iter().filter_map(growth));
    let services = [headless_service, api_service];
    previews.extend(sketch.services(&server, services, metrics_service).await);
    let name = names::baseline_network_policy(&server);
    if let Some(policy) = network_policy {
        previews.push(sketch.child("NetworkPolicy", name, policy).await);
    }
    previews.extend(sketch.database(observed, database, groundwork).await);
    let may_restart = groundwork.allows_restart(&workload);
    let workload = sketch.workload(observed, workload, groundwork).await;
    let is_refused = leads && matches!(workload.change, Change::Failed(_));
    if is_refused {
        keep_configuration(&mut previews);
    }
    previews.push(workload);
    if may_restart && !is_refused {
        previews.extend(pod_without_volume(observed));
    }
    previews
}

/// The configuration of a pod that cannot follow it.
fn keep_configuration(previews: &mut [Preview]) {
    let config_maps = previews.iter_mut().filter(|preview| preview.kind == "ConfigMap");
    for preview in config_maps.filter(|preview| preview.change.is_write()) {
        preview.change = Change::Held("stays as it is beside a pod whose StatefulSet is refused".into());
    }
}

/// The values of Secrets are not shown, so nothing is asked about them.
fn secret_previews(
    create: Vec<Secret>,
    change: Vec<SecretChange>,
    not_generated: Vec<String>,
) -> Vec<Preview> {
    let generated = "would be generated; its values are not shown";
    let created = create.into_iter().map(|secret| {
        let name = secret.metadata.name.unwrap_or_default();
        of("Secret", name, Change::Other(generated.into()))
    });
    let forgone = "would not be generated: data that is there may know another";
    let forgone = not_generated
        .into_iter()
        .map(|name| of("Secret", name, Change::Held(forgone.into())));
    let changed = change.into_iter().map(secret_change);
    created.chain(changed).chain(forgone).collect()
}

fn dry_post() -> PostParams {
    PostParams {
        dry_run: true,
        field_manager: Some(FIELD_MANAGER.into()),
    }
}

fn of(kind: &'static str, name: String, change: Change) -> Preview {
    Preview { kind, name, change }
}

fn secret_change(change: SecretChange) -> Preview {
    let how = match change.action {
        SecretAction::Delete => Change::Delete,
        SecretAction::Patch { data, .. } if data.is_empty() => {
            Change::Other("would get other labels or owners; its values stay".into())
        }
        SecretAction::Patch { data, .. } => {
            let keys: Vec<&str> = data.keys().map(String::as_str).collect();
            Change::Other(format!("would get new values of: {}", keys.join(", ")))
        }
    };
    of("Secret", change.name, how)
}

fn growth(growth: Expansion) -> Option<Preview> {
    match growth {
        Expansion::Request { claim, size } => {
            let asked = claim.spec.as_ref().and_then(|spec| spec.resources.as_ref());
            let asked = asked.and_then(|resources| resources.requests.as_ref()?.get(volumes::STORAGE));
            let asked = asked.map_or("?", |quantity| quantity.0.as_str());
            let how = Change::Other(format!(
                "would grow from {asked} to {size}; the StatefulSet follows with its claim template, and its pod runs on"
            ));
            Some(of("PersistentVolumeClaim", claim.name_any(), how))
        }
        _ => None,
    }
}

/// A pod that must be replaced for a volume that was added.
fn pod_without_volume(observed: &Observed) -> Option<Preview> {
    let stateful_set = observed.stateful_set.found()?;
    if owner(&stateful_set.metadata, &observed.server) != Owner::Us {
        return None;
    }
    let pod = volumes::pod_without_volume(observed, stateful_set)?;
    Some(of("Pod", pod.name_any(), Change::Delete))
}

/// The desired claim templates; one that holds already stands as the API server has it, with its defaults.
fn templates(live: &Value, desired: &Value) -> Value {
    let of = |set: &Value| {
        let templates = set["spec"]["volumeClaimTemplates"].as_array();
        templates.cloned().unwrap_or_default()
    };
    let live = of(live);
    let kept = |wanted: Value| {
        let mut held = live.iter().filter(|template| compare::holds(template, &wanted));
        held.next().cloned().unwrap_or(wanted)
    };
    of(desired).into_iter().map(kept).collect()
}

struct Sketch<'a>(Writer<'a>);

impl Sketch<'_> {
    /// Whether a configuration changes only if its StatefulSet can follow.
    fn leads(&self, observed: &Observed, config_map: &ConfigMap, workload: &Workload) -> bool {
        let (before, live) = (&observed.config_map, &observed.stateful_set);
        let follower = configuration::follower(&self.0, before, live, config_map, workload);
        matches!(follower, Ok(Some(_)))
    }

    async fn child<K: Child>(&self, kind: &'static str, name: String, desired: K) -> Preview {
        let change = self.change(&name, desired).await.unwrap_or_else(Change::Failed);
        of(kind, name, change)
    }

    async fn change<K: Child>(&self, name: &str, desired: K) -> Result<Change, Error> {
        let desired = stamped(desired)?;
        let Some((live, before)) = self.live::<K>(name).await? else {
            self.created::<K>(&desired).await?;
            return Ok(Change::Create(desired));
        };
        if let Some(outcome) = self.0.refusal(&live) {
            return Ok(Change::Refused(outcome));
        }
        if self.0.is_current(&live, &desired)? {
            return Ok(Change::None);
        }
        let after = self.after(name, &live, &before, &desired).await?;
        Ok(Change::Update {
            before,
            after,
            desired,
        })
    }

    /// The live object, and all of its fields: the type may know a part of them only.
    async fn live<K: Child>(&self, name: &str) -> Result<Option<(K, Value)>, Error> {
        let read = self.dynamic::<K>().get_opt(name).await;
        let Some(live) = read.map_err(Error::call("read"))? else {
            return Ok(None);
        };
        let value = serde_json::to_value(live)?;
        Ok(Some((serde_json::from_value(value.clone())?, value)))
    }

    fn dynamic<K: Child>(&self) -> Api<DynamicObject> {
        let resource = ApiResource::erase::<K>(&());
        Api::namespaced_with(self.0.context.client.clone(), self.0.namespace(), &resource)
    }

    /// Whether the API server would take a new child: a quota or a webhook may be in the way.
    async fn created<K: Child>(&self, desired: &Value) -> Result<(), Error> {
        let object: DynamicObject = serde_json::from_value(desired.clone())?;
        let created = self.dynamic::<K>().create(&dry_post(), &object).await;
        created.map(drop).map_err(Error::call("create"))
    }

    async fn applied<K: Child>(&self, name: &str, live: &Value, desired: &Value) -> Result<Value, Error> {
        let mut body = desired.clone();
        body["metadata"]["uid"] = live["metadata"]["uid"].clone();
        let applied = self
            .dynamic::<K>()
            .patch(name, &dry_apply(), &Patch::Apply(&body))
            .await
            .map_err(Error::call("apply"))?;
        Ok(serde_json::to_value(applied)?)
    }

    /// What becomes of a live object. Fields that only an older write of ours set, or the Go operator, go: the apply takes those
    /// over first, which no dry run can do. So they are taken out here, and the API server fills in its defaults. One of them may
    /// be what it refuses, beside what is desired; then the object is put together here.
    async fn after<K: Child>(
        &self,
        name: &str,
        live: &K,
        before: &Value,
        desired: &Value,
    ) -> Result<Value, Error> {
        let applied = self.applied::<K>(name, before, desired).await;
        let managers = Managers::of(live.meta(), self.0.server);
        let Some(entries) = managed_fields::upgraded(live.managed_fields(), &managers) else {
            return applied;
        };
        let mut pruned = match &applied {
            Ok(applied) => applied.clone(),
            Err(_) => overlay::overlaid(before, desired),
        };
        prune::prune(&mut pruned, &entries, desired);
        match applied {
            Ok(applied) if applied == pruned => Ok(applied),
            _ => self.replaced(name, live, pruned).await,
        }
    }

    async fn replaced<K: Child>(&self, name: &str, live: &K, mut object: Value) -> Result<Value, Error> {
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.remove("managedFields");
            metadata.insert("resourceVersion".into(), json!(live.resource_version()));
        }
        let object: DynamicObject = serde_json::from_value(object)?;
        let replaced = self.dynamic::<K>().replace(name, &dry_post(), &object).await;
        Ok(serde_json::to_value(replaced.map_err(Error::call("apply"))?)?)
    }

    /// The metrics Service of a server whose metrics are off.
    async fn metrics_service_that_goes(&self, server: &str) -> Option<Preview> {
        let name = names::metrics_service(server);
        let change = match self.live::<Service>(&name).await {
            Ok(Some((live, _))) if owner(live.meta(), self.0.server) == Owner::Us => Change::Delete,
            Ok(_) => return None,
            Err(error) => Change::Failed(error),
        };
        Some(of("Service", name, change))
    }

    /// The metrics Service goes where it is not wanted.
    async fn services(&self, server: &str, always: [Service; 2], metrics: Option<Service>) -> Vec<Preview> {
        let is_unwanted = metrics.is_none();
        let mut previews = Vec::new();
        for service in always.into_iter().chain(metrics) {
            let name = service.metadata.name.clone().unwrap_or_default();
            previews.push(self.child("Service", name, service).await);
        }
        if is_unwanted {
            previews.extend(self.metrics_service_that_goes(server).await);
        }
        previews
    }

    async fn database(
        &self,
        observed: &Observed,
        database: DatabaseChange,
        groundwork: Groundwork,
    ) -> Option<Preview> {
        let (kind, name) = (
            PerconaPGCluster::KIND,
            names::percona_cluster(&observed.server.name_any()),
        );
        Some(match database {
            DatabaseChange::Leave => return None,
            DatabaseChange::Release(_) => {
                let how = "would stay with its data when the server is deleted";
                of(kind, name, Change::Other(how.into()))
            }
            DatabaseChange::Apply(_)
                if !groundwork.allows_database(observed.database.cluster.found().is_some()) =>
            {
                of(kind, name, Change::Refused(Outcome::Skipped))
            }
            DatabaseChange::Apply(cluster) => self.child(kind, name, *cluster).await,
        })
    }

    async fn workload(&self, observed: &Observed, workload: Workload, groundwork: Groundwork) -> Preview {
        let name = names::stateful_set(&observed.server.name_any());
        let change = match workload {
            workload if !groundwork.allows(&workload) => Ok(Change::Refused(Outcome::Skipped)),
            Workload::Await => Ok(Change::Held("is not created yet: its pod could not start".into())),
            Workload::Hold { replicas } => self.held(&name, replicas).await,
            Workload::Run { stateful_set, .. } => self.stateful_set(&name, *stateful_set).await,
        };
        of("StatefulSet", name, change.unwrap_or_else(Change::Failed))
    }

    async fn held(&self, name: &str, replicas: i32) -> Result<Change, Error> {
        let Some((live, before)) = self.live::<StatefulSet>(name).await? else {
            return Ok(Change::Held("is not created yet: its pod could not start".into()));
        };
        if let Some(outcome) = self.0.refusal(&live) {
            return Ok(Change::Refused(outcome));
        }
        if live.spec.as_ref().and_then(|spec| spec.replicas) == Some(replicas) {
            return Ok(Change::Held("its pod is left as it is".into()));
        }
        let mut after = before.clone();
        after["spec"]["replicas"] = json!(replicas);
        let desired = json!({"spec": {"replicas": replicas}});
        Ok(Change::Update {
            before,
            after,
            desired,
        })
    }

    /// Claim templates are immutable: a StatefulSet with others is made anew, and its pod runs on.
    async fn stateful_set(&self, name: &str, desired: StatefulSet) -> Result<Change, Error> {
        let Some((live, before)) = self.live::<StatefulSet>(name).await? else {
            return self.change(name, desired).await;
        };
        if !storage::templates_differ(&live, &desired)? {
            return self.change(name, desired).await;
        }
        if let Some(outcome) = self.0.refusal(&live) {
            return Ok(Change::Refused(outcome));
        }
        let desired = stamped(desired)?;
        let merged = storage::merged(&self.0.api(), name, &live, &desired).await?;
        let mut after = serde_json::to_value(merged)?;
        after["spec"]["volumeClaimTemplates"] = templates(&before, &desired);
        Ok(Change::Update {
            before,
            after,
            desired,
        })
    }
}
