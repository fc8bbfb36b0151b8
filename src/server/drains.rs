//! Asks servers to upload everything that is not in their remote stores yet, before they end.
//!
//! A call may take hours, so each has a task of its own: it holds up no reconcile, and no other call. It is made again until it succeeds.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::StatusCode;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::administrator::Server;
use super::client::{Client, Error};
use super::content::shares;
use crate::api::ShareStatus;
use crate::base::backoff::Exponential;
use crate::domain::adapters::FailureKind;
use crate::domain::content::shares::{LiveShare, path};
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
    /// Takes in an answer. Returns whether it says something new.
    fn note(&mut self, answer: &Result<(), Failure>) -> bool {
        let failure = answer.as_ref().err();
        let report = UploadsReport {
            asked_at: self.report.asked_at,
            is_drained: answer.is_ok(),
            failure: failure.map(|failure| failure.text.clone()),
            is_refused: failure.is_some_and(|failure| failure.is_refused),
        };
        let is_news = self.report != report;
        self.report = report;
        is_news
    }

    /// Whether the call to `target` is the one that runs.
    fn is_of(&self, target: &Target) -> bool {
        let known = &self.target;
        known.server == target.server
            && known.pod == target.pod
            && known.started == target.started
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

    /// Asks nobody, for commands.
    #[must_use]
    pub fn idle() -> Self {
        Self::new(|_| {}, CancellationToken::new())
    }

    /// Asks this API, unless it is asked already.
    pub fn ask(&self, server: &Key, target: Target) {
        let mut all = lock(&self.asked);
        if all.get(server).is_some_and(|asked| asked.is_of(&target)) {
            return;
        }
        let former = all
            .get(server)
            .filter(|asked| asked.target.server == target.server);
        let asked_at = former.and_then(|asked| asked.report.asked_at);
        let task = self.task(server.clone(), target.clone());
        let call = tokio::spawn(self.stop.clone().run_until_cancelled_owned(task));
        let asked = Asked {
            target,
            report: UploadsReport {
                asked_at: asked_at.or_else(|| Some(Timestamp::now())),
                ..UploadsReport::default()
            },
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

    /// Asks one server until it has uploaded everything, or has no such call.
    fn task(&self, server: Key, target: Target) -> impl Future<Output = ()> + Send + use<Key> {
        let (all, changed) = (Arc::clone(&self.asked), Arc::clone(&self.changed));
        async move {
            for pause in Exponential::new(FIRST_PAUSE, LONGEST_PAUSE) {
                let answer = ask(&target).await;
                let is_news = lock(&all)
                    .get_mut(&server)
                    .filter(|asked| asked.is_of(&target))
                    .is_some_and(|asked| asked.note(&answer));
                if is_news {
                    changed(server.clone());
                }
                if answer.is_ok() || answer.is_err_and(|failure| failure.is_final) {
                    return;
                }
                tokio::time::sleep(pause).await;
            }
        }
    }
}

/// Why not everything is uploaded.
struct Failure {
    text: String,
    /// Whether the next call fails, too, until the pod is another one.
    is_refused: bool,
    /// Whether each later call fails, too.
    is_final: bool,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let has_no_such_call = matches!(
            error.status(),
            Some(StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED)
        );
        let failure = error.failure();
        Self {
            is_refused: has_no_such_call || failure.kind == FailureKind::Token,
            is_final: has_no_such_call,
            text: failure.message,
        }
    }
}

async fn ask(target: &Target) -> Result<(), Failure> {
    let client = Client::new(target.trust.as_ref())?;
    let server = Server::new(&client, target);
    let state = server.drain_uploads().await?;
    if state != "drained" {
        return Err(Failure::of(format!("the server answered {state:?}")));
    }
    let known: Vec<&ShareStatus> = target
        .declared
        .content
        .iter()
        .flat_map(|content| &content.known.shares)
        .collect();
    let listed = shares::list(&server, known.iter().map(|state| &state.name)).await;
    // Only the call above may be one that the server does not have.
    let listed = listed.map_err(|error: Error| Failure::of(error.failure().message))?;
    let added: Vec<&str> = known
        .iter()
        .filter(|state| state.store_added_to.is_some() && state.store_added_to == target.started.map(Time))
        .map(|state| state.name.as_str())
        .collect();
    match listed.iter().find(|share| is_left_out(share, &added)) {
        Some(share) => Err(Failure::of(format!(
            "the server may not use the remote store of share {} before its next start ({}), so its blocks were not uploaded",
            share.name,
            share.status.text()
        ))),
        None => Ok(()),
    }
}

/// Whether a share has a remote store, and the server has not loaded the share, or may not use the store: it was added while the process ran.
/// Then the server uploads nothing of it, and says that it has uploaded everything.
fn is_left_out(share: &LiveShare, added: &[&str]) -> bool {
    let store = share.remote_block_store_id.as_deref().unwrap_or_default();
    let is_added = added.iter().any(|name| path(name) == share.name);
    !store.is_empty() && (share.status.is_unknown() || is_added)
}

impl Failure {
    fn of(text: String) -> Self {
        Self {
            text,
            is_refused: false,
            is_final: false,
        }
    }
}

/// A panic while the lock was held leaves the map as it was.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
