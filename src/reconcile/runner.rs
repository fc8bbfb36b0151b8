//! Runs the reconciles of what is in the queue: each server once at a time, and a limited number of them.
//!
//! kube's `Controller` does the same, but it needs all objects in a store of its own. The queue and its delays are kube's.

use std::collections::HashMap;
use std::pin::Pin;
use std::time::Duration;

use futures::channel::mpsc;
use futures::stream::{self, FuturesUnordered};
use futures::{FutureExt, Stream, StreamExt};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::scheduler::{ScheduleRequest, Scheduler, scheduler};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::cluster::cache::StoredServer;

type Key = ObjectRef<StoredServer>;

/// How many reconciles run at the same time.
///
/// A slow one, for example because of an admission webhook of one namespace, must not delay other servers. So it does not count as one of
/// `quick`, up to as many again: if the API server itself is slow, more calls at the same time would not help it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    quick: usize,
    slow: usize,
    slow_after: Duration,
}

impl Limits {
    /// The limits for this `--concurrency`.
    pub(super) fn of(concurrency: u16) -> Self {
        let quick = usize::from(concurrency);
        Self {
            quick,
            slow: quick,
            slow_after: Duration::from_secs(2),
        }
    }
}

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

    /// The same, but no later than after this time.
    #[must_use]
    pub fn within(self, limit: Option<Duration>) -> Self {
        Self(self.0.into_iter().chain(limit).min())
    }
}

/// The servers that are being reconciled, and since when.
struct Running {
    limits: Limits,
    servers: HashMap<Key, Instant>,
}

impl Running {
    /// When another reconcile may start, if none ends earlier. `None`: not before one ends.
    fn free_at(&self, now: Instant) -> Option<Instant> {
        let Limits {
            quick: most,
            slow,
            slow_after,
        } = self.limits;
        if self.servers.len() >= most + slow {
            return None;
        }
        let slow_at = self.servers.values().map(|since| *since + slow_after);
        let quick: Vec<Instant> = slow_at.filter(|at| *at > now).collect();
        if quick.len() < most {
            Some(now)
        } else {
            quick.into_iter().min()
        }
    }
}

/// Calls `reconcile` for each server in the queue until `stop` is cancelled. Then it waits for those that are running. A server that
/// is queued while it is reconciled follows immediately afterwards, once.
pub(super) async fn run<Reconcile: Future<Output = Action>>(
    queued: impl Stream<Item = Key>,
    limits: Limits,
    stop: CancellationToken,
    reconcile: impl Fn(Key) -> Reconcile,
) {
    let (requeue, requeued) = mpsc::unbounded();
    let queued = queued.map(|server| request(server, Duration::ZERO));
    let mut due = Box::pin(scheduler(stream::select(queued, requeued)));
    let mut reconciles = FuturesUnordered::new();
    let mut running = Running {
        limits,
        servers: HashMap::new(),
    };
    loop {
        let now = Instant::now();
        let free_at = running.free_at(now);
        let is_free = free_at == Some(now);
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some((server, Action(again))) = reconciles.next() => {
                running.servers.remove(&server);
                // The receiver lives as long as this function.
                let _ = again.map(|after| requeue.unbounded_send(request(server, after)));
            }
            Some(server) = next(due.as_mut(), &running.servers), if is_free => {
                running.servers.insert(server.clone(), Instant::now());
                reconciles.push(reconcile(server.clone()).map(|action| (server, action)));
            }
            () = tokio::time::sleep_until(free_at.unwrap_or(now)), if !is_free && free_at.is_some() => {}
        }
    }
    while reconciles.next().await.is_some() {}
}

/// Runs a reconcile as a task of its own, until this future is dropped.
///
/// A reconcile computes for milliseconds. A thousand of them in one task would delay everything else in that task, and on one core all
/// sockets and timers, until the Lease could not be renewed any more.
pub(super) async fn in_own_task(reconcile: impl Future<Output = Action> + Send + 'static) -> Action {
    let task = AbortOnDropHandle::new(tokio::spawn(reconcile));
    let ended = task.await;
    ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
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
    running: &HashMap<Key, Instant>,
) -> Option<Key> {
    due.hold_unless(|server| !running.contains_key(server))
        .next()
        .await
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

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
            limits: Limits,
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
            run(queued, limits, world.stop.clone(), reconcile).await;
            world.started.into_inner()
        }
    }

    #[tokio::test]
    async fn a_server_that_is_queued_several_times_while_it_is_reconciled_follows_once() {
        let started = World::run(Limits::of(2), &["a"], async |world, name| {
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
        let started = World::run(Limits::of(2), &["a", "b", "c", "d"], async |world, _| {
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

    const SHORT: Limits = Limits {
        quick: 2,
        slow: 8,
        slow_after: Duration::from_millis(10),
    };

    #[tokio::test]
    async fn slow_reconciles_delay_no_other_server() {
        let started = World::run(
            SHORT,
            &["a", "b", "c", "d", "e", "f", "last"],
            async |world, name| {
                if name == "last" {
                    world.stop.cancel();
                }
                // All the others end after the last has run.
                world.stop.cancelled().await;
                Action::await_change()
            },
        );
        assert_eq!(started.await.last().map(String::as_str), Some("last"));
    }

    #[tokio::test]
    async fn slow_reconciles_have_a_limit_too() {
        let names: Vec<String> = (0..20).map(|number| number.to_string()).collect();
        let queue: Vec<&str> = names.iter().map(String::as_str).collect();
        let running = Cell::new(0);
        let started = World::run(SHORT, &queue, async |world, _| {
            running.set(running.get() + 1);
            if running.get() == SHORT.quick + SHORT.slow {
                // Long enough for another one to start, if it could.
                tokio::time::sleep(5 * SHORT.slow_after).await;
                world.stop.cancel();
            }
            world.stop.cancelled().await;
            Action::await_change()
        });
        assert_eq!(started.await.len(), SHORT.quick + SHORT.slow);
    }

    #[tokio::test]
    async fn a_server_follows_after_its_time_or_earlier_if_it_changes() {
        let started = World::run(Limits::of(1), &["a"], async |world, name| {
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
        let started = World::run(Limits::of(1), &["a", "b"], async |world, _| {
            world.stop.cancel();
            tokio::task::yield_now().await;
            ended.set(ended.get() + 1);
            Action::await_change()
        });
        assert_eq!(started.await.len(), 1);
        assert_eq!(ended.get(), 1);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn reconciles_that_compute_do_not_wait_for_each_other() {
        let (queue, queued) = mpsc::unbounded();
        let (stop, begun) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
        for name in ["a", "b"] {
            queue.unbounded_send(ObjectRef::new(name).within("a")).unwrap();
        }
        let reconcile = |_| {
            let (stop, begun) = (stop.clone(), Arc::clone(&begun));
            in_own_task(async move {
                begun.fetch_add(1, Ordering::SeqCst);
                // Keeps its thread busy, as a computation does, until the other one has begun.
                let deadline = std::time::Instant::now() + Duration::from_secs(10);
                while begun.load(Ordering::SeqCst) < 2 && std::time::Instant::now() < deadline {
                    std::thread::yield_now();
                }
                assert_eq!(begun.load(Ordering::SeqCst), 2);
                stop.cancel();
                Action::await_change()
            })
        };
        run(queued, Limits::of(2), stop.clone(), reconcile).await;
    }
}
