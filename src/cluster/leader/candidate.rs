//! One candidate: a single try to take, renew or give back the Lease. Every write names the version that was read.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::api::PostParams;
use kube::{Api, Client, ResourceExt};
use thiserror::Error;

use super::record::{self, Sight};
use super::timing::Timing;
use crate::cluster::client::errors;
use crate::cluster::client::gate::Moment;

/// How often one renewal begins anew because somebody else touched the Lease without taking it.
const TOUCHED: u8 = 3;

/// Why a try came to nothing.
#[derive(Debug, Error)]
pub enum Error {
    /// The API server did not do it. Nothing is known of the Lease.
    #[error("{}", errors::explain(.0))]
    Api(#[from] kube::Error),
    /// There was no answer in time.
    #[error("no answer within {0:?}")]
    Late(Duration),
    /// Somebody else holds it.
    #[error("{0} holds the Lease now")]
    Taken(String),
    /// It changes too often to be written.
    #[error("somebody else keeps writing the Lease")]
    Contended,
}

/// What a try to take the Lease came to.
#[derive(Debug)]
pub enum Outcome {
    /// The Lease is ours.
    Won(Box<Held>),
    /// Somebody else has it, or may have.
    Waiting {
        /// Who, by what the Lease says; may be empty.
        holder: String,
        /// How long until it may be taken, if it does not change.
        left: Duration,
    },
}

/// The Lease while it is ours.
#[derive(Clone, Debug)]
pub struct Held {
    lease: Lease,
    spec: LeaseSpec,
    /// When the write that got or kept it was sent.
    pub sent: Moment,
}

impl Held {
    fn new(lease: Lease, sent: Moment) -> Self {
        let spec = lease.spec.clone().unwrap_or_default();
        Self { lease, spec, sent }
    }
}

/// Somebody who wants the Lease.
pub struct Candidate {
    api: Api<Lease>,
    name: String,
    identity: String,
    timing: Timing,
    sight: Option<Sight>,
}

impl Candidate {
    /// `identity` must be nobody else's, in this life of the process or another.
    #[must_use]
    pub fn new(client: Client, namespace: &str, name: &str, identity: &str, timing: Timing) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            name: name.into(),
            identity: identity.into(),
            timing,
            sight: None,
        }
    }

    /// Looks at the Lease, and takes it if it is free.
    ///
    /// # Errors
    /// When the API server cannot be asked, or does not do it. Somebody who was faster is no error.
    pub async fn try_acquire(&mut self) -> Result<Outcome, Error> {
        let lease = self.in_time(self.api.get_opt(&self.name)).await?;
        let now = Instant::now();
        let sight = Sight::next(self.sight.take(), lease.as_ref(), &self.timing, now);
        let left = sight.wait(now);
        let holder = sight.holder().to_owned();
        self.sight = Some(sight);
        // Ours already: an earlier write of this process landed, and its answer was lost.
        if !left.is_zero() && holder != self.identity {
            return Ok(Outcome::Waiting { holder, left });
        }
        let sent = Moment::now();
        let taken = record::acquired(lease, &self.identity, &self.timing, Timestamp::now());
        match self.write(taken).await {
            Ok(lease) => Ok(Outcome::Won(Box::new(Held::new(lease, sent)))),
            Err(Error::Api(error)) if is_conflict(&error) => Ok(Outcome::Waiting {
                holder: String::new(),
                left: Duration::ZERO,
            }),
            Err(error) => Err(error),
        }
    }

    /// Renews the Lease.
    ///
    /// # Errors
    /// [`Error::Taken`] when somebody else holds it; it is lost. Any other may pass.
    pub async fn renew(&self, held: &Held) -> Result<Held, Error> {
        let mut lease = Some(held.lease.clone());
        for _ in 0..TOUCHED {
            // Before the write: what the API server stores is younger than this.
            let sent = Moment::now();
            let current = lease.unwrap_or_else(|| self.empty());
            let renewed = record::renewed(
                current,
                &held.spec,
                &self.identity,
                &self.timing,
                Timestamp::now(),
            );
            match self.write(renewed).await {
                Ok(lease) => return Ok(Held::new(lease, sent)),
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

    /// Gives the Lease back, so that the next candidate that looks may take it.
    ///
    /// # Errors
    /// When the API server does not do it. The Lease then runs out by itself.
    pub async fn release(&self, held: &Held) -> Result<(), Error> {
        let mut lease = held.lease.clone();
        for _ in 0..TOUCHED {
            match self.write(record::released(lease, Timestamp::now())).await {
                // Somebody touched it, or a renewal of ours landed whose answer was lost.
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

    /// Creates or replaces. Both fail if somebody else was there first: a creation because the Lease exists, a
    /// replacement because it has another resource version.
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
