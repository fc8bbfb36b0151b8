//! Faults as data: what goes wrong while an operator works.

use std::fmt;
use std::time::Duration;

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
    /// One watch of this kind delivers nothing for a time. Its connection stays open, and the other kinds have their events.
    EventsWithheld(&'static str, Duration, Given),
    /// Watches report that their version is too old, and the lists that follow are answered with an earlier answer to the same list, until
    /// this number of them was.
    OlderLists(usize),
    /// All requests for this kind are answered with this status for a time, its watches included.
    Kind(&'static str, u16, Duration),
    /// Calls to the API of the DittoFS server go wrong.
    Api(ApiFault, Rate),
    /// A tenant changes and deletes children for a time.
    Tenant(Duration),
    /// A second operator does the same, and there is no leader election.
    SecondOperator,
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

/// How an operator learns of the events that were withheld.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// All of them are delivered.
    Later,
    /// The watch ends, as after its time limit, and the next one delivers them.
    NextWatch,
    /// The watch reports that the version is too old, and a new list shows what they were about.
    List,
}

/// What happens to a call to the API of the DittoFS server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiFault {
    /// It is not carried out, and answered with this status.
    Status(u16),
    /// It is carried out, and the answer comes after this time.
    Slow(Duration),
    /// It is carried out, and half of the answer arrives.
    HalfAnswer,
    /// It is not carried out, and the answer is a page of a proxy.
    Page,
    /// It is not carried out, and the connection is closed.
    Gone,
    /// It is carried out, and the connection is closed.
    ReplyLost,
}

impl Fault {
    /// How long it may last, in addition to what a run takes anyway.
    pub fn lasts(self) -> Duration {
        match self {
            // The read timeout of a watch is 200 s. The pauses between the calls to the API of a server double, too.
            Self::Watches(WatchFault::BlackHole, _) | Self::Api(..) => Duration::from_secs(210),
            // Each failed reconcile doubles the pause before the next one, up to a minute, and each meets only one or two of the failing
            // requests: with 20 of them, some reconciles fail after the pause has become a minute.
            Self::Status(..) | Self::RepliesLost(_) => Duration::from_secs(480),
            Self::EventsWithheld(_, time, _) | Self::Kind(_, _, time) => time,
            // The pauses between the corrections of a field grow while somebody changes it, and the last one follows afterwards.
            Self::Tenant(time) => 4 * time,
            _ => Duration::ZERO,
        }
    }

    /// Whether it concerns watches that begin after it, so that those before must end.
    pub fn is_of_watches(self) -> bool {
        matches!(
            self,
            Self::Watches(..) | Self::EventsWithheld(..) | Self::OlderLists(_) | Self::Kind(..)
        )
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
            Self::Watches(what, _) => what.fmt(f),
            Self::EventsWithheld(kind, time, given) => {
                write!(
                    f,
                    "events of {kind} withheld for {} s, then {given}",
                    time.as_secs()
                )
            }
            Self::OlderLists(_) => f.write_str("410, and lists answered as earlier"),
            Self::Kind(kind, 403, time) => write!(f, "{kind} forbidden for {} s", time.as_secs()),
            Self::Kind(kind, 404, time) => write!(f, "{kind} not served for {} s", time.as_secs()),
            Self::Kind(kind, status, time) => write!(f, "{kind}: {status} for {} s", time.as_secs()),
            Self::Api(what, rate) => write!(f, "server's API: {what}, for {} %", rate.percent),
            Self::Tenant(time) => write!(f, "a tenant edits children for {} s", time.as_secs()),
            Self::SecondOperator => f.write_str("two operators without election"),
        }
    }
}

impl fmt::Display for WatchFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut => f.write_str("watches cut"),
            Self::HalfLine => f.write_str("watches end with half a line"),
            Self::BlackHole => f.write_str("watches without events, connection open"),
            Self::Expired => f.write_str("watches answered with 410"),
            Self::Late(by) => write!(f, "events {} ms late", by.as_millis()),
        }
    }
}

impl fmt::Display for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Later => "delivered",
            Self::NextWatch => "delivered by the next watch",
            Self::List => "410",
        })
    }
}

impl fmt::Display for ApiFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "{status}"),
            Self::Slow(time) => write!(f, "{} s late", time.as_secs()),
            Self::HalfAnswer => f.write_str("half an answer"),
            Self::Page => f.write_str("a page of a proxy"),
            Self::Gone => f.write_str("connection closed"),
            Self::ReplyLost => f.write_str("reply lost"),
        }
    }
}
