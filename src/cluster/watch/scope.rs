//! The task that watches one kind in one namespace, or in all namespaces.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use kube::Api;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::backoff::WatchBackoff;
use super::definition::Definition;
use super::kind;
use super::writer::{CacheWriter, List, Next};
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

type Events<'a, K> = BoxStream<'a, watcher::Result<Event<K>>>;

/// The watch of one scope.
pub(super) struct ScopeWatch<K: Cached> {
    scope: Option<String>,
    keep: fn(&K) -> bool,
    trim: fn(&mut K),
    writer: Arc<CacheWriter<K>>,
    list: Option<List<K>>,
    probation: Probation,
    relist: Arc<Notify>,
    definition: Definition,
}

impl<K: Cached> ScopeWatch<K> {
    pub(super) fn new(
        scope: Option<String>,
        keep: fn(&K) -> bool,
        trim: fn(&mut K),
        writer: Arc<CacheWriter<K>>,
        definition: Definition,
    ) -> Self {
        Self {
            relist: writer.cache.relist_signal(scope.as_deref()),
            scope,
            keep,
            trim,
            writer,
            list: None,
            probation: Probation::Over,
            definition,
        }
    }

    /// Watches for ever. After a failure it starts again with a list, and also when an answer to another call does not fit to what
    /// the watch has delivered.
    pub(super) async fn run(mut self, api: Api<K>, config: watcher::Config) {
        let mut backoff = WatchBackoff::new();
        let mut reconnect = WatchBackoff::while_unreachable();
        let mut missing = WatchBackoff::while_missing();
        let relist = Arc::clone(&self.relist);
        loop {
            let events = watch(api.clone(), config.clone())
                .backoff(WatchBackoff::new())
                .boxed();
            let next = tokio::select! {
                next = self.follow(events) => next,
                () = relist.notified() => Next::List,
            };
            match next {
                Next::AwaitDefinition => tokio::select! {
                    () = self.installed(&mut missing) => {}
                    () = relist.notified() => {}
                },
                Next::Reconnect => tokio::time::sleep(reconnect.pause()).await,
                Next::Continue | Next::List | Next::ListOnProbation => {
                    missing = WatchBackoff::while_missing();
                    tokio::time::sleep(backoff.pause()).await;
                }
            }
        }
    }

    /// Waits until the kind, which is not installed, is to be listed again.
    async fn installed(&mut self, backoff: &mut WatchBackoff) {
        if self.definition.is_enough() {
            self.writer.health.unwatched(kind::<K>(), self.scope.as_deref());
        }
        self.definition.wait(backoff).await;
    }

    /// Follows a watch until it has to start again. Returns what to do before.
    async fn follow(&mut self, mut events: Events<'_, K>) -> Next {
        while let Some(event) = self.next(&mut events).await {
            let next = match event {
                Ok(event) => {
                    self.handle(event);
                    Next::Continue
                }
                Err(error) => self.writer.failed(self.scope.as_deref(), &error),
            };
            match next {
                Next::Continue => continue,
                Next::List | Next::Reconnect | Next::AwaitDefinition => {}
                Next::ListOnProbation => self.probation = Probation::AfterRefusal,
            }
            return next;
        }
        Next::List
    }

    /// The next event. The probation may end while it waits.
    async fn next(&mut self, events: &mut Events<'_, K>) -> Option<watcher::Result<Event<K>>> {
        if let Probation::Until(end) = self.probation {
            if let Ok(event) = tokio::time::timeout_at(end, events.next()).await {
                return event;
            }
            self.probation = Probation::Over;
            self.writer.synced(self.scope.as_deref());
        }
        events.next().await
    }

    fn handle(&mut self, event: Event<K>) {
        let scope = self.scope.as_deref();
        match event {
            Event::Init => {
                self.list = Some(self.writer.list_requested(scope));
                if let Probation::Until(_) = self.probation {
                    self.probation = Probation::AfterRefusal;
                }
            }
            Event::InitApply(object) | Event::Apply(object) | Event::Delete(object)
                if !(self.keep)(&object) => {}
            Event::InitApply(mut object) => {
                (self.trim)(&mut object);
                if let Some(list) = &mut self.list {
                    self.writer.listed(scope, list, &object);
                }
            }
            Event::InitDone => self.list_done(),
            Event::Apply(mut object) => {
                (self.trim)(&mut object);
                self.writer.applied(scope, &object);
            }
            Event::Delete(mut object) => {
                (self.trim)(&mut object);
                self.writer.deleted(scope, &object);
            }
        }
    }

    fn list_done(&mut self) {
        let scope = self.scope.as_deref();
        if let Some(list) = self.list.take() {
            self.writer.list_done(scope, &list);
        }
        match self.probation {
            Probation::AfterRefusal => self.probation = Probation::Until(Instant::now() + PROBATION),
            Probation::Over => self.writer.synced(scope),
            Probation::Until(_) => {}
        }
    }
}

#[cfg(test)]
mod tests;
