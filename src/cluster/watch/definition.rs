//! The CustomResourceDefinition (CRD) of a kind that is not installed.
//!
//! Its metadata is watched, so that the kind is not listed again and again until it is there. The watch starts when the kind is
//! first found missing. An operator that may not watch CRDs lists the kind instead, with growing pauses.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Resource, ResourceExt};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::WATCH_SECONDS;
use super::backoff::WatchBackoff;
use super::failure::{Failure, classify};
use crate::base::backoff::{Exponential, jitter};
use crate::cluster::cache::{Cached, WatchState};
use crate::cluster::watch_health::WatchHealth;

/// The metadata of a CRD.
pub type Metadata = PartialObjectMeta<CustomResourceDefinition>;

/// Longest time without a list of a kind that is not installed, while its CRD is watched: in case that a change was lost.
const LONGEST_QUIET: Duration = Duration::from_secs(3600);
/// Time after a change of the CRD in which the kind is listed with short pauses: the API server serves a kind some seconds after its
/// CRD is there, and of several API servers not all at the same time.
const SETTLING: Duration = Duration::from_secs(30);
/// First and longest pause after the API server refused the watch of a CRD.
const REFUSED: (Duration, Duration) = (Duration::from_secs(60), LONGEST_QUIET);

/// What is known of a CRD.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Known {
    /// Nothing: it is not watched, or its watch failed.
    #[default]
    Nothing,
    /// It is watched, and does not exist.
    Absent,
    /// It is watched, and exists in this version.
    Version(String),
}

impl Known {
    fn of(metadata: &Metadata) -> Self {
        Self::Version(metadata.resource_version().unwrap_or_default())
    }
}

/// The CRD of a kind. Each scope of the kind has a clone.
#[derive(Clone)]
pub(super) struct Definition {
    known: watch::Receiver<Known>,
    wanted: Arc<Notify>,
    /// When the last change was seen.
    changed: Instant,
}

impl Definition {
    /// The CRD of `K`. It is watched in a task, as soon as a scope waits for it and until `stop` is cancelled.
    pub(super) fn start<K: Cached>(
        api: Api<Metadata>,
        health: WatchHealth,
        stop: &CancellationToken,
    ) -> Self {
        let (sender, definition) = Self::new();
        let task = DefinitionWatch {
            kind: K::kind(&()),
            name: format!("{}.{}", K::plural(&()), K::group(&())),
            api,
            health,
            known: sender,
            wanted: Arc::clone(&definition.wanted),
        };
        tokio::spawn(stop.clone().run_until_cancelled_owned(task.run()));
        definition
    }

    fn new() -> (watch::Sender<Known>, Self) {
        let (sender, known) = watch::channel(Known::default());
        let definition = Self {
            known,
            wanted: Arc::default(),
            changed: Instant::now(),
        };
        (sender, definition)
    }

    /// One that is never watched.
    #[cfg(test)]
    pub(super) fn unwatched() -> Self {
        Self::new().1
    }

    /// Whether the watch of the CRD will show when the kind is installed.
    pub(super) fn is_enough(&self) -> bool {
        match &*self.known.borrow() {
            Known::Nothing => false,
            Known::Absent => true,
            Known::Version(_) => self.changed.elapsed() > SETTLING,
        }
    }

    /// Waits until the kind, which is not installed, is to be listed again: when the CRD changes, or after a pause.
    pub(super) async fn wait(&mut self, backoff: &mut WatchBackoff) {
        self.wanted.notify_one();
        let pause = self.pause(backoff);
        let changed = async {
            if self.known.changed().await.is_err() {
                // It is not watched, or the operator stops.
                std::future::pending::<()>().await;
            }
        };
        if tokio::time::timeout(pause, changed).await.is_ok() {
            self.changed = Instant::now();
            *backoff = WatchBackoff::while_missing();
        }
    }

    fn pause(&self, backoff: &mut WatchBackoff) -> Duration {
        if self.is_enough() {
            jitter(LONGEST_QUIET)
        } else {
            backoff.pause()
        }
    }
}

/// The task that watches one CRD.
struct DefinitionWatch {
    kind: Cow<'static, str>,
    name: String,
    api: Api<Metadata>,
    health: WatchHealth,
    known: watch::Sender<Known>,
    wanted: Arc<Notify>,
}

impl DefinitionWatch {
    async fn run(self) {
        self.wanted.notified().await;
        let config = watcher::Config::default()
            .fields(&format!("metadata.name={}", self.name))
            .timeout(WATCH_SECONDS);
        let (mut backoff, mut refusals) = (WatchBackoff::new(), Exponential::new(REFUSED.0, REFUSED.1));
        let mut is_first = true;
        loop {
            let events = watcher::watcher(self.api.clone(), config.clone());
            let failure = follow(events.boxed(), &self.known).await;
            set(&self.known, Known::Nothing);
            let pause = match failure {
                Some(Failure::Unknown(state)) => {
                    self.refused(&state, std::mem::take(&mut is_first));
                    refusals.next().unwrap_or(REFUSED.1)
                }
                _ => backoff.pause(),
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Says so once: the operator works without this right, too.
    fn refused(&self, state: &WatchState, is_first: bool) {
        self.health.unwatched(CustomResourceDefinition::kind(&()), None);
        if is_first {
            tracing::warn!(
                kind = %self.kind,
                definition = %self.name,
                error = %state.why(),
                "the CRD cannot be watched; while the kind is not installed, it is listed instead, with pauses of up to five minutes"
            );
        }
    }
}

/// Follows the watch of a CRD until it fails.
async fn follow(
    mut events: impl Stream<Item = watcher::Result<Event<Metadata>>> + Unpin,
    known: &watch::Sender<Known>,
) -> Option<Failure> {
    let mut listed = Known::Absent;
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => listed = Known::Absent,
            Ok(Event::InitApply(metadata)) => listed = Known::of(&metadata),
            Ok(Event::InitDone) => set(known, listed.clone()),
            Ok(Event::Apply(metadata)) => set(known, Known::of(&metadata)),
            Ok(Event::Delete(_)) => set(known, Known::Absent),
            Err(error) => return Some(classify(&error)),
        }
    }
    None
}

fn set(known: &watch::Sender<Known>, now: Known) {
    known.send_if_modified(|known| {
        let is_change = *known != now;
        *known = now;
        is_change
    });
}

#[cfg(test)]
mod tests;
