//! Time since the API server last answered a list or watch of each kind.
//!
//! A kind that is not served, or that the operator may not read, is listed again and again. Each error is an answer, too: a watch
//! is stale only if the API server does not answer at all.

use std::collections::HashMap;
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
    kind: &'static str,
}

/// The time of the last answer by kind and namespace. The namespace is empty for a watch of all namespaces. Clones share one
/// state.
#[derive(Clone, Debug, Default)]
pub struct WatchAges(Arc<Mutex<HashMap<(&'static str, String), Instant>>>);

impl WatchAges {
    fn lock(&self) -> MutexGuard<'_, HashMap<(&'static str, String), Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that the API server answered a list or watch of this kind, with objects or with an error.
    pub fn record_answer(&self, kind: &'static str, namespace: &str) {
        self.lock().insert((kind, namespace.to_owned()), Instant::now());
    }

    /// The kinds whose watches the API server has not answered for longer than `bound`, with the namespace if single namespaces are
    /// watched.
    #[must_use]
    pub fn stale(&self, bound: Duration, now: Instant) -> Vec<String> {
        let answers = self.lock();
        let is_stale = |last: &Instant| now.saturating_duration_since(*last) > bound;
        let mut kinds: Vec<_> = answers
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

    /// The greatest age of each kind.
    fn ages(&self) -> HashMap<&'static str, Duration> {
        let mut ages = HashMap::new();
        for ((kind, _), last) in self.lock().iter() {
            let age: &mut Duration = ages.entry(*kind).or_default();
            *age = last.elapsed().max(*age);
        }
        ages
    }
}

impl Collector for WatchAges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let family: Family<KindLabel, Gauge<f64, AtomicU64>> = Family::default();
        for (kind, age) in self.ages() {
            family.get_or_create(&KindLabel { kind }).set(age.as_secs_f64());
        }
        let encoder = encoder.encode_descriptor(
            "watch_age_seconds",
            "Time since the API server last answered a list or watch of the kind",
            None,
            family.metric_type(),
        )?;
        family.encode(encoder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_is_stale_once_the_api_server_has_not_answered_for_longer_than_the_bound() {
        let ages = WatchAges::default();
        let bound = Duration::from_secs(600);
        ages.record_answer("Pod", "");
        let now = Instant::now();
        assert!(ages.stale(bound, now).is_empty());
        assert_eq!(ages.stale(bound, now + bound * 2), ["Pod"]);
        ages.record_answer("Pod", "a");
        ages.record_answer("Pod", "");
        assert_eq!(
            ages.stale(Duration::ZERO, Instant::now() + bound),
            ["Pod", "Pod in a"],
            "an answer for one namespace does not count for another"
        );
    }
}
