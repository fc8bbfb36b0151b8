//! Shards: several operators divide the DittoServers of a cluster by their labels (docs/adr/0015-shards.md).
//!
//! Each shard has a Lease, and the name of the Lease is written to each server of the shard. So two operators whose selectors
//! overlap agree whose a server is. A server without that annotation belongs to the operator without a selector, if there is one.

mod selector;

use std::fmt;

use kube::api::ObjectMeta;
use kube::runtime::events::{Event, EventType};

pub use self::selector::{Error, ShardSelector};
use crate::api::names::SHARD_ANNOTATION;
use crate::domain::events::event;

/// An operator leaves a server alone, because another operator reconciles it.
pub const OTHER_SHARD: &str = "OtherShard";

/// A Lease of an operator.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseName {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl LeaseName {
    /// Reads `namespace/name`, the value of the annotation of a server. `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (namespace, name) = text.split_once('/')?;
        let is_name = |part: &str| !part.is_empty() && !part.contains('/');
        (is_name(namespace) && is_name(name)).then(|| Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }
}

impl fmt::Display for LeaseName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.namespace, self.name)
    }
}

/// Which servers an operator reconciles. The default is all of them, without leader election.
#[derive(Clone, Debug, Default)]
pub struct Shard {
    /// The labels of its servers. `None`: all servers that no other shard has claimed.
    pub selector: Option<ShardSelector>,
    /// The Lease of this operator. `None` without leader election.
    pub lease: Option<LeaseName>,
    /// The Lease of an operator without a selector.
    pub base: LeaseName,
}

impl Shard {
    /// The shard of an operator with leader election. `base` is the Lease that it has without a selector.
    #[must_use]
    pub fn elected(selector: Option<ShardSelector>, base: LeaseName) -> Self {
        let name = selector
            .as_ref()
            .map_or_else(|| base.name.clone(), |selector| selector.lease(&base.name));
        let lease = LeaseName { name, ..base.clone() };
        Self {
            selector,
            lease: Some(lease),
            base,
        }
    }

    /// The other operator whose server this is, if it is alive. `None` if the server is this operator's.
    #[must_use]
    pub fn other_owner(&self, server: &ObjectMeta) -> Option<LeaseName> {
        let claimed = claim(server);
        let is_own = match &claimed {
            Some(claimed) => self.lease.as_ref() == Some(claimed),
            None => self.selector.is_none(),
        };
        (!is_own).then(|| claimed.unwrap_or_else(|| self.base.clone()))
    }

    /// The value of the annotation with which this operator claims a server. Without a selector that is none.
    #[must_use]
    pub fn claim(&self) -> Option<String> {
        let lease = self.lease.as_ref().filter(|_| self.selector.is_some());
        lease.map(ToString::to_string)
    }

    /// Whether this operator has claimed a server whose labels have changed since, so that its selector no longer matches. The
    /// operator must release it.
    #[must_use]
    pub fn has_left(&self, server: &ObjectMeta) -> bool {
        let selector = self.selector.as_ref();
        self.has_claimed(server) && selector.is_some_and(|selector| !selector.matches(server))
    }

    /// Whether this operator, or an earlier process of it, has claimed a server.
    #[must_use]
    pub fn has_claimed(&self, server: &ObjectMeta) -> bool {
        claim(server).is_some_and(|claimed| self.lease.as_ref() == Some(&claimed))
    }
}

/// The Lease of the shard that has claimed a server.
#[must_use]
pub fn claim(server: &ObjectMeta) -> Option<LeaseName> {
    let annotations = server.annotations.as_ref()?;
    LeaseName::parse(annotations.get(SHARD_ANNOTATION)?)
}

/// This operator selects a server, too, and leaves it to its owner. `unread`: why the Lease of the owner cannot be read.
#[must_use]
pub fn left_alone(shard: &Shard, owner: &LeaseName, unread: Option<&str>) -> Event {
    let own = shard.lease.as_ref().map(ToString::to_string);
    let own = own.unwrap_or_else(|| "without a Lease".into());
    let why = unread.map_or_else(
        || format!("Another operator (Lease {owner}) reconciles this server"),
        |error| format!("Another operator (Lease {owner}) may be reconciling this server: its Lease cannot be read: {error}"),
    );
    let remedy = if unread.is_some() {
        format!("If that operator is gone, remove the annotation {SHARD_ANNOTATION}")
    } else {
        "Change the labels of the server or a --shard-selector, so that one operator selects the server"
            .into()
    };
    let note = format!("{why}. The operator {own} selects it, too, and leaves it alone. {remedy}");
    event(EventType::Warning, OTHER_SHARD, "Claim", note)
}

#[cfg(test)]
mod tests;
