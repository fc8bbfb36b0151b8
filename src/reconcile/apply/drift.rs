//! Writes that did not last: what is remembered about fields that do not become, or do not stay, as desired.
//!
//! An admission policy may change a field in every write; then the answer of an apply differs from what was asked, and writing
//! again changes nothing. Or another program sets a field again and again; then every correction of ours is undone, and may cause
//! a rollout. In both cases nothing is written until something changes, or until a pause is over that grows with each round.
//!
//! This is kept in memory only. After a restart, a dry run shows whether a policy is the reason; a conflict with another program
//! starts again with the first round.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::compare::Difference;

/// A field is corrected this often without a pause.
const FREE_ROUNDS: u32 = 3;
/// Pause after the first round that has one. It doubles with each further round.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);
/// A field that stayed as desired for this long is not contested any more.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(30);

/// A server: namespace, name.
type Server = (String, String);
/// A child of a server: kind, name.
type Child = (&'static str, String);

/// A child, and its server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) server: Server,
    pub(super) child: Child,
}

/// What is remembered of all children, by server.
#[derive(Debug, Default)]
pub struct Drifts(Mutex<HashMap<Server, Children>>);

/// What is remembered of the children of one server.
#[derive(Debug, Default)]
struct Children {
    drifts: HashMap<Child, Drift>,
    /// Names that objects of other owners use, and that the watch does not show.
    taken: HashSet<Child>,
}

impl Children {
    fn is_empty(&self) -> bool {
        self.drifts.is_empty() && self.taken.is_empty()
    }
}

/// What is remembered of one child.
#[derive(Debug, Default)]
struct Drift {
    /// When it was last written.
    at: Option<Instant>,
    uid: Option<String>,
    /// Hash of what was asked.
    asked: String,
    /// How the answer differed from it.
    overridden: Vec<Difference>,
    /// Corrections of fields, by path.
    corrected: BTreeMap<String, Correction>,
}

#[derive(Clone, Debug)]
struct Correction {
    rounds: u32,
    at: Instant,
    /// The other field managers that had set the field.
    managers: Vec<String>,
}

impl Correction {
    /// Time after the correction in which the field is not written again.
    fn pause(&self) -> Duration {
        match self.rounds.checked_sub(FREE_ROUNDS + 1) {
            None => Duration::ZERO,
            Some(doublings) => {
                let factor = 2_u32.saturating_pow(doublings);
                FIRST_PAUSE.saturating_mul(factor).min(LONGEST_PAUSE)
            }
        }
    }

    fn left(&self, now: Instant) -> Option<Duration> {
        let left = (self.at + self.pause()).saturating_duration_since(now);
        (!left.is_zero()).then_some(left)
    }

    fn is_forgotten(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.at) > self.pause() + FORGOTTEN_AFTER
    }
}

/// What to do about a child that is not as desired, or was corrected recently.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Advice {
    /// Write it.
    Write,
    /// Do not: the API server would change these fields again.
    Overridden,
    /// Do not, for this time: another program sets these fields again and again.
    Wait(Contest),
}

/// Fields that another program sets again and again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Contest {
    pub(super) paths: BTreeSet<String>,
    pub(super) managers: BTreeSet<String>,
    /// Time until the next correction.
    pub(super) left: Duration,
}

impl Contest {
    /// `None` if there is no correction whose pause lasts.
    fn of<'a>(corrections: impl Iterator<Item = (&'a String, &'a Correction)>, now: Instant) -> Option<Self> {
        let mut contest = Self {
            left: Duration::MAX,
            ..Self::default()
        };
        for (path, correction) in corrections {
            let Some(left) = correction.left(now) else {
                continue;
            };
            contest.paths.insert(path.clone());
            contest.managers.extend(correction.managers.iter().cloned());
            contest.left = contest.left.min(left);
        }
        (!contest.paths.is_empty()).then_some(contest)
    }
}

/// One correction of a child.
pub(super) struct Write<'a> {
    pub(super) key: Key,
    pub(super) uid: Option<&'a str>,
    /// Hash of what was asked.
    pub(super) asked: &'a str,
    /// What differed before it, and the other field managers of each field.
    pub(super) before: Vec<(String, Vec<String>)>,
    /// Whether the object had the hash of what was asked. If not, it is a correction only if the same was written before.
    pub(super) had_hash: bool,
    /// What still differs in the answer.
    pub(super) after: Vec<Difference>,
}

