//! Runs the reconciles of what is in the queue: each server once at a time, and a limited number of them.
//!
//! kube's `Controller` does the same, but it needs all objects in a store of its own. The queue and its delays are kube's.

use std::collections::HashSet;
use std::pin::Pin;
use std::time::Duration;

use futures::channel::mpsc;
use futures::stream::{self, FuturesUnordered};
use futures::{FutureExt, Stream, StreamExt};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::scheduler::{ScheduleRequest, Scheduler, scheduler};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::cluster::cache::StoredServer;

type Key = ObjectRef<StoredServer>;

/// When a server is reconciled again although nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Action(Option<Duration>);

impl Action {
    /// After this time.
    #[must_use]
    pub fn requeue(after: Duration) -> Self {
        Self(Some(after))
    }

    /// Not at all.
    #[must_use]
    pub fn await_change() -> Self {
        Self(None)
    }
}

/// Calls `reconcile` for each server in the queue until `stop` is cancelled. Then it waits for those that are running. A server that
/// is queued while it is reconciled follows immediately afterwards, once.
pub(super) async fn run<Reconcile: Future<Output = Action>>(
    queued: impl Stream<Item = Key>,
    concurrency: u16,
    stop: CancellationToken,
    reconcile: impl Fn(Key) -> Reconcile,
) {
    let (requeue, requeued) = mpsc::unbounded();
    let queued = queued.map(|server| request(server, Duration::ZERO));
    let mut due = Box::pin(scheduler(stream::select(queued, requeued)));
    let mut running = FuturesUnordered::new();
    let mut servers: HashSet<Key> = HashSet::new();
    loop {
        let is_free = servers.len() < usize::from(concurrency);
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some((server, Action(again))) = running.next() => {
                servers.remove(&server);
                // The receiver lives as long as this function.
                let _ = again.map(|after| requeue.unbounded_send(request(server, after)));
            }
            Some(server) = next(due.as_mut(), &servers), if is_free => {
                servers.insert(server.clone());
                running.push(reconcile(server.clone()).map(|action| (server, action)));
            }
        }
    }
    while running.next().await.is_some() {}
}

fn request(server: Key, after: Duration) -> ScheduleRequest<Key> {
    ScheduleRequest {
        message: server,
        run_at: Instant::now() + after,
    }
}

/// The next server that is due and is not being reconciled.
async fn next<R: Stream<Item = ScheduleRequest<Key>>>(
    due: Pin<&mut Scheduler<Key, R>>,
    running: &HashSet<Key>,
) -> Option<Key> {
    due.hold_unless(|server| !running.contains(server)).next().await
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    /// A queue, and the names of the servers in the order in which their reconciles start.
    struct World {
        queue: mpsc::UnboundedSender<Key>,
        started: RefCell<Vec<String>>,
        stop: CancellationToken,
    }

    impl World {
        fn push(&self, name: &str) {
            let server = ObjectRef::new(name).within("a");
            self.queue.unbounded_send(server).unwrap();
        }

        /// Reconciles `first` and what `reconcile` queues, until it stops the runner.
        async fn run(
            concurrency: u16,
            first: &[&str],
            reconcile: impl AsyncFn(&World, &str) -> Action,
        ) -> Vec<String> {
            let (queue, queued) = mpsc::unbounded();
            let world = World {
                queue,
                started: RefCell::default(),
                stop: CancellationToken::new(),
            };
            for name in first {
                world.push(name);
            }
            let reconcile = async |key: Key| {
                world.started.borrow_mut().push(key.name.clone());
                reconcile(&world, &key.name).await
            };
            run(queued, concurrency, world.stop.clone(), reconcile).await;
            world.started.into_inner()
        }
    }

    #[tokio::test]
    async fn a_server_that_is_queued_several_times_while_it_is_reconciled_follows_once() {
        let started = World::run(2, &["a"], async |world, name| {
            let is_first = world.started.borrow().len() == 1;
            match name {
                "a" if is_first => {
                    for _ in 0..3 {
                        world.push("a");
                        tokio::task::yield_now().await;
                    }
                }
                "a" => world.push("last"),
                _ => world.stop.cancel(),
            }
            Action::await_change()
        });
        assert_eq!(started.await, ["a", "a", "last"]);
    }

    #[tokio::test]
    async fn a_limited_number_of_servers_is_reconciled_at_the_same_time() {
        let (running, most) = (Cell::new(0), Cell::new(0));
        let started = World::run(2, &["a", "b", "c", "d"], async |world, _| {
            running.set(running.get() + 1);
            most.set(running.get().max(most.get()));
            // The first waits for another one.
            while most.get() < 2 {
                tokio::task::yield_now().await;
            }
            tokio::task::yield_now().await;
            running.set(running.get() - 1);
            if world.started.borrow().len() == 4 {
                world.stop.cancel();
            }
            Action::await_change()
        });
        assert_eq!(started.await.len(), 4);
        assert_eq!(most.get(), 2);
    }

    #[tokio::test]
    async fn a_server_follows_after_its_time_or_earlier_if_it_changes() {
        let started = World::run(1, &["a"], async |world, name| {
            let number = world.started.borrow().len();
            match (number, name) {
                (1, _) => return Action::requeue(Duration::from_millis(1)),
                (2, _) => {
                    world.push("b");
                    return Action::requeue(Duration::from_secs(3600));
                }
                (3, _) => world.push("a"),
                _ => world.stop.cancel(),
            }
            Action::await_change()
        });
        assert_eq!(started.await, ["a", "a", "b", "a"]);
    }

    #[tokio::test]
    async fn a_stop_waits_for_the_reconciles_that_are_running_and_starts_no_other() {
        let ended = Cell::new(0);
        let started = World::run(1, &["a", "b"], async |world, _| {
            world.stop.cancel();
            tokio::task::yield_now().await;
            ended.set(ended.get() + 1);
            Action::await_change()
        });
        assert_eq!(started.await.len(), 1);
        assert_eq!(ended.get(), 1);
    }
}
