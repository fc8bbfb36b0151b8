//! What the operator says of itself in `/metrics`, in the OpenMetrics format.
//!
//! Labels are bounded: kinds, verbs, steps and outcomes are sets that the code names. Only what `servers` tells has series for
//! each server; it is read from the cache at each scrape, so they go with the server. Values of Secrets are in none.

pub mod calls;
pub(crate) mod failure;
mod servers;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use kube::runtime::reflector::ObjectRef;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use self::calls::Target;
pub use self::failure::Failure;
use self::servers::Series;
use crate::apply::Applied;
use crate::cache::Cache;
use crate::context::StoredServer;
use crate::leader::Leadership;

/// Of a reconcile: from a cache hit to several calls with a deadline each.
const SECONDS: [f64; 12] = [
    0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0,
];

type Key = ObjectRef<StoredServer>;
type HistogramOf<Labels> = Family<Labels, Histogram, fn() -> Histogram>;

fn histogram() -> Histogram {
    Histogram::new(SECONDS)
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    result: &'static str,
    /// The step that failed; empty for a success.
    step: &'static str,
    /// How it failed; empty for a success.
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

/// Everything that is measured. One of it lives as long as the process.
pub struct Metrics {
    registry: Registry,
    reconcile_seconds: Histogram,
    reconciles: Family<ResultLabels, Counter>,
    children: Family<ChildLabels, Counter>,
    queue_seconds: Histogram,
    queue_depth: Gauge,
    calls: Family<CallLabels, Counter>,
    call_seconds: HistogramOf<VerbLabel>,
    watch_restarts: Family<KindLabel, Counter>,
    watch_age: Family<KindLabel, Gauge<f64, AtomicU64>>,
    leader: Gauge,
    synced: Gauge,
    series: Series,
    /// Servers that wait for a reconcile, and since when.
    waiting: Mutex<HashMap<Key, Instant>>,
    /// When the API server last answered a list or watch of each kind, in each namespace that is watched by itself.
    heard: Mutex<HashMap<(&'static str, String), Instant>>,
    servers: OnceLock<(Cache<StoredServer>, Leadership)>,
    /// One scrape at a time: the series of servers are filled in anew for each.
    scrape: Mutex<()>,
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Metrics {
    /// Nothing measured yet.
    #[must_use]
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("dittofs_operator"),
            reconcile_seconds: histogram(),
            reconciles: Family::default(),
            children: Family::default(),
            queue_seconds: histogram(),
            queue_depth: Gauge::default(),
            calls: Family::default(),
            call_seconds: Family::new_with_constructor(histogram as fn() -> Histogram),
            watch_restarts: Family::default(),
            watch_age: Family::default(),
            leader: Gauge::default(),
            synced: Gauge::default(),
            series: Series::default(),
            waiting: Mutex::default(),
            heard: Mutex::default(),
            servers: OnceLock::new(),
            scrape: Mutex::default(),
        };
        metrics.register_reconciles();
        metrics.register_calls();
        metrics.register_state();
        metrics
    }

    fn register_reconciles(&mut self) {
        let registry = &mut self.registry;
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
            "Children looked at, by kind and what became of them",
            self.children.clone(),
        );
        registry.register(
            "queue_wait_seconds",
            "Time from a change to the reconcile that it asked for",
            self.queue_seconds.clone(),
        );
        registry.register(
            "queue_depth",
            "DittoServers that wait for a reconcile after a change",
            self.queue_depth.clone(),
        );
    }

    fn register_calls(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "api_calls",
            "Calls of the API server; code 0 is no answer",
            self.calls.clone(),
        );
        registry.register(
            "api_call_duration_seconds",
            "Time until the API server began to answer",
            self.call_seconds.clone(),
        );
        registry.register(
            "watch_restarts",
            "Watches that failed and began anew",
            self.watch_restarts.clone(),
        );
        registry.register(
            "watch_age_seconds",
            "Time since the API server last answered a list or watch of the kind",
            self.watch_age.clone(),
        );
    }

    fn register_state(&mut self) {
        let build = BuildLabels {
            version: env!("CARGO_PKG_VERSION"),
            commit: option_env!("DITTOFS_OPERATOR_COMMIT").unwrap_or("unknown"),
        };
        let registry = &mut self.registry;
        registry.register("build", "What runs", Info::new(build));
        registry.register("leader", "1 on the operator that acts", self.leader.clone());
        registry.register("synced", "1 once the caches have synced", self.synced.clone());
        self.series.register(registry);
    }

    /// From now on it is told how these servers are, while this operator leads.
    pub fn observe_servers(&self, servers: Cache<StoredServer>, leadership: Leadership) {
        let _ = self.servers.set((servers, leadership));
    }

    /// The caches have synced.
    pub fn synced(&self) {
        self.synced.set(1);
    }

    /// A change asks for a reconcile of this server.
    pub fn asked(&self, key: &Key) {
        lock(&self.waiting)
            .entry(key.clone())
            .or_insert_with(Instant::now);
    }

    /// Its reconcile begins, or it has turned out to be gone.
    pub fn begun(&self, key: &Key) {
        if let Some(since) = lock(&self.waiting).remove(key) {
            self.queue_seconds.observe(since.elapsed().as_secs_f64());
        }
    }

    /// A reconcile ended.
    pub fn reconciled(&self, took: Duration, failed: Option<Failure>) {
        self.reconcile_seconds.observe(took.as_secs_f64());
        let labels = ResultLabels {
            result: if failed.is_some() { "error" } else { "success" },
            step: failed.map_or("", |failure| failure.step),
            error: failed.map_or("", |failure| failure.error),
        };
        self.reconciles.get_or_create(&labels).inc();
    }

    /// What became of the children.
    pub fn applied(&self, applied: &Applied) {
        for step in &applied.steps {
            let labels = ChildLabels {
                kind: step.kind,
                outcome: step.outcome.name(),
            };
            self.children.get_or_create(&labels).inc();
        }
    }

    /// A watch of this kind begins. From here its restarts are counted, so that the first one is seen as a change.
    pub fn watch_started(&self, kind: &str) {
        let _ = self
            .watch_restarts
            .get_or_create(&KindLabel { kind: kind.into() });
    }

    /// A watch failed and begins anew.
    pub fn watch_restarted(&self, kind: &str) {
        self.watch_restarts
            .get_or_create(&KindLabel { kind: kind.into() })
            .inc();
    }

    /// The API server answered a call, or did not (code 0).
    fn called(&self, verb: &'static str, target: &Target, code: u16, took: Duration) {
        let kind = target.kind;
        self.calls.get_or_create(&CallLabels { verb, kind, code }).inc();
        self.call_seconds
            .get_or_create(&VerbLabel { verb })
            .observe(took.as_secs_f64());
        // A kind that is not served, or may not be read, is only listed, again and again.
        if code != 0 && matches!(verb, "list" | "watch") {
            let of = (kind, target.namespace.clone());
            lock(&self.heard).insert(of, Instant::now());
        }
    }

    /// As if the API server had just answered a watch of this kind.
    #[cfg(test)]
    pub(crate) fn heard_for_test(&self, kind: &'static str) {
        self.called("watch", &Target::all(kind), 200, Duration::ZERO);
    }

    /// The kinds whose watches the API server has not answered for longer than `bound`, each with its namespace if it is
    /// watched in some only.
    #[must_use]
    pub fn stale(&self, bound: Duration, now: Instant) -> Vec<String> {
        let heard = lock(&self.heard);
        let is_stale = |last: &Instant| now.saturating_duration_since(*last) > bound;
        let mut kinds: Vec<_> = heard
            .iter()
            .filter(|(_, last)| is_stale(last))
            .map(|((kind, namespace), _)| match namespace.as_str() {
                "" => (*kind).to_owned(),
                namespace => format!("{kind} in {namespace}"),
            })
            .collect();
        kinds.sort_unstable();
        kinds
    }

    /// The text of `/metrics`.
    ///
    /// # Errors
    /// When a metric cannot be written as text.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let _one = lock(&self.scrape);
        self.queue_depth
            .set(i64::try_from(lock(&self.waiting).len()).unwrap_or(i64::MAX));
        for (kind, age) in self.watch_ages() {
            let labels = KindLabel { kind: kind.into() };
            self.watch_age.get_or_create(&labels).set(age.as_secs_f64());
        }
        self.series.clear();
        if let Some((servers, leadership)) = self.servers.get() {
            self.leader.set(leadership.leads().into());
            if leadership.leads() {
                servers.all().iter().for_each(|server| self.series.tell(server));
            }
        }
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// The greatest age of each kind.
    fn watch_ages(&self) -> HashMap<&'static str, Duration> {
        let mut ages = HashMap::new();
        for ((kind, _), last) in lock(&self.heard).iter() {
            let age: &mut Duration = ages.entry(*kind).or_default();
            *age = last.elapsed().max(*age);
        }
        ages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_waits_from_the_first_change_to_its_reconcile() {
        let metrics = Metrics::new();
        let key = ObjectRef::new("a").within("b");
        metrics.asked(&key);
        metrics.asked(&key);
        assert!(
            metrics
                .text()
                .unwrap()
                .contains("dittofs_operator_queue_depth 1\n")
        );
        metrics.begun(&key);
        let text = metrics.text().unwrap();
        assert!(text.contains("dittofs_operator_queue_depth 0\n"), "{text}");
        assert!(
            text.contains("dittofs_operator_queue_wait_seconds_count 1\n"),
            "{text}"
        );
    }

    #[test]
    fn a_watch_is_stale_once_the_api_server_has_not_answered_for_longer_than_the_bound() {
        let metrics = Metrics::new();
        let bound = Duration::from_secs(600);
        let called = |verb, target: &Target, code| metrics.called(verb, target, code, Duration::ZERO);
        called("watch", &Target::all("Pod"), 200);
        called("watch", &Target::all("Service"), 0);
        let now = Instant::now();
        assert!(metrics.stale(bound, now).is_empty());
        assert_eq!(metrics.stale(bound, now + bound * 2), ["Pod"]);
        // So it is once a right or a CRD has gone: the watch begins with a list, and gets no further.
        called("list", &Target::all("Pod"), 404);
        assert!(
            metrics.stale(bound, now + bound).is_empty(),
            "a refusal is an answer"
        );
        let one = Target::of(&"/api/v1/namespaces/a/pods?watch=true".parse().expect("a path"));
        called("watch", &one, 200);
        called("watch", &Target::all("Pod"), 200);
        assert_eq!(
            metrics.stale(Duration::ZERO, Instant::now() + bound),
            ["Pod", "Pod in a"],
            "one namespace does not speak for another"
        );
    }
}
