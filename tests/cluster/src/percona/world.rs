//! What the simulator knows, and what it does about one cluster.

use std::collections::BTreeMap;
use std::time::Instant;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, Resource, ResourceExt};
use serde_json::json;

use super::cluster::PerconaPGCluster;
use super::phase::{self, Delays, Goal, Phase};
use super::rules::{self, Violation};
use super::watch::{Key, Seen, key};
use super::{BEHAVIOUR_ANNOTATION, Behaviour, FIELD_MANAGER, SimulatorOptions, secrets};

/// The release that is played.
const CR_VERSION: &str = "2.8.2";
/// With this finalizer a cluster's volumes (the simulator makes none) and its users' Secrets go with it.
const DELETE_PVC: &str = "percona.com/delete-pvc";
/// With this one its certificates do.
const DELETE_SSL: &str = "percona.com/delete-ssl";

/// Why the reconcile of a cluster failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The whole operator stops.
    #[error(transparent)]
    Fatal(#[from] Violation),
    /// It is tried again.
    #[error(transparent)]
    Api(#[from] kube::Error),
    #[error(transparent)]
    Secret(#[from] secrets::Error),
}

/// A cluster as it was last seen or written.
struct Known {
    object: PerconaPGCluster,
    phase: Phase,
    /// The generation whose Secrets exist: a later one may have other users.
    secrets_of: Option<i64>,
    /// The generation for which missing images were announced.
    warned: Option<i64>,
}

/// All clusters, and the behaviour that the test asks for.
pub(super) struct World {
    client: Client,
    recorder: Recorder,
    delays: Delays,
    clusters: BTreeMap<Key, Known>,
    behaviours: BTreeMap<Key, Behaviour>,
}

impl World {
    pub(super) fn new(client: Client, options: &SimulatorOptions) -> Self {
        let reporter = Reporter {
            controller: FIELD_MANAGER.to_owned(),
            instance: None,
        };
        Self {
            recorder: Recorder::new(client.clone(), reporter),
            client,
            delays: Delays {
                startup: options.startup_delay,
                shutdown: options.shutdown_delay,
            },
            clusters: BTreeMap::new(),
            behaviours: BTreeMap::new(),
        }
    }

    /// Stores what a watch observed. Returns the cluster to reconcile.
    pub(super) fn take(&mut self, seen: Seen) -> Option<Key> {
        match seen {
            Seen::Cluster(object) => Some(self.remember(*object)),
            Seen::ClusterGone(key) => {
                self.clusters.remove(&key);
                None
            }
            Seen::SecretGone(key) => {
                self.clusters.get_mut(&key)?.secrets_of = None;
                Some(key)
            }
        }
    }

    /// `None` leaves it to the annotation again.
    pub(super) fn set_behaviour(&mut self, key: &Key, behaviour: Option<Behaviour>) {
        match behaviour {
            Some(behaviour) => self.behaviours.insert(key.clone(), behaviour),
            None => self.behaviours.remove(key),
        };
    }

    fn remember(&mut self, object: PerconaPGCluster) -> Key {
        let key = key(&object);
        match self.clusters.get_mut(&key) {
            // An event may be older than the answer to our own write.
            Some(known) if known.object.uid() == object.uid() && is_older(&object, &known.object) => {}
            Some(known) if known.object.uid() == object.uid() => known.object = object,
            _ => {
                let phase = first_phase(&object);
                let known = Known {
                    object,
                    phase,
                    secrets_of: None,
                    warned: None,
                };
                self.clusters.insert(key.clone(), known);
            }
        }
        key
    }

    /// Reconciles a cluster. Returns when to reconcile it again.
    pub(super) async fn look_at(&mut self, key: &Key) -> Result<Option<Instant>, Failure> {
        let Some(known) = self.clusters.get(key) else {
            return Ok(None);
        };
        if let Some(violation) = rules::fatal(&known.object) {
            return Err(violation.into());
        }
        if known.object.metadata.deletion_timestamp.is_some() {
            let object = known.object.clone();
            self.finalize(key, &object).await?;
            return Ok(None);
        }
        self.fill_in_version(key).await?;
        if self.refuse_missing_images(key).await? {
            return Ok(None);
        }
        self.ensure_secrets(key).await?;
        self.advance(key).await
    }

    /// Deletes what the finalizers of a cluster ask for, then removes them.
    async fn finalize(&self, key: &Key, object: &PerconaPGCluster) -> Result<(), Failure> {
        let has = |finalizer: &str| object.finalizers().iter().any(|there| there == finalizer);
        let mut secrets = Vec::new();
        if has(DELETE_PVC) {
            let users = secrets::users(object);
            secrets.extend(users.iter().map(|user| secrets::user_secret_name(object, user)));
        }
        if has(DELETE_SSL) {
            secrets.push(secrets::certificate_secret_name(object));
        }
        let secret_api = Api::<Secret>::namespaced(self.client.clone(), &key.0);
        for name in secrets {
            unless_gone(secret_api.delete(&name, &DeleteParams::default()).await)?;
        }
        let left: Vec<_> = object
            .finalizers()
            .iter()
            .filter(|finalizer| ![DELETE_PVC, DELETE_SSL].contains(&finalizer.as_str()))
            .collect();
        if left.len() < object.finalizers().len() {
            let metadata = json!({
                "uid": object.uid(), "resourceVersion": object.resource_version(), "finalizers": left,
            });
            let patch = Patch::Merge(json!({ "metadata": metadata }));
            unless_gone(api(&self.client, key).patch(&key.1, &params(), &patch).await)?;
        }
        Ok(())
    }

    async fn fill_in_version(&mut self, key: &Key) -> Result<(), Failure> {
        let Some(known) = self.clusters.get_mut(key) else {
            return Ok(());
        };
        if known.object.spec.cr_version.is_none() {
            let patch = json!({"spec": {"crVersion": CR_VERSION}});
            known.object = api(&self.client, key)
                .patch(&key.1, &params(), &Patch::Merge(patch))
                .await?;
        }
        Ok(())
    }

    async fn refuse_missing_images(&mut self, key: &Key) -> Result<bool, Failure> {
        let Some(known) = self.clusters.get_mut(key) else {
            return Ok(true);
        };
        let missing = rules::missing_images(&known.object.spec);
        if missing.is_empty() {
            return Ok(false);
        }
        known.phase = Phase::Down("initializing");
        let generation = known.object.metadata.generation;
        if known.warned != generation {
            let event = Event {
                type_: EventType::Warning,
                reason: "MissingRequiredImage".to_owned(),
                note: Some(format!("missing image: spec.{}", missing.join(", spec."))),
                action: "Reconcile".to_owned(),
                secondary: None,
            };
            self.recorder
                .publish(&event, &known.object.object_ref(&()))
                .await?;
            known.warned = generation;
        }
        self.write_status(key).await?;
        Ok(true)
    }

    async fn ensure_secrets(&mut self, key: &Key) -> Result<(), Failure> {
        let Some(known) = self.clusters.get_mut(key) else {
            return Ok(());
        };
        let generation = known.object.metadata.generation;
        if generation.is_some() && known.secrets_of == generation {
            return Ok(());
        }
        let api = Api::<Secret>::namespaced(self.client.clone(), &key.0);
        // In this order, as the operator does: who sees a user can verify the database.
        if api
            .get_metadata_opt(&secrets::certificate_secret_name(&known.object))
            .await?
            .is_none()
        {
            create(&api, &secrets::certificate_secret(&known.object)?).await?;
        }
        for user in secrets::users(&known.object) {
            if api
                .get_metadata_opt(&secrets::user_secret_name(&known.object, &user))
                .await?
                .is_none()
            {
                create(&api, &secrets::user_secret(&known.object, &user)?).await?;
            }
        }
        known.secrets_of = generation;
        Ok(())
    }

    /// Moves from phase to phase, and shows each, until time has to pass.
    async fn advance(&mut self, key: &Key) -> Result<Option<Instant>, Failure> {
        loop {
            let goal = self.goal(key);
            let Some(known) = self.clusters.get_mut(key) else {
                return Ok(None);
            };
            let before = known.phase;
            known.phase = before.next(goal, Instant::now(), self.delays);
            let phase = known.phase;
            self.write_status(key).await?;
            if phase == before {
                return Ok(phase.due());
            }
        }
    }

    fn goal(&self, key: &Key) -> Goal {
        let object = self.clusters.get(key).map(|known| &known.object);
        if object.is_some_and(|object| object.spec.pause == Some(true)) {
            return Goal::Pause;
        }
        let annotated = || Behaviour::parse(object?.annotations().get(BEHAVIOUR_ANNOTATION)?);
        Goal::Run(
            self.behaviours
                .get(key)
                .copied()
                .or_else(annotated)
                .unwrap_or_default(),
        )
    }

    async fn write_status(&mut self, key: &Key) -> Result<(), Failure> {
        let Some(known) = self.clusters.get_mut(key) else {
            return Ok(());
        };
        let status = phase::status(&known.object, known.phase);
        if known.object.status.as_ref() != Some(&status) {
            let patch = Patch::Merge(json!({ "status": status }));
            known.object = api(&self.client, key)
                .patch_status(&key.1, &params(), &patch)
                .await?;
        }
        Ok(())
    }
}

fn unless_gone<T>(result: kube::Result<T>) -> kube::Result<()> {
    match result {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        result => result.map(drop),
    }
}

/// A cluster that is ready when the operator starts stays ready.
fn first_phase(object: &PerconaPGCluster) -> Phase {
    match object.status.as_ref().map(|status| status.state.as_str()) {
        Some("ready") => Phase::Ready,
        Some("paused") => Phase::Paused,
        _ => Phase::Down("initializing"),
    }
}

/// Resource versions of one resource are ordered numbers (Kubernetes API conventions since 1.35).
fn is_older(object: &PerconaPGCluster, than: &PerconaPGCluster) -> bool {
    let number = |object: &PerconaPGCluster| object.resource_version()?.parse::<u64>().ok();
    number(object)
        .zip(number(than))
        .is_some_and(|(one, other)| one < other)
}

async fn create(api: &Api<Secret>, secret: &Secret) -> Result<(), kube::Error> {
    let params = PostParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PostParams::default()
    };
    match api.create(&params, secret).await {
        // It was restored in the meantime: an existing Secret is kept.
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        other => other.map(drop),
    }
}

fn api(client: &Client, key: &Key) -> Api<PerconaPGCluster> {
    Api::namespaced(client.clone(), &key.0)
}

fn params() -> PatchParams {
    PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    }
}
