//! Asks each running server for its adapters, apart from the queue of reconciles.
//!
//! A reconcile says which API is to be asked ([`Poller::watch`]) and reads what is known ([`Poller::report`]). The poller makes one
//! call to each server in each interval, never more than [`CALLS`] at the same time that are answered quickly, and asks for a reconcile
//! only when an answer says something new. A server that does not answer costs a reconcile nothing, and delays no call to another.

mod reports;

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::time::{DelayQueue, delay_queue};

pub use self::reports::Known;
use self::reports::Reports;
use super::adapters;
use super::client::{Client, Error};
pub use super::entry::Pace;
use super::entry::{Answer, Entry, SOON};
use super::settings;
use super::token::{Role, sign};
use crate::base::backoff::fraction;
use crate::base::slots::Slots;
use crate::domain::adapters::ServerReport;
use crate::domain::server_api::{Target, Trust};
use crate::domain::server_settings::Declared;

/// Calls at the same time.
const CALLS: usize = 16;
/// Slow calls at the same time, in addition: a server that does not answer must not delay the calls to others.
const SLOW_CALLS: usize = 256;
/// How long a call may take before it is a slow one.
const SLOW_AFTER: Duration = Duration::from_secs(1);

/// What a reconcile tells the poller.
enum Order<Key> {
    /// Ask this API, or none.
    Watch(Key, Option<Box<Target>>),
    /// The server is gone, or another operator reconciles it. The sender is dropped once no call to it runs.
    Forget(Key, oneshot::Sender<()>),
}

/// The handle of the poller.
#[derive(Clone)]
pub struct Poller<Key> {
    orders: mpsc::UnboundedSender<Order<Key>>,
    reports: Reports<Key>,
}

impl<Key: Clone + Eq + Hash + Send + 'static> Poller<Key> {
    /// A poller that asks until `stop` is cancelled. `changed` is called with each server of which something new is known.
    #[must_use]
    pub fn start(pace: Pace, changed: impl Fn(Key) + Send + 'static, stop: CancellationToken) -> Self {
        let (orders, received) = mpsc::unbounded_channel();
        let reports = Reports::default();
        let worker = Worker {
            entries: HashMap::new(),
            due: DelayQueue::new(),
            calls: JoinSet::new(),
            leaving: HashMap::new(),
            slots: Arc::new(Slots::new(CALLS, SLOW_CALLS, SLOW_AFTER)),
            plain: None,
            pace,
            reports: reports.clone(),
            changed: Box::new(changed),
        };
        tokio::spawn(stop.run_until_cancelled_owned(worker.run(received)));
        Self { orders, reports }
    }

    /// A poller that asks nobody, for commands.
    #[must_use]
    pub fn idle() -> Self {
        let (orders, _) = mpsc::unbounded_channel();
        let reports = Reports::default();
        Self { orders, reports }
    }

    /// Says which API of a server is to be asked. `None`: no pod of it is ready. What is known stays.
    pub fn watch(&self, server: Key, target: Option<Target>) {
        self.send(Order::Watch(server, target.map(Box::new)));
    }

    /// Forgets a server that is gone, or that another operator reconciles. The answer waits until no call to it runs.
    pub fn forget(&self, server: Key) -> impl Future<Output = ()> + use<Key> {
        self.reports.forget(&server);
        let (running, ended) = oneshot::channel();
        self.send(Order::Forget(server, running));
        // Nothing is sent: the sender is dropped.
        async { drop(ended.await) }
    }

    /// What is known of a server. `uid` is that of the DittoServer: a deleted one of the same name may still be known.
    #[must_use]
    pub fn report(&self, server: &Key, uid: &str) -> Arc<ServerReport> {
        self.reports.read(server, uid)
    }

    /// What is known of each server.
    #[must_use]
    pub fn all(&self) -> Vec<(Key, Known)> {
        self.reports.all()
    }

    /// A send fails only when the operator stops.
    fn send(&self, order: Order<Key>) {
        let _ = self.orders.send(order);
    }
}

/// A server, with the call that is due or runs.
struct Polled {
    entry: Entry,
    /// Whether a pod is ready.
    is_running: bool,
    /// The next call. `None` while one runs, or while no pod is ready.
    due: Option<delay_queue::Key>,
    /// Whether a call runs.
    is_called: bool,
    /// The client for the certificates of the target.
    client: Option<(Option<Trust>, Client)>,
}

struct Worker<Key> {
    entries: HashMap<Key, Polled>,
    due: DelayQueue<Key>,
    /// Each with the server and the pod that are asked.
    calls: JoinSet<(Key, [String; 2], Answer)>,
    /// Those who wait until no call to a forgotten server runs.
    leaving: HashMap<Key, Vec<oneshot::Sender<()>>>,
    slots: Arc<Slots>,
    /// The client that all servers over plain http share.
    plain: Option<Client>,
    pace: Pace,
    reports: Reports<Key>,
    changed: Box<dyn Fn(Key) + Send>,
}

