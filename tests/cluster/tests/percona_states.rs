//! The states of a simulated database cluster.

use futures::StreamExt;
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams};
use kube::runtime::{WatchStreamExt, watcher};
use local_control_plane::percona::BEHAVIOUR_ANNOTATION;
use serde_json::json;

use crate::support::{PATIENCE, Percona, eventually, good_spec, simulator, state_of};

#[tokio::test]
async fn a_cluster_goes_from_initializing_to_ready() {
    let percona = Percona::start().await;
    let mut events = watcher(percona.clusters.clone(), watcher::Config::default()).boxed();
    // A list after the create may miss the first state.
    while !matches!(events.next().await, Some(Ok(watcher::Event::InitDone))) {}
    let mut states = events
        .touched_objects()
        .map(|cluster| state_of(&cluster.unwrap()).to_owned())
        .boxed();
    let collect = async {
        let mut seen = Vec::new();
        while seen.last().map(String::as_str) != Some("ready") {
            seen.extend(states.next().await);
            seen.dedup();
        }
        seen
    };
    let spec = good_spec();
    let create = percona.create("db", &spec);
    let (_, seen) = tokio::time::timeout(PATIENCE, async { tokio::join!(create, collect) })
        .await
        .unwrap();
    assert!(
        seen.ends_with(&["initializing".to_owned(), "ready".to_owned()]),
        "{seen:?}"
    );

    let cluster = percona.until_state("db", "ready").await;
    let shown = cluster.status.unwrap();
    assert_eq!(shown.host, format!("db-pgbouncer.{}.svc", percona.namespace));
    assert_eq!((shown.postgres.size, shown.postgres.ready), (1, 1));
    assert_eq!((shown.pgbouncer.size, shown.pgbouncer.ready), (1, 1));
    percona.simulator.check().unwrap();
}

#[tokio::test]
async fn the_version_is_filled_in_without_a_conflict_with_server_side_apply() {
    let percona = Percona::start().await;
    let cluster = json!({
        "apiVersion": "pgv2.percona.com/v2", "kind": "PerconaPGCluster",
        "metadata": {"name": "db"}, "spec": good_spec(),
    });
    let apply = PatchParams::apply("somebody");
    percona
        .clusters
        .patch("db", &apply, &Patch::Apply(&cluster))
        .await
        .unwrap();
    let ready = percona.until_state("db", "ready").await;
    assert_eq!(ready.spec.cr_version.as_deref(), Some("2.8.2"));
    let again = percona
        .clusters
        .patch("db", &apply, &Patch::Apply(&cluster))
        .await
        .unwrap();
    assert_eq!(again.spec.cr_version.as_deref(), Some("2.8.2"));
    assert_eq!(again.metadata.resource_version, ready.metadata.resource_version);
}

#[tokio::test]
async fn the_annotation_prevents_a_cluster_from_becoming_ready() {
    let percona = Percona::start().await;
    percona
        .create_annotated("db", &good_spec(), &[(BEHAVIOUR_ANNOTATION, "failing")])
        .await;
    percona.until_state("db", "error").await;
    for (value, state) in [(json!("stuck"), "initializing"), (json!(null), "ready")] {
        let patch = Patch::Merge(json!({"metadata": {"annotations": {BEHAVIOUR_ANNOTATION: value}}}));
        percona
            .clusters
            .patch("db", &PatchParams::default(), &patch)
            .await
            .unwrap();
        percona.until_state("db", state).await;
    }
}

#[tokio::test]
async fn a_paused_cluster_stops_and_starts_again() {
    let percona = Percona::start().await;
    percona.create("db", &good_spec()).await;
    percona.until_state("db", "ready").await;
    for (pause, state) in [(true, "paused"), (false, "ready")] {
        let patch = Patch::Merge(json!({"spec": {"pause": pause}}));
        percona
            .clusters
            .patch("db", &PatchParams::default(), &patch)
            .await
            .unwrap();
        percona.until_state("db", state).await;
    }
}

#[tokio::test]
async fn a_cluster_without_its_images_gets_an_event_and_is_not_ready() {
    let percona = Percona::start().await;
    let mut spec = good_spec();
    spec["backups"]["pgbackrest"]
        .as_object_mut()
        .unwrap()
        .remove("image");
    percona.create("db", &spec).await;
    let events = Api::<Event>::namespaced(percona.client.clone(), &percona.namespace);
    let event = eventually("the event", async || {
        let events = events.list(&ListParams::default()).await.unwrap();
        events
            .into_iter()
            .find(|event| event.reason.as_deref() == Some("MissingRequiredImage"))
    })
    .await;
    assert!(event.note.unwrap().contains("spec.backups.pgbackrest.image"));
    percona.until_state("db", "initializing").await;

    let patch = Patch::Merge(json!({"spec": {"backups": {"pgbackrest": {"image": "there"}}}}));
    percona
        .clusters
        .patch("db", &PatchParams::default(), &patch)
        .await
        .unwrap();
    percona.until_state("db", "ready").await;
}

#[tokio::test]
async fn a_cluster_without_pgbouncer_stops_the_operator_for_all_clusters() {
    let percona = Percona::start().await;
    percona.simulator.check().unwrap();
    let mut spec = good_spec();
    spec.as_object_mut().unwrap().remove("proxy");
    percona.create("culprit", &spec).await;
    let violation = eventually("the violation", async || percona.simulator.check().err()).await;
    assert_eq!(
        (violation.namespace.as_str(), violation.name.as_str()),
        (&*percona.namespace, "culprit")
    );

    // No other cluster is reconciled, even by a restarted operator, while the faulty one exists.
    percona.create("innocent", &good_spec()).await;
    let restarted = simulator(&percona.namespace).await;
    eventually("the violation again", async || restarted.check().err()).await;
    percona
        .clusters
        .delete("culprit", &kube::api::DeleteParams::default())
        .await
        .unwrap();
    let restarted = simulator(&percona.namespace).await;
    percona.until_state("innocent", "ready").await;
    restarted.check().unwrap();
}
