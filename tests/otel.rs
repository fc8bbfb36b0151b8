//! Traces: what a collector receives, and that the operator does not depend on it. Only with the feature `otel`.

mod collector;

use std::time::{Duration, Instant};

use dittofs_operator::api::DittoServer;
use k8s_openapi::api::core::v1::Secret;
use serde_json::json;

use self::collector::{Collector, Silent, Span};
use crate::canary::{canary, values};
use crate::support::process::{POLL, Process};
use crate::support::{World, fixtures, wait};

/// More than the operator may need to stop (drain and flush), and much less than the collector of the test would need.
const STOP: Duration = Duration::from_secs(15);

/// A trace, root first.
struct Trace(Vec<Span>);

impl Trace {
    /// The trace that has a span of this name.
    fn with(all: &[Span], name: &str) -> Self {
        let names: Vec<&String> = all.iter().map(|span| &span.name).collect();
        let span = all.iter().find(|span| span.name == name);
        let id = &span.unwrap_or_else(|| panic!("no {name} in {names:?}")).trace;
        Self(all.iter().filter(|span| span.trace == *id).cloned().collect())
    }

    fn span(&self, name: &str) -> &Span {
        let found = self.0.iter().find(|span| span.name == name);
        found.unwrap_or_else(|| panic!("no {name} in {:#?}", self.0))
    }

    /// Names from a span up to the root.
    fn path(&self, name: &str) -> Vec<&str> {
        let parent = |span: &&Span| self.0.iter().find(|other| other.id == span.parent);
        let path = std::iter::successors(Some(self.span(name)), parent);
        path.map(|span| span.name.as_str()).collect()
    }
}

/// A server that uses Secrets of the user.
fn server() -> DittoServer {
    let key = |key: &str| json!({"name": "canary", "key": key});
    let identity = json!({"jwt": {"secretRef": key("jwt")}, "admin": {"passwordSecretRef": key("admin")}});
    fixtures::server("files", json!({"identity": identity}))
}

/// Runs an operator with logs at trace level, through successes and failures, and stops it. Before it stops, it sends
/// only what does not fit a batch.
async fn life(world: &World, collector: &Collector) -> Vec<String> {
    let mut operator = Process::start_with(
        world,
        &["--otlp-endpoint", &collector.url(), "--log-level", "trace"],
        &[
            ("OTEL_BSP_SCHEDULE_DELAY", "3600000"),
            ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test"),
        ],
    )
    .await;
    world.create(&canary(1)).await;
    world.create(&server()).await;
    world.create(&fixtures::minimal("generated")).await;
    world.ready("files").await;
    world.ready("generated").await;
    let mut canaries = values(world).await;
    let bad = json!({"stringData": {"jwt": "canary-short"}});
    world.merge::<Secret>("canary", bad).await;
    canaries.push("canary-short".into());
    let refused = |server: &DittoServer| wait::is(server, "ConfigReady", "False", "JwtKeyTooShort");
    world.server_until("files", "refusing the key", refused).await;
    operator.signal("TERM");
    assert!(operator.ended().await.success());
    assert!(
        operator.log().contains("traces are exported"),
        "{}",
        operator.log()
    );
    canaries
}

// invariant: 5
#[tokio::test]
async fn each_reconcile_arrives_as_one_trace_with_its_steps_and_calls_and_without_a_value_of_a_secret() {
    let world = World::without_operator("otel").await;
    let collector = Collector::start().await;
    let canaries = life(&world, &collector).await;
    let spans = collector.spans();

    let first = Trace::with(&spans, "create StatefulSet");
    for (call, step) in [
        ("get StatefulSet", "observe"),
        ("create StatefulSet", "apply"),
        ("patch DittoServer", "status"),
        ("create Event", "events"),
    ] {
        assert_eq!(first.path(call), [call, step, "reconcile"]);
    }
    for step in ["validate", "desired", "finalize"] {
        assert_eq!(first.path(step), [step, "reconcile"]);
    }
    let call = &first.span("create StatefulSet").attributes;
    assert_eq!(
        [&call["verb"], &call["kind"], &call["code"]],
        ["create", "StatefulSet", "201"]
    );
    let root = first.span("reconcile");
    assert!(root.attributes["object"].contains(&world.namespace), "{root:?}");
    assert!(root.attributes.contains_key("id"), "{root:?}");
    assert_eq!(root.resource["service.name"], "dittofs-operator");
    assert_eq!(root.resource["service.version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(root.resource["deployment.environment.name"], "test");

    // Watches, the Lease and spans of kube itself belong to no reconcile.
    let mut roots = spans.iter().filter(|span| span.parent.is_empty());
    assert!(roots.all(|root| root.name == "reconcile"), "{spans:#?}");
    assert!(
        spans.iter().any(|span| span.events.contains(&"event".to_owned())),
        "{spans:#?}"
    );

    assert!(
        canaries.len() >= 8,
        "there is something to look for: {}",
        canaries.len()
    );
    let bytes = collector.bytes();
    for canary in canaries {
        assert!(!bytes.contains(&canary), "a trace has {canary}");
    }
}

/// An operator whose spans go to a collector that never answers, with this many milliseconds for each try.
async fn with_silent(world: &World, collector: &Silent, timeout: &str) -> Process {
    let variables = [
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", timeout),
    ];
    Process::start_with(world, &["--otlp-endpoint", &collector.url()], &variables).await
}

/// Asks for reconciles until the operator has tried to send spans this often.
async fn tried(world: &World, collector: &Silent, tries: usize) {
    let deadline = Instant::now() + wait::LONGEST;
    for look in 0.. {
        if collector.connections() >= tries {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "it has tried {} times",
            collector.connections()
        );
        let annotation = json!({"metadata": {"annotations": {"look": look.to_string()}}});
        world.merge::<DittoServer>("files", annotation).await;
        tokio::time::sleep(POLL * 10).await;
    }
}

#[tokio::test]
async fn a_collector_that_never_answers_is_reported_once() {
    let world = World::without_operator("otel-reported").await;
    let collector = Silent::start();
    let mut operator = with_silent(&world, &collector, "200").await;
    world.create(&fixtures::minimal("files")).await;
    tried(&world, &collector, 4).await;
    operator.signal("TERM");
    assert!(operator.ended().await.success());
    let log = operator.log();
    assert_eq!(
        log.matches("the collector does not accept traces").count(),
        1,
        "{log}"
    );
}

#[tokio::test]
async fn a_collector_that_never_answers_delays_neither_a_reconcile_nor_the_shutdown() {
    let world = World::without_operator("otel-silent").await;
    let collector = Silent::start();
    let ten_minutes = "600000";
    let mut operator = with_silent(&world, &collector, ten_minutes).await;
    world.create(&fixtures::minimal("files")).await;
    tried(&world, &collector, 1).await;
    world.ready("files").await;
    let replicas = json!({"spec": {"replicas": 0}});
    world.merge::<DittoServer>("files", replicas).await;
    let has_stopped = |server: &DittoServer| wait::is(server, "Available", "True", "Stopped");
    world.server_until("files", "stopped", has_stopped).await;
    let asked = Instant::now();
    operator.signal("TERM");
    assert!(operator.ended().await.success());
    let log = operator.log();
    assert!(asked.elapsed() < STOP, "{:?}\n{log}", asked.elapsed());
    assert!(log.contains("did not accept the last traces"), "{log}");
}
