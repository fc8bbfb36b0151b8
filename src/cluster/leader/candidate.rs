//! One candidate: a single attempt to acquire, renew or release the Lease. Every write names the resourceVersion that was read.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::api::PostParams;
use kube::{Api, Client, ResourceExt};
use thiserror::Error;

use super::record::{self, ObservedLease};
use super::timing::Timing;
use crate::cluster::client::errors;
use crate::cluster::client::gate::ClockReading;

/// Attempts of one renewal or release when another writer changes the Lease without taking it.
const CONFLICT_RETRIES: u8 = 3;

/// Why an attempt failed.
#[derive(Debug, Error)]
pub enum Error {
    /// The API server refused the call or did not answer. The state of the Lease is unknown.
    #[error("{}", errors::explain(.0))]
    Api(#[from] kube::Error),
    /// The API server did not answer in time.
    #[error("no answer within {0:?}")]
    Late(Duration),
    /// Another candidate holds it.
    #[error("{0} holds the Lease now")]
    Taken(String),
    /// Another writer changes it too often.
    #[error("another client keeps changing the Lease")]
    Contended,
}

/// The result of an attempt to acquire the Lease.
#[derive(Debug)]
pub enum Attempt {
    /// This candidate holds the Lease.
    Acquired(Box<HeldLease>),
    /// Another candidate holds it, or may hold it.
    HeldByOther {
        /// The holder that the Lease names; may be empty.
        holder: String,
        /// Time until it may be acquired, if it does not change.
        left: Duration,
    },
}

/// The Lease while this candidate holds it.
#[derive(Clone, Debug)]
pub struct HeldLease {
    lease: Lease,
    spec: LeaseSpec,
    /// When the write that acquired or renewed it was sent.
    pub sent: ClockReading,
}

impl HeldLease {
    fn new(lease: Lease, sent: ClockReading) -> Self {
        let spec = lease.spec.clone().unwrap_or_default();
        Self { lease, spec, sent }
    }
}

/// A candidate for the Lease.
pub struct Candidate {
    api: Api<Lease>,
    name: String,
    identity: String,
    timing: Timing,
    observed: Option<ObservedLease>,
}

impl Candidate {
    /// `identity` must be unique, also across restarts of the process.
    #[must_use]
    pub fn new(client: Client, namespace: &str, name: &str, identity: &str, timing: Timing) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            name: name.into(),
            identity: identity.into(),
            timing,
            observed: None,
        }
    }

    /// Reads the Lease, and acquires it if it is free.
    ///
    /// # Errors
    /// When a call fails. A conflict with another candidate is not an error.
    pub async fn try_acquire(&mut self) -> Result<Attempt, Error> {
        let lease = self.in_time(self.api.get_opt(&self.name)).await?;
        let now = Instant::now();
        let observed = ObservedLease::next(self.observed.take(), lease.as_ref(), &self.timing, now);
        let left = observed.wait(now);
        let holder = observed.holder().to_owned();
        self.observed = Some(observed);
        // Held by this process already: an earlier write succeeded, and its answer was lost.
        if !left.is_zero() && holder != self.identity {
            return Ok(Attempt::HeldByOther { holder, left });
        }
        let sent = ClockReading::now();
        let taken = record::acquired(lease, &self.identity, &self.timing, Timestamp::now());
        match self.write(taken).await {
            Ok(lease) => Ok(Attempt::Acquired(Box::new(HeldLease::new(lease, sent)))),
            Err(Error::Api(error)) if is_conflict(&error) => Ok(Attempt::HeldByOther {
                holder: String::new(),
                left: Duration::ZERO,
            }),
            Err(error) => Err(error),
        }
    }

    /// Renews the Lease.
    ///
    /// # Errors
    /// [`Error::Taken`] when another candidate holds it: the Lease is lost. Other errors may be temporary.
    pub async fn renew(&self, held: &HeldLease) -> Result<HeldLease, Error> {
        let mut lease = Some(held.lease.clone());
        for _ in 0..CONFLICT_RETRIES {
            // Read before the write, so that it is not later than the time at which the API server stores the Lease.
            let sent = ClockReading::now();
            let current = lease.unwrap_or_else(|| self.empty());
            let renewed = record::renewed(
                current,
                &held.spec,
                &self.identity,
                &self.timing,
                Timestamp::now(),
            );
            match self.write(renewed).await {
                Ok(lease) => return Ok(HeldLease::new(lease, sent)),
                Err(Error::Api(error)) if is_conflict(&error) || is_absent(&error) => {}
                Err(error) => return Err(error),
            }
            lease = self.in_time(self.api.get_opt(&self.name)).await?;
            if let Some(lease) = &lease
                && record::is_held_by_another(lease, &self.identity)
            {
                let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.clone());
                return Err(Error::Taken(holder.unwrap_or_default()));
            }
        }
        Err(Error::Contended)
    }

    /// Releases the Lease, so that the next candidate that reads it may acquire it.
    ///
    /// # Errors
    /// When a call fails. The Lease then expires by itself.
    pub async fn release(&self, held: &HeldLease) -> Result<(), Error> {
        let mut lease = held.lease.clone();
        for _ in 0..CONFLICT_RETRIES {
            match self.write(record::released(lease, Timestamp::now())).await {
                // Another writer changed it, or one of our renewals succeeded and its answer was lost.
                Err(Error::Api(error)) if is_conflict(&error) => {}
                released => return released.map(drop),
            }
            let Some(current) = self.in_time(self.api.get_opt(&self.name)).await? else {
                return Ok(());
            };
            if record::is_held_by_another(&current, &self.identity) {
                return Ok(());
            }
            lease = current;
        }
        Err(Error::Contended)
    }

    /// Creates or replaces the Lease. Both fail if another writer was faster: a create because the Lease exists, a replace
    /// because its resourceVersion has changed.
    async fn write(&self, mut lease: Lease) -> Result<Lease, Error> {
        let params = PostParams::default();
        if lease.resource_version().is_some() {
            self.in_time(self.api.replace(&self.name, &params, &lease)).await
        } else {
            lease.metadata.name = Some(self.name.clone());
            self.in_time(self.api.create(&params, &lease)).await
        }
    }

    fn empty(&self) -> Lease {
        let mut lease = Lease::default();
        lease.metadata.name = Some(self.name.clone());
        lease
    }

    async fn in_time<T>(&self, call: impl Future<Output = kube::Result<T>>) -> Result<T, Error> {
        let limit = self.timing.call();
        let answer = tokio::time::timeout(limit, call).await;
        Ok(answer.map_err(|_| Error::Late(limit))??)
    }
}

fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409)
}

fn is_absent(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}
