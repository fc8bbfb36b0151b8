//! The operator is killed during a first reconcile, or while it re-creates a StatefulSet.

pub mod recreation;

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::ListParams;
use kube::{Api, Resource, ResourceExt};

use crate::support::process::Process;
use crate::support::{World, fixtures, wait};

#[tokio::test]
async fn an_operator_killed_at_any_write_of_a_first_reconcile_reaches_the_same_end_state() {
    for moment in [
        "files-jwt-secret",
        "files-config",
        "files-api",
        "files-baseline",
        "files",
    ] {
        let world = World::without_operator("killed").await;
        let operator = Process::start(&world, &[]).await;
        world.create(&fixtures::minimal("files")).await;
        appears(&world, moment).await;
        drop(operator);
        let at_kill = secrets(&world).await;

        let _operator = Process::start(&world, &[]).await;
        world.ready("files").await;
        let at_end = secrets(&world).await;
        let names: Vec<&String> = at_end.keys().collect();
        assert_eq!(
            names,
            ["files-admin-bootstrap-credentials", "files-jwt-secret"],
            "killed at {moment}"
        );
        for (name, secret) in at_kill {
            assert_eq!(
                at_end[&name], secret,
                "{name} was not generated again, killed at {moment}"
            );
        }
        let children = children(&world).await;
        assert_eq!(
            children,
            [
                "files",
                "files-adapter-nfs",
                "files-adapter-nfs",
                "files-adapter-smb",
                "files-adapter-smb",
                "files-api",
                "files-baseline",
                "files-config",
                "files-headless"
            ],
            "killed at {moment}"
        );
    }
}

/// UID and version of every Secret: both stay the same unless it is written.
async fn secrets(world: &World) -> BTreeMap<String, (Option<String>, Option<String>)> {
    let secrets = world
        .api::<Secret>()
        .list(&ListParams::default())
        .await
        .expect("a list")
        .items;
    secrets
        .iter()
        .map(|secret| (secret.name_any(), (secret.uid(), secret.resource_version())))
        .collect()
}

/// The names of the other children, sorted.
async fn children(world: &World) -> Vec<String> {
    let mut names = names_of(world.api::<ConfigMap>()).await;
    names.extend(names_of(world.api::<Service>()).await);
    names.extend(names_of(world.api::<NetworkPolicy>()).await);
    names.extend(names_of(world.api::<StatefulSet>()).await);
    names.sort();
    names
}

async fn names_of<K>(api: Api<K>) -> Vec<String>
where
    K: Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let params = ListParams::default().labels("app=dittofs-server");
    api.list(&params)
        .await
        .expect("a list")
        .iter()
        .map(ResourceExt::name_any)
        .collect()
}

/// Waits until a child of this name exists.
async fn appears(world: &World, name: &str) {
    match name {
        "files-jwt-secret" => drop(wait::until(world.api::<Secret>(), name, "there", |_| true).await),
        "files-config" => drop(wait::until(world.api::<ConfigMap>(), name, "there", |_| true).await),
        "files-api" => drop(wait::until(world.api::<Service>(), name, "there", |_| true).await),
        "files-baseline" => drop(wait::until(world.api::<NetworkPolicy>(), name, "there", |_| true).await),
        _ => drop(wait::until(world.api::<StatefulSet>(), name, "there", |_| true).await),
    }
}
