//! Leader election with a Lease. Only the leader writes to the API server.
//!
//! The Lease has the same name as that of the Go operator, so the two never act at the same time in one namespace. `record`
//! interprets a Lease, `candidate` reads and writes it, and this file retries. `others` reads the Leases of other shards. The `gate` in front of the API server blocks the
//! writes of an operator that lost the Lease: docs/adr/0010-leader-election.md.

pub mod candidate;
pub mod others;
pub mod record;
pub mod timing;

use std::sync::Arc;
use std::time::Duration;

use kube::{Client, Config};
use thiserror::Error;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::candidate::{Attempt, Candidate, HeldLease};
use self::timing::Timing;
use crate::base::backoff;
use crate::base::metrics::Metrics;
use crate::cluster::client::gate::Gate;

/// Name of the Lease. The Go operator uses the same.
pub const LEASE: &str = "b837d6c8.dittofs.com";

/// Why this operator must stop immediately.
#[derive(Debug, Error)]
pub enum Lost {
    /// Another operator has taken the Lease.
    #[error("leadership lost: {0} holds the lease now; no further writes were sent")]
    Taken(String),
    /// The Lease could not be renewed in time.
    #[error("leadership lost: the lease could not be renewed within {0:?}: {1}; no further writes were sent")]
    Deadline(Duration, String),
}

/// Which Lease, and the identity of this candidate.
#[derive(Clone, Debug)]
pub struct Options {
    /// Namespace of the Lease.
    pub namespace: String,
    /// Name of the Lease.
    pub lease: String,
    /// Identity of this process. It must be unique, also across restarts.
    pub identity: String,
    /// The durations of the election.
    pub timing: Timing,
}

/// The result of the election, for the rest of the operator.
#[derive(Clone, Debug)]
pub struct Leadership {
    /// Blocks writes while this operator is not the leader.
    pub gate: Gate,
    is_leader: watch::Receiver<bool>,
}

impl Leadership {
    /// Without leader election: always the leader.
    #[must_use]
    pub fn always() -> Self {
        // A receiver keeps its last value when the sender is gone.
        let (_, is_leader) = watch::channel(true);
        Self {
            gate: Gate::always_open(),
            is_leader,
        }
    }

    /// Waits until this operator is the leader. Never returns if the election ends before that.
    pub async fn acquired(&self) {
        if self
            .is_leader
            .clone()
            .wait_for(|is_leader| *is_leader)
            .await
            .is_err()
        {
            std::future::pending::<()>().await;
        }
    }

    /// Whether this operator is the leader now.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        *self.is_leader.borrow() && self.gate.is_open()
    }
}

/// Runs the election of one operator.
pub struct Elector {
    candidate: Candidate,
    options: Options,
    gate: Gate,
    is_leader: watch::Sender<bool>,
}

impl Elector {
    /// Prepares an election. `client` should have short deadlines and no retries of its own ([`client`]).
    #[must_use]
    pub fn new(client: Client, options: Options) -> (Self, Leadership) {
        let gate = Gate::elected(options.timing.writes(), options.timing.margin());
        let (is_leader, is_leading) = watch::channel(false);
        let leadership = Leadership {
            gate: gate.clone(),
            is_leader: is_leading,
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
            is_leader,
        };
        (elector, leadership)
    }

    /// Acquires the Lease once it is free, renews it until `finished` is cancelled, and releases it.
    ///
    /// # Errors
    /// When the Lease is lost. The gate is then closed, and the process must end.
    pub async fn run(mut self, finished: CancellationToken) -> Result<(), Lost> {
        let Some(mut held) = self.acquire(&finished).await else {
            return Ok(());
        };
        self.gate.renewed(held.sent);
        self.is_leader.send_replace(true);
        tracing::info!(lease = %self.options.lease, identity = %self.options.identity, "this operator is the leader");
        let kept = self.keep(&mut held, &finished).await;
        self.is_leader.send_replace(false);
        if kept.is_err() {
            self.gate.close();
            return kept;
        }
        self.release(&held).await;
        Ok(())
    }

    /// Returns the Lease, or `None` when `finished` is cancelled. An attempt is never cancelled half-way: its write may succeed
    /// anyway, and then nobody would release the Lease.
    async fn acquire(&mut self, finished: &CancellationToken) -> Option<HeldLease> {
        let mut known = None;
        while !finished.is_cancelled() {
            match self.candidate.try_acquire().await {
                Ok(Attempt::Acquired(held)) => return Some(*held),
                Ok(Attempt::HeldByOther { holder, .. }) => {
                    if known.as_ref() != Some(&holder) {
                        tracing::info!(lease = %self.options.lease, %holder, "another operator holds the lease; waiting");
                        known = Some(holder);
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, lease = %self.options.lease, "cannot acquire the lease; will retry");
                }
            }
            let pause = tokio::time::sleep(backoff::jitter(self.options.timing.retry));
            finished.run_until_cancelled(pause).await;
        }
        None
    }

    /// Renews the Lease until `finished` is cancelled. A renewal is never cancelled half-way: see [`Self::acquire`].
    ///
    /// # Errors
    /// When the Lease is lost.
    async fn keep(&self, held: &mut HeldLease, finished: &CancellationToken) -> Result<(), Lost> {
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
                    tracing::warn!(%error, lease = %self.options.lease, "cannot renew the lease; will retry");
                    problem = error.to_string();
                }
                Err(_) => return Err(Lost::Deadline(renew, problem)),
            }
        }
    }

    /// Releases the Lease, once no write that was sent can still take effect.
    async fn release(&self, held: &HeldLease) {
        self.gate.close();
        let Some(pause) = self.gate.writes_end_in() else {
            tracing::warn!("a write is still in flight: the lease is not released, it expires");
            return;
        };
        tokio::time::sleep(pause).await;
        match self.candidate.release(held).await {
            Ok(()) => tracing::info!(lease = %self.options.lease, "lease released"),
            Err(error) => tracing::warn!(%error, "cannot release the lease; it expires by itself"),
        }
    }
}

/// A client for the Lease: every call ends well within the renew deadline, and the client retries none.
///
/// # Errors
/// When the configuration is unusable.
pub fn client(config: Config, timing: &Timing, metrics: &Arc<Metrics>) -> kube::Result<Client> {
    crate::cluster::client::for_the_lease(config, timing.call(), metrics)
}

/// The pod's name with a random suffix: a container that restarts in the same pod is another candidate.
///
/// # Errors
/// When the operating system returns no random numbers.
pub fn identity() -> Result<String, getrandom::Error> {
    let name = ["POD_NAME", "HOSTNAME"]
        .iter()
        .find_map(|variable| std::env::var(variable).ok().filter(|name| !name.is_empty()))
        .unwrap_or_else(|| "dittofs-operator".into());
    Ok(format!("{name}_{:016x}", getrandom::u64()?))
}

#[cfg(test)]
mod tests;
