//! Servers with which something is wrong do not change what happens to the others.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use dittofs_operator::api::DittoServer;
use dittofs_operator::domain::secrets::Confidential;
use dittofs_operator::domain::server_api::Target;
use dittofs_operator::domain::server_settings::Declared;
use dittofs_operator::server::poller::{Pace, Poller};
use jiff::Timestamp;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Service};
use kube::Api;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::ApiResource;
use local_control_plane::{ControlPlane, percona};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::support::audit::Call;
use crate::support::process::POLL;
use crate::support::{
    Operator, World, account, fixtures, install_crd, own_control_plane, server_double, wait,
};

/// Servers with which nothing is wrong.
const HEALTHY: usize = 18;

/// A control plane whose CRD accepts everything, as one of an older version.
async fn control_plane() -> Arc<ControlPlane> {
    let control_plane = own_control_plane().await;
    let client = control_plane.client().expect("a client");
    install_crd(&client, fixtures::without_schema(dittofs_operator::api::crd())).await;
    percona::install_crd(&client).await.expect("the CRD is installed");
    control_plane
}

async fn operator(world: &World, other: &World) -> Operator {
    let config = account::config(world.control_plane()).await;
    Operator::start(config, vec![world.namespace.clone(), other.namespace.clone()]).await
}

fn healthy(number: usize) -> String {
    format!("healthy{number:02}")
}

async fn observed(world: &World, name: &str) {
    world
        .server_until(name, "observed", |server| {
            let status = server.status.as_ref();
            status.and_then(|status| status.observed_generation) == server.metadata.generation
        })
        .await;
}

/// Creates the healthy servers, edits each once, and returns the writes for each of them.
async fn live(world: &World) -> BTreeMap<usize, Vec<Call>> {
    for number in 0..HEALTHY {
        world.create(&fixtures::minimal(&healthy(number))).await;
    }
    for number in 0..HEALTHY {
        observed(world, &healthy(number)).await;
    }
    let edit = json!({"spec": {"service": {"annotations": {"example.com/edit": "1"}}}});
    for number in 0..HEALTHY {
        world.merge::<DittoServer>(&healthy(number), edit.clone()).await;
    }
    for number in 0..HEALTHY {
        observed(world, &healthy(number)).await;
    }
    let writes = world.audit().writes();
    let of = |number: usize| -> Vec<Call> {
        let name = healthy(number);
        let generic = |call: &Call| Call {
            name: call.name.replace(&name, "healthy"),
            ..call.clone()
        };
        let mut writes: Vec<Call> = writes
            .iter()
            .filter(|call| call.name.starts_with(&name))
            .map(generic)
            .collect();
        writes.sort();
        writes
    };
    (0..HEALTHY).map(|number| (number, of(number))).collect()
}

/// Servers whose reconciles fail or have to wait, each for another reason, and a program that fights for a child of one of them.
async fn poison(world: &World, terminating: &World, stop: &CancellationToken) {
    let resource = ApiResource::erase::<DittoServer>(&());
    let servers: Api<DynamicObject> = Api::namespaced_with(world.client.clone(), &world.namespace, &resource);
    let unparsable = json!({"spec": {"storage": {"metadataSize": "1Gi"}, "metrics": "several"}});
    let unparsable = DynamicObject::new("unparsable", &resource).data(unparsable);
    servers
        .create(&PostParams::default(), &unparsable)
        .await
        .expect("without a schema it is stored");
    let secret = json!({"identity": {"jwt": {"secretRef": {"name": "missing", "key": "k"}}}});
    world.create(&fixtures::server("secretless", secret)).await;
    let foreign: ConfigMap = serde_json::from_value(json!({"metadata": {
        "name": "foreign-config",
        "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "u", "controller": true}],
    }}))
    .expect("a ConfigMap");
    world.create(&foreign).await;
    world.create(&fixtures::minimal("foreign")).await;
    terminating.create(&fixtures::minimal("leaving")).await;
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    namespaces
        .delete(&terminating.namespace, &DeleteParams::default())
        .await
        .expect("deleted");
    world.create(&fixtures::minimal("contested")).await;
    let (services, stop) = (world.api::<Service>(), stop.clone());
    tokio::spawn(stop.run_until_cancelled_owned(fight(services)));
}

