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

/// A child: kind, namespace, name.
pub(super) type Key = (&'static str, String, String);

/// What is remembered of all children.
#[derive(Debug, Default)]
pub struct Drifts {
    children: Mutex<HashMap<Key, Drift>>,
    /// Names that objects of other owners use, and that the watch does not show.
    taken: Mutex<HashSet<Key>>,
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
        let drifts = self.lock();
        let Some(drift) = drifts.get(key).filter(|drift| drift.is_about(uid, asked)) else {
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
        let mut drifts = self.lock();
        let drift = drifts.get_mut(key)?;
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
            drifts.remove(key);
        }
        contest
    }

    /// Notes a write, or that a dry run would change nothing (without `before`).
    pub(super) fn wrote(&self, write: Write<'_>, now: Instant) {
        let mut drifts = self.lock();
        let drift = drifts.entry(write.key).or_default();
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
    pub(super) fn note_taken(&self, key: Key, is_taken: bool) {
        let mut taken = lock(&self.taken);
        if is_taken {
            taken.insert(key);
        } else {
            taken.remove(&key);
        }
    }

    /// Whether an object that the watch does not show used a child's name.
    pub(super) fn is_taken(&self, key: &Key) -> bool {
        lock(&self.taken).contains(key)
    }

    /// Forgets the children of a server that is gone.
    pub fn forget(&self, namespace: &str, server: &str) {
        let of_children = format!("{server}-");
        let is_of_server = |name: &str| name == server || name.starts_with(&of_children);
        let stays = |(_, of_namespace, name): &Key| of_namespace != namespace || !is_of_server(name);
        self.lock().retain(|key, _| stays(key));
        lock(&self.taken).retain(stays);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Drift>> {
        lock(&self.children)
    }
}

impl Drift {
    fn is_about(&self, uid: Option<&str>, asked: &str) -> bool {
        self.uid.as_deref() == uid && self.asked == asked
    }
}

/// A poisoned lock means that another task panicked between two operations; the data itself is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key() -> Key {
        ("StatefulSet", "storage".into(), "files".into())
    }

    fn difference(path: &str) -> Difference {
        Difference {
            path: path.into(),
            live: json!(2),
            desired: json!(1),
        }
    }

    fn write<'a>(uid: Option<&'a str>, before: &[Difference], after: Vec<Difference>) -> Write<'a> {
        let before = before
            .iter()
            .map(|found| (found.path.clone(), vec!["tuner".to_owned()]));
        Write {
            key: key(),
            uid,
            asked: "1",
            before: before.collect(),
            had_hash: true,
            after,
        }
    }

    #[test]
    fn an_answer_that_still_differs_is_not_written_again_until_something_changes() {
        let (drifts, now) = (Drifts::default(), Instant::now());
        let image = [difference("image")];
        assert_eq!(drifts.advice(&key(), Some("u"), "1", &image, now), Advice::Write);
        drifts.wrote(write(Some("u"), &image, image.to_vec()), now);
        assert_eq!(
            drifts.advice(&key(), Some("u"), "1", &image, now),
            Advice::Overridden
        );
        let more = [difference("image"), difference("replicas")];
        assert_eq!(drifts.advice(&key(), Some("u"), "1", &more, now), Advice::Write);
        assert_eq!(
            drifts.advice(&key(), Some("u"), "2", &image, now),
            Advice::Write,
            "another spec"
        );
        assert_eq!(
            drifts.advice(&key(), Some("v"), "1", &image, now),
            Advice::Write,
            "another object"
        );
    }

    #[test]
    fn the_pauses_between_corrections_of_one_field_grow_and_end_when_it_stays() {
        let (drifts, start) = (Drifts::default(), Instant::now());
        let contested = [difference("grace")];
        let mut now = start;
        let mut writes = 0;
        while now < start + Duration::from_secs(40) {
            match drifts.advice(&key(), None, "1", &contested, now) {
                Advice::Write => {
                    drifts.wrote(write(None, &contested, Vec::new()), now);
                    writes += 1;
                }
                advice => assert!(matches!(advice, Advice::Wait(_)), "{advice:?}"),
            }
            now += Duration::from_millis(150);
        }
        assert!(writes <= 10, "{writes}");
        let other = [difference("grace"), difference("image")];
        assert_eq!(
            drifts.advice(&key(), None, "1", &other, now),
            Advice::Write,
            "another field"
        );
        assert!(drifts.unproven(&key(), now).is_some());
        now += Duration::from_secs(200);
        assert_eq!(drifts.unproven(&key(), now), None);
        assert_eq!(drifts.advice(&key(), None, "1", &contested, now), Advice::Write);
        drifts.wrote(write(None, &contested, Vec::new()), now);
        assert_eq!(
            drifts.advice(&key(), None, "1", &contested, now),
            Advice::Write,
            "the rounds start again"
        );
    }

    #[test]
    fn a_program_that_removes_the_hash_as_well_is_damped_and_another_desired_state_is_not() {
        let (drifts, mut now) = (Drifts::default(), Instant::now());
        let contested = [difference("metadata.annotations[dittofs.io/applied-hash]")];
        let without_hash = |asked| Write {
            asked,
            had_hash: false,
            ..write(Some("u"), &contested, Vec::new())
        };
        let mut writes = 0;
        for _ in 0..100 {
            if drifts.advice(&key(), Some("u"), "1", &contested, now) == Advice::Write {
                drifts.wrote(without_hash("1"), now);
                writes += 1;
            }
            drifts.unproven(&key(), now);
            now += Duration::from_millis(150);
        }
        assert!(writes <= 9, "{writes}");
        for edit in ["2", "3", "4", "5", "6"] {
            assert_eq!(
                drifts.advice(&key(), Some("u"), edit, &contested, now),
                Advice::Write
            );
            drifts.wrote(without_hash(edit), now);
            assert_eq!(
                drifts.unproven(&key(), now),
                None,
                "edits of the user are no contest"
            );
        }
        now += FORGOTTEN_AFTER * 2;
        drifts.unproven(&key(), now);
        assert!(drifts.lock().is_empty(), "nothing is remembered for long");
    }
}