impl Drifts {
    /// What to do about a child that differs from what is desired. `asked` is the hash of that.
    pub(super) fn advice(
        &self,
        key: &Key,
        uid: Option<&str>,
        asked: &str,
        differences: &[Difference],
        now: Instant,
    ) -> Advice {
        let servers = self.lock();
        let children = servers.get(&key.server);
        let drift = children.and_then(|children| children.drifts.get(&key.child));
        let Some(drift) = drift.filter(|drift| drift.is_about(uid, asked)) else {
            return Advice::Write;
        };
        if !differences.is_empty() && drift.overridden == differences {
            return Advice::Overridden;
        }
        let paths: BTreeSet<&String> = differences.iter().map(|difference| &difference.path).collect();
        let corrections = drift.corrected.iter().filter(|(path, _)| paths.contains(path));
        match Contest::of(corrections, now) {
            Some(contest) if contest.paths.len() == paths.len() => Advice::Wait(contest),
            _ => Advice::Write,
        }
    }

    /// Whether the corrections of a child that is as desired have not yet proved to last. They are forgotten if they have.
    pub(super) fn unproven(&self, key: &Key, now: Instant) -> Option<Contest> {
        let mut servers = self.lock();
        let children = servers.get_mut(&key.server)?;
        let drift = children.drifts.get_mut(&key.child)?;
        drift
            .corrected
            .retain(|_, correction| !correction.is_forgotten(now));
        let contest = Contest::of(drift.corrected.iter(), now);
        // What was asked is kept for a while: if another program removes even the annotation with its hash, only this shows
        // that it was written before.
        let is_recent = drift
            .at
            .is_some_and(|at| now.saturating_duration_since(at) <= FORGOTTEN_AFTER);
        if drift.corrected.is_empty() && drift.overridden.is_empty() && !is_recent {
            children.drifts.remove(&key.child);
        }
        drop_if_empty(&mut servers, &key.server);
        contest
    }

    /// Notes a write, or that a dry run would change nothing (without `before`).
    pub(super) fn wrote(&self, write: Write<'_>, now: Instant) {
        let mut servers = self.lock();
        let Key { server, child } = write.key;
        let drift = servers
            .entry(server)
            .or_default()
            .drifts
            .entry(child)
            .or_default();
        let is_known = drift.is_about(write.uid, write.asked);
        if !is_known {
            *drift = Drift {
                uid: write.uid.map(str::to_owned),
                asked: write.asked.to_owned(),
                ..Drift::default()
            };
        }
        drift.at = Some(now);
        let is_correction = is_known || write.had_hash;
        for (path, managers) in write.before.into_iter().filter(|_| is_correction) {
            let earlier = drift
                .corrected
                .get(&path)
                .filter(|earlier| !earlier.is_forgotten(now));
            let correction = Correction {
                rounds: earlier.map_or(0, |earlier| earlier.rounds).saturating_add(1),
                at: now,
                managers,
            };
            drift.corrected.insert(path, correction);
        }
        drift.overridden = write.after;
    }

    /// Notes whether an object that the watch does not show uses a child's name. Then a create is pointless.
    pub(super) fn note_taken(&self, Key { server, child }: Key, is_taken: bool) {
        let mut servers = self.lock();
        if is_taken {
            servers.entry(server).or_default().taken.insert(child);
        } else if let Some(children) = servers.get_mut(&server) {
            children.taken.remove(&child);
            drop_if_empty(&mut servers, &server);
        }
    }

    /// Whether an object that the watch does not show used a child's name.
    pub(super) fn is_taken(&self, key: &Key) -> bool {
        let servers = self.lock();
        let children = servers.get(&key.server);
        children.is_some_and(|children| children.taken.contains(&key.child))
    }

    /// Forgets the children of a server that is gone.
    pub fn forget(&self, namespace: &str, server: &str) {
        self.lock().remove(&(namespace.to_owned(), server.to_owned()));
    }

    /// A poisoned lock means that another task panicked between two operations; the data itself is whole.
    fn lock(&self) -> MutexGuard<'_, HashMap<Server, Children>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn drop_if_empty(servers: &mut HashMap<Server, Children>, server: &Server) {
    if servers.get(server).is_some_and(Children::is_empty) {
        servers.remove(server);
    }
}

impl Drift {
    fn is_about(&self, uid: Option<&str>, asked: &str) -> bool {
        self.uid.as_deref() == uid && self.asked == asked
    }
}

#[cfg(test)]
mod tests;