async fn fight(services: Api<Service>) {
    let manager = PatchParams {
        field_manager: Some("tuner".into()),
        ..PatchParams::default()
    };
    let port = json!([{"name": "api", "port": 9999, "targetPort": 9999, "protocol": "TCP"}]);
    let patch = Patch::Merge(json!({"spec": {"ports": port}}));
    loop {
        // Before the first reconcile, the Service does not exist.
        let _ = services.patch("contested-api", &manager, &patch).await;
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
}

#[tokio::test]
async fn poisoned_servers_change_no_write_for_the_others() {
    let control_plane = control_plane().await;
    let clean = World::on(Arc::clone(&control_plane), "clean").await;
    let other = World::on(Arc::clone(&control_plane), "other").await;
    let first = operator(&clean, &other).await;
    let expected = live(&clean).await;
    first.stop().await;
    assert!(expected[&0].len() > 5, "{:?}", expected[&0]);

    let poisoned = World::on(Arc::clone(&control_plane), "poisoned").await;
    let terminating = World::on(control_plane, "terminating").await;
    let second = operator(&poisoned, &terminating).await;
    let stop = CancellationToken::new();
    let _ends = stop.clone().drop_guard();
    poison(&poisoned, &terminating, &stop).await;
    let found = live(&poisoned).await;
    for (number, writes) in &expected {
        assert_eq!(&found[number], writes, "{}", healthy(*number));
    }
    for (name, reason) in [
        ("unparsable", "InvalidSpec"),
        ("secretless", "SecretNotFound"),
        ("foreign", "ResourceConflict"),
    ] {
        let servers = ApiResource::erase::<DittoServer>(&());
        let servers: Api<DynamicObject> =
            Api::namespaced_with(poisoned.client.clone(), &poisoned.namespace, &servers);
        let server = servers.get(name).await.expect("a server");
        let conditions = server.data["status"]["conditions"].to_string();
        assert!(conditions.contains(reason), "{name}: {conditions}");
    }
    second.stop().await;
}

/// A port at which everything is accepted and nothing is answered, and the number of connections to it.
async fn silent() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let count = Arc::new(AtomicUsize::new(0));
    let accepted = Arc::clone(&count);
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((connection, _)) = listener.accept().await {
            accepted.fetch_add(1, Ordering::Relaxed);
            open.push(connection);
        }
    });
    (port, count)
}

/// Every write of a Service in this namespace waits for a webhook that does not answer.
async fn slow_webhook(world: &World, port: u16) {
    let ca = world
        .control_plane()
        .client_config()
        .root_cert
        .and_then(|certificates| certificates.into_iter().next());
    let ca = k8s_openapi::ByteString(pem(&ca.expect("a CA")).into_bytes());
    let webhook: ValidatingWebhookConfiguration = serde_json::from_value(json!({
        "metadata": {"name": world.namespace},
        "webhooks": [{
            "name": "slow.example.com", "admissionReviewVersions": ["v1"], "sideEffects": "None", "failurePolicy": "Fail", "timeoutSeconds": 30,
            "clientConfig": {"url": format!("https://127.0.0.1:{port}/"), "caBundle": ca},
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": world.namespace}},
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["services"]}],
        }],
    }))
    .expect("a webhook");
    let webhooks: Api<ValidatingWebhookConfiguration> = Api::all(world.client.clone());
    webhooks
        .create(&PostParams::default(), &webhook)
        .await
        .expect("a webhook");
}

