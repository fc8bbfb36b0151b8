//! Watches: one task for each kind and namespace, each with its own backoff.
//!
//! `Controller` would put every trigger behind one backoff, so that one failing watch (a CRD that is not installed, a
//! missing RBAC rule) stops every other. Here a failing watch delays only itself. Each task keeps the [`Cache`] of its
//! kind and tells its listener which object changed.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use kube::Api;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{self, ObjectRef};
use kube::runtime::utils::{Backoff, ResetTimerBackoff};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::base::backoff::Exponential;
use crate::base::metrics::Metrics;
use crate::cluster::cache::{Cache, Cached, Feed, Remembered};
use crate::cluster::client::errors;

/// Seconds after which the API server ends a watch. Below 200: an idle watch can die unnoticed behind a NAT or a load
/// balancer, and the client notices only after this time.
const WATCH_SECONDS: u32 = 180;
/// First and longest pause between two attempts of a failing watch. The longest one bounds how late a newly installed
/// CRD is noticed.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));
/// Time without a failure after which the pauses start over. Longer than the longest pause, so that a watch that fails
/// each time never starts over.
const RECOVERED: Duration = Duration::from_secs(60);

/// Time that a watch must stand after one that was refused. Until then the list before it is no proof that the cache is kept
/// up to date: a watch that begins says nothing, and one that is refused says so at once.
const STANDS_AFTER: Duration = Duration::from_secs(2);

/// What a watch tells its listener.
pub enum Change<'a, K> {
    /// The object was added, changed or deleted.
    Touched(&'a K),
    /// The watch listed everything anew, or it started or stopped to work: anything of this kind may have changed.
    Anything,
}

/// What to watch, and how.
pub struct Watch<K> {
    /// One API handle a scope.
    pub apis: Vec<(Option<String>, Api<K>)>,
    /// Limits the watch to objects with these labels.
    pub labels: Option<String>,
    /// Cuts from an object, before it is stored, what nobody reads.
    pub trim: fn(&mut K),
    /// Counts the restarts.
    pub metrics: Arc<Metrics>,
}

