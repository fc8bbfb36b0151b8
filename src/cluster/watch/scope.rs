//! The task that watches one kind in one namespace, or in all namespaces.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use kube::Api;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use tokio::time::Instant;

use super::backoff::WatchBackoff;
use super::writer::{CacheWriter, List, Relist};
use crate::cluster::cache::Cached;

/// Time without a refusal after which a watch is trusted again. A watch that starts sends nothing; one that is refused fails
/// immediately.
const PROBATION: Duration = Duration::from_secs(2);

/// Whether a list is enough to call the cache synced.
#[derive(Clone, Copy)]
enum Probation {
    /// It is.
    Over,
    /// The last watch was refused, and the next one may be refused, too.
    AfterRefusal,
    /// It is at this time, unless the watch is refused before.
    Until(Instant),
}

/// The watch of one scope.
pub(super) struct ScopeWatch<K: Cached> {
    scope: Option<String>,
    trim: fn(&mut K),
    writer: Arc<CacheWriter<K>>,
    list: List<K>,
    probation: Probation,
}

impl<K: Cached> ScopeWatch<K> {
    pub(super) fn new(scope: Option<String>, trim: fn(&mut K), writer: Arc<CacheWriter<K>>) -> Self {
        Self {
            scope,
            trim,
            writer,
            list: List::empty(),
            probation: Probation::Over,
        }
    }

    /// Watches for ever.
    pub(super) async fn run(mut self, api: Api<K>, config: watcher::Config) {
        let mut backoff = WatchBackoff::new();
        loop {
            let events = watch(api.clone(), config.clone())
                .backoff(WatchBackoff::new())
                .boxed();
            self.follow_until_refused(events).await;
            tokio::time::sleep(backoff.pause()).await;
        }
    }

    async fn follow_until_refused(&mut self, mut events: BoxStream<'_, watcher::Result<Event<K>>>) {
        while let Some(event) = self.next(&mut events).await {
            match event {
                Ok(event) => self.handle(event),
                Err(error) => match self.writer.failed(self.scope.as_deref(), &error) {
                    Some(Relist::OnProbation) => {
                        self.probation = Probation::AfterRefusal;
                        return;
                    }
                    Some(Relist::Trusted) => {
                        self.probation = Probation::Over;
                        return;
                    }
                    None => {}
                },
            }
        }
    }

    /// The next event. The probation may end while it waits.
    async fn next(
        &mut self,
        events: &mut BoxStream<'_, watcher::Result<Event<K>>>,
    ) -> Option<watcher::Result<Event<K>>> {
        if let Probation::Until(end) = self.probation {
            if let Ok(event) = tokio::time::timeout_at(end, events.next()).await {
                return event;
            }
            self.probation = Probation::Over;
            self.writer.synced(self.scope.as_deref(), false);
        }
        events.next().await
    }

    fn handle(&mut self, event: Event<K>) {
        match event {
            Event::Init => {
                self.list.seen.clear();
                self.list.remembered = Some(self.writer.cache.remembered(self.scope.as_deref()));
                if let Probation::Until(_) = self.probation {
                    self.probation = Probation::AfterRefusal;
                }
            }
            Event::InitApply(mut object) => {
                (self.trim)(&mut object);
                self.list.seen.insert(ObjectRef::from_obj(&object));
                self.writer.store(&Event::Apply(object));
            }
            Event::InitDone => self.list_done(),
            Event::Apply(mut object) => {
                (self.trim)(&mut object);
                self.writer.object_changed(&Event::Apply(object));
            }
            Event::Delete(mut object) => {
                (self.trim)(&mut object);
                self.writer.object_changed(&Event::Delete(object));
            }
        }
    }

    fn list_done(&mut self) {
        let scope = self.scope.as_deref();
        self.writer.list_done(scope, &self.list);
        self.list = List::empty();
        if let Probation::AfterRefusal = self.probation {
            self.probation = Probation::Until(Instant::now() + PROBATION);
        }
        self.writer
            .synced(scope, !matches!(self.probation, Probation::Over));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use k8s_openapi::api::core::v1::Secret;
    use kube::core::Status;
    use kube::runtime::reflector;

    use super::*;
    use crate::cluster::cache::{Cache, WatchState};

    fn forbidden() -> watcher::Error {
        let status = Status {
            code: 403,
            ..Status::default()
        };
        watcher::Error::WatchStartFailed(kube::Error::Api(status.boxed()))
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
        let states = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&states);
        let listener = move |cache: &Cache<Secret>, _: super::super::Notice<'_, Secret>| {
            seen.lock().expect("no panic").push(cache.watch_state("storage"));
        };
        let writer = CacheWriter::new(writer, cache.clone(), Box::new(listener), Arc::default());
        let mut watch = ScopeWatch::new(None, |_| {}, Arc::new(writer));
        for _ in 0..3 {
            watch.follow_until_refused(listed(Some(forbidden()))).await;
        }
        let seen = states.lock().expect("no panic").split_off(0);
        assert_eq!(seen[0], WatchState::Synced, "the first list is trusted");
        assert_eq!(seen.len(), 4, "and a failure, and two more lists: {seen:?}");
        let mut later = seen.iter().skip(1);
        assert!(
            later.all(|state| matches!(state, WatchState::Failing(_))),
            "{seen:?}"
        );

        let progress = cache.progress();
        tokio::select! {
            () = watch.follow_until_refused(listed(None)) => panic!("the watch is not refused"),
            () = progress.synced() => {}
        }
        assert_eq!(
            states.lock().expect("no panic").len(),
            2,
            "the list, and the end of the probation"
        );
    }
}
