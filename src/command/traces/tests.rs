use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use opentelemetry::trace::{SpanId, SpanKind, Status};
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SpanData, SpanExporter};
use tracing::Subscriber;
use tracing::field::Empty;
use tracing_subscriber::EnvFilter;

use super::*;
use crate::base::log_sink::Sink;
use crate::command::telemetry;

fn subscriber(level: &str, log: &Sink, provider: &SdkTracerProvider) -> impl Subscriber + Send + Sync {
    let writer = log.clone();
    let log = telemetry::text(EnvFilter::new(level), move || writer.clone(), false);
    telemetry::subscriber([Some(log), Some(layer(provider))])
}

/// Records what a collector would receive.
#[derive(Clone, Debug, Default)]
struct Kept(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Kept {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().unwrap().extend(batch);
        Ok(())
    }
}

impl Kept {
    fn span(&self, name: &str) -> SpanData {
        let spans = self.0.lock().unwrap().clone();
        let names: Vec<_> = spans.iter().map(|span| span.name.clone()).collect();
        let found = spans.into_iter().find(|span| span.name == name);
        found.unwrap_or_else(|| panic!("no {name} in {names:?}"))
    }
}

/// A reconcile, with events of kube and hyper in it and around it.
fn one_reconcile() {
    let _kube = tracing::info_span!(target: "kube_runtime::controller", "reconciling object").entered();
    tracing::debug_span!("call", otel.name = "update leases").in_scope(|| tracing::info!("outside"));
    let _reconcile = tracing::info_span!("reconcile", object = "a/b").entered();
    let _step = tracing::debug_span!("apply").entered();
    tracing::info!(child = "files", "created");
    tracing::debug!("too fine");
    tracing::warn!(target: "kube_client::client", "response that quotes a Secret");
    tracing::error!(target: "hyper_util::client", "canary");
    let _http = tracing::info_span!(target: "kube_client::client::builder", "HTTP", url = "canary").entered();
    let call = tracing::debug_span!(
        "call",
        otel.name = "get pods",
        otel.kind = "client",
        otel.status_code = Empty
    );
    call.record("otel.status_code", "ERROR");
}

// invariant: 5
#[test]
fn a_reconcile_is_one_trace_with_only_the_operators_spans_at_every_log_level() {
    for level in ["off", "info", "trace"] {
        let (kept, log) = (Kept::default(), Sink::default());
        let provider = SdkTracerProvider::builder()
            .with_simple_exporter(kept.clone())
            .build();
        tracing::subscriber::with_default(subscriber(level, &log, &provider), one_reconcile);
        let (root, step, call) = (kept.span("reconcile"), kept.span("apply"), kept.span("get pods"));
        assert_eq!(root.parent_span_id, SpanId::INVALID);
        assert_eq!(step.parent_span_id, root.span_context.span_id());
        assert_eq!(call.parent_span_id, step.span_context.span_id());
        assert_eq!(call.span_kind, SpanKind::Client);
        assert_eq!(call.status, Status::error(""));
        let events: Vec<_> = step.events.iter().map(|event| event.name.clone()).collect();
        assert_eq!(events, ["created"]);
        let all = format!("{:?}", kept.0.lock().unwrap());
        assert_eq!(kept.0.lock().unwrap().len(), 3, "{all}");
        assert!(!all.contains("canary") && !all.contains("quotes"), "{all}");
        assert_eq!(
            log.text().contains("too fine"),
            level == "trace",
            "{}",
            log.text()
        );
    }
}

/// A collector that succeeds or fails as the test sets it.
#[derive(Clone, Debug)]
struct Switchable(Arc<AtomicBool>);

impl SpanExporter for Switchable {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        let is_well = self.0.load(Ordering::Relaxed);
        let refusal = OTelSdkError::InternalFailure("status 503".into());
        is_well.then_some(()).ok_or(refusal)
    }
}

#[tokio::test]
async fn a_failing_collector_is_logged_when_it_begins_and_when_it_ends() {
    let log = Sink::default();
    let provider = SdkTracerProvider::builder().build();
    let _logged = tracing::subscriber::set_default(subscriber("info", &log, &provider));
    let collector = Switchable(Arc::default());
    let delivery = Delivery::new(collector.clone(), LastFailure::default());
    for is_well in [true, false, false, false, true, true] {
        collector.0.store(is_well, Ordering::Relaxed);
        let _ = delivery.export(Vec::new()).await;
    }
    let log = log.text();
    assert_eq!(log.lines().count(), 2, "{log}");
    assert_eq!(log.matches("does not accept traces").count(), 1, "{log}");
    assert_eq!(log.matches("status 503").count(), 1, "{log}");
    assert_eq!(log.matches("accepts traces again").count(), 1, "{log}");
}

/// A collector that responds when the test releases the lock.
#[derive(Debug)]
struct Hanging(Arc<Mutex<()>>);

impl SpanExporter for Hanging {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        drop(self.0.lock());
        Ok(())
    }
}

#[test]
fn spans_that_exceed_the_queue_are_dropped_without_waiting_and_this_is_logged_once() {
    let (log, held) = (Sink::default(), Arc::new(Mutex::new(())));
    let limits = BatchConfigBuilder::default()
        .with_max_queue_size(4)
        .with_max_export_batch_size(1)
        .build();
    let processor = BatchSpanProcessor::builder(Hanging(Arc::clone(&held)))
        .with_batch_config(limits)
        .build();
    let provider = SdkTracerProvider::builder()
        .with_span_processor(processor)
        .build();
    tracing::subscriber::with_default(subscriber("trace", &log, &provider), || {
        let collector = held.lock().unwrap();
        for _ in 0..100 {
            drop(tracing::info_span!("reconcile").entered());
        }
        drop(collector);
        provider
            .shutdown_with_timeout(FLUSH_TIMEOUT)
            .expect("it shuts down");
    });
    let log = log.text();
    assert_eq!(log.matches("queue full").count(), 1, "{log}");
    assert_eq!(log.matches("dropped_span_count=9").count(), 1, "{log}");
}

#[test]
fn the_service_has_a_name_and_a_version_and_the_user_can_set_another_name() {
    let told = |service_name| {
        let resource = resource(service_name);
        let value = |key: &'static str| resource.get(&key.into()).map(|value| value.to_string());
        (value("service.name"), value("service.version"))
    };
    let version = Some(env!("CARGO_PKG_VERSION").to_owned());
    assert_eq!(told(None), (Some("dittofs-operator".into()), version.clone()));
    assert_eq!(told(Some("files")), (Some("files".into()), version));
}
