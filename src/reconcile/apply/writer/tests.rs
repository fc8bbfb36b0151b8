//! The calls to the API server, seen by a client that records them.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context as Poll, Poll as Answer};
use std::time::Duration;

use futures::future::BoxFuture;
use http::{Method, Request, Response};
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use kube::client::Body;
use kube::{Client, Resource};
use tower::Service as Transport;

use super::*;
use crate::api::names;
use crate::base::backoff::PerObject;
use crate::cluster::cache::{Cache, Cached};
use crate::cluster::secret_reader::SecretReader;
use crate::domain::desired::Workload;
use crate::domain::settings::Settings;
use crate::domain::testing;
use crate::domain::validate::fixtures;
use crate::reconcile::apply::{config_map, stateful_set, unwanted};
use crate::reconcile::context::Caches;
use crate::reconcile::events::Publisher;
use crate::reconcile::finalize;
use crate::reconcile::tries::Tries;

type Calls = Arc<Mutex<Vec<(Method, Value)>>>;

/// Records each call, and answers it with one object.
#[derive(Clone)]
struct Recorder {
    calls: Calls,
    answer: Value,
}

impl Transport<Request<Body>> for Recorder {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Poll<'_>) -> Answer<Result<(), Self::Error>> {
        Answer::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let Self { calls, answer } = self.clone();
        Box::pin(async move {
            let method = request.method().clone();
            let bytes = request.into_body().collect_bytes().await.unwrap_or_default();
            let body = serde_json::from_slice(&bytes).unwrap_or_default();
            calls.lock().unwrap().push((method, body));
            Ok(Response::new(Body::from(answer.to_string().into_bytes())))
        })
    }
}

fn empty<K: Cached>() -> Cache<K> {
    Cache::new(&[None], |_| Vec::new())
}

/// A context whose API server answers everything with `answer`, and the calls that it got.
fn context(answer: Value) -> (Context, Calls) {
    let calls = Calls::default();
    let recorder = Recorder {
        calls: Arc::clone(&calls),
        answer,
    };
    (context_of(Client::new(recorder, "storage")), calls)
}

fn context_of(client: Client) -> Context {
    Context {
        metrics: std::sync::Arc::default(),
        events: Publisher::idle(),
        secrets: SecretReader::new(client.clone(), empty()),
        caches: Caches {
            servers: empty(),
            stateful_sets: empty(),
            config_maps: empty(),
            services: empty(),
            network_policies: empty(),
            pod_disruption_budgets: empty(),
            databases: empty(),
            service_monitors: empty(),
            pods: empty(),
            claims: empty(),
        },
        client,
        settings: Settings::default(),
        backoff: PerObject::new(Duration::ZERO, Duration::ZERO),
        drifts: crate::reconcile::apply::drift::Drifts::default(),
        cleanups: Tries::default(),
        servers: crate::server::poller::Poller::idle(),
        drains: crate::server::drains::Drains::idle(),
        repeated_service_creations: crate::reconcile::context::repeated_service_creations(),
        resync: Duration::ZERO,
    }
}

/// A child of `server`, as the API server holds it.
fn live(server: &DittoServer, kind: &str, name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": kind, "metadata": {
        "name": name, "namespace": "storage", "uid": "looked-at", "resourceVersion": "7",
        "ownerReferences": [server.controller_owner_ref(&()).expect("a UID")],
    }})
}

fn only(calls: &Calls, method: &Method) -> Value {
    let calls = calls.lock().unwrap();
    let mut bodies = calls.iter().filter(|(called, _)| called == method);
    let (Some((_, body)), None) = (bodies.next(), bodies.next()) else {
        panic!("not one {method}: {calls:?}");
    };
    body.clone()
}

// invariant: 6
#[tokio::test]
async fn a_delete_names_the_uid_that_was_looked_at() {
    let server = testing::server("");
    let object = live(&server, "Service", "files-metrics");
    let (context, calls) = context(object.clone());
    let cache = &context.caches.services;
    cache.wrote(serde_json::from_value(object).expect("a Service"));
    let writer = Writer::new(&context, &server);
    let deleted = unwanted::delete::<Service>(&writer, "files-metrics")
        .await
        .expect("an answer");
    assert!(deleted.is_some());
    assert_eq!(only(&calls, &Method::DELETE)["preconditions"]["uid"], "looked-at");
}

// invariant: 6
#[tokio::test]
async fn an_apply_names_the_uid_that_was_looked_at() {
    let server = testing::server("");
    let (context, calls) = context(live(&server, "ConfigMap", "files-config"));
    let desired: ConfigMap =
        serde_json::from_value(live(&server, "ConfigMap", "files-config")).expect("a ConfigMap");
    let desired = ConfigMap {
        data: Some([("config.yaml".to_owned(), "{}".to_owned())].into()),
        metadata: kube::api::ObjectMeta {
            uid: None,
            resource_version: None,
            ..desired.metadata
        },
        ..desired
    };
    let writer = Writer::new(&context, &server);
    let written = writer.child("files-config", &desired).await;
    assert!(
        matches!(written.outcome, Outcome::Updated),
        "{:?}",
        written.outcome
    );
    assert_eq!(only(&calls, &Method::PATCH)["metadata"]["uid"], "looked-at");
}

