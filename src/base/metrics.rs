//! The metrics of the operator, served as `/metrics` in the OpenMetrics format.
//!
//! The number of labels is bounded: kinds, verbs, steps and outcomes are fixed sets. Other rooms register a [`Collector`] for series
//! that are computed at scrape time. No label contains the value of a Secret.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

/// Buckets of histograms, in seconds: from a cache hit to several calls that time out.
const SECONDS: [f64; 12] = [
    0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0,
];

/// Namespace and name of a server.
type Key = (String, String);
type HistogramOf<Labels> = Family<Labels, Histogram, fn() -> Histogram>;

fn histogram() -> Histogram {
    Histogram::new(SECONDS)
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    result: &'static str,
    /// The step that failed; empty on success.
    step: &'static str,
    /// How it failed; empty on success.
    error: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ChildLabels {
    kind: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    verb: &'static str,
    kind: &'static str,
    code: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VerbLabel {
    verb: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BuildLabels {
    version: &'static str,
    commit: &'static str,
}

/// How a reconcile failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The step that failed.
    pub step: &'static str,
    /// The variant of its error.
    pub error: &'static str,
}

/// All metrics. There is one instance for each process.
pub struct Metrics {
    registry: Mutex<Registry>,
    reconcile_seconds: Histogram,
    reconciles: Family<ResultLabels, Counter>,
    children: Family<ChildLabels, Counter>,
    queue_seconds: Histogram,
    queue_depth: Gauge,
    calls: Family<CallLabels, Counter>,
    call_seconds: HistogramOf<VerbLabel>,
    watch_restarts: Family<KindLabel, Counter>,
    synced: Gauge,
    /// Servers in the queue, and the time at which they were added.
    waiting: Mutex<HashMap<Key, Instant>>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Metrics")
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

fn key(namespace: &str, name: &str) -> Key {
    (namespace.to_owned(), name.to_owned())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Metrics {
    /// All metrics, without values.
    #[must_use]
    pub fn new() -> Self {
        let metrics = Self {
            registry: Mutex::new(Registry::with_prefix("dittofs_operator")),
            reconcile_seconds: histogram(),
            reconciles: Family::default(),
            children: Family::default(),
            queue_seconds: histogram(),
            queue_depth: Gauge::default(),
            calls: Family::default(),
            call_seconds: Family::new_with_constructor(histogram as fn() -> Histogram),
            watch_restarts: Family::default(),
            synced: Gauge::default(),
            waiting: Mutex::default(),
        };
        metrics.register_reconciles();
        metrics.register_calls();
        metrics.register_state();
        metrics
    }

    fn register_reconciles(&self) {
        let mut registry = lock(&self.registry);
        registry.register(
            "reconcile_duration_seconds",
            "Duration of a reconcile",
            self.reconcile_seconds.clone(),
        );
        registry.register(
            "reconciles",
            "Reconciles by result, and by the step and the error that failed",
            self.reconciles.clone(),
        );
        registry.register(
            "children",
            "Reconciled children by kind and outcome",
            self.children.clone(),
        );
        registry.register(
            "queue_wait_seconds",
            "Time that a DittoServer waited in the queue for its reconcile",
            self.queue_seconds.clone(),
        );
        registry.register(
            "queue_depth",
            "DittoServers in the queue",
            self.queue_depth.clone(),
        );
    }

    fn register_calls(&self) {
        let mut registry = lock(&self.registry);
        registry.register(
            "api_calls",
            "Calls to the API server; code 0 means no answer",
            self.calls.clone(),
        );
        registry.register(
            "api_call_duration_seconds",
            "Time until the API server started to answer",
            self.call_seconds.clone(),
        );
        registry.register(
            "watch_restarts",
            "Watches that failed and were restarted",
            self.watch_restarts.clone(),
        );
    }

    fn register_state(&self) {
        let build = BuildLabels {
            version: env!("CARGO_PKG_VERSION"),
            commit: option_env!("DITTOFS_OPERATOR_COMMIT").unwrap_or("unknown"),
        };
        let mut registry = lock(&self.registry);
        registry.register("build", "Build information", Info::new(build));
        registry.register("synced", "1 once the caches have synced", self.synced.clone());
    }

    /// Adds series that are computed at each scrape.
    pub fn register_collector(&self, collector: Box<dyn Collector>) {
        lock(&self.registry).register_collector(collector);
    }

    /// Records that the caches have synced.
    pub fn synced(&self) {
        self.synced.set(1);
    }

    /// Records that this server was added to the queue.
    pub fn queued(&self, namespace: &str, name: &str) {
        lock(&self.waiting)
            .entry(key(namespace, name))
            .or_insert_with(Instant::now);
    }

    /// Records that this server left the queue: its reconcile starts, or it no longer exists.
    pub fn dequeued(&self, namespace: &str, name: &str) {
        if let Some(since) = lock(&self.waiting).remove(&key(namespace, name)) {
            self.queue_seconds.observe(since.elapsed().as_secs_f64());
        }
    }

    /// Records the end of a reconcile.
    pub fn reconciled(&self, took: Duration, failed: Option<Failure>) {
        self.reconcile_seconds.observe(took.as_secs_f64());
        let labels = ResultLabels {
            result: if failed.is_some() { "error" } else { "success" },
            step: failed.map_or("", |failure| failure.step),
            error: failed.map_or("", |failure| failure.error),
        };
        self.reconciles.get_or_create(&labels).inc();
    }

    /// Records the outcome for one child.
    pub fn child(&self, kind: &'static str, outcome: &'static str) {
        self.children.get_or_create(&ChildLabels { kind, outcome }).inc();
    }

    /// Records that watches of this kind started. The counter of restarts then starts at 0, so that the first restart is an increase.
    pub fn watch_started(&self, kind: &str) {
        let _ = self
            .watch_restarts
            .get_or_create(&KindLabel { kind: kind.into() });
    }

    /// Records that a watch failed and restarts.
    pub fn watch_restarted(&self, kind: &str) {
        self.watch_restarts
            .get_or_create(&KindLabel { kind: kind.into() })
            .inc();
    }

    /// Records a call to the API server. Code 0 means no answer.
    pub fn called(&self, verb: &'static str, kind: &'static str, code: u16, took: Duration) {
        self.calls.get_or_create(&CallLabels { verb, kind, code }).inc();
        self.call_seconds
            .get_or_create(&VerbLabel { verb })
            .observe(took.as_secs_f64());
    }

    /// The text of `/metrics`.
    ///
    /// # Errors
    /// When a metric cannot be encoded as text.
    pub fn text(&self) -> Result<String, fmt::Error> {
        self.queue_depth
            .set(i64::try_from(lock(&self.waiting).len()).unwrap_or(i64::MAX));
        let mut text = String::new();
        encode(&mut text, &lock(&self.registry))?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_waits_in_the_queue_from_its_first_change_to_its_reconcile() {
        let metrics = Metrics::new();
        metrics.queued("b", "a");
        metrics.queued("b", "a");
        assert!(
            metrics
                .text()
                .unwrap()
                .contains("dittofs_operator_queue_depth 1\n")
        );
        metrics.dequeued("b", "a");
        let text = metrics.text().unwrap();
        assert!(text.contains("dittofs_operator_queue_depth 0\n"), "{text}");
        assert!(
            text.contains("dittofs_operator_queue_wait_seconds_count 1\n"),
            "{text}"
        );
    }
}