fn pem(der: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

#[tokio::test]
async fn writes_that_wait_for_a_slow_webhook_hold_no_place_that_other_servers_need() {
    /// More than are reconciled at the same time.
    const SLOW: usize = 20;
    let control_plane = control_plane().await;
    let slow = World::on(Arc::clone(&control_plane), "slow").await;
    let world = World::on(control_plane, "quick").await;
    let (port, waiting) = silent().await;
    slow_webhook(&slow, port).await;
    let operator = operator(&slow, &world).await;
    for number in 0..SLOW {
        slow.create(&fixtures::minimal(&format!("slow{number}"))).await;
    }
    let is_waiting = async || waiting.load(Ordering::Relaxed) >= SLOW;
    wait::holds("waiting for the webhook", wait::LONGEST, POLL, is_waiting).await;
    for number in 0..3 {
        world.create(&fixtures::minimal(&healthy(number))).await;
    }
    for number in 0..3 {
        observed(&world, &healthy(number)).await;
    }
    let first_write = times(&world, "requestReceivedTimestamp", |_| true).min();
    let first_end = times(&slow, "stageTimestamp", |event| {
        event["objectRef"]["resource"] == "services"
    })
    .min();
    // No reconcile had ended whose place the others could have got.
    assert!(
        first_end.is_none_or(|end| first_write < Some(end)),
        "{first_write:?} {first_end:?}"
    );
    operator.stop().await;
}

/// A time of each finished create of the operator.
fn times(world: &World, field: &str, is_meant: impl Fn(&Value) -> bool) -> impl Iterator<Item = Timestamp> {
    let is_create = |event: &Value| {
        let by_operator = event["userAgent"]
            .as_str()
            .is_some_and(|agent| agent.starts_with("dittofs-operator/"));
        by_operator && event["stage"] == "ResponseComplete" && event["verb"] == "create"
    };
    let mut events = world.audit().events();
    events.retain(|event| is_create(event) && is_meant(event));
    let times: Vec<Timestamp> = events
        .iter()
        .filter_map(|event| event[field].as_str()?.parse().ok())
        .collect();
    times.into_iter()
}

fn target(url: String, server: usize) -> Target {
    Target {
        server: format!("server {server}"),
        pod: format!("pod of {server}"),
        started: None,
        // It became ready a moment ago, so it is asked soon.
        ready_since: Some(Timestamp::now()),
        url,
        key: Confidential(Arc::from(&b"0123456789abcdef0123456789abcdef"[..])),
        trust: None,
        interval: Duration::from_secs(30),
        declared: Declared::default(),
        exposed: [].into(),
    }
}

#[tokio::test]
async fn servers_that_do_not_answer_delay_no_call_to_another_server() {
    /// More than are called at the same time.
    const SILENT: usize = 64;
    let (port, called) = silent().await;
    let stop = CancellationToken::new();
    let poller = Poller::start(Pace::default(), |_: usize| {}, stop.clone());
    for server in 0..SILENT {
        poller.watch(server, Some(target(format!("http://127.0.0.1:{port}"), server)));
    }
    let began = Instant::now();
    let is_called = async || called.load(Ordering::Relaxed) >= SILENT;
    wait::holds("all silent servers called", wait::LONGEST, POLL, is_called).await;
    let double = server_double::template()
        .replace("{namespace}", "isolation")
        .replace("{name}", "files");
    poller.watch(SILENT, Some(target(double, SILENT)));
    let answered = |server: &usize| poller.report(server, &format!("server {server}")).has_answer();
    let is_answered = async || answered(&SILENT);
    wait::holds(
        "the server that answers asked",
        wait::LONGEST.saturating_sub(began.elapsed()),
        POLL,
        is_answered,
    )
    .await;
    // Each silent server still has its first call, or has lost it only because its deadline passed.
    let failures: u64 = poller.all().iter().map(|(_, known)| known.failures).sum();
    assert!(
        failures < SILENT as u64,
        "it was asked before the calls to the silent servers ended: {failures}"
    );
    assert!((0..SILENT).all(|server| !answered(&server)));
    stop.cancel();
}
