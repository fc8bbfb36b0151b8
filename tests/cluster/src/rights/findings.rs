//! Compares what is granted with what was used.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::Right;
use super::usage::Usage;

/// Where rules and calls disagree.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Granted, and no call used it.
    pub unused: BTreeSet<Right>,
    /// Used, and not granted: the calls were made under other rules.
    pub ungranted: BTreeSet<Right>,
    /// Said to be seen by no call, and yet seen by one, or not granted at all.
    pub mistaken: BTreeSet<Right>,
    /// Missing, so that calls were refused: one call each.
    pub refused: BTreeMap<Right, String>,
}

impl Findings {
    /// Compares. `unseen` are rights that the API server asks for on its own, so that no call shows them.
    #[must_use]
    pub fn of(granted: &BTreeSet<Right>, usage: Usage, unseen: &BTreeSet<Right>) -> Self {
        let is_seen = |right: &Right| usage.used.iter().any(|call| covers(right, call));
        let is_granted = |call: &Right| granted.iter().any(|right| covers(right, call));
        let unused = granted.difference(unseen).filter(|right| !is_seen(right));
        // Told once, not once for each object.
        let ungranted = usage
            .used
            .iter()
            .filter(|call| !is_granted(call))
            .map(Right::nameless);
        let mistaken = unseen
            .iter()
            .filter(|right| is_seen(right) || !granted.contains(right));
        Self {
            unused: unused.cloned().collect(),
            ungranted: ungranted.collect(),
            mistaken: mistaken.cloned().collect(),
            refused: usage.refused,
        }
    }

    /// Whether rules and calls agree.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

fn covers(right: &Right, call: &Right) -> bool {
    let is_named = right.name.is_none() || right.name == call.name;
    is_named && (&right.group, &right.resource, &right.verb) == (&call.group, &call.resource, &call.verb)
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, rights) in [
            ("granted, and used by no call", &self.unused),
            ("used, and not granted any more", &self.ungranted),
            (
                "said to be seen by no call, and seen by one or not granted",
                &self.mistaken,
            ),
        ] {
            rights
                .iter()
                .try_for_each(|right| writeln!(f, "{what}: {right}"))?;
        }
        self.refused
            .iter()
            .try_for_each(|(right, call)| writeln!(f, "refused: {right}, {call}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of `verb resource`, or `verb resource name`.
    fn right(text: &str) -> Right {
        let mut words = text.split(' ').map(str::to_owned);
        Right {
            group: String::new(),
            verb: words.next().unwrap(),
            resource: words.next().unwrap(),
            name: words.next(),
        }
    }

    fn rights(texts: &[&str]) -> BTreeSet<Right> {
        texts.iter().map(|text| right(text)).collect()
    }

    fn found(granted: &[&str], used: &[&str], unseen: &[&str]) -> String {
        let usage = Usage {
            used: rights(used),
            refused: BTreeMap::new(),
        };
        Findings::of(&rights(granted), usage, &rights(unseen)).to_string()
    }

    #[test]
    fn rules_and_calls_that_agree_give_no_finding() {
        let granted = ["get pods", "update leases one", "update things/finalizers"];
        let used = ["get pods a", "get pods b", "update leases one"];
        assert_eq!(found(&granted, &used, &["update things/finalizers"]), "");
    }

    #[test]
    fn every_disagreement_is_told_with_its_right() {
        for (granted, used, unseen, expected) in [
            (
                vec!["get pods"],
                vec![],
                vec![],
                "granted, and used by no call: get pods\n",
            ),
            (
                vec!["get leases one"],
                vec!["get leases one", "get leases two", "get leases three"],
                vec![],
                "used, and not granted any more: get leases\n",
            ),
            (
                vec![],
                vec![],
                vec!["delete pods"],
                "said to be seen by no call, and seen by one or not granted: delete pods\n",
            ),
            (
                vec!["delete pods"],
                vec!["delete pods a"],
                vec!["delete pods"],
                "said to be seen by no call, and seen by one or not granted: delete pods\n",
            ),
        ] {
            assert_eq!(found(&granted, &used, &unseen), expected);
        }
    }

    #[test]
    fn a_refused_call_is_a_finding() {
        let usage = Usage {
            used: BTreeSet::new(),
            refused: BTreeMap::from([(right("get pods"), "in n: no".to_owned())]),
        };
        let findings = Findings::of(&BTreeSet::new(), usage, &BTreeSet::new());
        assert!(!findings.is_empty());
        assert_eq!(findings.to_string(), "refused: get pods, in n: no\n");
    }
}
