//! Servers with which something is wrong, in namespaces of their own: an operator that does not watch these namespaces has none.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use dittofs_operator::api::crd;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Value, json};

use super::place::{Place, child};
use crate::api::{CONFIG_MAPS, Call, SERVERS, SERVICES};
use crate::cli::Secrets;
use crate::controllers;
use crate::error::{Error, Result};
use crate::world::{BUILDERS, Kind, OURS, SILENT, World, manifest, name};

/// Most of the servers.
const POISONED: &str = "poisoned";
/// A namespace that is being deleted. Without a controller manager, that never ends.
const LEAVING: &str = "leaving";
/// What an operator watches that has the poisoned servers, too.
pub const NAMESPACES: [&str; 4] = [OURS, POISONED, LEAVING, SILENT];
/// Pause of the other writer after it has written all children for which it fights.
const FIGHT: Duration = Duration::from_millis(500);
/// How long the API server may take to use another schema.
const SCHEMA: Duration = Duration::from_secs(30);

/// What is wrong with a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Poison {
    /// The stored object cannot be parsed.
    Unparsable,
    /// It refers to a Secret that does not exist.
    Secretless,
    /// Another controller owns an object with the name of a child.
    Foreign,
    /// Its namespace is being deleted: nothing can be created in it.
    Leaving,
    /// Its API never answers.
    Silent,
    /// Another writer sets a field of a child again and again.
    Contested,
}

impl Poison {
    const ALL: [Self; 6] = [
        Self::Unparsable,
        Self::Secretless,
        Self::Foreign,
        Self::Leaving,
        Self::Silent,
        Self::Contested,
    ];

    fn of(number: usize) -> Self {
        Self::ALL[number % Self::ALL.len()]
    }

    fn namespace(self) -> &'static str {
        match self {
            Self::Leaving => LEAVING,
            Self::Silent => SILENT,
            Self::Unparsable | Self::Secretless | Self::Foreign | Self::Contested => POISONED,
        }
    }

    /// Whether the operator makes all children.
    fn has_children(self) -> bool {
        matches!(self, Self::Silent | Self::Contested)
    }

    /// What makes such a server.
    fn calls(self, name: &str) -> Vec<Call> {
        let create = |server: &Value| Call::create(SERVERS, self.namespace(), server);
        let kind = Kind {
            secrets: Secrets::Shared,
            deletes_volumes: false,
        };
        let mut server = manifest(name, kind);
        match self {
            Self::Unparsable => server["spec"]["metrics"] = json!("several"),
            Self::Secretless => server["spec"]["identity"]["jwt"]["secretRef"]["name"] = json!("missing"),
            Self::Foreign => return vec![foreign_config(name), create(&server)],
            Self::Leaving | Self::Silent | Self::Contested => {}
        }
        vec![create(&server)]
    }
}

fn foreign_config(server: &str) -> Call {
    let owner =
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "u", "controller": true});
    let config = json!({"metadata": {"name": format!("{server}-config"), "ownerReferences": [owner]}});
    Call::create(CONFIG_MAPS, POISONED, &config)
}

/// Adds a number of poisoned servers to a world, the same number of each kind.
pub async fn build(place: &Place<'_>, servers: usize) -> Result<()> {
    let world = &place.world;
    for namespace in [POISONED, LEAVING, SILENT] {
        world.prepare(namespace).await?;
    }
    let numbers = |wanted: fn(Poison) -> bool| (0..servers).filter(move |number| wanted(Poison::of(*number)));
    let calls = |number| Poison::of(number).calls(&name(number));
    world.install(&without_schema()).await?;
    for number in numbers(|poison| poison == Poison::Unparsable) {
        for call in calls(number) {
            accepted(world, call).await?;
        }
    }
    world.install(&crd()).await?;
    let others = numbers(|poison| poison != Poison::Unparsable).map(calls);
    world.api.all(BUILDERS, others.collect::<Vec<_>>()).await?;
    world
        .api
        .send(Call::delete_at(&format!("/api/v1/namespaces/{LEAVING}")))
        .await?;
    let with_children: Vec<String> = numbers(Poison::has_children).map(name).collect();
    run_pods(place, &with_children).await
}

/// Has an operator make the children of these servers, and gives them their pods.
async fn run_pods(place: &Place<'_>, servers: &[String]) -> Result<()> {
    let mut session = place.operator_of(&[POISONED, SILENT])?;
    session
        .until("first statuses of poisoned servers", servers.len(), |call| {
            call.has_written("dittoservers/status") && servers.contains(&call.name)
        })
        .await?;
    session.operator.stop().await?;
    for namespace in [POISONED, SILENT] {
        controllers::play(&place.world, namespace).await?;
    }
    Ok(())
}

/// The CRD as one of an older version that accepts everything.
fn without_schema() -> CustomResourceDefinition {
    let anything =
        json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    let mut crd = crd();
    for version in &mut crd.spec.versions {
        version.schema = serde_json::from_value(anything.clone()).ok();
    }
    crd
}

/// Sends a call until the API server, which may still use another schema, accepts it.
async fn accepted(world: &World, call: Call) -> Result<()> {
    let began = Instant::now();
    loop {
        match world.api.send(call.clone()).await {
            Err(Error::Call { source, .. })
                if matches!(&*source, kube::Error::Api(status) if status.code == 422)
                    && began.elapsed() < SCHEMA =>
            {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            answer => return answer.map(drop),
        }
    }
}

/// Fights for a child of each contested server. Ends only with an error.
pub async fn fight(place: &Place<'_>, servers: usize) -> Result<Infallible> {
    let port = json!([{"name": "api", "port": 9999, "targetPort": 9999, "protocol": "TCP"}]);
    let patch = json!({"spec": {"ports": port}});
    loop {
        for number in (0..servers).filter(|number| Poison::of(*number) == Poison::Contested) {
            let patch = Call::merge(SERVICES, POISONED, &child(number), &patch);
            place.world.api.send(patch).await?;
        }
        tokio::time::sleep(FIGHT).await;
    }
}
