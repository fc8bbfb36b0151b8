//! Interprets and builds Leases. Pure: `now` is an argument.
//!
//! Times in a Lease are never compared with the local clock. A candidate measures from the moment at which it saw the Lease
//! change, with its own monotonic clock. So clock skew between machines has no effect.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use super::timing::Timing;

/// Duration in a released Lease, as client-go writes it.
const RELEASED_SECONDS: i32 = 1;
/// Longest duration that is accepted. A longer one is ignored as a mistake, since it would block the Lease for as long.
const LONGEST_LEASE: Duration = Duration::from_secs(3600);

/// The Lease as a candidate last read it, and when the candidate saw it change.
#[derive(Clone, Debug)]
pub struct ObservedLease {
    spec: Option<LeaseSpec>,
    changed: Instant,
    /// Until when the last holder may still be active, whatever happened to the Lease since.
    held_until: Instant,
}

impl ObservedLease {
    /// Records the first read, or the next one. `lease` is `None` if it does not exist.
    #[must_use]
    pub fn next(before: Option<Self>, lease: Option<&Lease>, timing: &Timing, now: Instant) -> Self {
        let spec = lease.map(|lease| lease.spec.clone().unwrap_or_default());
        match before {
            Some(before) if before.spec == spec => before,
            before => {
                let earlier = before.map_or(now, |before| before.held_until);
                let held_until = held_until(spec.as_ref(), earlier, timing, now);
                Self {
                    spec,
                    changed: now,
                    held_until,
                }
            }
        }
    }

    /// Time until the Lease may be acquired; zero if it is free.
    #[must_use]
    pub fn wait(&self, now: Instant) -> Duration {
        self.held_until.saturating_duration_since(now)
    }

    /// When the Lease was seen to change.
    #[must_use]
    pub fn changed(&self) -> Instant {
        self.changed
    }

    /// The holder, for messages.
    #[must_use]
    pub fn holder(&self) -> &str {
        let holder = self
            .spec
            .as_ref()
            .and_then(|spec| spec.holder_identity.as_deref());
        holder.unwrap_or_default()
    }
}

/// A released Lease is free immediately. A deleted, emptied or damaged Lease does not prove that the holder seen before has
/// stopped: it may be active until its time is over.
fn held_until(spec: Option<&LeaseSpec>, earlier: Instant, timing: &Timing, now: Instant) -> Instant {
    match spec {
        Some(spec) if is_released(spec) => now,
        Some(spec) => earlier.max(now + duration(spec, timing)),
        None => earlier,
    }
}

fn is_released(spec: &LeaseSpec) -> bool {
    spec.holder_identity.as_deref() == Some("") && spec.lease_duration_seconds == Some(RELEASED_SECONDS)
}

fn duration(spec: &LeaseSpec, timing: &Timing) -> Duration {
    let seconds = spec
        .lease_duration_seconds
        .and_then(|seconds| u64::try_from(seconds).ok());
    seconds
        .map(Duration::from_secs)
        .filter(|stated| !stated.is_zero() && *stated <= LONGEST_LEASE)
        .unwrap_or(timing.lease)
}

/// Whether the Lease names another holder. A damaged one names none.
#[must_use]
pub fn is_held_by_another(lease: &Lease, identity: &str) -> bool {
    let spec = lease.spec.as_ref();
    spec.and_then(|spec| spec.holder_identity.as_deref())
        .is_some_and(|holder| !holder.is_empty() && holder != identity)
}

/// The Lease, acquired by `identity`. Its other fields (labels, resourceVersion) are kept.
#[must_use]
pub fn acquired(lease: Option<Lease>, identity: &str, timing: &Timing, now: Timestamp) -> Lease {
    let existed = lease.is_some();
    let mut lease = lease.unwrap_or_default();
    let spec = lease.spec.get_or_insert_default();
    let before = spec.lease_transitions.unwrap_or(0).max(0);
    spec.lease_transitions = Some(before.saturating_add(i32::from(existed)));
    spec.acquire_time = Some(MicroTime(now));
    stamp(spec, identity, timing, now);
    lease
}

/// The Lease, renewed. Fields that another writer damaged are corrected.
#[must_use]
pub fn renewed(mut lease: Lease, held: &LeaseSpec, identity: &str, timing: &Timing, now: Timestamp) -> Lease {
    let spec = lease.spec.get_or_insert_default();
    spec.acquire_time.clone_from(&held.acquire_time);
    spec.lease_transitions = held.lease_transitions;
    stamp(spec, identity, timing, now);
    lease
}

/// The Lease, released: the next candidate that reads it may acquire it.
#[must_use]
pub fn released(mut lease: Lease, now: Timestamp) -> Lease {
    let spec = lease.spec.get_or_insert_default();
    spec.holder_identity = Some(String::new());
    spec.lease_duration_seconds = Some(RELEASED_SECONDS);
    spec.acquire_time = Some(MicroTime(now));
    spec.renew_time = Some(MicroTime(now));
    lease
}

