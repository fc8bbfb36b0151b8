//! Asks servers to upload everything that is not in their remote stores yet, before they end.
//!
//! A call may take hours, so each has a task of its own: it holds up no reconcile, and no other call. It is made again until it succeeds.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::StatusCode;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::administrator::Server;
use super::client::{Client, Error};
use crate::base::backoff::Exponential;
use crate::domain::observed::UploadsReport;
use crate::domain::server_api::Target;

/// Pause after the first call that fails; each next one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The servers that are asked.
pub struct Drains<Key> {
    asked: Arc<Mutex<HashMap<Key, Asked>>>,
    changed: Arc<dyn Fn(Key) + Send + Sync>,
    stop: CancellationToken,
}

/// One server that is asked.
struct Asked {
    target: Target,
    report: UploadsReport,
    /// Ends the call when the server is not to be asked any more.
    _call: AbortOnDropHandle<Option<()>>,
}

impl Asked {
    /// Whether the call to `target` is the one that runs.
    fn is_of(&self, target: &Target) -> bool {
        let known = &self.target;
        known.server == target.server
            && known.pod == target.pod
            && known.url == target.url
            && known.key == target.key
            && known.trust == target.trust
    }
}

impl<Key: Clone + Eq + Hash + Send + 'static> Drains<Key> {
    /// Asks until `stop` is cancelled. `changed` is called with each server that has answered.
    #[must_use]
    pub fn new(changed: impl Fn(Key) + Send + Sync + 'static, stop: CancellationToken) -> Self {
        Self {
            asked: Arc::default(),
            changed: Arc::new(changed),
            stop,
        }
    }

    /// Asks this API, unless it is asked already.
    pub fn ask(&self, server: &Key, target: Target) {
        let mut all = lock(&self.asked);
        if all.get(server).is_some_and(|asked| asked.is_of(&target)) {
            return;
        }
        let task = self.task(server.clone(), target.clone());
        let call = tokio::spawn(self.stop.clone().run_until_cancelled_owned(task));
        let asked = Asked {
            target,
            report: UploadsReport::default(),
            _call: AbortOnDropHandle::new(call),
        };
        all.insert(server.clone(), asked);
    }

    /// Does not ask any more, and forgets what the server said.
    pub fn forget(&self, server: &Key) {
        lock(&self.asked).remove(server);
    }

    /// What a server said. `uid` is that of the DittoServer: a deleted one of the same name may still be known.
    #[must_use]
    pub fn report(&self, server: &Key, uid: &str) -> UploadsReport {
        let all = lock(&self.asked);
        let asked = all.get(server).filter(|asked| asked.target.server == uid);
        asked.map(|asked| asked.report.clone()).unwrap_or_default()
    }

    /// Asks one server until it has uploaded everything, or says that it never will.
    fn task(&self, server: Key, target: Target) -> impl Future<Output = ()> + Send + use<Key> {
        let (all, changed) = (Arc::clone(&self.asked), Arc::clone(&self.changed));
        async move {
            for pause in Exponential::new(FIRST_PAUSE, LONGEST_PAUSE) {
                let report = report_of(&ask(&target).await);
                let is_last = report.is_drained || report.is_final;
                if let Some(asked) = lock(&all).get_mut(&server).filter(|asked| asked.is_of(&target)) {
                    asked.report = report;
                }
                if is_last {
                    return changed(server);
                }
                tokio::time::sleep(pause).await;
            }
        }
    }
}

async fn ask(target: &Target) -> Result<(), Error> {
    let client = Client::new(target.trust.as_ref())?;
    Server::new(&client, target).drain_uploads().await
}

fn report_of(answer: &Result<(), Error>) -> UploadsReport {
    let Err(error) = answer else {
        return UploadsReport {
            is_drained: true,
            ..UploadsReport::default()
        };
    };
    let has_no_such_call = matches!(
        error.status(),
        Some(StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED)
    );
    UploadsReport {
        is_drained: false,
        failure: Some(error.failure().message),
        is_final: has_no_such_call,
    }
}

/// A panic while the lock was held leaves the map as it was.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