// invariant: 20
#[tokio::test]
async fn a_configuration_is_not_written_while_its_pod_waits_for_secrets_that_failed() {
    let observed = fixtures::world("");
    let (context, calls) = context(live(&observed.server, "ConfigMap", "files-config"));
    let writer = Writer::new(&context, &observed.server);
    let mut applied = fixtures::applied(&observed, Some(fixtures::running(&observed.server)));
    applied
        .steps
        .push(fixtures::step("Secret", "files-jwt-secret", fixtures::failed()));
    let workload = Workload::Run {
        stateful_set: Box::new(StatefulSet::default()),
        config_hash: String::new(),
    };
    let newer = fixtures::config_map(&observed.server, "newer");
    config_map::apply(&writer, &mut applied, &newer, &workload)
        .await
        .expect("nothing is asked");
    assert!(calls.lock().unwrap().is_empty());
    let last = applied.steps.last().expect("a step");
    assert_eq!((last.kind, last.outcome.label()), ("ConfigMap", "skipped"));
}

// invariant: 6
#[tokio::test]
async fn a_finalizer_is_removed_from_the_uid_that_was_looked_at() {
    let mut server = testing::server("");
    server.metadata.uid = Some("looked-at".into());
    server.metadata.finalizers = Some(vec!["example.org/other".into(), names::FINALIZER.into()]);
    let (context, calls) = context(live(&server, "DittoServer", "files"));
    finalize::remove_finalizer(&context, &server.metadata)
        .await
        .expect("an answer");
    let path = "/metadata/finalizers/1";
    assert_eq!(
        only(&calls, &Method::PATCH),
        json!([
            {"op": "test", "path": "/metadata/uid", "value": "looked-at"},
            {"op": "test", "path": path, "value": names::FINALIZER},
            {"op": "remove", "path": path},
        ])
    );
}

/// A server whose status has conditions: it has had children.
fn seen() -> DittoServer {
    let condition = json!({
        "type": "Ready", "status": "True", "reason": "r", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z",
    });
    let mut server = testing::server("");
    server.status = serde_json::from_value(json!({"conditions": [condition]})).expect("a status");
    server
}

#[tokio::test]
async fn the_stateful_set_of_a_server_that_is_gone_is_not_deleted_to_be_recreated() {
    let server = seen();
    let another = json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": {"uid": "another"}});
    let (context, calls) = context(another);
    let writer = Writer::new(&context, &server);
    let written =
        stateful_set::replace(&writer, "files", &ConfigMap::default(), &StatefulSet::default()).await;
    let outcome = written.map_or_else(Outcome::from, |written| written.outcome);
    assert_eq!(outcome, Outcome::ServerGone);
    let calls = calls.lock().unwrap();
    assert!(calls.iter().all(|(method, _)| method == Method::GET), "{calls:?}");
}

#[tokio::test]
async fn a_child_that_was_collected_with_its_server_is_not_created_again() {
    let (seen, new) = (seen(), testing::server(""));
    let there = json!({"name": "files", "uid": seen.metadata.uid});
    let going =
        json!({"name": "files", "uid": seen.metadata.uid, "deletionTimestamp": "2026-01-01T00:00:00Z"});
    let another = json!({"name": "files", "uid": "another"});
    for (server, live, is_created) in [
        (&seen, &there, true),
        (&seen, &going, false),
        (&seen, &another, false),
        (&new, &another, true),
    ] {
        let metadata =
            json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": live});
        let (context, calls) = context(metadata);
        let writer = Writer::new(&context, server);
        let config_map = json!({"metadata": {"name": "files-config", "namespace": "storage"}});
        let created = writer.create::<ConfigMap>("files-config", &config_map).await;
        let posts = calls
            .lock()
            .unwrap()
            .iter()
            .filter(|(method, _)| method == Method::POST)
            .count();
        assert_eq!(posts, usize::from(is_created), "{live}");
        let is_gone = matches!(created, Err(Error::Stopped(Outcome::ServerGone)));
        assert_eq!(is_gone, !is_created, "{live}");
    }
}

/// The number of creations that are sent for ten Services if the API server answers none.
async fn services_created_together(has_failed: bool) -> usize {
    let server = testing::server("");
    let count = Arc::new(AtomicUsize::new(0));
    let (created, answer) = (Arc::clone(&count), serde_json::to_vec(&server).expect("JSON"));
    let client = tower::service_fn(move |request: Request<Body>| {
        let (created, answer) = (Arc::clone(&created), answer.clone());
        async move {
            if request.method() == Method::POST {
                created.fetch_add(1, Ordering::Relaxed);
                std::future::pending::<()>().await;
            }
            Ok::<_, Infallible>(Response::new(Body::from(answer)))
        }
    });
    let context = context_of(Client::new(client, "storage"));
    if has_failed {
        context.backoff.failed(crate::reconcile::context::key(&server));
    }
    let writer = Writer::new(&context, &server);
    let creations = (0..10).map(async |number| {
        let desired = live(&server, "Service", &format!("service-{number}"));
        writer.create::<Service>("service", &desired).await
    });
    let creations = futures::future::join_all(creations);
    let within = Duration::from_millis(200);
    assert!(tokio::time::timeout(within, creations).await.is_err());
    count.load(Ordering::Relaxed)
}

#[tokio::test]
async fn services_are_created_two_at_a_time_after_a_failure() {
    assert_eq!(services_created_together(false).await, 10);
    assert_eq!(services_created_together(true).await, 2);
}
