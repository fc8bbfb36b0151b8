//! Leader election: of several operators, one acts.
//!
//! They agree by a Lease, the same one as the Go operator's, so that the two never act at once from one namespace. `record` says what follows
//! from a Lease, `candidate` reads and writes it, this file tries again and again. The `gate` in front of the API server is
//! what keeps an operator that lost the Lease from writing: docs/adr/0010-leader-election.md.

pub mod candidate;
pub mod record;
pub mod timing;

use std::sync::Arc;
use std::time::Duration;

use kube::{Client, Config};
use thiserror::Error;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::candidate::{Candidate, Held, Outcome};
use self::timing::Timing;
use crate::base::backoff;
use crate::base::metrics::Metrics;
use crate::cluster::client::gate::Gate;

/// The Lease of the Go operator.
pub const LEASE: &str = "b837d6c8.dittofs.com";

/// Why this operator must stop at once.
#[derive(Debug, Error)]
pub enum Lost {
    /// Somebody else has the Lease.
    #[error("the lease is lost: {0} holds it; nothing more was written")]
    Taken(String),
    /// The Lease could not be renewed in time.
    #[error("the lease could not be renewed within {0:?}: {1}; nothing more was written")]
    Deadline(Duration, String),
}

/// Which Lease, and who wants it.
#[derive(Clone, Debug)]
pub struct Options {
    /// Namespace of the Lease.
    pub namespace: String,
    /// Name of the Lease.
    pub lease: String,
    /// Who we are. Nobody else may ever be called so.
    pub identity: String,
    /// The times.
    pub timing: Timing,
}

/// What the rest of the operator sees of the election.
#[derive(Clone, Debug)]
pub struct Leadership {
    /// Stands in front of the API server.
    pub gate: Gate,
    leads: watch::Receiver<bool>,
}

impl Leadership {
    /// Without an election.
    #[must_use]
    pub fn always() -> Self {
        // A receiver keeps its last value when the sender is gone.
        let (_, leads) = watch::channel(true);
        Self {
            gate: Gate::always_open(),
            leads,
        }
    }

    /// Waits until this operator leads. For ever if the election ends without that.
    pub async fn begun(&self) {
        if self.leads.clone().wait_for(|leads| *leads).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Whether it leads.
    #[must_use]
    pub fn leads(&self) -> bool {
        *self.leads.borrow() && self.gate.is_open()
    }
}

/// An operator in an election.
pub struct Elector {
    candidate: Candidate,
    options: Options,
    gate: Gate,
    leads: watch::Sender<bool>,
}

impl Elector {
    /// Prepares an election; `client` should have short deadlines and no retries of its own ([`client`]).
    #[must_use]
    pub fn new(client: Client, options: Options) -> (Self, Leadership) {
        let gate = Gate::elected(options.timing.renew, options.timing.margin());
        let (leads, is_leading) = watch::channel(false);
        let leadership = Leadership {
            gate: gate.clone(),
            leads: is_leading,
        };
        let Options {
            namespace,
            lease,
            identity,
            timing,
        } = &options;
        let candidate = Candidate::new(client, namespace, lease, identity, *timing);
        let elector = Self {
            candidate,
            options,
            gate,
            leads,
        };
        (elector, leadership)
    }

    /// Takes the Lease once it is free, keeps it until `finished` is cancelled, and gives it back.
    ///
    /// # Errors
    /// When the Lease is lost. The gate is closed then, and the process must end.
    pub async fn run(mut self, finished: CancellationToken) -> Result<(), Lost> {
        let Some(mut held) = self.acquire(&finished).await else {
            return Ok(());
        };
        self.gate.renewed(held.sent);
        self.leads.send_replace(true);
        tracing::info!(lease = %self.options.lease, identity = %self.options.identity, "this operator leads");
        let kept = self.keep(&mut held, &finished).await;
        self.leads.send_replace(false);
        if kept.is_err() {
            self.gate.close();
            return kept;
        }
        self.release(&held).await;
        Ok(())
    }

    /// Ends with the Lease, or without it when `finished` is cancelled. A try is never given up in its middle: its write may
    /// land all the same, and nobody would give the Lease back.
    async fn acquire(&mut self, finished: &CancellationToken) -> Option<Held> {
        let mut known = None;
        while !finished.is_cancelled() {
            match self.candidate.try_acquire().await {
                Ok(Outcome::Won(held)) => return Some(*held),
                Ok(Outcome::Waiting { holder, .. }) => {
                    if known.as_ref() != Some(&holder) {
                        tracing::info!(lease = %self.options.lease, %holder, "waiting for the lease");
                        known = Some(holder);
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, lease = %self.options.lease, "the lease cannot be taken; will retry");
                }
            }
            let pause = tokio::time::sleep(backoff::jitter(self.options.timing.retry));
            finished.run_until_cancelled(pause).await;
        }
        None
    }

    /// Keeps the Lease until `finished` is cancelled. A renewal is never given up in its middle: see [`Self::acquire`].
    ///
    /// # Errors
    /// When the Lease is lost.
    async fn keep(&self, held: &mut Held, finished: &CancellationToken) -> Result<(), Lost> {
        let Timing { renew, retry, .. } = self.options.timing;
        let mut problem = String::from("no answer");
        loop {
            let pause = finished.run_until_cancelled(tokio::time::sleep(retry));
            if pause.await.is_none() {
                return Ok(());
            }
            let left = renew.saturating_sub(held.sent.elapsed());
            if left.is_zero() {
                return Err(Lost::Deadline(renew, problem));
            }
            match tokio::time::timeout(left, self.candidate.renew(held)).await {
                Ok(Ok(renewed)) => {
                    *held = renewed;
                    self.gate.renewed(held.sent);
                }
                Ok(Err(candidate::Error::Taken(holder))) => return Err(Lost::Taken(holder)),
                Ok(Err(error)) => {
                    tracing::warn!(%error, lease = %self.options.lease, "the lease was not renewed; will retry");
                    problem = error.to_string();
                }
                Err(_) => return Err(Lost::Deadline(renew, problem)),
            }
        }
    }

    /// Gives the Lease back, once nothing that was sent can land any more.
    async fn release(&self, held: &Held) {
        self.gate.close();
        let Some(quiet) = self.gate.quiet_in() else {
            tracing::warn!("a write is still under way: the lease is left to run out");
            return;
        };
        tokio::time::sleep(quiet).await;
        match self.candidate.release(held).await {
            Ok(()) => tracing::info!(lease = %self.options.lease, "the lease is given back"),
            Err(error) => tracing::warn!(%error, "the lease was not given back; it runs out by itself"),
        }
    }
}

/// A client for the Lease: every call ends well within the renew deadline, and none is repeated behind our back.
///
/// # Errors
/// When the configuration is unusable.
pub fn client(config: Config, timing: &Timing, metrics: &Arc<Metrics>) -> kube::Result<Client> {
    crate::cluster::client::for_the_lease(config, timing.call(), metrics)
}

/// The pod's name, with a random part: a container that restarts in the same pod is somebody else.
///
/// # Errors
/// When the operating system gives no random numbers.
pub fn identity() -> Result<String, getrandom::Error> {
    let name = ["POD_NAME", "HOSTNAME"]
        .iter()
        .find_map(|variable| std::env::var(variable).ok().filter(|name| !name.is_empty()))
        .unwrap_or_else(|| "dittofs-operator".into());
    Ok(format!("{name}_{:016x}", getrandom::u64()?))
}

#[cfg(test)]
mod tests;