fn stamp(spec: &mut LeaseSpec, identity: &str, timing: &Timing, now: Timestamp) {
    spec.holder_identity = Some(identity.to_owned());
    spec.lease_duration_seconds = Some(i32::try_from(timing.lease.as_secs()).unwrap_or(i32::MAX));
    spec.renew_time = Some(MicroTime(now));
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(15);

    fn timing() -> Timing {
        Timing::new(LEASE, Duration::from_secs(10), Duration::from_secs(2)).expect("valid durations")
    }

    fn lease(holder: Option<&str>, seconds: Option<i32>, renewed: i64) -> Lease {
        Lease {
            spec: Some(LeaseSpec {
                holder_identity: holder.map(Into::into),
                lease_duration_seconds: seconds,
                renew_time: Timestamp::from_second(renewed).ok().map(MicroTime),
                lease_transitions: Some(7),
                ..LeaseSpec::default()
            }),
            ..Lease::default()
        }
    }

    fn wait(reads: &[(u64, Option<Lease>)], at: u64) -> u64 {
        let start = Instant::now();
        let mut observed = None;
        for (second, lease) in reads {
            let now = start + Duration::from_secs(*second);
            observed = Some(ObservedLease::next(observed, lease.as_ref(), &timing(), now));
        }
        let now = start + Duration::from_secs(at);
        observed.map_or(0, |observed| observed.wait(now).as_secs())
    }

    #[test]
    fn the_time_in_a_lease_does_not_affect_its_expiry() {
        let now = Timestamp::now().as_second();
        for skew in [-3600, -60, 0, 60, 3600] {
            let held = Some(lease(Some("a"), Some(15), now + skew));
            assert_eq!(wait(&[(0, held.clone())], 0), 15, "skew {skew}");
            assert_eq!(wait(&[(0, held.clone()), (9, held)], 14), 1, "skew {skew}");
        }
    }

    #[test]
    fn each_observed_renewal_restarts_the_lease_duration_and_an_unchanged_lease_does_not() {
        let reads = [
            (0, Some(lease(Some("a"), Some(15), 1))),
            (10, Some(lease(Some("a"), Some(15), 2))),
            (12, Some(lease(Some("a"), Some(15), 2))),
        ];
        assert_eq!(wait(&reads, 12), 13);
        assert_eq!(wait(&reads, 25), 0);
    }

    #[test]
    fn a_released_lease_is_free_immediately() {
        let reads = [
            (0, Some(lease(Some("a"), Some(15), 1))),
            (1, Some(lease(Some(""), Some(1), 2))),
        ];
        assert_eq!(wait(&reads, 1), 0);
    }

    #[test]
    fn a_lease_that_is_missing_and_was_never_seen_is_free() {
        assert_eq!(wait(&[(0, None)], 0), 0);
    }

    #[test]
    fn a_holder_keeps_its_lease_duration_when_the_lease_is_deleted_emptied_or_damaged() {
        let held = (0, Some(lease(Some("a"), Some(15), 1)));
        assert_eq!(wait(&[held.clone(), (5, None)], 5), 10, "deleted");
        for damaged in [
            Lease::default(),
            lease(None, None, 1),
            lease(Some(""), Some(15), 1),
            lease(Some("a"), Some(-1), 1),
        ] {
            assert!(
                wait(&[held.clone(), (5, Some(damaged.clone()))], 5) >= 10,
                "{damaged:?}"
            );
        }
        assert_eq!(
            wait(&[held, (5, Some(lease(Some("thief"), Some(1), 1)))], 5),
            10,
            "a stolen Lease does not shorten the time of the one that it was stolen from"
        );
    }

    #[test]
    fn an_invalid_duration_is_replaced_by_the_configured_one() {
        for seconds in [None, Some(0), Some(-5), Some(i32::MAX)] {
            assert_eq!(
                wait(&[(0, Some(lease(Some("a"), seconds, 1)))], 0),
                15,
                "{seconds:?}"
            );
        }
        assert_eq!(wait(&[(0, Some(lease(Some("a"), Some(60), 1)))], 0), 60);
    }

    #[test]
    fn an_acquired_lease_counts_a_transition_and_a_new_one_does_not() {
        let now = Timestamp::from_second(100).expect("a time");
        let taken = acquired(Some(lease(Some("a"), Some(60), 1)), "b", &timing(), now);
        let spec = taken.spec.expect("a spec");
        assert_eq!(spec.lease_transitions, Some(8));
        assert_eq!(spec.lease_duration_seconds, Some(15));
        assert_eq!(spec.acquire_time, Some(MicroTime(now)));
        assert_eq!(spec.renew_time, Some(MicroTime(now)));
        let made = acquired(None, "b", &timing(), now).spec.expect("a spec");
        assert_eq!(made.lease_transitions, Some(0));
    }

    #[test]
    fn a_renewal_keeps_when_and_how_often_the_lease_was_taken_and_repairs_the_rest() {
        let then = Timestamp::from_second(100).expect("a time");
        let now = Timestamp::from_second(200).expect("a time");
        let held = acquired(None, "b", &timing(), then).spec.expect("a spec");
        let spec = renewed(Lease::default(), &held, "b", &timing(), now)
            .spec
            .expect("a spec");
        assert_eq!(spec.acquire_time, Some(MicroTime(then)));
        assert_eq!(spec.renew_time, Some(MicroTime(now)));
        assert_eq!(spec.holder_identity.as_deref(), Some("b"));
    }

    #[test]
    fn a_release_writes_what_client_go_writes() {
        let now = Timestamp::from_second(300).expect("a time");
        let spec = released(lease(Some("b"), Some(15), 1), now).spec.expect("a spec");
        assert!(is_released(&spec));
        assert_eq!(spec.lease_transitions, Some(7));
        assert_eq!(spec.renew_time, Some(MicroTime(now)));
    }
}
