//! What must hold after a run.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::PoisonError;

use super::api_proxy::Counts;
use super::fault::Fault;
use super::operator::Running;
use super::run::Expected;
use super::snapshot::{Holders, difference, holders};
use super::stage::Stage;
use super::status::inconsistent;
use super::tenant;

impl Stage<'_> {
    /// Ends the faults, and then the operator. Nothing may be written for a server that is stable.
    pub async fn end(&self, running: Running) -> Option<String> {
        self.arm(&running, Fault::None).await;
        let mut surplus = None;
        if self.scenario.remains() {
            self.fence(3).await;
            let before = running.proxy.plan().writes();
            self.fence(4).await;
            let writes = running.proxy.plan().writes() - before;
            surplus = (writes != 1).then(|| format!("{writes} writes for a change that needs 1, a status"));
        }
        running.stop().await;
        surplus
    }

    /// Two operators write no more for a change than each the status.
    ///
    /// # Errors
    /// When they write more.
    pub async fn agree(&self, both: [&Running; 2]) -> Result<(), String> {
        if !self.scenario.remains() {
            return Ok(());
        }
        let writes = || both.iter().map(|one| one.proxy.plan().writes()).sum::<usize>();
        self.fence(5).await;
        let before = writes();
        for number in 6..9 {
            self.fence(number).await;
        }
        let writes = writes() - before;
        if writes > 2 * 4 {
            return Err(format!(
                "{writes} writes of two operators for three changes that need a status"
            ));
        }
        Ok(())
    }

    /// Everything that must hold after a run.
    pub async fn judge(
        &self,
        running: Running,
        reached: Result<(), String>,
        expected: &Expected,
        (fault, at_kill): (Fault, &Holders),
    ) -> Result<(), String> {
        let mut broken: Vec<String> = reached.err().into_iter().collect();
        if broken.is_empty() {
            broken.extend(self.end(running).await);
            broken.extend(self.compare(expected, fault, at_kill).await);
        }
        broken.extend(self.inconsistent(fault));
        if broken.is_empty() {
            return Ok(());
        }
        let mut text = broken.join("\n  ");
        let _ = write!(text, "\n  {}", self.world.audit().write_history());
        Err(text)
    }

    async fn compare(&self, expected: &Expected, fault: Fault, at_kill: &Holders) -> Vec<String> {
        let mut broken = Vec::new();
        broken.extend(difference(&expected.end, &self.snapshot().await));
        let is_compared =
            |(what, _): &(&String, &usize)| !(matches!(fault, Fault::Tenant(_)) && tenant::concerns(what));
        let counts = self.counts();
        if !counts
            .iter()
            .filter(is_compared)
            .eq(expected.counts.iter().filter(is_compared))
        {
            broken.push(format!(
                "creates and deletes: {counts:?}\n  without faults: {:?}",
                expected.counts
            ));
        }
        let kept = self.kept().await;
        if kept != expected.kept {
            broken.push(format!(
                "kept as it was: {kept:?}\n  without faults: {:?}",
                expected.kept
            ));
        }
        if self.scenario.remains() {
            let now = holders(&self.world).await;
            let lost = at_kill.iter().filter(|(name, held)| now.get(*name) != Some(held));
            broken.extend(
                lost.map(|(name, _)| format!("{name} is not what it was when the operator was killed")),
            );
        }
        broken
    }

    /// How often the operator created and deleted each object, in the cluster and on the server, and how often the pod was restarted by
    /// anybody.
    pub fn counts(&self) -> Counts {
        let mut calls = self.world.audit().writes().split_off(self.writes);
        calls.retain(|call| matches!(call.verb.as_str(), "create" | "delete") && call.code < 300);
        let mut counts = self.api.made();
        for call in calls {
            let name = format!("{} {} {}", call.verb, call.resource, call.name);
            *counts.entry(name).or_insert(0) += 1;
        }
        counts.insert("restart of the pod".to_owned(), self.restarts.count());
        counts
    }

    /// Which holders of data from before the faults are still the same.
    pub async fn kept(&self) -> BTreeMap<String, bool> {
        let now = holders(&self.world).await;
        let kept = self.holders.iter();
        kept.map(|(name, held)| (name.clone(), now.get(name) == Some(held)))
            .collect()
    }

    /// The rules that the statuses break. Two operators may give one change different times, so each of theirs is looked at alone.
    pub fn inconsistent(&self, fault: Fault) -> Vec<String> {
        let statuses = self.statuses.lock().unwrap_or_else(PoisonError::into_inner);
        if fault == Fault::SecondOperator {
            return statuses.chunks(1).flat_map(inconsistent).collect();
        }
        inconsistent(&statuses)
    }
}
