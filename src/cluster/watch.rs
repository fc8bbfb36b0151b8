//! Watches: one task for each kind and namespace, each with its own backoff.
//!
//! kube's `Controller` puts all triggers behind one backoff: one failing watch (a CRD that is not installed, a missing right) would
//! stop all others. Here a failing watch delays only itself. Each task fills the [`Cache`] of its kind and calls its listener.
//!
//! | module | purpose |
//! |---|---|
//! | [`scope`] | the task of one kind and namespace |
//! | [`writer`] | writes the events of all scopes of one kind to its cache |
//! | [`failure`] | what a failed list or watch means for the cache |
//! | [`definition`] | the CRD of a kind that is not installed |
//! | [`backoff`] | pauses between the attempts of a failing watch |

mod backoff;
mod definition;
mod failure;
mod scope;
mod writer;

use std::borrow::Cow;
use std::sync::Arc;

use kube::Api;
use kube::runtime::watcher;
use tokio_util::sync::CancellationToken;

use self::definition::Definition;
pub use self::definition::Metadata;
use self::scope::ScopeWatch;
use self::writer::CacheWriter;
use crate::base::metrics::Metrics;
use crate::cluster::cache::{Cache, Cached, Index};
use crate::cluster::watch_health::WatchHealth;

/// Time limit of a watch, in seconds; then the API server ends it. Below 200: a NAT or a load balancer may drop an idle connection
/// without notice, and the client notices that only when the watch should have ended.
const WATCH_SECONDS: u32 = 180;

/// Objects in one answer of a list. A page is decoded as a whole before its objects are stored, for all kinds at the same time: with
/// pages of 500, kube's default, that was more memory than thousands of stored servers need.
const PAGE: u32 = 50;

/// What changed, for the listener of a watch.
pub enum Notice<'a, K> {
    /// This object was added, changed or deleted.
    Object(&'a K),
    /// The watch of this scope (a namespace, or `None` for all of them) started or stopped working: what is known of all of its
    /// objects may have changed.
    Scope(Option<&'a str>),
    /// The API server answers again after an interruption. What failed meanwhile may succeed now.
    Recovered,
}

/// What to watch, and how.
pub struct Watch<K> {
    /// One API handle for each scope: a namespace, or `None` for all of them.
    pub apis: Vec<(Option<String>, Api<K>)>,
    /// The CRDs. While the kind is not installed, its CRD is watched.
    pub definitions: Api<Metadata>,
    /// Watches only objects that match this label selector.
    pub labels: Option<String>,
    /// Whether an object is stored. It must depend on nothing that can change.
    pub keep: fn(&K) -> bool,
    /// Removes unused parts from an object before it is stored.
    pub trim: fn(&mut K),
    /// The keys by which the objects are found, next to their names.
    pub index: Index<K>,
    /// Counts the restarts.
    pub metrics: Arc<Metrics>,
    /// Shows which watches fail.
    pub health: WatchHealth,
}

/// Starts the tasks. They end when `stop` is cancelled.
pub fn start<K: Cached>(
    watch: Watch<K>,
    stop: &CancellationToken,
    listener: impl Fn(&Cache<K>, Notice<'_, K>) + Send + Sync + 'static,
) -> Cache<K> {
    let scopes: Vec<Option<String>> = watch.apis.iter().map(|(scope, _)| scope.clone()).collect();
    let cache = Cache::new(&scopes, watch.index);
    watch.metrics.watch_started(&kind::<K>());
    let definition = Definition::start::<K>(watch.definitions, watch.health.clone(), stop);
    let writer = Arc::new(CacheWriter {
        cache: cache.clone(),
        listener: Box::new(listener),
        metrics: watch.metrics,
        health: watch.health,
    });
    for (scope, api) in watch.apis {
        let config = watcher::Config {
            label_selector: watch.labels.clone(),
            page_size: Some(PAGE),
            ..watcher::Config::default()
        }
        .timeout(WATCH_SECONDS);
        let task = ScopeWatch::new(
            scope,
            watch.keep,
            watch.trim,
            Arc::clone(&writer),
            definition.clone(),
        );
        let task = task.run(api, config);
        tokio::spawn(stop.clone().run_until_cancelled_owned(task));
    }
    cache
}

fn kind<K: Cached>() -> Cow<'static, str> {
    K::kind(&())
}