impl<Key: Clone + Eq + Hash + Send + 'static> Worker<Key> {
    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order<Key>>) {
        loop {
            tokio::select! {
                Some(order) = orders.recv() => self.obey(order),
                Some(due) = self.due.next() => self.call(due.into_inner()),
                Some(Ok((server, asked, answer))) = self.calls.join_next() => self.answered(&server, &asked, answer),
                else => return,
            }
        }
    }

    fn obey(&mut self, order: Order<Key>) {
        match order {
            Order::Watch(server, Some(target)) => self.watch(&server, *target),
            Order::Watch(server, None) => self.pause(&server),
            Order::Forget(server, running) => {
                self.pause(&server);
                let entry = self.entries.remove(&server);
                // A server may be forgotten again while a call to it still runs.
                if entry.is_some_and(|polled| polled.is_called) || self.leaving.contains_key(&server) {
                    self.leaving.entry(server).or_default().push(running);
                }
            }
        }
    }

    fn watch(&mut self, server: &Key, target: Target) {
        let polled = match self.entries.entry(server.clone()) {
            Slot::Occupied(known) => known.into_mut(),
            Slot::Vacant(free) => {
                free.insert(Polled::new(target, self.pace));
                let pause = self.first_pause(server);
                return self.schedule(server, pause);
            }
        };
        let is_urgent = polled.entry.retarget(target) || !polled.is_running;
        polled.is_running = true;
        if is_urgent {
            self.reports.publish(server, &polled.entry, |_| {});
            self.schedule(server, SOON);
        }
    }

    /// Makes no more calls until a pod is ready again.
    fn pause(&mut self, server: &Key) {
        let Some(polled) = self.entries.get_mut(server) else {
            return;
        };
        polled.is_running = false;
        if let Some(due) = polled.due.take() {
            self.due.remove(&due);
        }
    }

    fn first_pause(&self, server: &Key) -> Duration {
        let polled = self.entries.get(server);
        polled.map_or(SOON, |polled| {
            polled.entry.first_pause(Timestamp::now(), fraction())
        })
    }

    /// Sets the time of the next call.
    fn schedule(&mut self, server: &Key, pause: Duration) {
        let Some(polled) = self.entries.get_mut(server) else {
            return;
        };
        if polled.is_called || !polled.is_running {
            return;
        }
        match &polled.due {
            Some(due) => self.due.reset(due, pause),
            None => polled.due = Some(self.due.insert(server.clone(), pause)),
        }
    }

    fn call(&mut self, server: Key) {
        let Some(polled) = self.entries.get_mut(&server) else {
            return;
        };
        polled.due = None;
        polled.is_called = true;
        let client = polled.client(&mut self.plain);
        let target = polled.entry.target.clone();
        let declared = polled.entry.due_settings(Timestamp::now());
        let slots = Arc::clone(&self.slots);
        self.calls.spawn(async move {
            let asked = [target.server.clone(), target.pod.clone()];
            let answer = slots.run(ask(client, &target, declared)).await;
            (server, asked, answer)
        });
    }

    fn answered(&mut self, server: &Key, asked: &[String; 2], answer: Answer) {
        self.leaving.remove(server);
        let Some(polled) = self.entries.get_mut(server) else {
            return;
        };
        polled.is_called = false;
        // A pod that stops while it is asked says nothing.
        if !polled.is_running {
            return;
        }
        let target = &polled.entry.target;
        if *asked != [target.server.as_str(), &target.pod] {
            // It was asked for another pod, or for a deleted server of this name.
            return self.schedule(server, SOON);
        }
        if let Some(read) = self.reports.take_read(server) {
            polled.entry.reconciled = read;
        }
        let unread = polled.entry.log_lines(&answer);
        if !unread.is_empty() {
            tracing::warn!(url = %polled.entry.target.url, rows = %unread.join("; "), "the API lists adapters that cannot be read; what is known of them is kept");
        }
        let has_failed = answer.adapters.is_err();
        let is_news = polled.entry.learn(answer, Timestamp::now(), fraction());
        self.reports.publish(server, &polled.entry, |known| {
            known.polls += 1;
            known.failures += u64::from(has_failed);
        });
        let pause = polled.entry.pause(Timestamp::now());
        if is_news {
            (self.changed)(server.clone());
        }
        self.schedule(server, pause);
    }
}

impl Polled {
    fn new(target: Target, pace: Pace) -> Self {
        Self {
            entry: Entry::new(target, pace),
            is_running: true,
            due: None,
            is_called: false,
            client: None,
        }
    }

    /// The client for the target's certificates. A new one when they have changed.
    fn client(&mut self, plain: &mut Option<Client>) -> Result<Client, Error> {
        let trust = self.entry.target.trust.as_ref();
        if trust.is_none() {
            self.client = None;
            return match plain {
                Some(client) => Ok(client.clone()),
                None => Ok(plain.insert(Client::new(None)?).clone()),
            };
        }
        if let Some((known, client)) = &self.client
            && known.as_ref() == trust
        {
            return Ok(client.clone());
        }
        let client = Client::new(trust)?;
        self.client = Some((trust.cloned(), client.clone()));
        Ok(client)
    }
}

/// Asks for the adapters. If there is an answer, the settings are applied.
async fn ask(client: Result<Client, Error>, target: &Target, declared: Option<Declared>) -> Answer {
    let client = match client {
        Ok(client) => client,
        Err(error) => return Answer::of_adapters(Err(error.failure())),
    };
    let token = sign(&target.key, Role::Operator, Timestamp::now());
    let adapters = adapters::list(&client, &target.url, &token).await;
    let settings = match declared {
        Some(declared) if adapters.is_ok() => {
            let outcome = settings::apply(&client, target, &declared).await;
            Some((declared, outcome))
        }
        _ => None,
    };
    Answer {
        adapters: adapters.map_err(|error| error.failure()),
        settings,
    }
}