/// Starts the tasks. They end when `stop` is cancelled.
pub fn start<K: Cached>(
    watch: Watch<K>,
    stop: &CancellationToken,
    listener: impl Fn(&Cache<K>, Change<'_, K>) + Send + Sync + 'static,
) -> Cache<K> {
    let (store, mut writer) = reflector::store();
    // Marks the store as ready at once: several scopes fill it, and `Cache::feed` says which of them have.
    writer.apply_watcher_event(&Event::InitDone);
    let scopes: Vec<Option<String>> = watch.apis.iter().map(|(scope, _)| scope.clone()).collect();
    let cache = Cache::new(store, &scopes);
    let sink = Arc::new(Sink {
        writer: Mutex::new(writer),
        cache: cache.clone(),
        listener: Box::new(listener),
        metrics: watch.metrics,
    });
    sink.metrics.watch_started(&kind::<K>());
    for (scope, api) in watch.apis {
        let config = watcher::Config {
            label_selector: watch.labels.clone(),
            ..watcher::Config::default()
        }
        .timeout(WATCH_SECONDS);
        let task = follow(api, config, scope, watch.trim, Arc::clone(&sink));
        tokio::spawn(stop.clone().run_until_cancelled_owned(task));
    }
    cache
}

type Listener<K> = dyn Fn(&Cache<K>, Change<'_, K>) + Send + Sync;

/// Where the watches of one kind put what they see. Several scopes share one store.
struct Sink<K: Cached> {
    writer: Mutex<Writer<K>>,
    cache: Cache<K>,
    listener: Box<Listener<K>>,
    metrics: Arc<Metrics>,
}

impl<K: Cached> Sink<K> {
    fn store(&self, event: &Event<K>) {
        self.writer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .apply_watcher_event(event);
    }

    /// Stores one `Apply` or `Delete`, then tells the listener: it must find the cache up to date.
    fn touched(&self, event: &Event<K>) {
        self.store(event);
        if let Event::Apply(object) | Event::Delete(object) = event {
            self.cache.delivered(object);
            (self.listener)(&self.cache, Change::Touched(object));
        }
    }

    /// Drops what a scope's fresh list no longer holds.
    fn listed(&self, scope: Option<&str>, list: &List<K>) {
        if let Some(remembered) = &list.remembered {
            self.cache.relisted(remembered);
        }
        for object in self.cache.all() {
            let key = ObjectRef::from_obj(object.as_ref());
            let in_scope = scope.is_none() || key.namespace.as_deref() == scope;
            if in_scope && !list.seen.contains(&key) {
                self.store(&Event::Delete(object.as_ref().clone()));
            }
        }
    }

    /// Marks a scope as synced, or leaves it as failing while its watch is `doubted`. Either way there is a new list.
    fn synced(&self, scope: Option<&str>, is_doubted: bool) {
        if !is_doubted {
            self.cache.set_feed(scope, Feed::Synced);
        }
        (self.listener)(&self.cache, Change::Anything);
    }

    /// Records a failure. Returns what is in doubt if the watch must begin anew with a list.
    fn failed(&self, scope: Option<&str>, error: &watcher::Error) -> Option<Doubt> {
        let after = after(error);
        if !matches!(after, Some((Feed::NotServed, _))) {
            self.metrics.watch_restarted(&kind::<K>());
        }
        let Some((feed, must_relist)) = after else {
            tracing::debug!(kind = %kind::<K>(), ?scope, %error, "watch ended; it goes on");
            return None;
        };
        // A kind that is not served is once it can be listed.
        let doubt = match feed {
            Feed::Failing(_) => Doubt::Refused,
            Feed::Starting | Feed::Synced | Feed::NotServed => Doubt::None,
        };
        if feed == Feed::NotServed {
            self.forget(scope);
        }
        if self.cache.set_feed(scope, feed.clone()) {
            if feed == Feed::NotServed {
                tracing::info!(kind = %kind::<K>(), ?scope, "kind is not installed; will look again");
            } else {
                tracing::warn!(kind = %kind::<K>(), ?scope, %error, "watch failed; will retry");
            }
            (self.listener)(&self.cache, Change::Anything);
        }
        must_relist.then_some(doubt)
    }

    /// Without its CRD, no object of the kind is left.
    fn forget(&self, scope: Option<&str>) {
        for object in self.cache.all() {
            if scope.is_none() || object.meta().namespace.as_deref() == scope {
                self.store(&Event::Delete(object.as_ref().clone()));
            }
        }
        self.cache.relisted(&self.cache.remembered(scope));
    }
}

/// A list that is being received.
struct List<K: Cached> {
    /// The objects in it so far.
    seen: HashSet<ObjectRef<K>>,
    /// What the cache remembered of our writes when the list was asked for. `None` before the first list.
    remembered: Option<Remembered<K>>,
}

impl<K: Cached> List<K> {
    fn empty() -> Self {
        Self {
            seen: HashSet::new(),
            remembered: None,
        }
    }
}

fn kind<K: Cached>() -> String {
    K::kind(&()).into_owned()
}

/// Pauses between the attempts of one watch.
///
/// A success does not end them, because none can be told from an attempt: a watcher says `Init` before it lists, even if
/// each list fails, and kube takes that for a success. Time without a failure does.
struct Pauses(ResetTimerBackoff<Exponential>);

impl Pauses {
    fn new() -> Self {
        Self(ResetTimerBackoff::new(
            Exponential::new(RETRY.0, RETRY.1),
            RECOVERED,
        ))
    }
}

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.0.next()
    }
}

impl Backoff for Pauses {
    fn reset(&mut self) {}
}

