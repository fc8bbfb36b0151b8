//! Faults as data: what goes wrong between an operator and the API server.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::Method;

use crate::support::sequences::Random;

/// One kind of fault. It begins when it is armed, and ends by itself: then the operator must reach the end state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing goes wrong.
    None,
    /// The operator is killed before this write reaches the API server. The first one is number 1.
    KilledBefore(usize),
    /// The operator is killed after this write took effect, before the reply.
    KilledAfter(usize),
    /// The reply to this write is lost after it took effect, and the operator lives.
    ReplyLost(usize),
    /// The connection of the first read of an object is cut: the path ends with this.
    FirstReadCut(&'static str),
    /// So many of 100 requests are not carried out and answered with this status, until this number of them was.
    Status(u16, Rate),
    /// So many of 100 requests take effect, and their reply is lost.
    RepliesLost(Rate),
    /// Watches go wrong, until this number of them did.
    Watches(WatchFault, usize),
}

/// How often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub percent: u64,
    /// The fault ends after this number of requests.
    pub at_most: usize,
}

/// What happens to a watch after some of its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchFault {
    /// The connection is cut.
    Cut,
    /// Half a line of JSON arrives, and the answer ends properly.
    HalfLine,
    /// Nothing arrives any more, and the connection stays open.
    BlackHole,
    /// The API server reports that the version is too old: etcd was compacted.
    Expired,
    /// Each event arrives late.
    Late(Duration),
}

impl Fault {
    /// How long it may last, in addition to what a run takes anyway.
    pub fn lasts(self) -> Duration {
        match self {
            // The read timeout of a watch is 200 s. Each failed reconcile doubles the pause before the next one, up to a minute, and
            // each meets only some of the failing requests.
            Self::Watches(WatchFault::BlackHole, _) | Self::Status(..) | Self::RepliesLost(_) => {
                Duration::from_secs(210)
            }
            _ => Duration::ZERO,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::KilledBefore(_) => f.write_str("killed before the n-th write reaches the server"),
            Self::KilledAfter(_) => f.write_str("killed after the n-th write, before the reply"),
            Self::ReplyLost(_) => f.write_str("reply to the n-th write lost"),
            Self::FirstReadCut(path) => write!(f, "first read of {path} cut"),
            Self::Status(status, rate) => write!(f, "{status} for {} %", rate.percent),
            Self::RepliesLost(rate) => write!(f, "reply lost for {} %", rate.percent),
            Self::Watches(what, _) => match what {
                WatchFault::Cut => f.write_str("watches cut"),
                WatchFault::HalfLine => f.write_str("watches end with half a line"),
                WatchFault::BlackHole => f.write_str("watches without events, connection open"),
                WatchFault::Expired => f.write_str("watches answered with 410"),
                WatchFault::Late(by) => write!(f, "events {} ms late", by.as_millis()),
            },
        }
    }
}

/// What a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// It changes an object. Events and dry runs do not.
    Write,
    Watch,
    Other,
}

impl Request {
    pub fn of(method: &Method, path: &str, query: &str) -> Self {
        match *method {
            Method::GET if query.contains("watch=true") => Self::Watch,
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
}

/// A fault that is armed, and the random numbers that decide. The same seed draws the same numbers. Which request gets which of
/// them depends on the order of concurrent requests.
pub struct Plan(Mutex<Armed>);

struct Armed {
    fault: Fault,
    random: Random,
    writes: usize,
    hits: usize,
}

impl Plan {
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(Armed {
            fault: Fault::None,
            random: Random::new(seed),
            writes: 0,
            hits: 0,
        }))
    }

    fn with<T>(&self, act: impl FnOnce(&mut Armed) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The fault begins, and writes are counted from 1. Returns the fault before.
    pub fn arm(&self, fault: Fault) -> Fault {
        self.with(|armed| {
            (armed.writes, armed.hits) = (0, 0);
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

    /// What happens to the next request.
    pub fn next(&self, request: Request, path: &str) -> Fate {
        self.with(|armed| armed.next(request, path))
    }
}

impl Armed {
    fn next(&mut self, request: Request, path: &str) -> Fate {
        self.writes += usize::from(request == Request::Write);
        let fate = self.fate(request, path);
        self.hits += usize::from(fate != Fate::Pass);
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
            _ => Fate::Pass,
        }
    }

    fn is_drawn(&mut self, rate: Rate) -> bool {
        self.random.below(100) < rate.percent && self.hits < rate.at_most
    }
}
