//! The simulator's thread and its handle.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use kube::{Client, Config};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::rules::Violation;
use super::watch::{self, Key};
use super::world::{Failure, World};
use super::{Behaviour, Error, SimulatorOptions, install_crd};

/// Delay before a failed call to the API server is tried again.
const RETRY: Duration = Duration::from_millis(200);
/// Time for the calls about one cluster: a paused API server never answers.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the test asks for.
struct Wish(Key, Option<Behaviour>);

/// A running Percona simulator: see the [module](super). It ends when it is dropped.
///
/// It has a thread and a runtime of its own, so that tests with a runtime each may share one.
#[derive(Debug)]
pub struct PerconaSimulator {
    /// Closing it ends the thread.
    wishes: Option<UnboundedSender<Wish>>,
    thread: Option<JoinHandle<()>>,
    violation: Arc<Mutex<Option<Violation>>>,
}

impl PerconaSimulator {
    /// Installs the `CustomResourceDefinition`, unless the options say otherwise, and starts to serve clusters.
    ///
    /// # Errors
    /// When the definition cannot be installed, or the thread cannot start.
    pub async fn start(config: Config, options: SimulatorOptions) -> Result<Self, Error> {
        if options.install_crd {
            install_crd(&Client::try_from(config.clone())?).await?;
        }
        let (wishes, receiver) = unbounded_channel();
        let violation = Arc::new(Mutex::new(None));
        let report = Arc::clone(&violation);
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new()
            .name("percona-simulator".to_owned())
            .spawn(move || {
                if let Err(fatal) = run(&runtime, config, &options, receiver) {
                    // As loud as the panic that it stands for.
                    eprintln!("PERCONA SIMULATOR DOWN: {fatal}");
                    *report.lock().unwrap_or_else(PoisonError::into_inner) = Some(fatal);
                }
            })?;
        Ok(Self {
            wishes: Some(wishes),
            thread: Some(thread),
            violation,
        })
    }

    /// Says how a cluster fares from now on; wins over its annotation. [`Behaviour::Stuck`] takes a ready
    /// cluster down.
    pub fn set_behaviour(&self, namespace: &str, name: &str, behaviour: Behaviour) {
        self.wish(namespace, name, Some(behaviour));
    }

    /// Leaves a cluster to its annotation again.
    pub fn clear_behaviour(&self, namespace: &str, name: &str) {
        self.wish(namespace, name, None);
    }

    fn wish(&self, namespace: &str, name: &str, behaviour: Option<Behaviour>) {
        if let Some(wishes) = &self.wishes {
            // After a violation nothing receives any more, which `check` reports.
            let _ = wishes.send(Wish((namespace.to_owned(), name.to_owned()), behaviour));
        }
    }

    /// Whether the operator still stands. Every test that uses it should end with this.
    ///
    /// # Errors
    /// The object that took it down; from then on no cluster is served.
    pub fn check(&self) -> Result<(), Violation> {
        match &*self.violation.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(violation) => Err(violation.clone()),
            None => Ok(()),
        }
    }

    /// The operator is gone: clusters, states and Secrets stay as they are. Another [`start`](Self::start)
    /// takes them over.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for PerconaSimulator {
    fn drop(&mut self) {
        self.wishes = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been printed; there is nothing to add.
            let _ = thread.join();
        }
    }
}

/// Reconciles clusters until the channel closes, or until an object stops the operator.
fn run(
    runtime: &Runtime,
    config: Config,
    options: &SimulatorOptions,
    wished: UnboundedReceiver<Wish>,
) -> Result<(), Violation> {
    runtime.block_on(async {
        match Client::try_from(config) {
            Ok(client) => serve(client, options, wished).await,
            Err(error) => {
                eprintln!("percona simulator: {error}");
                Ok(())
            }
        }
    })
}

async fn serve(
    client: Client,
    options: &SimulatorOptions,
    mut wished: UnboundedReceiver<Wish>,
) -> Result<(), Violation> {
    let mut seen = watch::everything(&client, options.namespaces.as_deref());
    let mut world = World::new(client, options);
    let mut timers = FuturesUnordered::<BoxFuture<'static, Key>>::new();
    loop {
        let due = tokio::select! {
            // A behaviour that is set before its cluster exists is known when the cluster is reconciled.
            biased;
            wish = wished.recv() => {
                let Some(Wish(key, behaviour)) = wish else { return Ok(()) };
                world.set_behaviour(&key, behaviour);
                Some(key)
            }
            Some(seen) = seen.next() => world.take(seen),
            Some(key) = timers.next() => Some(key),
        };
        let Some(key) = due else { continue };
        match tokio::time::timeout(PATIENCE, world.look_at(&key)).await {
            Ok(Ok(None)) => {}
            Ok(Ok(Some(again))) => timers.push(at(again, key)),
            Ok(Err(Failure::Fatal(violation))) => return Err(violation),
            // The object may be gone, which its watch reports. Otherwise the calls are retried.
            Ok(Err(Failure::Api(_) | Failure::Secret(_))) | Err(_) => {
                timers.push(at(Instant::now() + RETRY, key));
            }
        }
    }
}

fn at(time: Instant, key: Key) -> BoxFuture<'static, Key> {
    async move {
        tokio::time::sleep_until(time.into()).await;
        key
    }
    .boxed()
}