/// Watches for ever.
async fn follow<K: Cached>(
    api: Api<K>,
    config: watcher::Config,
    scope: Option<String>,
    trim: fn(&mut K),
    sink: Arc<Sink<K>>,
) {
    let mut pauses = Pauses::new();
    let mut stream = Stream {
        scope,
        trim,
        sink,
        list: List::empty(),
        doubt: Doubt::None,
    };
    loop {
        let events = watch(api.clone(), config.clone()).backoff(Pauses::new()).boxed();
        stream.follow_until_refused(events).await;
        tokio::time::sleep(pauses.next().unwrap_or(RETRY.1)).await;
    }
}

/// Whether a list is enough to call the cache synced.
#[derive(Clone, Copy)]
enum Doubt {
    /// It is.
    None,
    /// The last watch was refused, and the next one may be.
    Refused,
    /// It is at this moment, unless the watch is refused until then.
    Until(Instant),
}

/// The events of one scope.
struct Stream<K: Cached> {
    scope: Option<String>,
    trim: fn(&mut K),
    sink: Arc<Sink<K>>,
    list: List<K>,
    doubt: Doubt,
}

impl<K: Cached> Stream<K> {
    async fn follow_until_refused(&mut self, mut events: BoxStream<'_, watcher::Result<Event<K>>>) {
        while let Some(event) = self.next(&mut events).await {
            match event {
                Ok(event) => self.take(event),
                Err(error) => {
                    if let Some(doubt) = self.sink.failed(self.scope.as_deref(), &error) {
                        self.doubt = doubt;
                        return;
                    }
                }
            }
        }
    }

    /// The next event. While it is waited for, the doubt may end.
    async fn next(
        &mut self,
        events: &mut BoxStream<'_, watcher::Result<Event<K>>>,
    ) -> Option<watcher::Result<Event<K>>> {
        if let Doubt::Until(moment) = self.doubt {
            if let Ok(event) = tokio::time::timeout_at(moment, events.next()).await {
                return event;
            }
            self.doubt = Doubt::None;
            self.sink.synced(self.scope.as_deref(), false);
        }
        events.next().await
    }

    fn take(&mut self, event: Event<K>) {
        match event {
            Event::Init => {
                self.list.seen.clear();
                self.list.remembered = Some(self.sink.cache.remembered(self.scope.as_deref()));
                if let Doubt::Until(_) = self.doubt {
                    self.doubt = Doubt::Refused;
                }
            }
            Event::InitApply(mut object) => {
                (self.trim)(&mut object);
                self.list.seen.insert(ObjectRef::from_obj(&object));
                self.sink.store(&Event::Apply(object));
            }
            Event::InitDone => self.listed(),
            Event::Apply(mut object) => {
                (self.trim)(&mut object);
                self.sink.touched(&Event::Apply(object));
            }
            Event::Delete(mut object) => {
                (self.trim)(&mut object);
                self.sink.touched(&Event::Delete(object));
            }
        }
    }

    fn listed(&mut self) {
        let scope = self.scope.as_deref();
        self.sink.listed(scope, &self.list);
        self.list = List::empty();
        if let Doubt::Refused = self.doubt {
            self.doubt = Doubt::Until(Instant::now() + STANDS_AFTER);
        }
        self.sink.synced(scope, !matches!(self.doubt, Doubt::None));
    }
}

/// What a failure says of the cache, and whether the watch must begin anew with a list. `None` if it says nothing.
///
/// A failed list leaves the cache unknown. A watch that ends or cannot be reached goes on from where it was, without
/// another list and without an event that would tell so; what the cache holds is still the last that could be known.
/// A watch that is *refused* is different: the kind has gone, or the right to it.
fn after(error: &watcher::Error) -> Option<(Feed, bool)> {
    let (source, must_relist) = match error {
        watcher::Error::InitialListFailed(source) => (source, false),
        watcher::Error::WatchStartFailed(source) if is_refusal(source) => (source, true),
        _ => return None,
    };
    match source {
        kube::Error::Api(status) if status.code == 404 => Some((Feed::NotServed, must_relist)),
        _ => Some((Feed::Failing(errors::explain(source)), must_relist)),
    }
}

