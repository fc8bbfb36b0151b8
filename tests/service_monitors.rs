//! The ServiceMonitor of a server. Its kind is optional, and may be installed while the operator runs.

use dittofs_operator::api::service_monitor::ServiceMonitor;
use dittofs_operator::api::{self, DittoServer};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Service;
use kube::{Resource, ResourceExt};
use serde_json::{Value, json};

use crate::support::{World, fixtures, install_crd, own_control_plane, wait};

const NAME: &str = "files-metrics";

fn metrics(monitor: &Value) -> Value {
    json!({"enabled": true, "path": "/m", "serviceMonitor": monitor})
}

/// The server `files` with this `spec.metrics.serviceMonitor`.
async fn create(world: &World, monitor: &Value) {
    let server = fixtures::server("files", json!({"metrics": metrics(monitor)}));
    world.create(&server).await;
}

async fn edit(world: &World, monitor: &Value) {
    let spec = json!({"metrics": {"serviceMonitor": monitor}});
    world.merge::<DittoServer>("files", json!({"spec": spec})).await;
}

async fn monitor_until(world: &World, what: &str, holds: impl Fn(&ServiceMonitor) -> bool) -> ServiceMonitor {
    wait::until(world.api(), NAME, what, holds).await
}

async fn gone(world: &World, monitor: &ServiceMonitor) {
    wait::until_gone(world.api::<ServiceMonitor>(), NAME, monitor.meta().uid.clone()).await;
}

fn interval(monitor: &ServiceMonitor) -> Option<&str> {
    monitor.spec.endpoints.first()?.interval.as_deref()
}

// invariant: 8
#[tokio::test]
async fn a_service_monitor_is_created_when_its_kind_is_installed_and_a_missing_kind_is_reported_once() {
    let mut world = World::on(own_control_plane().await, "monitors").await;
    install_crd(&world.client, api::crd()).await;
    world.start_operator().await;
    world
        .create(&fixtures::secret("scrape", &[("token", "t0ken-for-scrapers")]))
        .await;
    let server = json!({"metrics": {
        "enabled": true,
        "bearerTokenSecret": {"name": "scrape", "key": "token"},
        "serviceMonitor": {"enabled": true, "interval": "1m30s", "labels": {"release": "prometheus", "app": "mine"}},
    }});
    world.create(&fixtures::server("files", server)).await;
    wait::until(world.api::<StatefulSet>(), "files", "there", |_| true).await;
    let reported = |server: &DittoServer| {
        wait::condition(server, "ConfigReady").is_some_and(|ready| {
            ready.status == "True" && ready.message.contains("kind ServiceMonitor is not installed")
        })
    };
    world
        .server_until("files", "reported with what to install", reported)
        .await;
    world.event_note("ServiceMonitorNotInstalled").await;
    world
        .merge::<DittoServer>("files", json!({"spec": {"logging": {"level": "DEBUG"}}}))
        .await;
    world.observed().await;

    install_crd(&world.client, fixtures::service_monitor_crd()).await;
    let monitor = monitor_until(&world, "there", |_| true).await;
    let service: Service = world.get(NAME).await;
    let mut labels = service.labels().clone();
    labels.insert("release".into(), "prometheus".into());
    assert_eq!(*monitor.labels(), labels, "those of the operator take precedence");
    assert_eq!(
        json!(monitor.spec),
        json!({
            "selector": {"matchLabels": service.labels()},
            "namespaceSelector": {"matchNames": [world.namespace]},
            "endpoints": [{
                "port": "metrics",
                "path": "/metrics",
                "interval": "1m30s",
                "bearerTokenSecret": {"name": "scrape", "key": "token"},
            }],
        })
    );
    let not_reported = |server: &DittoServer| !reported(server);
    world
        .server_until("files", "without the note", not_reported)
        .await;
    assert_eq!(world.all_notes("ServiceMonitorNotInstalled").await.len(), 1);
}

#[tokio::test]
async fn a_service_monitor_follows_the_spec_and_is_deleted_when_the_spec_does_not_ask_for_it() {
    let world = World::new("monitors").await;
    create(
        &world,
        &json!({"enabled": true, "labels": {"release": "a", "team": "b"}}),
    )
    .await;
    let monitor = monitor_until(&world, "there", |_| true).await;
    assert_eq!((interval(&monitor), monitor.spec.endpoints.len()), (None, 1));
    assert_eq!(monitor.owner_references()[0].kind, "DittoServer");

    edit(
        &world,
        &json!({"interval": "45s", "labels": {"release": "c", "team": null}}),
    )
    .await;
    let edited = monitor_until(&world, "edited", |monitor| interval(monitor) == Some("45s")).await;
    assert_eq!(edited.labels().get("release").map(String::as_str), Some("c"));
    assert!(!edited.labels().contains_key("team"), "{:?}", edited.labels());
    assert_eq!(edited.meta().uid, monitor.meta().uid);

    let foreign = json!({"spec": {"endpoints": [{"port": "other"}]}});
    world.merge::<ServiceMonitor>(NAME, foreign).await;
    monitor_until(&world, "restored", |monitor| interval(monitor) == Some("45s")).await;

    edit(&world, &json!({"enabled": false})).await;
    gone(&world, &edited).await;
    edit(&world, &json!({"enabled": true})).await;
    let second = monitor_until(&world, "there again", |_| true).await;
    world
        .merge::<DittoServer>("files", json!({"spec": {"metrics": {"enabled": false}}}))
        .await;
    gone(&world, &second).await;
    world.ready("files").await;
}

// invariant: 7
#[tokio::test]
async fn a_service_monitor_of_another_owner_is_reported_and_never_touched() {
    let mut world = World::without_operator("monitors").await;
    let theirs =
        json!({"metadata": {"name": NAME}, "spec": {"selector": {}, "endpoints": [{"port": "web"}]}});
    let theirs: ServiceMonitor = serde_json::from_value(theirs).expect("a ServiceMonitor");
    let theirs = world.create(&theirs).await;
    world.start_operator().await;
    create(&world, &json!({"enabled": true})).await;
    world
        .server_until("files", "reporting the conflict", |server| {
            wait::condition(server, "Progressing").is_some_and(|ready| {
                ready
                    .message
                    .contains("ServiceMonitor files-metrics exists and belongs to")
            })
        })
        .await;
    edit(&world, &json!({"enabled": false})).await;
    world.ready("files").await;
    assert_eq!(world.get::<ServiceMonitor>(NAME).await, theirs);
}

#[tokio::test]
async fn the_service_monitor_of_a_paused_server_is_listed_and_not_written() {
    let world = World::new("monitors").await;
    create(&world, &json!({"enabled": true})).await;
    let monitor = monitor_until(&world, "there", |_| true).await;
    let paused = json!({"metadata": {"annotations": {"dittofs.dittofs.com/paused": "true"}}});
    world.merge::<DittoServer>("files", paused).await;
    edit(&world, &json!({"interval": "45s"})).await;
    world
        .server_until("files", "listing the ServiceMonitor", |server| {
            wait::condition(server, "Progressing").is_some_and(|now| {
                now.reason == "Paused" && now.message.contains("ServiceMonitor files-metrics")
            })
        })
        .await;
    assert_eq!(world.get::<ServiceMonitor>(NAME).await, monitor);
}
