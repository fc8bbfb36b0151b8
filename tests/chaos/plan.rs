//! A fault that is armed: which requests it hits.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::Method;

use crate::support::sequences::Random;

use super::fault::{ApiFault, Fault, Given, Rate, WatchFault};

/// What a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// It changes an object. Events and dry runs do not.
    Write,
    Watch,
    List,
    /// A call to the API of the DittoFS server.
    Api,
    Other,
}

impl Request {
    pub fn of(method: &Method, path: &str, query: &str) -> Self {
        match *method {
            Method::GET if query.contains("watch=true") => Self::Watch,
            // Of all reads, only the lists of the watches have pages.
            Method::GET if query.contains("limit=") => Self::List,
            Method::GET => Self::Other,
            _ if query.contains("dryRun=All") || path.ends_with("/events") => Self::Other,
            _ => Self::Write,
        }
    }
}

/// What happens to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Pass,
    /// The operator is killed before the request reaches the API server.
    KilledBefore,
    /// The operator is killed after the request took effect.
    KilledAfter,
    /// The request takes effect, and its connection is closed.
    ReplyLost,
    /// The request does not reach the API server, and its connection is closed.
    Cut,
    /// The request does not reach the API server.
    Status(u16),
    /// The watch goes wrong after this number of events.
    Watch(WatchFault, usize),
    /// The watch delivers nothing for this time.
    Withheld(Duration, Given),
    /// The answer is an earlier one, chosen by this number.
    Earlier(u64),
    /// The call to the API of the DittoFS server goes wrong.
    Api(ApiFault),
}

/// A fault that is armed, and the random numbers that decide. The same seed draws the same numbers. Which request gets which of
/// them depends on the order of concurrent requests.
pub struct Plan(Mutex<Armed>);

struct Armed {
    fault: Fault,
    since: Instant,
    random: Random,
    writes: usize,
    hits: usize,
    last_hit: Option<Instant>,
}

impl Plan {
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(Armed {
            fault: Fault::None,
            since: Instant::now(),
            random: Random::new(seed),
            writes: 0,
            hits: 0,
            last_hit: None,
        }))
    }

    fn with<T>(&self, act: impl FnOnce(&mut Armed) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The fault begins, and writes are counted from 1. Returns the fault before.
    pub fn arm(&self, fault: Fault) -> Fault {
        self.with(|armed| {
            (armed.writes, armed.hits) = (0, 0);
            (armed.since, armed.last_hit) = (Instant::now(), None);
            std::mem::replace(&mut armed.fault, fault)
        })
    }

    /// How many writes there were since it was armed.
    pub fn writes(&self) -> usize {
        self.with(|armed| armed.writes)
    }

    /// How many requests went wrong.
    pub fn hits(&self) -> usize {
        self.with(|armed| armed.hits)
    }

    /// When a request went wrong last.
    pub fn last_hit(&self) -> Option<Instant> {
        self.with(|armed| armed.last_hit)
    }

    /// What happens to the next request.
    pub fn next(&self, request: Request, path: &str) -> Fate {
        self.with(|armed| armed.next(request, path))
    }
}

impl Armed {
    fn next(&mut self, request: Request, path: &str) -> Fate {
        self.writes += usize::from(request == Request::Write);
        let fate = self.fate(request, path);
        if fate != Fate::Pass {
            self.hits += 1;
            self.last_hit = Some(Instant::now());
        }
        fate
    }

    fn fate(&mut self, request: Request, path: &str) -> Fate {
        let (fault, writes) = (self.fault, self.writes);
        let is_nth = |number: usize| request == Request::Write && writes == number;
        match fault {
            Fault::KilledBefore(number) if is_nth(number) => Fate::KilledBefore,
            Fault::KilledAfter(number) if is_nth(number) => Fate::KilledAfter,
            Fault::ReplyLost(number) if is_nth(number) => Fate::ReplyLost,
            Fault::FirstReadCut(end)
                if request == Request::Other && self.hits == 0 && path.ends_with(end) =>
            {
                Fate::Cut
            }
            Fault::Status(status, rate) if request != Request::Watch && self.is_drawn(rate) => {
                Fate::Status(status)
            }
            Fault::RepliesLost(rate) if request != Request::Watch && self.is_drawn(rate) => Fate::ReplyLost,
            // With events, bookmarks included, the read timeout would start later.
            Fault::Watches(WatchFault::BlackHole, at_most)
                if request == Request::Watch && self.hits < at_most =>
            {
                Fate::Watch(WatchFault::BlackHole, 0)
            }
            Fault::Watches(what, at_most) if request == Request::Watch && self.hits < at_most => {
                Fate::Watch(what, usize::try_from(self.random.below(3)).unwrap_or(0))
            }
            Fault::EventsWithheld(kind, time, given)
                if request == Request::Watch && self.hits == 0 && is_about(path, kind) =>
            {
                Fate::Withheld(time, given)
            }
            // A watch that is only cut continues from its version, without a list.
            Fault::OlderLists(at_most) if request == Request::Watch && self.hits < at_most => {
                Fate::Watch(WatchFault::Expired, 0)
            }
            Fault::OlderLists(at_most) if request == Request::List && self.hits < at_most => {
                Fate::Earlier(self.random.below(1 << 16))
            }
            Fault::Kind(kind, status, time) if self.since.elapsed() < time && is_about(path, kind) => {
                Fate::Status(status)
            }
            Fault::Api(what, rate) if request == Request::Api && self.is_drawn(rate) => Fate::Api(what),
            _ => Fate::Pass,
        }
    }

    fn is_drawn(&mut self, rate: Rate) -> bool {
        self.random.below(100) < rate.percent && self.hits < rate.at_most
    }
}

/// Whether a path of the API server is about objects of this kind.
fn is_about(path: &str, kind: &str) -> bool {
    path.split('/').any(|part| part == kind)
}