fn is_refusal(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if matches!(status.code, 401 | 403 | 404))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Secret;
    use kube::core::Status;

    use super::*;

    fn api_error(code: u16) -> kube::Error {
        kube::Error::Api(
            Status {
                code,
                ..Status::default()
            }
            .boxed(),
        )
    }

    #[test]
    fn the_pauses_of_a_watch_that_always_fails_grow_although_each_attempt_begins_with_an_event() {
        let mut pauses = Pauses::new();
        let mut last = None;
        for _ in 0..8 {
            // As kube's `StreamBackoff` does on `Ok(Event::Init)`.
            Backoff::reset(&mut pauses);
            last = pauses.next();
        }
        assert!(last >= Some(RETRY.1 * 3 / 4), "{last:?}");
    }

    #[test]
    fn a_list_that_fails_leaves_the_cache_unknown() {
        let failing = after(&watcher::Error::InitialListFailed(api_error(500)));
        assert!(matches!(failing, Some((Feed::Failing(_), false))));
        let absent = after(&watcher::Error::InitialListFailed(api_error(404)));
        assert_eq!(absent, Some((Feed::NotServed, false)));
    }

    #[test]
    fn a_watch_that_is_interrupted_leaves_the_cache_as_it_is() {
        for code in [429, 500, 503] {
            assert_eq!(
                after(&watcher::Error::WatchStartFailed(api_error(code))),
                None,
                "{code}"
            );
        }
        assert_eq!(after(&watcher::Error::WatchFailed(api_error(404))), None);
    }

    /// The events of a list, and what follows it.
    fn listed(then: Option<watcher::Error>) -> BoxStream<'static, watcher::Result<Event<Secret>>> {
        let list = futures::stream::iter([Ok(Event::Init), Ok(Event::InitDone)]);
        match then {
            Some(error) => list.chain(futures::stream::iter([Err(error)])).boxed(),
            None => list.chain(futures::stream::pending()).boxed(),
        }
    }

    #[tokio::test]
    async fn a_list_does_not_hide_that_the_watch_after_it_is_refused() {
        let (store, writer) = reflector::store();
        let cache = Cache::new(store, &[None]);
        let told = Arc::new(Mutex::new(Vec::new()));
        let hears = Arc::clone(&told);
        let sink = Sink {
            writer: Mutex::new(writer),
            cache: cache.clone(),
            listener: Box::new(move |cache: &Cache<Secret>, _| {
                hears.lock().expect("no panic").push(cache.feed("storage"));
            }),
            metrics: Arc::default(),
        };
        let mut stream = Stream {
            scope: None,
            trim: |_| {},
            sink: Arc::new(sink),
            list: List::empty(),
            doubt: Doubt::None,
        };
        for _ in 0..3 {
            let refused = watcher::Error::WatchStartFailed(api_error(403));
            stream.follow_until_refused(listed(Some(refused))).await;
        }
        let feeds = told.lock().expect("no panic").split_off(0);
        assert_eq!(feeds[0], Feed::Synced, "the first list is taken at its word");
        assert_eq!(feeds.len(), 4, "and a failure, and two more lists: {feeds:?}");
        let later = feeds.iter().skip(1);
        assert!(
            later.clone().all(|feed| matches!(feed, Feed::Failing(_))),
            "{feeds:?}"
        );

        let progress = cache.progress();
        tokio::select! {
            () = stream.follow_until_refused(listed(None)) => panic!("the watch stands"),
            () = progress.synced() => {}
        }
        assert_eq!(
            told.lock().expect("no panic").len(),
            2,
            "the list, and that it counts"
        );
    }

    #[test]
    fn a_watch_that_is_refused_begins_anew_with_a_list() {
        assert_eq!(
            after(&watcher::Error::WatchStartFailed(api_error(404))),
            Some((Feed::NotServed, true))
        );
        let forbidden = after(&watcher::Error::WatchStartFailed(api_error(403)));
        assert!(matches!(forbidden, Some((Feed::Failing(_), true))));
    }
}
