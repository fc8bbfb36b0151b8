//! One life of the operator, and what it cost from a point in time on.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::calls::{AuditLog, Call, count};
use crate::error::{Error, Result};
use crate::figures::Figures;
use crate::operator::{Operator, Progress, Setup};
use crate::world::World;

/// Pause between two looks at the audit log.
const LOOK: Duration = Duration::from_millis(20);
/// The operator rests if its queue is empty and it has made no call for this long.
const QUIET: Duration = Duration::from_secs(2);
/// Without any call for this long, what the bench waits for does not come any more.
const STALLED: Duration = Duration::from_secs(180);
/// The part of the operator's time that the bench may use by reading `/metrics`: one in this many.
const SHARE: u32 = 20;

/// A running operator.
pub struct Session {
    /// The process.
    pub operator: Operator,
    log: AuditLog,
    /// Its calls since the beginning of the measurement.
    pub calls: Vec<Call>,
    cpu_before: Duration,
    began: Timestamp,
}

impl Session {
    /// Starts an operator. The measurement begins with the start of the process.
    pub fn start(world: &World, setup: &Setup<'_>) -> Result<Self> {
        let log = world.audit_log()?;
        let operator = Operator::start(world, setup)?;
        Ok(Self {
            began: operator.started,
            operator,
            log,
            calls: Vec::new(),
            cpu_before: Duration::ZERO,
        })
    }

    /// Begins another measurement.
    pub fn begin(&mut self) -> Result<()> {
        self.log.read()?;
        self.calls.clear();
        self.cpu_before = self.operator.cpu()?;
        self.began = Timestamp::now();
        Ok(())
    }

    /// Reads the new calls.
    fn look(&mut self) -> Result<Vec<Call>> {
        let new = self.log.read()?;
        self.calls.extend_from_slice(&new);
        Ok(new)
    }

    /// Waits until calls of this kind have named so many objects. Returns when the last of them was answered.
    pub async fn until(
        &mut self,
        what: &str,
        objects: usize,
        is_meant: impl Fn(&Call) -> bool,
    ) -> Result<Timestamp> {
        let mut named = BTreeSet::new();
        let mut changed = Instant::now();
        loop {
            self.operator.check()?;
            let new = self.look()?;
            for call in new.iter().filter(|call| is_meant(call)) {
                let is_new = named.insert(call.name.clone());
                if is_new && named.len() == objects {
                    return Ok(call.at);
                }
            }
            if !new.is_empty() {
                changed = Instant::now();
            }
            if changed.elapsed() > STALLED {
                let done = named.len();
                return Err(Error::Failed(format!(
                    "{what}: {done} of {objects}, and the operator makes no calls"
                )));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until the operator rests.
    pub async fn settle(&mut self) -> Result<()> {
        let mut quiet_since = Instant::now();
        loop {
            tokio::time::sleep(10 * LOOK).await;
            let is_busy = self.look()?.iter().any(|call| !call.is_background());
            if is_busy {
                quiet_since = Instant::now();
            }
            if quiet_since.elapsed() < QUIET {
                continue;
            }
            match self.operator.progress()? {
                Some(progress) if progress.queued == 0 => return Ok(()),
                _ => quiet_since = Instant::now(),
            }
        }
    }

    /// Waits until every server has been reconciled since the start, and the queue is empty. Returns that time.
    pub async fn reconciled(&mut self, servers: usize) -> Result<Timestamp> {
        let began = Instant::now();
        loop {
            let asked = Instant::now();
            let progress = self.operator.progress()?.unwrap_or_default();
            let at = Timestamp::now();
            let Progress {
                reconciles,
                queued,
                is_synced,
            } = progress;
            if is_synced && queued == 0 && reconciles >= servers {
                self.look()?;
                return Ok(at);
            }
            if began.elapsed() > 5 * STALLED {
                return Err(Error::Failed(format!(
                    "only {reconciles} of {servers} servers were reconciled"
                )));
            }
            // The answer costs the operator more the more servers there are.
            tokio::time::sleep(LOOK.max(asked.elapsed() * SHARE)).await;
        }
    }

    /// The cost from the beginning of the measurement until now, for work that ended at `end`.
    pub fn figures(&mut self, end: Timestamp) -> Result<Figures> {
        self.look()?;
        let writes = self
            .calls
            .iter()
            .filter(|call| call.is_write() && call.resource != "leases");
        let reads = self
            .calls
            .iter()
            .filter(|call| !call.is_write() && call.verb != "watch");
        Ok(Figures {
            seconds: end.duration_since(self.began).as_secs_f64(),
            cpu: self.operator.cpu()?.saturating_sub(self.cpu_before).as_secs_f64(),
            peak_kib: self.operator.peak_memory()?,
            settled_kib: self.operator.memory()?,
            writes: writes.count(),
            reads: reads.filter(|call| call.resource != "leases").count(),
            calls: count(&self.calls),
        })
    }

    /// When the last write of this kind was answered.
    pub fn last_write(&self, resource: &str) -> Result<Timestamp> {
        let writes = self.calls.iter().filter(|call| call.has_written(resource));
        let last = writes.map(|call| call.at).max();
        last.ok_or_else(|| Error::Failed(format!("the operator wrote no {resource}")))
    }
}
