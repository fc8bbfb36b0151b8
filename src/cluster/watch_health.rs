//! The health of the watches: when the API server last answered each, and which of them fail.
//!
//! A kind that the operator may not read is listed again and again. Each error is an answer, too: a watch is stale only if the API
//! server does not answer at all. No answer is expected for a kind that is not installed: its CRD is watched instead.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: String,
}

/// The label is not called `namespace`: Prometheus gives that name to the namespace of the operator.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FailingLabels {
    kind: String,
    watched_namespace: String,
}

/// A kind and a namespace. The namespace is empty for a watch of all namespaces.
type Key = (Cow<'static, str>, String);

#[derive(Debug, Default)]
struct Inner {
    answers: BTreeMap<Key, Instant>,
    failures: BTreeMap<Key, String>,
}

/// The health of all watches. Clones share one state.
#[derive(Clone, Debug, Default)]
pub struct WatchHealth(Arc<Mutex<Inner>>);

impl WatchHealth {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that the API server answered a list or watch of this kind, with objects or with an error.
    pub fn record_answer(&self, kind: &'static str, namespace: &str) {
        let key = (kind.into(), namespace.to_owned());
        self.lock().answers.insert(key, Instant::now());
    }

    /// Records that a kind is not watched in a scope for now, so that no answer is expected.
    pub fn unwatched(&self, kind: Cow<'static, str>, scope: Option<&str>) {
        let key = (kind, scope.unwrap_or_default().to_owned());
        self.lock().answers.remove(&key);
    }

    /// Records that the list or watch of a kind failed in a scope.
    pub fn failing(&self, kind: Cow<'static, str>, scope: Option<&str>, error: &str) {
        let key = (kind, scope.unwrap_or_default().to_owned());
        self.lock().failures.insert(key, error.to_owned());
    }

    /// Whether the list or watch of a kind fails in a scope.
    #[must_use]
    pub fn is_failing(&self, kind: Cow<'static, str>, scope: Option<&str>) -> bool {
        let key = (kind, scope.unwrap_or_default().to_owned());
        self.lock().failures.contains_key(&key)
    }

    /// Records that the list of a kind succeeded in a scope, or that the kind is not installed.
    pub fn working(&self, kind: Cow<'static, str>, scope: Option<&str>) {
        let key = (kind, scope.unwrap_or_default().to_owned());
        self.lock().failures.remove(&key);
    }

    /// What is wrong, one line for each namespace. Empty if all watches work.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let inner = self.lock();
        let mut by_namespace: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
        for ((kind, namespace), error) in &inner.failures {
            by_namespace.entry(namespace).or_default().push((kind, error));
        }
        let line = |(namespace, failures): (&str, Vec<(&str, &str)>)| {
            let kinds: Vec<&str> = failures.iter().map(|(kind, _)| *kind).collect();
            let place = if namespace.is_empty() {
                String::new()
            } else {
                format!(" in namespace {namespace}")
            };
            let error = failures.first().map_or("", |(_, error)| *error);
            format!("cannot watch {}{place}: {error}", kinds.join(", "))
        };
        by_namespace.into_iter().map(line).collect()
    }

    /// The greatest time since the last answer, by kind.
    fn ages(&self) -> BTreeMap<String, Duration> {
        let mut ages = BTreeMap::new();
        for ((kind, _), last) in &self.lock().answers {
            let age: &mut Duration = ages.entry(kind.to_string()).or_default();
            *age = last.elapsed().max(*age);
        }
        ages
    }

    fn failing_watches(&self) -> Family<FailingLabels, Gauge> {
        let family: Family<FailingLabels, Gauge> = Family::default();
        for (kind, watched_namespace) in self.lock().failures.keys().cloned() {
            let kind = kind.into_owned();
            let labels = FailingLabels {
                kind,
                watched_namespace,
            };
            family.get_or_create(&labels).set(1);
        }
        family
    }
}

impl Collector for WatchHealth {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let ages: Family<KindLabel, Gauge<f64, AtomicU64>> = Family::default();
        for (kind, age) in self.ages() {
            ages.get_or_create(&KindLabel { kind }).set(age.as_secs_f64());
        }
        ages.encode(encoder.encode_descriptor(
            "watch_age_seconds",
            "Time since the API server last answered a list or watch of the kind",
            None,
            ages.metric_type(),
        )?)?;
        let failing = self.failing_watches();
        failing.encode(encoder.encode_descriptor(
            "watch_failing",
            "1 while the kind cannot be watched in the namespace; the namespace is empty for a watch of all namespaces",
            None,
            failing.metric_type(),
        )?)
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text;
    use prometheus_client::registry::Registry;

    use super::*;

    #[test]
    fn a_namespace_that_cannot_be_watched_is_named_with_its_kinds_and_the_error() {
        let health = WatchHealth::default();
        assert!(!health.is_failing("Pod".into(), Some("b")));
        health.failing("Pod".into(), Some("b"), "pods is forbidden");
        assert!(health.is_failing("Pod".into(), Some("b")));
        health.failing("Service".into(), Some("b"), "services is forbidden");
        health.failing("Secret".into(), None, "unreachable");
        assert_eq!(
            health.problems(),
            [
                "cannot watch Secret: unreachable",
                "cannot watch Pod, Service in namespace b: pods is forbidden"
            ]
        );
        health.working("Secret".into(), None);
        health.working("Pod".into(), Some("b"));
        assert_eq!(
            health.problems(),
            ["cannot watch Service in namespace b: services is forbidden"]
        );
    }

    #[test]
    fn a_scrape_shows_the_oldest_answer_of_each_kind_and_the_watches_that_fail() {
        let health = WatchHealth::default();
        health.record_answer("Pod", "a");
        health.record_answer("Pod", "b");
        health.failing("Pod".into(), Some("b"), "pods is forbidden");
        let mut registry = Registry::default();
        registry.register_collector(Box::new(health));
        let mut scrape = String::new();
        text::encode(&mut scrape, &registry).unwrap();
        assert_eq!(scrape.matches(r#"watch_age_seconds{kind="Pod"}"#).count(), 1);
        let failing = r#"watch_failing{kind="Pod",watched_namespace="b"} 1"#;
        assert!(scrape.contains(failing), "{scrape}");
    }

    #[test]
    fn no_answer_is_expected_for_a_kind_that_is_not_watched() {
        let health = WatchHealth::default();
        health.record_answer("ServiceMonitor", "");
        health.record_answer("ServiceMonitor", "a");
        health.unwatched("ServiceMonitor".into(), None);
        assert_eq!(health.ages().len(), 1, "the other scope");
        health.unwatched("ServiceMonitor".into(), Some("a"));
        assert!(health.ages().is_empty());
    }
}
