//! The sample and the concurrency of the bare client, found once before the measurements.

use std::time::Duration;

use crate::bare::{Sample, uids};
use crate::cli::Flags;
use crate::error::Result;
use crate::world::{Kind, World};

/// The default concurrency of the operator, and a higher one.
const CONCURRENCIES: [usize; 2] = [16, 48];
/// Servers of each trial.
const TRIAL: usize = 200;

/// The bare client.
#[derive(Clone, Debug)]
pub struct Limit {
    /// The children of one server.
    pub sample: Sample,
    /// Servers at the same time: the faster one of the two.
    pub concurrency: usize,
}

impl Limit {
    /// Takes the sample, and tries which concurrency is faster: each twice, one after the other.
    pub async fn find(flags: &Flags) -> Result<Self> {
        let kind = Kind {
            secrets: flags.secrets,
            deletes_volumes: false,
        };
        let world = World::start().await?;
        let sample = Sample::take(&world, kind, &flags.operator_flag).await?;
        let mut times = [Duration::ZERO; CONCURRENCIES.len()];
        for round in 0..2 {
            for (time, concurrency) in times.iter_mut().zip(CONCURRENCIES) {
                let namespace = format!("trial-{round}-{concurrency}");
                world.fill(&namespace, TRIAL, kind).await?;
                let jobs = sample.jobs(&namespace, &uids(&world.api, &namespace).await?);
                *time += world.api.all(concurrency, jobs).await?;
            }
        }
        let fastest = times.iter().zip(CONCURRENCIES).min();
        let concurrency = fastest.map_or(CONCURRENCIES[0], |(_, concurrency)| concurrency);
        let children = sample.children();
        println!(
            "bare client: {children} children a server; {CONCURRENCIES:?} at the same time need {times:?}"
        );
        Ok(Self { sample, concurrency })
    }
}
